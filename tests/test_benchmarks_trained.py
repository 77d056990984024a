"""The benchmarks that train: the paper's ablation, how many pictures it takes, and photographs to labels."""

import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image

from labutils import cyclegan, losses, measure, profile, speed, translate
from labutils.datasets import pipeline
from labutils.published import flowers

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import ablation  # noqa: E402
import how_many  # noqa: E402
import labels  # noqa: E402
import recipe  # noqa: E402
import tables  # noqa: E402


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Data, runs and results in a temporary folder."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(speed, "share_cores", lambda: None)  # it sets up the whole process
    return tmp_path


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A copy of the benchmarks' page to write into."""
    path = tmp_path / "README.md"
    path.write_text(tables.README.read_text())
    monkeypatch.setattr(tables, "README", path)
    return path


def forbid_training(module, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a stored result was trained again")

    monkeypatch.setattr(module.training, "Run", refuse)


# The ablation


def gradients(gan, pictures, loss):
    """The gradient of one loss for all weights of the generators, from ``CycleGAN``'s definition."""
    real_a, real_b = pictures
    with tf.GradientTape() as tape:
        if loss == "cycle_a":
            value = losses.cycle(real_a, gan.generator_ba(gan.generator_ab(real_a, training=True), training=True))
        else:
            value = losses.cycle(real_b, gan.generator_ab(gan.generator_ba(real_b, training=True), training=True))
    return [gradient.numpy() for gradient in tape.gradient(value, gan.generator_variables)], float(value)


@pytest.mark.parametrize(
    "direction, kept, dropped", [("forward", "cycle_a", "cycle_b"), ("backward", "cycle_b", "cycle_a")]
)
def test_one_direction_of_the_cycle_loss_has_no_gradient(make_gan, orchard_root, direction, kept, dropped):
    pictures = next(iter(pipeline.unpaired(orchard_root, 32)))
    gan, only_cycle = make_gan(), cyclegan.LossWeights(0.0, 1.0, 0.0)
    networks = [gan.generator_ab, gan.generator_ba, gan.discriminator_a, gan.discriminator_b]
    one = ablation.OneCycle(direction, *networks, loss_weights=only_cycle, pool_size=0)
    wanted, value = gradients(gan, pictures, kept)
    unwanted, other = gradients(gan, pictures, dropped)
    before, cycle = [weights.numpy() for weights in one.generator_variables], losses.cycle
    one.compile(tf.keras.optimizers.SGD(1.0), tf.keras.optimizers.SGD(0.0))
    log = one.fit(tf.data.Dataset.from_tensors(pictures), verbose=0).history
    assert losses.cycle is cycle
    assert log[kept][0] == pytest.approx(value, rel=1e-4) and log[dropped][0] == pytest.approx(other, rel=1e-4)
    for old, weights, gradient, absent in zip(before, one.generator_variables, wanted, unwanted, strict=True):
        np.testing.assert_allclose(old - weights.numpy(), gradient, atol=1e-5)
        assert np.abs(absent).max() > 1e-4 or np.abs(gradient).max() < 1e-4  # so that its absence is visible


def test_the_variants_differ_in_their_losses_only(monkeypatch, tiny):
    plans = {name: ablation.settings(name, 1500) for name in ablation.VARIANTS}
    lab = profile.load("class")
    for plan in plans.values():
        assert plan.generator == {**lab.generator, "attention": False} and plan.loss_weights["identity"] == 0
        assert (plan.steps, plan.constant_steps, plan.train) == (1500, 750, lab.train)
        assert dataclasses.replace(plan, loss_weights={}) == dataclasses.replace(plans["GAN alone"], loss_weights={})
    weights = {name: (plan.loss_weights["adversarial"], plan.loss_weights["cycle"]) for name, plan in plans.items()}
    full = (lab.loss_weights["adversarial"], lab.loss_weights["cycle"])
    assert weights.pop("cycle alone") == (0, full[1]) and weights.pop("GAN alone") == (full[0], 0)
    assert set(weights.values()) == {full}
    built = {name: ablation.build(name, tiny) for name in ablation.VARIANTS}
    assert {name: gan.direction for name, gan in built.items() if isinstance(gan, ablation.OneCycle)} == {
        "GAN + forward cycle": "forward",
        "GAN + backward cycle": "backward",
    }


def test_an_ablation_is_trained_once_and_stored(home, tiny, orchard_root, monkeypatch):
    monkeypatch.setattr(ablation, "settings", lambda name, steps: dataclasses.replace(tiny, steps=steps))
    monkeypatch.setattr(ablation.published, "ensure", lambda lab: orchard_root)
    result = ablation.train("GAN + forward cycle", 8, 1)
    assert {"gain", "background_psnr"} <= result["ab"].keys() & result["ba"].keys()
    assert (home / "results" / "ablation-gan-forward-cycle-8-1.json").is_file()
    forbid_training(ablation, monkeypatch)
    assert ablation.train("GAN + forward cycle", 8, 1) == json.loads(json.dumps(result))


def test_the_ablations_table_has_means_and_the_papers_values(monkeypatch):
    def report(gain, background):
        return {"gain": gain, "background_psnr": background}

    kept = {
        ablation.key("all (CycleGAN)", 1500, seed): {"ab": report(gain, 30.0), "ba": report(-gain, 20.0)}
        for seed, gain in enumerate((1.0, 2.0, 6.0))
    }
    monkeypatch.setattr(tables, "kept", kept.get)
    rows = {row.split(" | ")[0].strip("| "): row for row in ablation.table().splitlines()}
    assert "| +3.00 (+1.00 to +6.00) | -3.00 (-6.00 to -1.00) | 30.0 (30.0 to 30.0) | 20.0" in rows["all (CycleGAN)"]
    assert rows["all (CycleGAN)"].endswith("| .52 / .17 / .11 | .58 / .22 / .16 |")
    assert rows["GAN alone"].count("not run yet") == 4 and ".51 / .11 / .08 | .53 / .11 / .07" in rows["GAN alone"]


# Photographs to labels


def test_scores_of_four_pixels_by_hand():
    # truth: sky sky road void; found: sky road road sky. The last pixel is not scored.
    counts = labels.confusion([[0, 0], [1, -1]], [[0, 1], [1, 0]], 2)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0]])
    # 2 of 3 pixels are right; of sky 1 of 2, of road 1 of 1; sky: 1 of 2 in either, road: 1 of 2 in either
    assert list(labels.scores(counts).values()) == pytest.approx([2 / 3, 3 / 4, 1 / 2])
    # found void where the truth is sky: a wrong answer, but of no class. Sky: 1 of 2; road 1 of 1.
    counts = labels.confusion([0, 0, 1, -1], [0, -1, 1, -1], 2)
    assert list(labels.scores(counts).values()) == pytest.approx([2 / 3, 3 / 4, 3 / 4])


