"""Compare scores with formulas, with scikit-image, and for translations whose score is known."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from labutils import measure, metrics, models, translate
from labutils.base import files
from labutils.datasets import folder, pipeline
from labutils.scenes import meadow, orchard


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


def test_what_has_no_pixels_is_absent(pictures, tmp_path, monkeypatch):
    (images, truths), none = pictures, np.zeros((3, 16, 16))
    assert metrics.psnr(images, truths, none) is None and metrics.ssim(images, truths, none) is None
    root = meadow.write(tmp_path, train=1, test=3, size=16, seed=3, progress=False)
    report = metrics.report(measure.unchanged, root, "ba")
    assert sorted(report) == ["copy_fruit_psnr", "fruit_psnr", "fruit_ssim", "gain", "pictures"]
    judge = SimpleNamespace(probability=lambda fake: np.linspace(0, 1, len(fake)))
    assert set(measure.errors(measure.unchanged, measure.unchanged, judge, root, "ab")) == {
        "fruit",
        "classifier",
        "cycle",
    }
    monkeypatch.setattr(metrics, "test_pairs", lambda *_: (images, [truths], none))  # nothing differs
    report = metrics.report(measure.unchanged, root, "ab")
    assert sorted(report) == ["background_psnr", "background_ssim", "pictures"]
    some = np.stack([none[0], 1 - none[1], none[2]])
    monkeypatch.setattr(metrics, "test_pairs", lambda *_: (images, [truths], some))
    errors = measure.errors(measure.unchanged, measure.unchanged, judge, root, "ab")
    assert np.isnan(errors["fruit"]).tolist() == [True, False, True]
    assert [measure.worst(errors)[kind].tolist() for kind in ("fruit", "background")] == [[1], [0, 2]]


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
        assert report["fruit_ssim"] < report["background_ssim"] < 1  # windows at the border contain wrong fruit


def test_the_gains_of_what_a_run_kept_by_step(orchard_root, tmp_path):
    tf.keras.utils.set_random_seed(0)
    network = models.build({"kind": "unet_generator", "filters": 4, "levels": 2, "image_size": 32, "attention": True})
    painted = metrics.report(network, orchard_root, "ba")["gain"]
    translate.save_generator(network, tmp_path / "step-00000008-ba", steps=8)
    translate.save_generator(network, tmp_path / "step-00000008-ab", steps=8)
    translate.save_generator(network, tmp_path / "chosen-ba", steps=8)
    *others, bias = network.get_weights()
    network.set_weights([*others, bias - [0, 0, 0, 100]])  # a mask of zeros: the unchanged input
    translate.save_generator(network, tmp_path / "step-00000004-ba", steps=4)
    gains = measure.gains(tmp_path, orchard_root, "ba")
    translate.save_generator(network, tmp_path / "step-00000004-ab", steps=4)
    assert measure.choose(tmp_path, orchard_root)["ba"] == gains
    assert translate.load_generator(tmp_path / "chosen-ba").card["steps"] == max(gains, key=gains.get)
    assert list(gains) == [4, 8] and gains == pytest.approx({4: 0, 8: painted}, abs=1e-5) and abs(painted) > 0.01


def test_without_a_truth_the_step_nearest_to_the_other_domain_is_chosen(tmp_path):
    kept, random = tmp_path / "generators", np.random.default_rng(0)
    for part, colour in (("trainA", (200, 40, 40)), ("trainB", (40, 40, 200))):
        for number in range(5):
            pixels = np.clip(random.normal(colour, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            translate.save_png(tmp_path / part / f"{number}.png", pixels)
    network = models.build({"kind": "unet_generator", "filters": 4, "levels": 2, "image_size": 32, "attention": True})
    *others, bias = network.get_weights()
    for step, colour in ((4, (-100, -100, -100)), (8, (-0.8, -0.8, 0.6)), (12, (100, 100, 100))):  # painted everywhere
        network.set_weights([*others, np.float32([*colour, 100])])
        for direction in ("ab", "ba"):
            translate.save_generator(network, kept / files.named(step, f"-{direction}"), steps=step)
    found = measure.choose(kept, tmp_path)
    assert translate.load_generator(kept / "chosen-ab").card["steps"] == 8 == min(found["ab"], key=found["ab"].get)
    real = [pipeline.pictures(tmp_path, part, 32) / 2 + 0.5 for part in ("trainA", "trainB")]
    fake = metrics.translated(translate.load_generator(kept / "chosen-ab"), real[0])
    by_hand, _ = measure.kid(measure.features_of(fake), measure.features_of(real[1]))
    assert found["ab"][8] == pytest.approx(by_hand, rel=1e-5) and set(found["ba"]) == {4, 8, 12}


def test_the_truth_scores_best(orchard_root):
    pairs = [orchard.render_pair(scene, 32) for scene in scenes_of(orchard_root)]
    perfect = metrics.report(Oracle(np.stack([pair.b for pair in pairs])), orchard_root, "ab")
    assert perfect["fruit_psnr"] > 100 and perfect["background_psnr"] > 100
    assert perfect["fruit_ssim"] == pytest.approx(1) and perfect["background_ssim"] == pytest.approx(1)


def test_the_nearest_truth_is_found_inside_the_mask_picture_by_picture():
    dark, light, mask = np.zeros((2, 2, 2, 3)), np.ones((2, 2, 2, 3)), np.zeros((2, 2, 2))
    mask[:, 0, 0] = 1
    fakes = np.stack([light[0], dark[0]])
    fakes[0, 0, 0], fakes[1, 0, 0] = 0.1, 0.9  # the only pixel with weight differs from all others
    np.testing.assert_array_equal(metrics.nearest(fakes, [dark, light], mask), np.stack([dark[0], light[1]]))


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
    with pytest.raises(ValueError, match="has no truth"):
        metrics.report(None, tmp_path, "ab")
    with pytest.raises(ValueError, match='"ab" or "ba"'):
        metrics.report(None, tmp_path, "a2b")


def test_kid_is_a_direct_sum_over_pairs():
    random = np.random.default_rng(0)
    x, y = random.normal(0.3, 1, (7, 5)), random.normal(0, 1, (6, 5))

    def direct(x, y):
        def kernel(p, q):
            return (sum(p[c] * q[c] for c in range(5)) / 5 + 1) ** 3

        within = [
            sum(kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j) / (len(z) * (len(z) - 1))
            for z in (x, y)
        ]
        return sum(within) - 2 * sum(kernel(p, q) for p in x for q in y) / (len(x) * len(y))

    value, error = measure.kid(x, y)
    assert value == pytest.approx(direct(x, y), abs=1e-6)
    left_out_x = [direct(np.delete(x, i, axis=0), y) for i in range(7)]
    left_out_y = [direct(x, np.delete(y, i, axis=0)) for i in range(6)]
    jackknife = 6 / 7 * np.sum((left_out_x - np.mean(left_out_x)) ** 2)
    jackknife += 5 / 6 * np.sum((left_out_y - np.mean(left_out_y)) ** 2)
    assert error == pytest.approx(np.sqrt(jackknife), abs=1e-6)


def test_kid_of_one_distribution_is_zero_on_average_and_its_error_is_the_spread():
    """For two distributions that differ, the jackknife's error is the standard deviation of repeated values."""
    random = np.random.default_rng(1)
    same = [measure.kid(random.normal(size=(48, 8)), random.normal(size=(48, 8)))[0] for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(200) and min(same) < 0
    apart = [measure.kid(random.normal(size=(48, 8)), random.normal(0.5, 1, (48, 8))) for _ in range(200)]
    values, errors = np.transpose(apart)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    with pytest.raises(ValueError, match="at least 3"):
        measure.kid(np.zeros((2, 4)), np.zeros((9, 4)))


def test_features_are_vectors_of_one_length(pictures, monkeypatch):
    features = measure.features_of(pictures[0])
    assert features.shape == (3, 512)
    np.testing.assert_allclose((features**2).mean(axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match='"vgg16" or "inception"'):
        measure.features_of(pictures[0], "resnet")

    def inception(include_top, weights, pooling):
        assert (include_top, weights, pooling) == (False, "imagenet", "avg")
        return lambda batch, training: batch[:, 0, :]  # the first of 299 rows serves as the features

    monkeypatch.setattr(tf.keras.applications, "InceptionV3", inception)
    rows = measure.features_of(pictures[0], "inception")
    assert rows.shape == (3, 299, 3) and rows.min() < -0.9 and rows.max() > 0.9
    measure._network.cache_clear()


def test_colour_matching_gives_the_other_domains_colours(orchard_root):
    def colours(part):
        real = np.stack([folder.read_image(path) for path in folder.files(orchard_root, part)]) / 127.5 - 1
        return real, real.mean(axis=(0, 1, 2)), real.std(axis=(0, 1, 2))

    (real_a, _, _), (_, mean_b, deviation_b) = colours("trainA"), colours("trainB")
    real_a = real_a.mean() + 0.2 * (real_a - real_a.mean())  # pale, so that nothing is clipped
    matched = measure.colour_matching(orchard_root, "ab")(real_a)
    direct = (real_a - colours("trainA")[1]) / colours("trainA")[2] * deviation_b + mean_b
    np.testing.assert_allclose(matched, direct, atol=1e-5)
    assert metrics.report(measure.colour_matching(orchard_root, "ba"), orchard_root, "ba")["pictures"] == 4


def test_the_worst_of_each_measure_come_first(orchard_root):
    real, (truth,), _ = metrics.test_pairs(str(orchard_root), "ab")
    spoilt = truth.copy()
    spoilt[2] = 1 - spoilt[2]  # fruit and background wrong
    judge = SimpleNamespace(probability=lambda fake: np.array([0.9, 0.1, 0.8, 0.7]))

    def back(batch, training):
        return tf.constant(np.concatenate([real[:3], 1 - real[3:]]) * 2 - 1, tf.float32)

    errors = measure.errors(Oracle(spoilt), back, judge, orchard_root, "ab")
    worst = measure.worst(errors, count=2)
    assert [worst[measure][0] for measure in ("fruit", "background", "classifier", "cycle")] == [2, 2, 1, 3]
    assert errors["fruit"][0] < 0.01 and errors["cycle"][0] < 0.01
    np.testing.assert_allclose(errors["classifier"], [0.1, 0.9, 0.2, 0.3])
    assert errors["background"][2] > 20


def test_the_classifier_learns_and_learns_the_same_again(tmp_path):
    for folder_name, colour in (("trainA", 60), ("trainB", 160), ("testA", 60), ("testB", 160)):
        (tmp_path / folder_name).mkdir()
        for number in range(8):
            noise = np.random.default_rng([colour, number, len(folder_name)]).integers(0, 60, (16, 16, 3))
            Image.fromarray((colour + noise).astype(np.uint8)).save(tmp_path / folder_name / f"{number}.png")
    first = measure.DomainClassifier(16, seed=1).fit(tmp_path, epochs=25)
    assert first.accuracy(tmp_path) == 1
    dark, bright = np.full((2, 16, 16, 3), 0.35), np.full((3, 16, 16, 3), 0.75)
    assert first.accepts(dark, "a") == first.accepts(bright, "b") == 1
    assert first.accepts(np.concatenate([dark, bright]), "b") == pytest.approx(3 / 5)
    again = measure.DomainClassifier(16, seed=1).fit(tmp_path, epochs=25)
    np.testing.assert_array_equal(first.probability(dark), again.probability(dark))
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        first.probability(dark * 2 - 1)
    with pytest.raises(ValueError, match='"a" or "b"'):
        first.accepts(dark, "apples")


def test_scores_go_into_a_card_and_are_compared_with_it(orchard_root, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import scores

    judge = SimpleNamespace(accepts=lambda fake, domain: {"b": len(fake) / 8}[domain])
    monkeypatch.setattr(scores, "judge", lambda root, size: (judge, 0.995))
    measured = scores.score(measure.unchanged, orchard_root, 32, "ab")
    assert measured["gain"] == 0 and measured["accepted"] == 0.5 and measured["classifier_accuracy"] == 0.995
    path = tmp_path / "orchard32-ab.json"
    scores.write(path, {"data": "orchard"}, measured)
    card = json.loads(path.read_text())
    assert card["data"] == "orchard" and scores.differences(card, measured) == []
    assert [file.name for file in tmp_path.iterdir()] == ["orchard32-ab.json"]
    assert len(scores.differences({}, measured)) == len(measured)
    scores.show("the meadow", {key: value for key, value in measured.items() if "background" not in key})
    assert capsys.readouterr().out.split().count("none") == 2
    (difference,) = scores.differences(card, measured | {"fruit_ssim": measured["fruit_ssim"] + 0.01})
    assert difference.startswith("fruit_ssim:")


def scenes_of(root):
    scenes = json.loads((root / "orchard.json").read_text())["scenes"]
    return [scene for file, scene in scenes.items() if file.startswith("testA")]
