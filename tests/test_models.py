"""The networks: sizes, parameters counted by hand, receptive fields, and saving to JSON and weight files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from make_weights_fixture import DATA, NETWORKS

from labutils import models, profile, translate
from labutils.figures import diagrams
from labutils.layers import Conv2D


def conv(kernel, inputs, outputs):
    """Parameters of a convolution: one kernel for each pair of channels, and a bias."""
    return kernel * kernel * inputs * outputs + outputs


def random_pictures(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


# --- sizes ---


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("upsampling", ["nearest", "transpose"])
@pytest.mark.parametrize("builder", [models.unet_generator, models.resnet_generator])
def test_generators_keep_the_size_and_stay_in_range(builder, upsampling, padding, attention):
    depth = {"levels": 3} if builder is models.unet_generator else {"blocks": 1}
    model = builder(32, filters=4, upsampling=upsampling, padding=padding, attention=attention, **depth)
    fake = model(random_pictures(2, 32, 32, 3)).numpy()
    assert fake.shape == (2, 32, 32, 3) and fake.dtype == np.float32
    assert np.abs(fake).max() <= 1 and fake.std() > 0


@pytest.mark.parametrize("strides, size", [((2, 2, 2, 1), 32), ((2, 2, 2, 2), 16), ((2, 2, 2, 2, 1), 16)])
def test_the_discriminators_grid_of_scores(strides, size):
    model = models.patch_discriminator(256, filters=2, strides=strides)
    assert model.output_shape == (None, size, size, 1)


def test_attention_hands_back_what_its_mask_leaves_out():
    picture, model = random_pictures(1, 32, 32, 3), models.unet_generator(32, filters=4, attention=True)
    last = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Conv2D)][-1]
    kernel, bias = last.get_weights()
    last.set_weights([0 * kernel, np.array([9, 9, -9, -99])])
    np.testing.assert_array_equal(model(picture), picture)
    last.set_weights([0 * kernel, np.array([9, 9, -9, 99])])
    np.testing.assert_allclose(model(picture)[0, 5, 5], [1, 1, -1], atol=1e-6)


@pytest.mark.parametrize("builder, multiple", [(models.unet_generator, 16), (models.resnet_generator, 4)])
def test_any_size_that_is_a_multiple(builder, multiple):
    model = builder(filters=2)
    for height, width in [(32, 32), (48, 16), (64, 80)]:
        assert model(random_pictures(1, height, width, 3)).shape == (1, height, width, 3)
    with pytest.raises(ValueError, match=f"multiples of {multiple}, not 43 and 32"):
        model(random_pictures(1, 43, 32, 3))


def test_a_discriminator_without_size_takes_any():
    model = models.patch_discriminator(filters=2, strides=(2, 2))
    assert model(random_pictures(1, 30, 21, 3)).shape == (1, 8, 6, 1)


@pytest.mark.parametrize(
    "builder, size, factor",
    [(models.unet_generator, 40, 16), (models.resnet_generator, 30, 4), (models.patch_discriminator, 20, 8)],
)
def test_a_size_that_does_not_fit_is_refused(builder, size, factor):
    with pytest.raises(ValueError, match=f"multiple of {factor}"):
        builder(size)


# --- parameters, counted by hand ---


def test_unet_parameters():
    f, norm = 8, 2  # an instance normalisation has a scale and a shift a channel
    down = conv(4, 3, f) + conv(4, f, 2 * f) + conv(4, 2 * f, 4 * f) + conv(4, 4 * f, 8 * f)
    up = conv(4, 8 * f, 4 * f) + conv(4, 4 * f + 4 * f, 2 * f) + conv(4, 2 * f + 2 * f, f)
    norms = norm * (f + 2 * f + 4 * f + 8 * f + 4 * f + 2 * f + f)
    expected = down + up + norms + conv(4, f + f, 3)
    assert models.unet_generator(32, filters=f).count_params() == expected
    attention = models.unet_generator(32, filters=f, attention=True)
    assert attention.count_params() == expected + 16 * 2 * f + 1


@pytest.mark.parametrize("blocks", [6, 9])
def test_resnet_parameters(blocks):
    f = 8
    ends = conv(7, 3, f) + 2 * f + conv(7, f, 3)
    down = conv(3, f, 2 * f) + 4 * f + conv(3, 2 * f, 4 * f) + 8 * f
    block = 2 * (conv(3, 4 * f, 4 * f) + 8 * f)
    up = conv(3, 4 * f, 2 * f) + 4 * f + conv(3, 2 * f, f) + 2 * f
    assert models.resnet_generator(32, filters=f, blocks=blocks).count_params() == ends + down + blocks * block + up


def test_discriminator_parameters():
    f = 8
    expected = conv(4, 3, f) + conv(4, f, 2 * f) + conv(4, 2 * f, 4 * f) + conv(4, 4 * f, 8 * f) + conv(4, 8 * f, 1)
    expected += 2 * (2 * f + 4 * f + 8 * f)
    assert models.patch_discriminator(32, filters=f).count_params() == expected


# --- what one output sees ---


def support(model, size):
    """Side of the square of input pixels that the middle output depends on, found by its gradient."""
    x = tf.Variable(random_pictures(1, size, size, 3))
    with tf.GradientTape() as tape:
        y = model(x)
        middle = y[0, y.shape[1] // 2, y.shape[2] // 2, 0]
    touched = np.abs(tape.gradient(middle, x).numpy()[0]).sum(-1) > 0
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    assert rows[0] > 0 and rows[-1] < size - 1, "the picture is too small to hold the field"
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize(
    "strides, field", [((2, 2, 2, 1), 70), ((2, 2, 2, 2), 94), ((2, 2, 2, 2, 1), 142), ((2, 2), 22)]
)
def test_receptive_field_is_what_the_gradient_touches(strides, field):
    model = models.patch_discriminator(256, filters=4, strides=strides, normalization="none")
    assert models.receptive_field(model) == field
    assert support(model, 256) == (field, field)


@pytest.mark.parametrize("upsampling", ["nearest", "transpose"])
def test_receptive_field_of_resnet(upsampling):
    model = models.resnet_generator(128, filters=4, blocks=2, normalization="none", upsampling=upsampling)
    field = models.receptive_field(model)
    # through a transposed convolution some places see one pixel of the smaller map, some two
    assert all(0 <= field - side <= 2 + 4 for side in support(model, 128))


def test_receptive_field_of_unet():
    model = models.unet_generator(256, filters=4, normalization="none")
    field = models.receptive_field(model)
    assert all(abs(field - side) <= 16 for side in support(model, 256))  # even kernels on repeated pixels


@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 1), (2, 2, 2, 1)])
@pytest.mark.parametrize("row, column", [(0, 0), (3, 5), (7, 2)])
def test_seen_by_is_what_the_gradient_touches(strides, row, column):
    model = models.patch_discriminator(64, filters=2, strides=strides, normalization="none")
    x = tf.Variable(random_pictures(1, 64, 64, 3))
    with tf.GradientTape() as tape:
        score = model(x)[0, row, column, 0]
    touched = np.abs(tape.gradient(score, x).numpy()[0]).sum(-1) > 0
    top, left, bottom, right = diagrams.seen_by(model, row, column)
    assert bottom - top == right - left == models.receptive_field(model)
    expected = np.zeros((64, 64), bool)
    expected[max(top, 0) : bottom, max(left, 0) : right] = True
    np.testing.assert_array_equal(touched, expected)


def test_seen_by_refuses_what_is_not_there():
    with pytest.raises(ValueError, match="the grid is 8 by 8"):
        diagrams.seen_by(models.patch_discriminator(32, filters=2, strides=(2, 2)), 8, 0)
    with pytest.raises(ValueError, match="image_size"):
        diagrams.seen_by(models.patch_discriminator(filters=2, strides=(2, 2)), 0, 0)


# --- spec and build ---


@pytest.mark.parametrize("name", NETWORKS)
def test_spec_survives_json_and_builds_the_same_network(name):
    model = models.build(NETWORKS[name])
    again = models.build(json.loads(json.dumps(model.spec)))
    assert again.spec == model.spec
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    again.set_weights(model.get_weights())
    x = random_pictures(1, 16, 16, 3)
    np.testing.assert_array_equal(again(x), model(x))


def test_spec_holds_every_argument():
    model = models.unet_generator(32, filters=4, attention=True)
    assert model.spec == {
        "kind": "unet_generator",
        "image_size": 32,
        "filters": 4,
        "levels": 4,
        "kernel": 4,
        "normalization": "instance",
        "upsampling": "nearest",
        "padding": "zero",
        "attention": True,
        "leaky": True,
        "activation_first": False,
    }


def test_a_layer_class_of_keras_goes_round_too():
    model = models.patch_discriminator(16, filters=4, normalization=tf.keras.layers.LayerNormalization)
    again = models.build(json.loads(json.dumps(model.spec)))
    assert any(isinstance(layer, tf.keras.layers.LayerNormalization) for layer in again.layers)
    assert again.count_params() == model.count_params()
    direct = models.build({**model.spec, "normalization": tf.keras.layers.LayerNormalization})
    assert direct.spec == model.spec


@pytest.mark.parametrize(
    "spec, message",
    [
        ({"kind": "unet"}, "Unknown network 'unet': choose one of unet_generator"),
        ({}, "Unknown network None"),
        ({"kind": "unet_generator", "filter": 4}, "unet_generator cannot be built"),
        ({"kind": "resnet_generator", "normalization": "intsance"}, "'intsance' is not known here"),
        ({"kind": "resnet_generator", "normalization": "Addons>NoSuchLayer"}, "import the package"),
        ({"kind": "resnet_generator", "skip": "multiply"}, "choose one of add, concatenate"),
        ({"kind": "unet_generator", "upsampling": "bilinear"}, "choose one of nearest, transpose"),
        ({"kind": "unet_generator", "padding": "same"}, "choose one of zero, reflect"),
        ({"kind": "unet_generator", "image_size": 40}, "multiple of 16"),
    ],
)
def test_what_cannot_be_built_is_said(spec, message):
    with pytest.raises(ValueError, match=message):
        models.build(spec)


def test_a_normalization_that_is_neither_name_nor_class_is_refused():
    with pytest.raises(ValueError, match="give a layer class"):
        models.unet_generator(32, normalization=lambda: None)


# --- skips ---


def test_concatenating_blocks_grow_the_next_convolution():
    channels = {}
    for skip in ("add", "concatenate"):
        model = models.resnet_generator(16, filters=2, blocks=3, skip=skip)
        convs = [layer for layer in model.layers if isinstance(layer, Conv2D)]
        channels[skip] = [layer.kernel.shape[2] for layer in convs[3:9]]  # two a block
    assert channels == {"add": [8, 8, 8, 8, 8, 8], "concatenate": [8, 8, 16, 8, 24, 8]}


# --- older cards ---


@pytest.mark.parametrize(
    "spec, former",
    [
        ({"kind": "unet_generator", "filters": 4, "levels": 2}, {"dropout": 0.0}),
        ({"kind": "resnet_generator", "filters": 2, "blocks": 1}, {"dropout": 0.0}),
        ({"kind": "patch_discriminator", "filters": 2}, {"max_filters": 512}),
    ],
)
def test_a_spec_with_the_former_fields_is_still_built_if_they_do_nothing(spec, former):
    model = models.build({**spec, **former})
    assert model.spec == models.build(spec).spec and not former.keys() & model.spec.keys()
    for name in former:
        with pytest.raises(ValueError, match=f"cannot be built.*{name}"):
            models.build({**spec, name: 0.5})


@pytest.mark.parametrize("name", translate.shipped())
def test_every_shipped_card_is_still_built(name):
    card = json.loads(profile.home("pretrained", f"{name}.json").read_text(encoding="utf-8"))
    model = models.build(card["spec"])
    assert {field: card["spec"][field] for field in model.spec} == model.spec


# --- weight files ---


@pytest.mark.parametrize("made_by", ["tf2", "keras3"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_saved_in_either_environment_give_the_same_pictures(name, made_by):
    saved = np.load(DATA / f"{made_by}.npz")
    network = models.build(NETWORKS[name], name="generator_ab")
    network.load_weights(DATA / f"{made_by}_{name}.weights.h5")
    assert np.abs(saved[name] - network(saved["input"]).numpy()).max() < 1e-4


def joined(ab, ba, *discriminators):
    """One Keras model of several networks, as the older tutorials make it to train the generators."""
    real = tf.keras.Input((16, 16, 3))
    fake = ab(real)
    return tf.keras.Model(real, [ba(fake), *(discriminator(fake) for discriminator in discriminators)])


def test_a_profiles_networks_are_called_by_their_roles(tiny):
    networks = models.networks(replace(tiny, size=16))
    names = ["generator_ab", "generator_ba", "discriminator_a", "discriminator_b"]
    assert [network.name for network in networks] == names
    assert [layer.name for layer in joined(*networks).layers if layer.name in names] == names


def test_networks_of_one_kind_join_in_one_model(tmp_path):
    spec = {"kind": "unet_generator", "filters": 2, "levels": 2, "image_size": 16}
    built = [models.unet_generator(16, filters=2, levels=2) for _ in range(2)] + [models.build(spec) for _ in range(2)]
    places = [translate.save_generator(model, tmp_path / f"näher {number}-ab") for number, model in enumerate(built)]
    loaded = [translate.load_generator(place) for place in places]
    wide = [translate.any_size(model) for model in loaded]
    for four in (built, loaded, wide):
        assert len({model.name for model in four}) == 4
        joined(*four)
    assert loaded[1].name == wide[1].name == "generator_n_her_1_ab"
    assert "name" not in loaded[0].spec and loaded[0].spec == models.build(spec, name="any").spec