def test_the_scores_obey_their_laws():
    random = np.random.default_rng(0)
    truth, found = random.integers(-1, 4, (2, 50, 50))
    assert set(labels.scores(labels.confusion(truth, truth, 4)).values()) == {1.0}
    values = labels.scores(labels.confusion(truth, found, 4))
    renamed = np.array([2, 0, 3, 1, -1])  # the last one for void
    again = labels.scores(labels.confusion(renamed[truth], renamed[found], 4))
    assert again == pytest.approx(values)
    # one class everywhere: its share of the pixels; one class in four is right; the share, over four classes
    share = (truth == 2).sum() / (truth >= 0).sum()
    everywhere = labels.scores(labels.confusion(truth, np.full_like(truth, 2), 4))
    assert list(everywhere.values()) == pytest.approx([share, 1 / 4, share / 4])
    absent = labels.scores(labels.confusion(truth, found, 9))  # five more classes that no picture shows
    assert absent == pytest.approx(values)
    with pytest.raises(ValueError, match="all are void"):
        labels.scores(labels.confusion([-1], [0], 4))


def test_a_pixel_has_the_class_of_the_nearest_colour():
    palette = labels.Palette(labels.CITYSCAPES)
    assert len(palette.names) == 19
    classes, void = np.split(palette.colours, [19])
    np.testing.assert_array_equal(palette.classify(classes[None])[0], range(19))
    assert (palette.classify(void[None]) == -1).all()
    road, dark = (125, 70, 126), (9, 2, 6)
    assert palette.classify([[road, dark]]).tolist() == [[0, -1]] and palette.known([[road, (190, 190, 20)]]) == 0.5


