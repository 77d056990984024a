"""Tiles cover a picture; they give the whole picture's result, or with instance normalisation no visible seams."""

import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from labutils import models, translate

NETWORKS = {
    "unet": dict(kind="unet_generator", filters=4, levels=4, normalization="none"),
    "unet, batch norm, attention": dict(
        kind="unet_generator", filters=4, levels=3, normalization="batch", attention=True
    ),
    "unet, transposed, reflect": dict(
        kind="unet_generator", filters=4, levels=3, normalization="none", upsampling="transpose", padding="reflect"
    ),
    "resnet": dict(kind="resnet_generator", filters=4, blocks=2, normalization="none"),
    "resnet, nearest, zero": dict(
        kind="resnet_generator", filters=4, blocks=2, normalization="none", upsampling="nearest", padding="zero"
    ),
}


@pytest.mark.parametrize("length", [64, 512, 528, 600, 832, 848, 1424, 3000])
@pytest.mark.parametrize(("margin", "factor"), [(77, 16), (52, 4), (128, 8)])
def test_shares_add_up_to_one_and_margins_have_none(length, margin, factor):
    length -= length % factor
    total, cuts = np.zeros(length), translate.cuts(length, 512, margin, factor)
    for start, shares in cuts:
        assert start % factor == 0 and len(shares) == min(length, 512) and (shares >= 0).all()
        assert not start or not shares[:margin].any()
        assert start + len(shares) == length or not shares[-margin:].any()
        assert np.abs(np.diff(shares)).max() < 0.03  # a smoothstep over 64 pixels rises by at most 1.5 / 64
        total[start : start + len(shares)] += shares
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert (len(cuts) == 1) == (length <= 512)


def test_tiles_that_are_nothing_but_margin_are_refused():
    with pytest.raises(ValueError, match="Tiles of 64 pixels are too small for margins of 32"):
        translate.cuts(200, 64, 32, 4)


@pytest.mark.parametrize("name", NETWORKS)
def test_tiled_equals_whole_without_instance_normalisation(name):
    tf.keras.utils.set_random_seed(1)
    network = models.build({**NETWORKS[name], "image_size": None})
    for weight in network.weights:  # large enough for every pixel that is seen to matter
        if len(weight.shape) == 4:
            weight.assign(tf.random.normal(weight.shape, 0, (2 / np.prod(weight.shape[:3])) ** 0.5))
    tile, margin, factor = translate.tiling(network, tile=64)
    shape = (tile + 2 * factor, 2 * tile - 4 * factor, 3)
    picture = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    whole = np.asarray(network(picture[None]))[0]
    assert whole.std() > 0.2
    np.testing.assert_allclose(translate.in_tiles(network, picture, tile, margin, factor), whole, atol=1e-5)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(translate.in_tiles(network, picture, tile, 2, factor), whole, atol=1e-5)


def test_tiling_follows_the_network():
    near = models.resnet_generator(None, filters=2, blocks=1)
    assert translate.tiling(near) == (512, models.receptive_field(near) // 2 + 8, 4)
    far = models.unet_generator(None, filters=1, levels=7)
    tile, margin, factor = translate.tiling(far)
    assert (tile, margin, factor) == (1024, 256, 128) and models.receptive_field(far) > 2 * margin
    assert len(translate.cuts(2048, tile, margin, factor)) > 1


def gradients(picture, axis):
    return np.abs(np.diff(picture.astype(int), axis=axis)).mean(axis=(1 - axis, 2))


@pytest.mark.parametrize(("name", "tile"), [("coffee", 512), ("astronaut", 320), ("chelsea", 320)])
def test_no_seams_with_instance_normalisation(name, tile):
    generator = translate.load_generator(translate.find("orchard64-ab"))
    photograph = getattr(skimage.data, name)()
    whole = translate.apply(generator, photograph, tile=None)
    tiled = translate.apply(generator, photograph, tile=tile)
    assert whole.shape == tiled.shape == photograph.shape and (whole != tiled).any()
    wide, margin, factor = translate.tiling(generator, tile)
    ratios = []
    for axis in (0, 1):
        length = photograph.shape[axis]
        cuts = translate.cuts(length + -length % factor, wide, margin, factor)
        edges = {start for start, _ in cuts[1:]} | {start + wide for start, _ in cuts[:-1]}
        inner = {start + margin for start, _ in cuts[1:]} | {start + wide - margin for start, _ in cuts[:-1]}
        middles = {(cuts[i][0] + wide + cuts[i + 1][0]) // 2 for i in range(len(cuts) - 1)}
        for line in edges | inner | middles:
            if 0 < line < length:
                ratios.append(gradients(tiled, axis)[line - 1] / gradients(whole, axis)[line - 1])
    assert ratios and np.mean(ratios) <= 1.05 and max(ratios) <= 1.1, ratios


def test_the_factor_of_a_network_is_the_product_of_its_strides():
    layers = tf.keras.layers
    down = [layers.Conv2D(2, 3, stride, padding="same") for stride in (3, 1, 2)]
    up = [layers.Conv2DTranspose(3, 3, 6, padding="same")]
    assert translate._factor(tf.keras.Sequential([layers.Input((None, None, 3)), *down, *up])) == 6
    for name, factor in (("unet", 16), ("resnet", 4)):
        generator = getattr(models, f"{name}_generator")
        assert translate._factor(generator(filters=2)) == factor
