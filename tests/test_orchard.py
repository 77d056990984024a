import json
import math

import numpy as np
import pytest
from PIL import Image

from labutils.scenes import orchard, render

FIRST_TEST_SCENE = 2 * render.SCENES_PER_SET


def decibels(error, weight):
    return -10 * math.log10(error / weight)


def weighted_error(pair):
    return float((pair.mask[..., None] * (pair.a - pair.b) ** 2).sum()), float(pair.mask.sum() * 3)


def test_the_unchanged_picture_scores_low():
    """The task stays hard: at most 18 dB (apple to orange) and 20 dB (nearest variety)."""
    own, nearest = np.zeros(2), np.zeros(2)
    for scene in range(FIRST_TEST_SCENE, FIRST_TEST_SCENE + 60):
        own += weighted_error(orchard.render_pair(scene, 64))
        pairs = [weighted_error(orchard.render_pair(scene, 64, variety)) for variety in orchard.VARIETIES]
        nearest += min(pairs, key=lambda pair: pair[0])
    assert 13 < decibels(*own) < 17.5
    assert decibels(*own) < decibels(*nearest) < 19.5


def test_the_two_backgrounds_have_one_distribution():
    """Scenes of trainA and trainB differ in nothing but the fruit: the same colours on average behind it."""
    means = []
    for first in (0, render.SCENES_PER_SET):
        pairs = [orchard.render_pair(first + i, 16) for i in range(80)]
        means.append([p.a[p.mask == 0].mean(0) for p in pairs])
    spread = np.std(means[0] + means[1], 0) * math.sqrt(2 / 80)
    assert (np.abs(np.mean(means[0], 0) - np.mean(means[1], 0)) < 4 * spread).all()


@pytest.mark.parametrize("scene", range(6))
def test_variety_changes_apples_and_nothing_else(scene):
    plain, red, green = (orchard.render_pair(scene, 48, variety) for variety in (None, "red", "green"))
    np.testing.assert_array_equal(red.b, green.b)
    np.testing.assert_array_equal(red.mask, plain.mask)
    np.testing.assert_array_equal(red.a[red.mask == 0], green.a[red.mask == 0])
    inside = red.mask > 0.9
    red_over_green = (red.a - green.a)[inside].mean(0)
    assert red_over_green[0] > 0 > red_over_green[1]


def test_apples_and_oranges_have_their_colours():
    for scene in range(10):
        red, oranges = orchard.render_pair(scene, 48, "red"), orchard.render_pair(scene, 48)
        inside = red.mask > 0.99
        r, g, b = oranges.b[inside].mean(0)
        assert r > g + 0.1 and g > b + 0.1
        assert red.a[inside].mean(0)[1] < g - 0.1


def test_write_records_scenes_that_render_the_test_files_again(tmp_path):
    root = orchard.write(tmp_path / "orchard", train=2, test=3, size=32, seed=5, progress=False)
    record = json.loads((root / "orchard.json").read_text())
    pair = orchard.render_pair(record["scenes"]["testA/0002.png"], 32)
    for folder, truth in (("testA", pair.a), ("testB", pair.b)):
        picture = np.asarray(Image.open(root / folder / "0002.png"))
        np.testing.assert_array_equal(picture, (truth * 255 + 0.5).astype(np.uint8))