def test_photographs_are_no_labels_and_labels_survive_a_jpeg(tmp_path):
    palette = labels.Palette(labels.CITYSCAPES)
    for picture in (skimage.data.cat(), skimage.data.coffee(), skimage.data.astronaut(), skimage.data.rocket()):
        assert palette.known(picture) < 0.4
    truth = np.random.default_rng(0).integers(0, 19, (16, 16)).repeat(16, 0).repeat(16, 1)
    Image.fromarray(palette.colours[truth].astype(np.uint8)).save(tmp_path / "0_B.jpg", quality=95, subsampling=0)
    kept = np.asarray(Image.open(tmp_path / "0_B.jpg"))
    assert palette.known(kept) > 0.95 and (palette.classify(kept) == truth).mean() > 0.98


@pytest.mark.parametrize(
    "spec, reason",
    [
        ([], "in this form"),
        ({"classes": {"fruit": "red", "table": "blue"}}, "in this form"),
        ({"classes": {"fruit": [1, 2], "table": [3, 4]}}, "in this form"),
        ({"classes": {"fruit": [1, 2, 3]}}, "at least two names"),
        ({"classes": {"fruit": [1, 2, 3], "table": [9, 9, 9]}, "void": [[1, 2, 3]]}, "a colour of its own"),
        ({"classes": {"fruit": [1, 2, 3], "table": [9, 9, 256]}}, "256"),
    ],
)
def test_a_wrong_palette_is_refused(spec, reason):
    with pytest.raises(ValueError, match=reason):
        labels.Palette(spec)


def test_labels_are_sampled_at_the_centres_of_the_central_square():
    numbers = np.arange(4 * 6).reshape(4, 6)
    np.testing.assert_array_equal(labels.sampled(numbers, 4), numbers[:, 1:5])
    np.testing.assert_array_equal(labels.sampled(numbers, 2), numbers[1::2, 2:5:2])


@pytest.fixture(scope="module")
def fruit(tmp_path_factory):
    return labels.stand_in(tmp_path_factory.mktemp("data") / "fruit2labels", train=6, test=4, size=32)


def oracle(root):
    """A "generator" that knows the right answers."""
    pictures = pipeline.pictures(root, "testB", 32)
    return lambda batch, training: pictures


def test_the_stand_in_has_known_labels(fruit):
    assert [len(list((fruit / name).iterdir())) for name in ("trainA", "trainB", "testA", "testB")] == [6, 6, 4, 4]
    found = labels.truths(fruit, "B", labels.palette(fruit), 32)
    record = labels.render.scenes(6, 4, 0)
    for number in range(4):
        pair = labels.orchard.render_pair(record[f"testA/{number:04}.png"], 32)
        expected = np.where(pair.mask > 0.5, 1 + number % 2, np.where(pair.mask == 0, 0, -1))
        np.testing.assert_array_equal(found[number], expected)
        photograph = np.asarray(Image.open(fruit / "testA" / f"{number:04}_A.png")) / 255
        assert np.abs(photograph - (pair.a, pair.b)[number % 2]).max() < 0.003
    assert labels.stand_in(fruit) == fruit  # it is there


def test_a_perfect_translation_scores_1_and_the_unchanged_photograph_less(fruit):
    assert set(labels.score(oracle(fruit), fruit, "B", 32).values()) == {1.0}
    assert labels.score(measure.unchanged, fruit, "B", 32)["class IoU"] < 0.6
    truth = labels.truths(fruit, "B", labels.palette(fruit), 32)
    share = (truth == 0).sum() / (truth >= 0).sum()
    assert list(labels.constant(fruit, "B", 32).values()) == pytest.approx([share, 1 / 3, share / 3])


def copied(fruit, root, **names):
    """A copy of the stand-in, its folders under other names."""
    for path in fruit.rglob("*.*"):
        target = root / names.get(path.parent.name, path.parent.name if path.parent != fruit else "") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return root


