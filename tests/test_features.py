import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from skimage import data

from labutils import features
from labutils.extras import imagenet, packing
from labutils.pictures import resize
from labutils.published import vgg
from labutils.style import gram_matrix

FULL = Path(__file__).parents[1].parent / "shared" / "weights" / "vgg16_imagenet_notop_fp16.npz"
needs_full = pytest.mark.skipif(not FULL.exists(), reason=f"needs the float VGG16, {FULL.name}")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path / "keras" / "models"


@pytest.fixture(scope="module")
def photograph():
    return resize(data.chelsea(), 96).astype("float32")[None]


def small_vgg(blocks=2, last=64):
    """A few layers of the right shapes, random: {"block1_conv1/kernel": ...}."""
    random, arrays = np.random.default_rng(0), {}
    shapes = {"block1_conv1": (3, 64), "block1_conv2": (64, 64), "block2_conv1": (64, last)}
    for name, (a, b) in shapes.items():
        arrays[f"{name}/kernel"] = random.normal(0, 0.1, (3, 3, a, b)).astype("float32")
        arrays[f"{name}/bias"] = random.normal(0, 0.1, b).astype("float32")
    return arrays


def test_layer_names_and_kernels_are_those_of_keras_applications():
    for backbone, network in (("vgg16", tf.keras.applications.VGG16), ("vgg19", tf.keras.applications.VGG19)):
        model = network(weights=None, include_top=False)
        names = [layer.name for layer in model.layers if "conv" in layer.name]
        assert list(features.kernel_shapes(backbone)) == names
        kernels = [tuple(model.get_layer(name).kernel.shape) for name in names]
        assert list(features.kernel_shapes(backbone).values()) == kernels


def test_equals_keras_applications_on_preprocessed_pictures(photograph):
    ours = features.vgg("vgg16", "random", seed=3)
    theirs = tf.keras.applications.VGG16(weights=None, include_top=False)
    for name in features.kernel_shapes("vgg16"):
        theirs.get_layer(name).set_weights(ours.get_layer(name).get_weights())
    prepared = tf.keras.applications.vgg16.preprocess_input(photograph.copy())
    pooled = tf.keras.layers.MaxPooling2D(2)(ours(photograph)["block5_conv3"])
    np.testing.assert_allclose(pooled, theirs(prepared), rtol=1e-4, atol=1e-3)


@needs_full
def test_8bit_agrees_with_float_in_every_layer_and_gram_matrix(photograph):
    packed = features.vgg("vgg16", "packed")(photograph)
    full = features.vgg("vgg16", FULL)(photograph)
    for name, maps in packed.items():
        assert np.linalg.norm(maps - full[name]) < 0.05 * np.linalg.norm(full[name]), name
        grams = gram_matrix(maps), gram_matrix(full[name])
        assert np.linalg.norm(grams[0] - grams[1]) < 0.05 * np.linalg.norm(grams[1]), name


def test_auto_takes_the_packed_file_and_says_so(empty_cache, capsys):
    features._say.cache_clear()
    model = features.vgg()
    assert model.source == "VGG16 trained on ImageNet (8-bit file of the course)"
    assert model.backbone == "vgg16" and model.pooling == "max"
    assert model.output_names_by_layer[-1] == "block4_conv2"
    features.vgg()
    assert capsys.readouterr().out.count(model.source) == 1


