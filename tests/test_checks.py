"""What every check prints: whether the answer is right, and the progress in the lesson."""

import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from labutils import checks
from labutils.checks import lesson1, lesson2, lesson3, lesson4, lesson5  # noqa: F401, before a test patches the list

SOURCES = sorted((Path(__file__).parents[1] / "notebooks" / "sources").glob("*.py"))


@pytest.fixture
def lesson(monkeypatch):
    """A lesson 9 with two exercises, each answered by 42."""
    monkeypatch.delenv("LAB_STRICT", raising=False)
    monkeypatch.setattr(checks, "EXERCISES", {})
    monkeypatch.setattr(checks, "DONE", set())
    monkeypatch.setitem(sys.modules, "labutils.checks.lesson9", checks)

    def answer(value):
        checks.close(value, 42, "the answer")

    for name in ("9-first", "9-second"):
        checks.exercise(name)(answer)


def last_line(capsys):
    return capsys.readouterr().out.splitlines()[-1]


def test_the_progress_line_counts_right_answers_once(lesson, capsys):
    checks.check("9-second", 41)
    assert last_line(capsys) == "Lesson 9: 0 of 2 done; to do: 9-first, 9-second."
    for _ in range(2):
        checks.check("9-second", 42)
        assert last_line(capsys) == "Lesson 9: 1 of 2 done; to do: 9-first."
    checks.check("9-first", 42)
    assert last_line(capsys) == "Lesson 9: all 2 done."


def test_an_answer_that_was_right_and_is_spoilt_counts_no_more(lesson, capsys):
    checks.check("9-first", 42)
    checks.check("9-first", "no number")
    assert last_line(capsys) == "Lesson 9: 0 of 2 done; to do: 9-first, 9-second."


def test_a_wrong_answer_raises_only_when_asked_to(lesson, capsys, monkeypatch):
    checks.check("9-first", 41)
    assert capsys.readouterr().out.startswith("9-first: not yet. the answer: expected 42, got 41.")
    monkeypatch.setenv("LAB_STRICT", "1")
    with pytest.raises(AssertionError, match="9-first: not yet"):
        checks.check("9-first", 41)


def test_a_right_answer_raises_where_only_stand_ins_should_be(lesson, monkeypatch):
    monkeypatch.setenv("LAB_STRICT", "unsolved")
    checks.check("9-first", 41)
    with pytest.raises(AssertionError, match="9-first: right"):
        checks.check("9-first", 42)


def test_an_unknown_exercise_names_those_there_are(lesson):
    with pytest.raises(ValueError, match="9-third.*9-first, 9-second"):
        checks.check("9-third", 42)


@pytest.mark.parametrize("name", ["6-x", "x", "", "1", "3-pol", ".", 3, None, ["3-pool"], {}, np.zeros(3)], ids=str)
def test_any_other_name_gets_the_whole_list(name):
    with pytest.raises(ValueError, match="No exercise is called.*There are: 1-.*2-.*3-pool.*4-.*5-mix"):
        checks.check(name, 42)


def test_a_name_with_a_slip_gets_the_nearest():
    with pytest.raises(ValueError, match="Did you mean '3-pool'"):
        checks.check("3-pol", 42)


def handed_in(place, answers):
    """A notebook with a check in each cell and its output; in ``answers`` each exercise is right or not."""
    count, cells = 0, []
    for name, (_, right) in sorted(answers.items(), key=lambda item: item[1]):
        count += right
        said = [
            f"{name}: {'right.' if right else 'not yet. Almost right.'}\n",
            f"Lesson 3: {count} of 6 done; to do: x.\n",
        ]
        cells.append((name, {"cell_type": "code", "source": [f"check('{name}', f)"], "outputs": [{"text": said}]}))
    prose = {"cell_type": "markdown", "source": ["It should say 3-rate: right. Then go on."]}
    place.write_text(json.dumps({"cells": [prose, *(cell for _, cell in sorted(cells))]}, indent=1))


@pytest.mark.skipif(sys.platform == "win32", reason="the guide's command is for a shell")
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_guide_counts_right_answers_in_any_order(tmp_path, order):
    guide = (Path(__file__).parents[1] / "docs" / "instructor.md").read_text()
    [command] = [block for block in guide.split("```") if "handed_in/*.ipynb" in block]
    (tmp_path / "handed_in").mkdir()
    names = ("3-adversarial", "3-cycle", "3-pool", "3-rate")
    answers = {name: (place, name != "3-rate") for name, place in zip(names, order, strict=True)}
    handed_in(tmp_path / "handed_in" / "ann.ipynb", answers)
    handed_in(tmp_path / "handed_in" / "bob b.ipynb", {"3-pool": (0, True)})
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [" ".join(line.split()) for line in said.splitlines()] == [
        "handed_in/ann.ipynb: 3 right",
        "handed_in/bob b.ipynb: 1 right",
    ]


def test_every_exercise_has_a_right_answer_and_two_wrong_ones_with_hints_of_their_own():
    tests = [importlib.import_module(path.stem) for path in Path(__file__).parent.glob("test_checks_*.py")]
    modules = "".join(path.read_text() for path in Path(checks.__file__).parent.glob("lesson*.py"))
    names = re.findall(r'^@exercise\("([\w-]+)"\)', modules, re.MULTILINE)
    hints = Counter(name for name, _ in {(name, hint) for test in tests for name, _, hint in test.WRONG})
    assert len(names) >= 25 and set(names) == set().union(*(test.RIGHT for test in tests))
    assert not [name for name in names if hints[name] < 2]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_lesson_asks_for_each_of_its_checks(source):
    module = Path(checks.__file__).parent / f"lesson{source.stem[1]}.py"
    known = re.findall(r'^@exercise\("([\w-]+)"\)', module.read_text(), re.MULTILINE)
    asked = re.findall(r'^check\("([\w-]+)"', source.read_text(), re.MULTILINE)
    assert sorted(known) == sorted(asked)