def failure(capsys, *arguments):
    """What the command says when it fails."""
    assert labels.main([*map(str, arguments)]) == labels.command.FAILED
    return capsys.readouterr().err


def test_what_is_wrong_with_the_data_is_said_before_training(fruit, home, capsys, monkeypatch):
    forbid_training(labels, monkeypatch)
    whole = copied(fruit, home / "whole")
    assert "no dataset" in failure(capsys, "--data", home / "nowhere")
    (home / "half").mkdir()
    assert "trainA" in failure(capsys, "--data", home / "half")

    swapped = {"trainA": "trainB", "trainB": "trainA", "testA": "testB", "testB": "testA"}
    copied(fruit, home / "swapped", **swapped)
    for path in (home / "swapped").rglob("*.png"):
        path.rename(path.with_name(f"{path.stem[:-1]}{path.parent.name[-1]}.png"))
    said = failure(capsys, "--data", home / "swapped")
    assert "have the colour of a class (background, apple, orange" in said and "add --labels A" in said

    (whole / "classes.json").write_text('{"classes": {"a": [0, 255, 0], "b": [255, 0, 255]}}')
    assert "write" in (said := failure(capsys, "--data", whole)) and "classes.json" in said and "(a, b" in said
    (whole / "classes.json").write_text("[]")
    assert "classes.json: The classes should be given in this form" in failure(capsys, "--data", whole)

    (whole / "testB" / "0002_B.png").unlink()
    said = failure(capsys, "--data", whole)
    assert "1 test pictures" in said and "testA/0002_A.png" in said
    Image.new("RGB", (32, 32)).save(whole / "testA" / "0001.jpg")
    assert "two pictures for one name: 0001" in failure(capsys, "--data", whole)


def test_a_labels_run_is_scored_stored_and_tabled(fruit, home, page, tiny, capsys, monkeypatch):
    monkeypatch.setitem(profile.PROFILES, "smoke", dataclasses.replace(tiny, name="smoke"))
    arguments = ["--data", str(fruit), "--profile", "smoke", "--steps", "4", "--run", str(home / "run")]
    assert labels.main(arguments) == labels.command.DONE
    (result,) = labels.kept()
    assert result["steps"] == 4 and result["size"] == 32 and set(result["scores"]) == set(labels.SCORES)
    generator = translate.load_generator(home / "run" / "generators" / "step-00000004-ab")
    assert result["scores"] == pytest.approx(labels.score(generator, fruit, "B", 32), abs=1e-3)
    forbid_training(labels, monkeypatch)
    assert labels.main(arguments) == labels.command.DONE and "0.58 | 0.22 | 0.16" in capsys.readouterr().out
    assert labels.main(["--write"]) == labels.command.DONE
    row = " | ".join(f"{value:.2f}" for value in result["scores"].values())
    assert f"| fruit2labels, profile smoke, 4 steps, seed 0 | 32 px | {row} |" in page.read_text()


def test_labels_in_domain_a_are_scored_from_b_to_a(fruit, tmp_path):
    swapped = {"trainA": "trainB", "trainB": "trainA", "testA": "testB", "testB": "testA"}
    root = copied(fruit, tmp_path / "swapped", **swapped)
    for path in root.rglob("*.png"):
        path.rename(path.with_name(f"{path.stem[:-1]}{path.parent.name[-1]}.png"))
    assert [[path.parent.name for path in pair] for pair in labels.pairs(root, "A")] == [["testB", "testA"]] * 4
    assert set(labels.score(oracle(fruit), root, "A", 32).values()) == {1.0}


def test_the_full_profile_is_the_papers_for_cityscapes(fruit):
    lab = labels.settings("full", fruit)
    assert (lab.size, lab.generator["blocks"], lab.generator["filters"]) == (128, 6, 64)
    assert (lab.steps, lab.constant_steps) == (200 * 6, 100 * 6) and lab.loss_weights["identity"] == 0
    small = labels.settings("class", fruit, steps=10)
    assert (small.size, small.steps, small.constant_steps) == (64, 10, 5) and "attention" not in small.generator


# How many pictures


