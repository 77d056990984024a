"""The lessons as files: complete, clean, readable, and equal to their sources."""

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = ["01_dataset", "02_models", "03_train", "04_translate", "05_style_transfer"]
FILES = [NOTEBOOKS / f"{name}.ipynb" for name in LESSONS]
FILES += [NOTEBOOKS / "solutions" / f"{name}.ipynb" for name in LESSONS]


def cells(path, kind):
    return ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def test_they_are_what_their_sources_say():
    result = subprocess.run([sys.executable, NOTEBOOKS / "generate.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_what_native_code_says_stays_out_of_the_notebook(monkeypatch):
    """TensorFlow's C++ writes to descriptor 2, whatever its log level says; ``make`` sets kernels up for it."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it, kernels do not look at descriptor 2
    cell = nbformat.v4.new_code_cell("import os, sys\n_ = os.write(2, b'native')\nprint('Python', file=sys.stderr)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, kernel_name="python3").execute()
    assert [output.text for output in cell.outputs] == ["Python\n"]


def test_an_edit_of_a_source_is_noticed(tmp_path):
    import shutil

    copy = tmp_path / "notebooks"
    shutil.copytree(NOTEBOOKS, copy)
    source = copy / "sources" / "03_train.py"
    source.write_text(source.read_text().replace("# # Lesson 3", "# # Lesson three"))
    result = subprocess.run([sys.executable, copy / "generate.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 1 and "03_train.ipynb differs" in result.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
class TestEach:
    def test_is_stored_without_outputs(self, path):
        book = json.loads(path.read_text())
        code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
        assert "widgets" not in book["metadata"] and path.stat().st_size < 200_000

    def test_cells_are_few_and_short(self, path):
        lines = [cell.count("\n") + 1 for cell in cells(path, "code")]
        total = len(json.loads(path.read_text())["cells"])
        limit = 70 if path.stem in ("02_models", "03_train") else 45
        assert total < limit, "merge or drop cells of the exposition: the limit stays"
        assert statistics.median(lines) <= 6 and sorted(lines)[int(0.9 * len(lines))] <= 20 and max(lines) <= 30

    def test_has_one_title_and_skips_no_level(self, path):
        levels = [len(m) for text in cells(path, "markdown") for m in re.findall(r"^(#+) ", text, re.MULTILINE)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(below <= above + 1 for above, below in zip(levels, levels[1:], strict=False))

    def test_has_the_parts_of_a_lesson(self, path):
        text = "\n".join(cells(path, "markdown"))
        parts = ("What you will be able to do", "Before you start", "Time", "## Summary", "## Exercises", "## Further")
        for part in parts:
            assert part in text, f"{path.name} lacks {part!r}"
        assert len(re.findall(r"^### Exercise", text, re.MULTILINE)) >= 4

    def test_every_exercise_is_checked(self, path):
        code = "\n".join(cells(path, "code"))
        exercises = "\n".join(cells(path, "markdown")).count("### Exercise ")
        assert len(re.findall(rf'^check\("{path.stem[1]}-', code, re.MULTILINE)) == exercises
        assert "SOLUTION" not in code and "STAND-IN" not in code


def test_students_do_not_get_the_solutions():
    for name in LESSONS:
        student, solved = (cells(folder / f"{name}.ipynb", "code") for folder in (NOTEBOOKS, NOTEBOOKS / "solutions"))
        different = [s for s, t in zip(student, solved, strict=True) if s != t]
        assert len(different) >= 4 and all(re.search(r"your (code|answer) here|change these|\?", s) for s in different)
