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


def test_the_data_choose_the_recipe(monkeypatch):
    monkeypatch.delenv("LAB_DATA", raising=False)
    plain = profile.load("class")
    scenes, photographs = profile.load("class", "meadow"), profile.load("class", "data/mine")
    assert scenes == dataclasses.replace(plain, dataset="meadow")
    assert photographs == dataclasses.replace(plain, dataset="data/mine", **profile.PHOTOGRAPHS["class"])
    assert photographs != dataclasses.replace(plain, dataset="data/mine")
    assert [lab.label for lab in (plain, scenes, photographs)] == ["class", "class-meadow", "class-mine"]
    assert profile.load("full", "apple2orange") == profile.load("full")
    monkeypatch.setenv("LAB_DATA", "daisy2sunflower")
    assert profile.load("smoke").dataset == "daisy2sunflower" != profile.load("smoke", "orchard").dataset
    assert str(profile.load("smoke")).startswith("Profile smoke on daisy2sunflower: a few seconds")


@pytest.mark.parametrize("data", ["data/mine", "mine", "absolute", "~/mine"])
def test_a_folder_of_ones_own_is_found_from_any_working_directory(data, tmp_path, monkeypatch):
    from labutils import published

    monkeypatch.setenv("HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.chdir(Path(__file__).parent)
    mine = tmp_path / "data" / "mine"
    for part in ("trainA", "trainB", "testA", "testB"):
        (mine / part).mkdir(parents=True)
        (mine / part / "0.png").write_bytes(b"")
    data = str(mine) if data == "absolute" else data
    assert published.ensure(profile.load("smoke", data)) == mine
    with pytest.raises(ValueError, match="No dataset is called 'mime'.*orchard.*apple2orange.*trainA"):
        published.ensure(profile.load("smoke", "mime"))
    with pytest.raises(ValueError, match="no/such"):
        published.ensure(profile.load("smoke", "no/such"))
