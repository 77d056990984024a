"""The networks: sizes, parameters counted by hand, what one output sees, and the way through JSON and weight files."""

import json

import numpy as np
import pytest
import tensorflow as tf
from make_weights_fixture import DATA, NETWORKS

from labutils import cyclegan, losses, models


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
    with pytest.raises(ValueError, match=f"multiples of {multiple}, not 42 and 32"):
        model(random_pictures(1, 42, 32, 3))


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


PRESET_PARAMETERS = {  # generator, discriminator
    "end-to-end": (35_276_553, 6_962_369),
    "end-to-end-128": (18_461_961, 6_962_369),
    "object-oriented": (1_546_819, 2_766_529),
    "paint-apples": (1_545_411, 694_241),
    "paint-monet": (2_850_563, 2_764_737),
    "introduction": (11_388_675, 2_766_529),
    "introduction-128": (7_845_123, 2_766_529),
}
SMALL = {"end-to-end-128", "object-oriented", "paint-apples", "introduction-128"}


def by_hand(preset):
    """The preset's parameters from what its text says alone."""
    g, d = preset["generator"], preset["discriminator"]
    norm = 0 if g.get("normalization") == "plain_instance" else 2
    f = g["filters"]
    if g["kind"] == "unet_generator":
        generator = conv(4, 3, f) + conv(4, f, 2 * f) + conv(4, 2 * f, 4 * f) + conv(4, 4 * f, 8 * f)
        generator += conv(4, 8 * f, 4 * f) + conv(4, 8 * f, 2 * f) + conv(4, 4 * f, f) + conv(4, 2 * f, 3)
        generator += norm * (f + 2 * f + 4 * f + 8 * f + 4 * f + 2 * f + f)
    else:
        generator, deep = conv(7, 3, f) + conv(3, f, 2 * f) + conv(3, 2 * f, 4 * f) + norm * 7 * f, 4 * f
        for _ in range(g["blocks"]):
            generator += conv(3, deep, 4 * f) + conv(3, 4 * f, 4 * f) + norm * 8 * f
            deep += 4 * f if g.get("skip") == "concatenate" else 0
        generator += conv(3, deep, 2 * f) + conv(3, 2 * f, f) + conv(7, f, 3) + norm * 3 * f
        generator += norm * 3 if g.get("output_normalization") else 0
    channels = [3] + [min(d["filters"] * 2**level, 512) for level in range(len(d["strides"]))] + [1]
    discriminator = sum(conv(4, a, b) for a, b in zip(channels[:-1], channels[1:], strict=True))
    return generator, discriminator + norm * sum(channels[2:-1])


@pytest.fixture(scope="module")
def preset_networks():
    """Every preset's two networks at its native size, each made once."""

    def make(name):
        if name not in made:
            preset = models.PRESETS[name]
            made[name] = [
                models.build({**preset[part], "image_size": preset["image_size"]})
                for part in ("generator", "discriminator")
            ]
        return made[name]

    made = {}
    return make


@pytest.mark.parametrize("name", PRESET_PARAMETERS)
def test_preset_parameters(name, preset_networks):
    counts = tuple(network.count_params() for network in preset_networks(name))
    assert counts == PRESET_PARAMETERS[name] == by_hand(models.PRESETS[name])


def test_every_preset_is_tested():
    assert models.PRESETS.keys() == PRESET_PARAMETERS.keys()
    for preset in models.PRESETS.values():
        assert preset.keys() == {"image_size", "batch_size", "generator", "discriminator", "loss_weights"}
        json.dumps(preset)


@pytest.mark.parametrize(
    "name, field, grid",
    [
        ("end-to-end", 142, 16),  # the text says 70, which is the next but one
        ("introduction", 70, 32),
        ("paint-monet", 70, 32),
        ("object-oriented", 94, 8),
        ("paint-apples", 70, 16),
    ],
)
def test_preset_discriminators(name, field, grid, preset_networks):
    discriminator = preset_networks(name)[1]
    assert models.receptive_field(discriminator) == field
    assert discriminator.output_shape == (None, grid, grid, 1)


def test_object_oriented_activates_before_it_normalises(preset_networks):
    for network in preset_networks("object-oriented"):
        kinds = [type(layer).__name__ for layer in network.layers]
        places = [i for i, kind in enumerate(kinds) if kind == "InstanceNormalization"]
        assert places and all("ReLU" in kinds[place - 1] for place in places)


