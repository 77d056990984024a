"""Lessons 3 and 4 run as they are on a folder of one's own: cells that need a truth say so and go on."""

import os
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from labutils.datasets import folder

SOLVED = Path(__file__).parents[1] / "notebooks" / "solutions"


@pytest.fixture
def mine(tmp_path):
    """Leaves: green in A, brown in B."""
    random = np.random.default_rng(0)
    for domain, colour in (("A", (40, 160, 60)), ("B", (150, 90, 40))):
        for part, count in (("train", 8), ("test", 6)):
            place = tmp_path / "data" / "mine" / f"{part}{domain}"
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 80, (40, 50, 3)) + np.array(colour)
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(place / f"{number}.png")
    assert len(folder.files(tmp_path / "data" / "mine", "trainA")) == 8
    return tmp_path


def executed(lesson, monkeypatch):
    book = nbformat.read(SOLVED / f"{lesson}.ipynb", 4)
    monkeypatch.chdir(SOLVED)
    NotebookClient(book, timeout=300, kernel_name="python3").execute()
    outputs = (output for cell in book.cells for output in cell.get("outputs", ()))
    return "".join(output.get("text", "") for output in outputs)


def test_lessons_3_and_4_run_on_them(mine, monkeypatch):
    names = {"LAB_PROFILE": "smoke", "LAB_STRICT": "1", "LAB_HOME": str(mine), "LAB_DATA": "data/mine"}
    for name, value in names.items():
        monkeypatch.setitem(os.environ, name, value)
    trained = executed("03_train", monkeypatch)
    assert "Profile smoke on data/mine" in trained and "has no truth: judge by looking" in trained
    assert "chosen steps: {" in trained and "Lesson 3: all 6 done" in trained
    assert (mine / "runs" / "lesson3-smoke-mine" / "generators" / "chosen-ba.json").exists()
    translated = executed("04_translate", monkeypatch)
    assert "data: mine" in translated and "No truth here" in translated and "Lesson 4: all 5 done" in translated
