import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from labutils import profile


def test_argument_beats_variable_beats_default(monkeypatch):
    monkeypatch.delenv("LAB_PROFILE", raising=False)
    assert profile.load().name == "class"
    monkeypatch.setenv("LAB_PROFILE", "smoke")
    assert profile.load().name == "smoke"
    assert profile.load("full").name == "full"


def test_unknown_profile_lists_the_three():
    with pytest.raises(ValueError, match="'tiny'.*smoke, class, full"):
        profile.load("tiny")


def test_a_profile_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.load("smoke").size = 1


def test_importing_the_package_is_light():
    code = "import labutils, sys; sys.exit('tensorflow' in sys.modules or 'ipywidgets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("part", ["data", "runs"])
@pytest.mark.parametrize("place", ["~", "~/lab", "/elsewhere", "../here"])
def test_lab_home(monkeypatch, tmp_path, place, part):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("LAB_HOME", place)
    assert profile.home(part, "x") == Path(place.replace("~", str(tmp_path))) / part / "x"
    assert profile.home("docs") == Path(profile.__file__).parents[1] / "docs"