def test_paint_has_no_leaky_relu_in_its_generator(preset_networks):
    kinds = {type(layer).__name__ for layer in preset_networks("paint-apples")[0].layers}
    assert "ReLU" in kinds and "LeakyReLU" not in kinds


@pytest.mark.parametrize("name", PRESET_PARAMETERS)
def test_one_training_step_of_both_networks_at_their_native_size(name, preset_networks):
    """One translation, and one step for each network: the six of a CycleGAN's step would take minutes at 256 px."""
    generator, discriminator = preset_networks(name)
    real = random_pictures(1, *generator.input_shape[1:])
    with tf.GradientTape() as tape:
        fake = generator(real, training=True)
        loss = losses.adversarial(discriminator(fake, training=True), real=True) + 10 * losses.cycle(real, fake)
    take_step(tape, loss, generator)
    with tf.GradientTape() as tape:
        loss = losses.discriminator(discriminator(real, training=True), discriminator(fake, training=True))
    take_step(tape, loss, discriminator)


def take_step(tape, loss, network):
    """Every weight gets a finite gradient and every kernel moves by Adam's rate."""
    weights = network.trainable_variables
    gradients = tape.gradient(loss, weights)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    before = [weight.numpy() for weight in weights]
    tf.keras.optimizers.Adam(2e-4, beta_1=0.5).apply_gradients(zip(gradients, weights, strict=True))
    for weight, old in zip(weights, before, strict=True):
        if old.ndim == 4:
            assert np.abs(weight.numpy() - old).max() == pytest.approx(2e-4, rel=0.01)


@pytest.mark.parametrize("name", ["object-oriented", "paint-apples"])
def test_a_cyclegan_takes_the_networks_and_loss_weights_of_a_preset(name):
    """Batch 1, also where the text takes 64."""
    preset = models.PRESETS[name]
    size = preset["image_size"]
    networks = [models.build({**preset[p], "image_size": size}) for p in ["generator"] * 2 + ["discriminator"] * 2]
    gan = cyclegan.CycleGAN(*networks, loss_weights=cyclegan.LossWeights(**preset["loss_weights"]), pool_size=2)
    gan.compile(run_eagerly=True)  # one step: not worth the building of a graph
    before = [network.get_weights()[0] for network in networks]
    pair = tf.data.Dataset.from_tensors((random_pictures(1, size, size, 3), random_pictures(1, size, size, 3)))
    history = gan.fit(pair, steps_per_epoch=1, verbose=0).history
    assert all(np.isfinite(value).all() for value in history.values())
    for network, kernel in zip(networks, before, strict=True):
        assert np.abs(network.get_weights()[0] - kernel).max() > 0


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
    top, left, bottom, right = models.seen_by(model, row, column)
    assert bottom - top == right - left == models.receptive_field(model)
    expected = np.zeros((64, 64), bool)
    expected[max(top, 0) : bottom, max(left, 0) : right] = True
    np.testing.assert_array_equal(touched, expected)


def test_seen_by_refuses_what_is_not_there():
    with pytest.raises(ValueError, match="the grid is 8 by 8"):
        models.seen_by(models.patch_discriminator(32, filters=2, strides=(2, 2)), 8, 0)
    with pytest.raises(ValueError, match="image_size"):
        models.seen_by(models.patch_discriminator(filters=2, strides=(2, 2)), 0, 0)


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
        convs = [layer for layer in model.layers if type(layer) is tf.keras.layers.Conv2D]
        channels[skip] = [layer.kernel.shape[2] for layer in convs[3:9]]  # two a block
    assert channels == {"add": [8, 8, 8, 8, 8, 8], "concatenate": [8, 8, 16, 8, 24, 8]}


# --- weight files ---


@pytest.mark.parametrize("made_by", ["tf2", "keras3"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_saved_in_either_environment_give_the_same_pictures(name, made_by):
    saved = np.load(DATA / f"{made_by}.npz")
    network = models.build(NETWORKS[name])
    network.load_weights(DATA / f"{made_by}_{name}.weights.h5")
    assert np.abs(saved[name] - network(saved["input"]).numpy()).max() < 1e-4
