"""The benchmarks that train: photographs to labels, and the recipe for photographs."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from labutils import measure, profile, speed, translate
from labutils.datasets import pipeline

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
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


def test_the_results_for_photographs_are_of_the_recipe_that_lessons_use():
    lab = recipe.settings(profile.load("class", "daisy2sunflower"))
    results = [json.loads(path.read_text()) for path in tables.RESULTS.glob("photographs-*-photographs-*.json")]
    assert {result["data"] for result in results} == {"closeups", "summer2winter"} and len(results) == 4
    for result in results:
        for name in ("size", "generator", "discriminator", "steps", "constant_steps", "loss_weights", "pool_size"):
            assert result["profile"][name] == lab[name], name
        assert result["profile"]["discriminator_pace"] == lab["discriminator_pace"] == 1