def test_auto_takes_vgg19_from_the_cache_only_if_it_is_whole(empty_cache, monkeypatch):
    empty_cache.mkdir(parents=True)
    name, _ = vgg.CACHED["vgg19"]
    network = tf.keras.applications.VGG19(weights=None, include_top=False)
    network.save_weights(empty_cache / "vgg19.weights.h5")
    file = (empty_cache / "vgg19.weights.h5").rename(empty_cache / name)
    assert vgg.cached("vgg19") is None  # its hash is not the known file's
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    monkeypatch.setitem(vgg.CACHED, "vgg19", (name, digest))
    model = features.vgg()
    assert model.source == "VGG19 trained on ImageNet (from Keras' cache)"
    for layer in ("block1_conv1", "block3_conv4", "block5_conv4"):
        for ours, theirs in zip(
            model.get_layer(layer).get_weights(), network.get_layer(layer).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_a_failed_download_warns_what_to_do_and_takes_the_packed_file(monkeypatch):
    def fail(*arguments, **keywords):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(tf.keras.utils, "get_file", fail)
    with pytest.warns(
        UserWarning, match="(?s)URL fetch failure.*8-bit features in pretrained/ are used instead.*put it into"
    ) as caught:
        model = features.vgg("vgg19", "imagenet")
    assert "8-bit" in model.source
    assert caught[0].filename == __file__  # the warning names the line that asked for the weights


def test_random_is_seeded_and_pooling_matters(photograph):
    a, b, c = (features.vgg("vgg16", "random", seed=seed)(photograph)["block2_conv1"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)
    average = features.vgg("vgg16", "random", pooling="avg", seed=1)
    maps = average(photograph)
    pooled = tf.keras.layers.AveragePooling2D(2)(maps["block1_conv2"])
    np.testing.assert_allclose(average.get_layer("block2_conv1")(pooled), maps["block2_conv1"], rtol=1e-5)


def test_reads_classic_h5_and_npz_alike(tmp_path):
    arrays = small_vgg(last=128)
    np.savez(tmp_path / "a.npz", **arrays)
    with h5py.File(tmp_path / "a.h5", "w") as file:  # the layout of keras.applications' files
        for name in ("block1_conv1", "block1_conv2", "block2_conv1"):
            file[f"{name}/{name}_W_1:0"] = arrays[f"{name}/kernel"]
            file[f"{name}/{name}_b_1:0"] = arrays[f"{name}/bias"]
    one, two = vgg.read_weights(tmp_path / "a.npz"), vgg.read_weights(tmp_path / "a.h5")
    assert list(one) == list(two) == ["block1_conv1", "block1_conv2", "block2_conv1"]
    for name in one:
        np.testing.assert_array_equal(one[name][0], two[name][0])
        np.testing.assert_array_equal(one[name][1], two[name][1])
    model = features.vgg(weights=tmp_path / "a.npz")
    assert model.source == "VGG16 from a.npz" and model.output_names_by_layer[-1] == "block2_conv1"


def test_the_classifier_sees_prepared_pixels_and_names_the_likeliest(empty_cache, monkeypatch):
    name, _ = vgg.CACHED["vgg19 with classifier"]
    empty_cache.mkdir(parents=True)
    (empty_cache / name).write_bytes(b"half a file")
    (empty_cache / imagenet.LABELS).write_text(json.dumps({"0": ["n0", "cup"], "1": ["n1", "cat"], "2": ["n2", "fig"]}))
    assert imagenet.predict(np.zeros((50, 40, 3), np.uint8)) is None
    md5 = hashlib.md5(b"half a file").hexdigest()
    monkeypatch.setitem(vgg.CACHED, "vgg19 with classifier", (name, md5))

    def colours(weights):  # replaces the network: its scores are the mean blue, green and red of its input
        assert weights == str(empty_cache / name)
        return lambda batch: tf.reduce_mean(batch, axis=(1, 2))

    monkeypatch.setattr(tf.keras.applications, "VGG19", colours)
    red, green, blue = 200, 10, 90
    answer = imagenet.predict(np.full((50, 40, 3), (red, green, blue), np.uint8), count=2)
    assert [label for label, _ in answer] == ["fig", "cup"]
    np.testing.assert_allclose([score for _, score in answer], [red - 123.68, blue - 103.939], rtol=1e-3)
    (empty_cache / imagenet.LABELS).unlink()
    assert imagenet.predict(np.zeros((50, 40, 3), np.uint8)) is None


def test_unfit_files_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "shape.npz", **small_vgg(last=100))
    with pytest.raises(ValueError, match=re.escape("block2_conv1 has kernel (3, 3, 64, 100)")):
        features.vgg(weights=tmp_path / "shape.npz")
    arrays = small_vgg(last=128)
    arrays["block1_conv2/bias"][3] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays)
    with pytest.raises(ValueError, match="block1_conv2 has values that are not finite"):
        features.vgg(weights=tmp_path / "nan.npz")
    np.savez(tmp_path / "pickle.npz", **{"block1_conv1/kernel": np.array([{}], object)})
    with pytest.raises(OSError, match="pickle.npz cannot be read"):
        features.vgg(weights=tmp_path / "pickle.npz")
    for name in ("broken.npz", "broken.h5"):
        (tmp_path / name).write_bytes(b"PK\3\4 not a file")
        with pytest.raises(OSError, match=name):
            features.vgg(weights=tmp_path / name)
    np.savez(tmp_path / "other.npz", **{"dense/kernel": np.zeros((2, 2)), "dense/bias": np.zeros(2)})
    with pytest.raises(ValueError, match="holds no layer block1_conv1"):
        features.vgg(weights=tmp_path / "other.npz")


