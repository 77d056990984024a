"""Generators travel as numbers and a card; pictures come back in their own size."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from labutils import models, translate
from labutils.translate import WeightsError


@pytest.fixture
def generator():
    tf.keras.utils.set_random_seed(3)
    return models.unet_generator(32, filters=4, levels=2)


@pytest.fixture
def kept(generator, tmp_path):
    return translate.save_generator(generator, tmp_path / "apples.v1", data="orchard", steps=7)


@pytest.mark.parametrize("ending", ["", ".weights.h5", ".json"])
def test_a_generator_comes_back_as_it_was(generator, kept, tmp_path, ending):
    again = translate.load_generator(tmp_path / f"apples.v1{ending}")
    image = tf.random.uniform((1, 32, 32, 3), -1, 1)
    np.testing.assert_array_equal(again(image), generator(image))
    assert again.spec == generator.spec and again.card["steps"] == 7 and again.card["data"] == "orchard"


def test_nothing_is_left_beside_the_two_files(kept, tmp_path):
    assert sorted(path.name for path in tmp_path.iterdir()) == ["apples.v1.json", "apples.v1.weights.h5"]


def test_missing_damaged_and_foreign_files_are_refused_with_the_reason(generator, kept, tmp_path):
    card = tmp_path / "apples.v1.json"
    with pytest.raises(WeightsError, match=r"pears.weights.h5 does not exist: a generator is .* together"):
        translate.load_generator(tmp_path / "pears")
    whole, described = kept.read_bytes(), json.loads(card.read_text())
    kept.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged.*SHA-256"):
        translate.load_generator(kept)
    kept.write_bytes(whole)
    for wrong in ("not json", "{}", "[]"):
        card.write_text(wrong)
        with pytest.raises(WeightsError, match="no card"):
            translate.load_generator(kept)
    described["spec"]["filters"] = 5
    card.write_text(json.dumps(described))
    with pytest.raises(WeightsError, match="does not fit"):
        translate.load_generator(kept)
    described["spec"]["kind"] = "os.system"
    card.write_text(json.dumps(described))
    with pytest.raises(ValueError, match="Unknown network 'os.system'"):
        translate.load_generator(kept)


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (5, 64), (100, 31), (1, 1)])
def test_any_size_comes_back_in_its_own_size(generator, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    result = translate.apply(generator, image)
    assert result.shape == image.shape and result.dtype == np.uint8


def test_apply_is_the_generator_where_nothing_is_padded(generator):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = (generator(image[None] / 127.5 - 1)[0].numpy() + 1) * 127.5
    assert np.abs(translate.apply(generator, image) - expected).max() <= 0.5 + 1e-3


def test_a_copying_generator_hands_every_level_back():
    inputs = tf.keras.Input((None, None, 3))
    copy = tf.keras.Model(inputs, tf.keras.layers.Activation("linear")(inputs))
    object.__setattr__(copy, "spec", {"image_size": None})
    image = np.arange(256 * 3, dtype=np.uint32).reshape(16, 16, 3).astype(np.uint8)
    np.testing.assert_array_equal(translate.apply(copy, image), image)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_what_is_no_picture_is_refused(generator, image):
    with pytest.raises(ValueError, match=r"uint8 \(height, width, 3\); this is"):
        translate.apply(generator, image)


def test_a_folder_is_translated_and_what_is_no_picture_listed(generator, tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for name, size in (("tall.jpg", (20, 50)), ("wide.png", (61, 17))):
        Image.new("RGB", size, "red").save(source / name)
    (source / "notes.txt").write_text("not a picture")
    written, skipped = translate.apply_folder(generator, source, tmp_path / "out")
    assert [path.name for path in written] == ["tall.png", "wide.png"]
    assert [Image.open(path).size for path in written] == [(20, 50), (61, 17)]
    assert [path.name for path in skipped] == ["notes.txt"]
    (source / "tall.jpg").unlink(), (source / "wide.png").unlink()
    with pytest.raises(ValueError, match="holds no picture"):
        translate.apply_folder(generator, source, tmp_path / "out")
