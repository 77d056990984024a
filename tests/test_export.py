"""Exports give the same results as the Keras model, and overwrite nothing but an export."""

import numpy as np
import pytest
import tensorflow as tf

from labutils import models
from labutils.extras import export


@pytest.fixture(scope="module", params=["unet", "resnet"])
def generator(request):
    tf.keras.utils.set_random_seed(3)
    if request.param == "unet":
        return models.unet_generator(32, filters=4, levels=2, attention=True)
    return models.resnet_generator(None, filters=4, blocks=1)


def test_a_saved_model_gives_the_same_pictures_of_any_size(generator, tmp_path):
    report = export.saved_model(generator, tmp_path / "apples", size=32)
    assert report.difference <= 1e-4 and report.milliseconds > 0 and "apples: " in str(report)
    files = [path for path in (tmp_path / "apples").rglob("*") if path.is_file()]
    assert report.bytes == sum(path.stat().st_size for path in files) > 4 * generator.count_params()
    assert [path.name for path in tmp_path.iterdir()] == ["apples"]
    serve = tf.saved_model.load(str(tmp_path / "apples")).signatures["serving_default"]
    pictures = tf.random.uniform((2, 48, 40, 3), -1, 1)
    wide = export.generators.any_size(generator)
    np.testing.assert_allclose(*serve(pictures).values(), wide(pictures), atol=1e-4)


def test_tflite_gives_the_same_pictures(generator, tmp_path):
    report = export.tflite(generator, tmp_path / "apples.tflite", 32)
    assert report.difference <= 1e-4 and report.bytes == (tmp_path / "apples.tflite").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["apples.tflite"]


def test_an_export_is_replaced_and_nothing_else(tmp_path):
    generator = models.unet_generator(None, filters=2, levels=1)
    for _ in range(2):
        export.saved_model(generator, tmp_path / "apples", size=32)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is not a SavedModel"):
        export.saved_model(generator, tmp_path / "thesis")
    with pytest.raises(ValueError, match="multiples of 2, not 33"):
        export.tflite(generator, tmp_path / "apples.tflite", 33)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["apples", "thesis"]


def test_without_a_converter_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(tf, "lite", None)
    with pytest.raises(RuntimeError, match="no TFLite converter"):
        export.tflite(models.unet_generator(None, filters=2, levels=1), tmp_path / "a.tflite", 32)
