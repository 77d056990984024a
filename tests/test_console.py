"""Commands finish and print their results on terminals with few characters."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
COMMANDS = [
    path
    for folder in ("labutils", "tools", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]


@pytest.fixture
def odd(tmp_path):
    """Two folders of pictures whose names no Latin terminal knows; one is no picture."""
    for name in ("Äpfel", "雨"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (32, 32), (80 * i, 90, 90)).save(tmp_path / name / f"{i}.jpg")
        (tmp_path / name / "sécurité × 2.jpg").touch()
    return tmp_path


def run(place, encoding, *command):
    settings = {
        "PYTHONIOENCODING": encoding,
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONPATH": str(ROOT),
        "LAB_HOME": str(place),
    }
    return subprocess.run(
        [sys.executable, *command], cwd=place, env={**os.environ, **settings}, capture_output=True, encoding="latin-1"
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_prepare_says_what_it_skipped(odd, encoding):
    done = run(odd, encoding, "-m", "labutils.datasets", "prepare", "Äpfel", "雨", "--root", "own", "--size", "16")
    assert done.returncode == 0, done.stderr
    assert "skipped 2" in done.stdout and r"\u96e8" in done.stdout and re.search(r"s(\xe9|\\xe9)curit", done.stdout)


def test_an_error_is_said_too(odd):
    done = run(odd, "ascii", "-m", "labutils.datasets", "prepare", "Äpfel", "雪", "--root", "own")
    assert done.returncode == 1 and r"There is no folder '\u96ea'" in done.stderr


def test_translate_says_what_it_skipped(odd):
    done = run(
        odd, "ascii", "-m", "labutils.extras.folders", "雨", "--generator", "orchard64-ab", "--out", "out", "--sheet"
    )
    assert done.returncode == 1, done.stderr  # one is named like a picture, and could not be read
    assert "3 pictures written" in done.stdout and r"s\xe9curit\xe9 \xd7 2.jpg: is empty" in done.stdout


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_can_print_on_any_terminal(path):
    main = path.read_text(encoding="utf-8").split('if __name__ == "__main__":\n')[1]
    assert main.strip().splitlines()[-2].strip() == "console.escape()" or main.lstrip().startswith("console.escape()")
