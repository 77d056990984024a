"""Scores against formulas, scikit-image, and translations whose score is known."""

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from labutils import metrics
from labutils.datasets import orchard


@pytest.fixture
def pictures():
    random = np.random.default_rng(0)
    return random.random((2, 3, 16, 16, 3))


def test_psnr_and_ssim_are_scikit_images(pictures):
    (image, _, _), (truth, _, _) = pictures
    assert metrics.psnr(image, truth) == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=1), abs=1e-6)
    expected = structural_similarity(image, truth, channel_axis=-1, data_range=1)
    assert metrics.ssim(image, truth) == pytest.approx(expected, abs=1e-6)
    assert metrics.psnr(truth, truth) == float("inf") and metrics.ssim(truth, truth) == 1


def test_psnr_pools_the_masked_error_of_all_pictures():
    truth, image = np.zeros((2, 2, 2, 3)), np.zeros((2, 2, 2, 3))
    image[0, 0, 0] = 0.5  # inside the mask
    image[1, 1, 1] = 1.0  # outside
    mask = np.zeros((2, 2, 2))
    mask[:, 0, :] = 1
    assert metrics.psnr(image, truth, mask) == pytest.approx(-10 * np.log10(0.25 / 4))


def test_the_masked_ssim_is_scikit_images_map_inside_the_mask(pictures):
    (images, truths), mask = pictures, np.zeros((3, 16, 16))
    mask[0, 3:9, 5:12], mask[2] = 1, 0.5
    maps = [
        structural_similarity(*pair, channel_axis=-1, data_range=1, full=True)[1]
        for pair in zip(*pictures, strict=True)
    ]
    expected = (np.mean(maps, axis=-1) * mask).sum() / mask.sum()
    assert metrics.ssim(images, truths, mask) == pytest.approx(expected, abs=1e-6)
    assert metrics.ssim(truths, truths, mask) == 1


def test_a_limit_renders_no_more_than_it_needs(orchard_root, monkeypatch):
    rendered, render_pair = [], orchard.render_pair
    monkeypatch.setattr(orchard, "render_pair", lambda *scene: rendered.append(scene) or render_pair(*scene))
    metrics.test_pairs.cache_clear()
    few = metrics.report(lambda batch, training: batch, orchard_root, "ab", limit=2)
    assert few["pictures"] == len(rendered) == 2
    real, (truth,), mask = metrics.test_pairs(str(orchard_root), "ab", 2)
    assert few["copy_fruit_psnr"] == pytest.approx(metrics.psnr(real, truth, mask))


class Oracle:
    """A "generator" that looks the right answer up."""

    def __init__(self, answers):
        self.answers = iter(np.array_split(answers, -(-len(answers) // 50)))

    def __call__(self, batch, training):
        assert training is False
        return tf.constant(next(self.answers) * 2 - 1, tf.float32)


def test_a_copy_gains_nothing_and_keeps_the_background(orchard_root):
    for direction in ("ab", "ba"):
        report = metrics.report(lambda batch, training: batch, orchard_root, direction)
        assert report["gain"] == pytest.approx(0, abs=1e-4)
        assert report["fruit_psnr"] == pytest.approx(report["copy_fruit_psnr"], abs=1e-4)
        assert report["background_psnr"] > 100 and report["pictures"] == 4
        assert report["fruit_ssim"] < report["background_ssim"] < 1  # windows at the border see the wrong fruit


def test_the_truth_scores_best(orchard_root):
    pairs = [orchard.render_pair(scene, 32) for scene in scenes_of(orchard_root)]
    perfect = metrics.report(Oracle(np.stack([pair.b for pair in pairs])), orchard_root, "ab")
    assert perfect["fruit_psnr"] > 100 and perfect["background_psnr"] > 100
    assert perfect["fruit_ssim"] == pytest.approx(1) and perfect["background_ssim"] == pytest.approx(1)


def test_any_one_variety_is_right_for_an_orange_and_a_mixture_is_not(orchard_root):
    scenes = scenes_of(orchard_root)
    mixed = np.stack(
        [orchard.render(s, 32, "a", v) for s, v in zip(scenes, ["red", "green", "yellow", "red"], strict=True)]
    )
    assert metrics.report(Oracle(mixed), orchard_root, "ba")["fruit_psnr"] > 100
    average = np.mean([[orchard.render(s, 32, "a", v) for s in scenes] for v in orchard.VARIETIES], axis=0)
    assert metrics.report(Oracle(average), orchard_root, "ba")["fruit_psnr"] < 30


def test_the_copys_score_by_hand(orchard_root):
    pairs = [orchard.render_pair(scene, 32) for scene in scenes_of(orchard_root)]
    error = sum(((pair.a - pair.b) ** 2 * pair.mask[..., None]).sum() for pair in pairs)
    expected = -10 * np.log10(error / (3 * sum(pair.mask.sum() for pair in pairs)))
    report = metrics.report(lambda batch, training: batch, orchard_root, "ab")
    assert report["copy_fruit_psnr"] == pytest.approx(expected, abs=1e-4)


def test_photographs_have_no_truth(tmp_path):
    with pytest.raises(ValueError, match="knows no truth"):
        metrics.report(None, tmp_path, "ab")
    with pytest.raises(ValueError, match='"ab" or "ba"'):
        metrics.report(None, tmp_path, "a2b")


def scenes_of(root):
    import json

    scenes = json.loads((root / "orchard.json").read_text())["scenes"]
    return [scene for file, scene in scenes.items() if file.startswith("testA")]