def test_fewer_pictures_are_a_part_of_more(home, orchard_root):
    parts = [how_many.part(orchard_root, count, seed) for count, seed in ((2, 0), (4, 0), (4, 1))]
    two, four, other = ({path.name for path in (root / "trainA").iterdir()} for root in parts)
    assert len(two) == 2 and len(four) == 4 and two < four != other
    for name in ("testA", "testB"):
        whole = {path.name: path.read_bytes() for path in (orchard_root / name).iterdir()}
        assert {path.name: path.read_bytes() for path in (parts[0] / name).iterdir()} == whole
    with pytest.raises(ValueError, match="has 6 pictures, fewer than 7"):
        how_many.part(orchard_root, 7, 0)
    assert not (home / "data" / f"{orchard_root.name}-7-of-seed-0").exists()


def test_all_flowers_are_taken_not_only_close_ups(home):
    photograph = io.BytesIO()
    Image.new("RGB", (8, 8)).save(photograph, "JPEG")
    for name, *_ in flowers.listed():
        (home / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "source" / name).write_bytes(photograph.getvalue())
    root = how_many.all_flowers(home / "source")
    assert [len(list((root / name).iterdir())) for name in ("trainA", "trainB", "testA", "testB")] == [463, 452, 51, 50]
    assert (root / "CREDITS.tsv").is_file() and how_many.all_flowers(home / "gone") == root


def test_both_recipes_of_the_class_profile_are_used():
    orchard, flower = how_many.settings("orchard"), how_many.settings("flowers")
    assert orchard.generator["attention"] and "attention" not in flower.generator and orchard.steps == flower.steps


def test_a_few_pictures_are_trained_on_and_the_whole_judges(home, tiny, orchard_root, monkeypatch):
    lab = dataclasses.replace(tiny, steps=4)
    result = how_many.train("orchard", orchard_root, 2, 0, lab)
    assert result["count"] == 2 and result["ab"]["pictures"] == 4 and "gain" in result["ba"]
    card = json.loads((home / "runs" / "how-many-orchard-2-0" / "generators" / "step-00000004-ab.json").read_text())
    assert card["data"] == f"{orchard_root.name}-2-of-seed-0"
    forbid_training(how_many, monkeypatch)
    assert how_many.train("orchard", orchard_root, 2, 0, lab) == result


def test_flowers_are_judged_by_classifier_and_kid(orchard_root, make_gan, monkeypatch):
    class Classifier:  # the redder half of the pixels decides
        def __init__(self, size):
            assert size == 32

        def fit(self, root):
            assert root == orchard_root
            return self

        def accuracy(self, root):
            return 0.9

        def accepts(self, pictures, domain):
            return float(pictures.mean()) if domain == "b" else 1 - float(pictures.mean())

    monkeypatch.setattr(measure, "DomainClassifier", Classifier)
    monkeypatch.setattr(measure, "features_of", lambda pictures: np.asarray(pictures, float).mean(axis=(1, 2)))
    how_many.classifier_of.cache_clear()
    result = how_many.judge_flowers(make_gan(), orchard_root, 32)
    real_a, real_b = (pipeline.pictures(orchard_root, f"test{domain}", 32) / 2 + 0.5 for domain in "AB")
    kid = measure.kid(real_a.mean(axis=(1, 2)), real_b.mean(axis=(1, 2)))
    assert (result["ab"]["unchanged_kid"], result["ab"]["unchanged_kid_error"]) == pytest.approx(kid, rel=1e-4)
    assert result["ab"]["unchanged_accepted"] == pytest.approx(real_a.mean(), rel=1e-4)
    assert result["ba"]["unchanged_accepted"] == pytest.approx(1 - real_b.mean(), rel=1e-4)
    assert result["classifier_accuracy"] == 0.9 and result["ab"]["kid"] != result["ab"]["unchanged_kid"]
    how_many.classifier_of.cache_clear()


