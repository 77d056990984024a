"""Typical wrong answers to lesson 1's exercises get the hint that names the mistake."""

import numpy as np
import pytest
import tensorflow as tf

from labutils.checks import check


def coins(seed, step, domains=2):
    seeds = tf.random.experimental.stateless_fold_in([seed, 0], step)
    return (tf.random.stateless_uniform([domains], seeds) < 0.5).numpy()


def blend(rgba, background, alpha):
    return (rgba[..., :3] * alpha + background * (1 - alpha) + 0.5).astype(np.uint8)


def numbered(dataset, view):
    return dataset.enumerate().map(lambda number, picture: view(picture, number))


def pictures(paths, load):
    return tf.data.Dataset.from_tensor_slices(paths).map(load)


RIGHT = {
    "1-scale": lambda pixels: pixels.astype(np.float32) / 127.5 - 1,
    "1-white": lambda rgba: blend(rgba, 255, rgba[..., 3:] / 255),
    "1-mirror": coins,
    "1-cache": lambda paths, load, view: numbered(pictures(paths, load).cache().repeat(), view),
    "1-memory": lambda pictures, size, width: pictures * size * size * 3 * width / 1e9,
}
WRONG = [
    ("1-scale", lambda pixels: pixels / 255, r"\[0, 1\]"),
    ("1-scale", lambda pixels: pixels / 127.5, "middle is 0"),
    ("1-scale", lambda pixels: pixels.astype(float), "still 0 to 255"),
    ("1-scale", lambda pixels: pixels, "floats"),
    ("1-scale", lambda pixels: 1 - pixels / 127.5, "inverted"),
    ("1-scale", lambda pixels: (pixels * np.uint8(2)) / 255.0 - 1, "darker"),
    ("1-scale", lambda pixels: pixels / 255 - 0.5, "expected values from -1 to 1, got values from -0.5"),
    ("1-white", lambda rgba: rgba[..., :3], "dropped the alpha"),
    ("1-white", lambda rgba: rgba, r"shape \(3, 5, 3\)"),
    ("1-white", lambda rgba: blend(rgba, 0, rgba[..., 3:] / 255), "background is black"),
    ("1-white", lambda rgba: blend(rgba, 255, 1 - rgba[..., 3:] / 255), "wrong way round"),
    ("1-white", lambda rgba: rgba[..., :3] * rgba[..., 3:] + 255 * (1 - rgba[..., 3:]), "divide alpha by 255"),
    ("1-white", lambda rgba: RIGHT["1-white"](rgba).astype(float), "should be uint8"),
    ("1-mirror", lambda seed, step: [coins(seed, step)[0]] * 2, "not a pair"),
    ("1-mirror", lambda seed, step: [coins(seed, step)[0], not coins(seed, step)[0]], "always the opposite"),
    ("1-mirror", lambda seed, step: coins(seed, 0), "same answer"),
    ("1-mirror", lambda seed, step: np.random.random(2) < 0.5, "stateless"),
    ("1-mirror", lambda seed, step: coins(0, step), "Another seed"),
    ("1-mirror", lambda seed, step: coins(seed, step, 3), "two booleans"),
    ("1-mirror", lambda seed, step: (coins(seed, step)[0], coins(seed, step + 1)[0]), "a step later"),
    ("1-mirror", lambda seed, step: coins(0, seed + step), "Do not add"),
    ("1-mirror", lambda seed, step: np.random.default_rng([seed, step]).random(2) < 0.4, "Half of the pictures"),
    ("1-mirror", lambda seed, step: coins(seed, step) & coins(seed + 9, step), "Half of the pictures"),
    ("1-cache", lambda p, load, view: numbered(pictures(p, load), view).cache().repeat(), "before .cache"),
    ("1-cache", lambda p, load, view: numbered(pictures(p, load).cache(), view).repeat(), "Every epoch"),
    ("1-cache", lambda p, load, view: numbered(pictures(p, load).repeat(), view), "files were read"),
    ("1-cache", lambda p, load, view: numbered(pictures(p, load).cache(), view), "repeat"),
    ("1-cache", lambda p, load, view: pictures(p, load).cache().repeat(), "unchanged"),
    ("1-memory", lambda pictures, size, width: 0.0 * pictures, "No answer yet"),
    ("1-memory", lambda pictures, size, width: pictures * size * size * width / 1e9, "three channels"),
    ("1-memory", lambda pictures, size, width: pictures * size * 3 * width / 1e9, "one row"),
    ("1-memory", lambda pictures, size, width: pictures * size * size * 3 / 1e9, "values, not bytes"),
    ("1-memory", lambda pictures, size, width: pictures * size * size * 3 * width / 1024**3, "gibibytes"),
    ("1-memory", lambda pictures, size, width: pictures * size * size * 3 * width, "These are bytes"),
    ("1-memory", lambda pictures, size, width: pictures * size * size * 12 / 1e9, "10 uint8 pictures"),
]


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setenv("LAB_STRICT", "1")


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers(name, capsys):
    check(name, RIGHT[name])
    assert capsys.readouterr().out.startswith(f"{name}: right.\nLesson 1: ")


@pytest.mark.parametrize("name, answer, hint", WRONG)
def test_wrong_answers_get_their_hint(name, answer, hint):
    with pytest.raises(AssertionError, match=hint):
        check(name, answer)
