"""Right answers pass; typical wrong ones get a hint that names the mistake."""

import numpy as np
import pytest

from labutils import checks, pictures, style


def flat(maps):
    return np.asarray(maps, float).reshape(-1, maps.shape[-1])


def keep(painted, photograph):
    return pictures.keep_colours(painted / 255, photograph / 255)


def swap(painted, photograph):
    return keep(photograph, painted)


def no_inverse(painted, photograph):
    yiq = photograph @ pictures.YIQ.T
    yiq[..., 0] = (painted @ pictures.YIQ.T)[..., 0]
    return yiq


def rolled(image):
    return ((np.roll(image, -1, 1) - image) ** 2 + (np.roll(image, -1, 2) - image) ** 2).mean() / 255**2


def absolute(image):
    return (abs(np.diff(image, axis=1)[:, :, :-1]) + abs(np.diff(image, axis=2)[:, :-1])).mean() / 255


LAYERS = [f"block{block}_conv1" for block in range(1, 5)]
RIGHT = {
    "5-gram": lambda m: flat(m).T @ flat(m) / len(flat(m)),
    "5-variation": style.total_variation,
    "5-factor": 128**2 / (9 * 16),
    "5-colours": keep,
    "5-decay": dict(zip(LAYERS, np.array([8, 4, 2, 1]) / 15, strict=True)),
    "5-mix": lambda a, b, s, t: (s * a + t * b) / (s + t),
}
WRONG = [
    ("5-gram", lambda m: flat(m).T @ flat(m), "sum over positions"),
    ("5-gram", lambda m: flat(m) @ flat(m).T / 30, "compares positions"),
    ("5-gram", lambda m: np.cov(flat(m).T, bias=True), "covariance"),
    ("5-gram", lambda m: flat(m).T @ flat(m) / 90, "channels too"),
    ("5-gram", lambda m: m.reshape(3, -1) @ m.reshape(3, -1).T / 30, "mixes the channels"),
    ("5-gram", lambda m: None, "returned nothing"),
    ("5-gram", 3, "function itself"),
    ("5-gram", style.gram_matrix, "without TensorFlow"),
    ("5-gram", lambda m: m[0], "should have shape"),
    ("5-variation", lambda i: (np.diff(i, axis=1)[:, :, :-1] ** 2).mean() / 255**2, "to the right"),
    ("5-variation", rolled, "np.roll"),
    ("5-variation", lambda i: style.total_variation(i) * 255**2, "divide by 255²"),
    ("5-variation", lambda i: 3 * style.total_variation(i), "over the colours"),
    ("5-variation", lambda i: style.total_variation(i) / 2, "half the value"),
    ("5-variation", absolute, "absolute differences over 255"),
    ("5-variation", lambda i: absolute(i) / 255, "absolute differences: square"),
    ("5-factor", 64**2 / 9, "squared.*block1_conv1"),
    ("5-factor", 128**2 / 9, "a quarter as many"),
    ("5-factor", 9 * 16 / 128**2, "other way round"),
    ("5-colours", swap, "Swapped"),
    ("5-colours", no_inverse, "inverse matrix"),
    ("5-colours", lambda a, b: no_inverse(a, b) @ np.linalg.inv(pictures.YIQ), "transpose the inverse"),
    ("5-colours", lambda a, b: a, "unchanged"),
    ("5-colours", lambda a, b: 0.5 * a + 0.5 * b, "expected values from"),
    ("5-decay", dict.fromkeys(LAYERS, 0.25), "all the same"),
    ("5-decay", dict(zip(LAYERS, [1, 0.5, 0.25, 0.125], strict=True)), "sum to 1"),
    ("5-decay", dict(zip(LAYERS, np.array([1, 2, 4, 8]) / 15, strict=True)), "wrong way"),
    ("5-decay", {"block1": 1.0}, "layers should be"),
    ("5-mix", lambda a, b, s, t: (t * a + s * b) / (s + t), "other way round"),
    ("5-mix", lambda a, b, s, t: s * a + t * b, "sum of the shares"),
    ("5-mix", lambda a, b, s, t: (a + b) / 2, "plain mean"),
    ("5-mix", lambda a, b, s, t: (s * a + t * b) / 2, "not by the number of pictures"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(name, monkeypatch, capsys):
    monkeypatch.setenv("LAB_STRICT", "1")
    checks.check(name, RIGHT[name])
    assert capsys.readouterr().out.startswith(f"{name}: right.\n")


@pytest.mark.parametrize(("name", "value", "hint"), WRONG)
def test_wrong_answers_get_their_hint(name, value, hint, monkeypatch):
    monkeypatch.setenv("LAB_STRICT", "1")
    with pytest.raises(AssertionError, match=hint):
        checks.check(name, value)