def stored(monkeypatch, data=("orchard", "flowers")):
    """Results of two counts: seeds 0 and 1 of 25 pictures, seed 0 of 400."""
    kept = {}
    for count, seed, quality in ((25, 0, 1), (25, 1, 3), (400, 0, 6)):
        flower = {"accepted": quality / 10, "kid": 1 / quality, "unchanged_accepted": 0.02, "unchanged_kid": 2.0}
        results = {"orchard": {"gain": quality}, "flowers": {**flower, "kid_error": quality / 100}}
        for name in data:
            both = {"ab": results[name], "ba": results[name], "classifier_accuracy": 0.99}
            kept[how_many.key(name, count, seed)] = both
    monkeypatch.setattr(tables, "kept", kept.get)


def test_the_curve_and_the_table_are_made_of_the_results(monkeypatch, page, tmp_path):
    stored(monkeypatch)
    monkeypatch.setattr(how_many, "PICTURE", tmp_path / "how_many.png")
    monkeypatch.setattr(sys, "argv", ["how_many.py", "--write"])
    how_many.main()
    text = page.read_text()
    assert "| 25 | +2.00 (+1.00 to +3.00) | +2.00 (+1.00 to +3.00) | 20% (10% to 30%) |" in text
    assert "| 0.667 (0.333 to 1.000) |" in text and "| 50 | not run | not run |" in text
    assert "| unchanged input | 0 | 0 | 2% | 2% | 2.000 | 2.000 |" in text
    assert "right about 99% of the real" in text and "error of one KID is 0.060 or less" in text
    alt = "apples → oranges, gain: 2.0 dB with 25, 6.0 dB with 400. oranges"
    assert alt in text and "](../docs/images/how_many.png)" in text
    gain, taken = how_many.figures()
    np.testing.assert_allclose(gain.axes[0].lines[0].get_xydata(), [[25, 2], [400, 6]])
    np.testing.assert_allclose(taken.axes[0].lines[1].get_xydata(), [[25, 20], [400, 60]])
    assert Image.open(tmp_path / "how_many.png").size == (1000, 300)


def test_without_flowers_only_the_orchard_is_drawn(monkeypatch):
    stored(monkeypatch, ["orchard"])
    assert len(how_many.figures()) == 1 and "unchanged input" not in how_many.table()
    assert "sunflowers" not in how_many.alternative_text()
    stored(monkeypatch, [])
    assert "png" not in how_many.table()


def test_without_flowers_a_sentence_says_that_they_are_skipped(home, monkeypatch, capsys):
    ran = []

    def train(data, root, count, seed, lab):
        ran.append((data, count, seed))
        return {"ab": {"gain": 1.0}, "ba": {"gain": 2.0}}

    monkeypatch.setattr(how_many, "train", train)
    monkeypatch.setattr(how_many.published, "ensure", lambda lab: home)
    monkeypatch.setattr(sys, "argv", ["how_many.py", "--counts", "25", "400", "--seeds", "1"])
    how_many.main()
    assert "The flowers are skipped: give --flowers" in capsys.readouterr().out
    assert ran == [("orchard", 25, 1), ("orchard", 400, 1)]
    monkeypatch.setattr(sys, "argv", ["how_many.py", "--flowers", str(home / "nowhere.tgz")])
    with pytest.raises(SystemExit, match="nowhere.tgz"):
        how_many.main()


def test_the_picture_of_how_many_is_what_the_results_draw():
    if not any(map(how_many.any_result, how_many.DATA)):
        assert not how_many.PICTURE.exists()
        return
    drawn, kept = (Image.open(source).convert("L") for source in (io.BytesIO(how_many.draw()), how_many.PICTURE))
    assert abs(np.asarray(drawn.resize((200, 60)), float) - np.asarray(kept.resize((200, 60)), float)).mean() < 1


def test_the_stored_results_belong_to_the_present_profile():
    for path in tables.RESULTS.glob("ablation-*.json"):
        result = json.loads(path.read_text())
        plan = ablation.settings(result["variant"], result["profile"]["steps"])
        assert result["profile"] == recipe.settings(plan), f"{path.name}: the profile has changed, train again"
    for path in tables.RESULTS.glob("how-many-*.json"):
        result = json.loads(path.read_text())
        plan = recipe.settings(how_many.settings(result["data"]))
        assert result["profile"] == plan, f"{path.name}: the profile has changed, train again"