def test_unknown_names_list_the_choices(tmp_path):
    for call, text in (
        (lambda: features.vgg("resnet"), "vgg16, vgg19"),
        (lambda: features.vgg(pooling="median"), "'max' or 'avg'"),
        (lambda: features.vgg(weights="imagnet"), "'auto', 'imagenet'"),
        (lambda: features.cut(features.vgg(), ["block5_conv1"]), "8-bit file.*block4_conv2"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(FileNotFoundError, match="gone.h5"):
        features.vgg(weights=tmp_path / "gone.h5")


def test_a_damaged_packed_file_is_noticed(tmp_path, monkeypatch):
    name = "vgg16_features_8bit"
    (tmp_path / f"{name}.json").write_text((vgg.PRETRAINED / f"{name}.json").read_text())
    (tmp_path / f"{name}.npz").write_bytes((vgg.PRETRAINED / f"{name}.npz").read_bytes()[:-1])
    monkeypatch.setattr(vgg, "PRETRAINED", tmp_path)
    with pytest.raises(OSError, match="SHA-256"):
        features.vgg(weights="packed")


def test_the_shipped_card_gives_attribution():
    card = json.loads((vgg.PRETRAINED / "vgg16_features_8bit.json").read_text())
    assert "Visual Geometry Group" in card["authors"] and "CC BY 4.0" in card["licence"] and card["changes"]


def test_quantising_is_exact_to_half_a_step():
    kernel = np.random.default_rng(0).normal(0, 0.1, (3, 3, 8, 5)).astype("float32")
    integers, scale = packing.quantise(kernel)
    assert integers.dtype == np.int8 and scale.shape == (5,)
    assert (np.abs(integers * scale - kernel) <= scale / 2 * 1.001).all()
    assert (np.abs(integers).max(axis=(0, 1, 2)) == 127).all()


@needs_full
def test_packing_makes_the_shipped_file_again(tmp_path, capsys):
    packing.main([str(FULL), "--to", str(tmp_path / "mine.npz")])
    assert "difference from the shipped file: 0.00%" in capsys.readouterr().out
    mine = np.load(tmp_path / "mine.npz")
    with np.load(vgg.PRETRAINED / "vgg16_features_8bit.npz") as shipped:
        for key in shipped.files:
            np.testing.assert_array_equal(mine[key], shipped[key])


def test_a_room_packs_vgg19_once_and_then_has_it(tmp_path, monkeypatch, capsys):
    whole = features.vgg("vgg19", "random", seed=5)
    arrays = {}
    for name in features.kernel_shapes("vgg19"):
        arrays[f"{name}/kernel"], arrays[f"{name}/bias"] = whole.get_layer(name).get_weights()
    np.savez(tmp_path / "full.npz", **arrays)
    shipped = vgg.PRETRAINED / "vgg16_features_8bit.npz"
    for path in (shipped, shipped.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(vgg, "PRETRAINED", tmp_path)
    packing.main([str(tmp_path / "full.npz"), "--until", "block5_conv2"])
    assert "VGG19 to block5_conv2" in (said := capsys.readouterr().out) and "their format is the same" in said
    card = json.loads((tmp_path / "vgg19_features_8bit.json").read_text())
    assert card["network"] == "VGG19" and card["layers"][-1] == "block5_conv2"
    taken = features.vgg()  # no weights in Keras' cache
    assert taken.backbone == "vgg19" and taken.output_names_by_layer[-1] == "block5_conv2"
    kernel, _ = taken.get_layer("block3_conv4").get_weights()
    np.testing.assert_allclose(
        kernel, arrays["block3_conv4/kernel"], atol=np.abs(arrays["block3_conv4/kernel"]).max() / 250
    )
    different = dict(arrays, **{"block1_conv1/kernel": 1.5 * arrays["block1_conv1/kernel"]})
    np.savez(tmp_path / "different.npz", **different)
    assert packing.compare(tmp_path / "different.npz", tmp_path / "full.npz") == pytest.approx(0.5, rel=1e-5)


def test_packing_refuses_with_a_sentence(tmp_path):
    np.savez(tmp_path / "short.npz", **small_vgg(last=128))
    with pytest.raises(SystemExit, match="no layer block4_conv2"):
        packing.main([str(tmp_path / "short.npz"), "--to", str(tmp_path / "out.npz")])
    with pytest.raises(SystemExit, match="course's own file"):
        shipped = str(vgg.PRETRAINED / "vgg16_features_8bit.npz")
        packing.main([str(tmp_path / "short.npz"), "--to", shipped])
    assert not (tmp_path / "out.npz").exists()


def test_the_command_explains_itself():
    result = subprocess.run(
        [sys.executable, "-m", "labutils.extras.packing", "--help"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
    )
    assert "full VGG16 or VGG19 weights" in result.stdout
