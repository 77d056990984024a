"""The checks of lesson 2: right answers pass, and typical wrong ones get a hint that names the mistake."""

import numpy as np
import pytest

from labutils.checks import check


def normalized(axes, power=0.5, epsilon=1e-5):
    def answer(x):
        return (x - x.mean(axes, keepdims=True)) / (x.var(axes, keepdims=True) + epsilon) ** power

    return answer


def relu(x):
    return np.maximum(x, 0)


def field(start=1, early=False, whole=False, multiply=True):
    def answer(kernels, strides):
        field, distance = start, 1
        for kernel, stride in zip(kernels, strides, strict=True):
            distance *= stride if early else 1
            field += (kernel - (0 if whole else 1)) * distance
            distance *= 1 if early or not multiply else stride
        return field

    return answer


RIGHT = {
    "2-parameters": lambda kernel, inputs, outputs: kernel**2 * inputs * outputs + outputs,
    "2-instance": normalized((1, 2)),
    "2-residual": lambda x, first, second: x + second(relu(first(x))),
    "2-field": field(),
    "2-strides": (2, 2, 2),
    "2-checkerboard": [2, 4, 6],
}
WRONG = [
    ("2-parameters", lambda k, i, o: k**2 * i * o, "left out the biases"),
    ("2-parameters", lambda k, i, o: k**2 * i * o + i, "not for each input channel"),
    ("2-parameters", lambda k, i, o: k * i * o + o, "kernel is a square"),
    ("2-parameters", lambda k, i, o: k**2 * o + o, "looks at all input channels"),
    ("2-parameters", lambda k, i, o: k**2 * i * o + i * o, "not to a pair"),
    ("2-parameters", lambda k, i, o: None, "returned nothing"),
    ("2-parameters", 208, "Pass the function"),
    ("2-instance", normalized((0, 1, 2)), "over the batch"),
    ("2-instance", normalized((1, 2, 3)), "layer normalisation"),
    ("2-instance", normalized(3), "each pixel on its own"),
    ("2-instance", normalized((1, 2), power=1), "square root"),
    ("2-instance", lambda x: x - x.mean((1, 2), keepdims=True), "did not divide"),
    ("2-instance", lambda x: x, "unchanged"),
    (
        "2-instance",
        lambda x: (x - x.mean((1, 2), keepdims=True)) / (x.std((1, 2), keepdims=True) + 1e-5),
        "inside the root",
    ),
    ("2-instance", normalized((1, 2), epsilon=1e-3), "axes are right; take epsilon 1e-5"),
    ("2-instance", lambda x: x.mean((1, 2)), "should have shape"),
    ("2-residual", lambda x, first, second: second(relu(first(x))), "skip is missing"),
    ("2-residual", lambda x, first, second: relu(x + second(relu(first(x)))), "after the addition"),
    ("2-residual", lambda x, first, second: x + relu(second(relu(first(x)))), "after the second layer"),
    ("2-residual", lambda x, first, second: x + second(first(x)), "ReLU between"),
    ("2-residual", lambda x, first, second: np.concatenate([x, second(relu(first(x)))], -1), "concatenated"),
    ("2-residual", lambda x, first, second: x, "unchanged"),
    ("2-field", field(start=0), "Start from 1"),
    ("2-field", field(early=True), "widen the field first"),
    ("2-field", field(multiply=False), "multiply"),
    ("2-field", lambda kernels, strides: sum(kernels), "Kernels overlap"),
    ("2-field", lambda kernels, strides: 1, "expected"),
    ("2-strides", (2, 2, 2, 1), "left out the last convolution"),
    ("2-strides", (2, 2), "give 22"),
    ("2-strides", (2, 2, 3), "each 1 or 2"),
    ("2-strides", 46, "A tuple of strides"),
    ("2-strides", (), "A tuple of strides"),
    ("2-checkerboard", [3, 5, 7], "These sizes make a checkerboard"),
    ("2-checkerboard", [3], "one, two or four times"),
    ("2-checkerboard", {4}, "not the only one"),
    ("2-checkerboard", [2, 3], "paint every pixel equally often"),
    ("2-checkerboard", [2, 4, 6, 8], "from 2 to 7"),
    ("2-checkerboard", 4, "A list or set"),
]


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setenv("LAB_STRICT", "1")


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_passes(name, capsys):
    check(name, RIGHT[name])
    assert f"{name}: right." in capsys.readouterr().out


@pytest.mark.parametrize("name, answer, hint", WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(name, answer, hint):
    with pytest.raises(AssertionError, match=hint):
        check(name, answer)


def test_a_students_notebook_is_never_stopped(monkeypatch, capsys):
    monkeypatch.delenv("LAB_STRICT")
    for name, answer, _ in WRONG:
        check(name, answer)
        assert "not yet" in capsys.readouterr().out
