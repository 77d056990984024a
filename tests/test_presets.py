"""The networks of published tutorials: parameters counted by hand, receptive fields, one training step each."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from test_models import conv, random_pictures

from labutils import cyclegan, models
from labutils.extras import presets

PRESET_PARAMETERS = {  # generator, discriminator
    "end-to-end": (35_276_553, 6_962_369),
    "end-to-end-128": (18_461_961, 6_962_369),
    "object-oriented": (1_546_819, 2_766_529),
    "paint-apples": (1_545_411, 694_241),
    "paint-monet": (2_850_563, 2_764_737),
    "introduction": (11_388_675, 2_766_529),
    "introduction-128": (7_845_123, 2_766_529),
}


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
            preset = presets.PRESETS[name]
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
    assert counts == PRESET_PARAMETERS[name] == by_hand(presets.PRESETS[name])


def test_every_preset_is_tested():
    assert presets.PRESETS.keys() == PRESET_PARAMETERS.keys()
    for preset in presets.PRESETS.values():
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


def one_step(name):
    """One training step at the preset's native size; batch 1, also where the text takes 64."""
    preset = presets.PRESETS[name]
    size = preset["image_size"]
    networks = [models.build({**preset[p], "image_size": size}) for p in ["generator"] * 2 + ["discriminator"] * 2]
    gan = cyclegan.CycleGAN(*networks, loss_weights=cyclegan.LossWeights(**preset["loss_weights"]), pool_size=2)
    gan.compile(run_eagerly=True)  # building a graph takes longer than one step
    before = [network.get_weights()[0] for network in networks]
    pair = tf.data.Dataset.from_tensors((random_pictures(1, size, size, 3), random_pictures(1, size, size, 3)))
    losses = gan.fit(pair, steps_per_epoch=1, verbose=0).history
    moved = [np.abs(network.get_weights()[0] - old).max() for network, old in zip(networks, before, strict=True)]
    return losses, moved


@pytest.fixture(scope="module")
def another_process():
    """The largest step needs 6 GB, which the process that takes it would keep for the tests after it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("name", PRESET_PARAMETERS)
def test_a_cyclegan_takes_one_training_step_with_each_preset(name, another_process):
    losses, moved = another_process.submit(one_step, name).result()
    assert all(np.isfinite(value).all() for value in losses.values())
    assert len(moved) == 4 and min(moved) > 0
