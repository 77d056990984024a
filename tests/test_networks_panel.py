"""The widgets of lesson 2 and their diagrams, without a browser: set values, read the output."""

import io

import numpy as np
import pytest
from PIL import Image

from labutils import dashboard, models
from labutils.figures import diagrams


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).uniform(size=(32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def discriminator():
    return models.patch_discriminator(32, filters=4, strides=(2, 2))


@pytest.fixture(scope="module")
def unet():
    return models.unet_generator(32, filters=4, levels=3)


def shown(widget):
    return np.asarray(Image.open(io.BytesIO(widget.value)))


def test_the_patch_moves_with_the_sliders(discriminator, picture):
    panel = dashboard.PatchMover(discriminator, picture)
    assert (panel.row.max, panel.column.max) == (7, 7)
    before = panel.image.value
    panel.row.value, panel.column.value = 3, 4
    assert panel.image.value != before and shown(panel.image).std() > 0
    top, left, bottom, right = diagrams.seen_by(discriminator, 3, 4)
    assert bottom - top == 22
    assert f"rows {top} to {bottom - 1}, columns {left} to {right - 1}" in panel.words.value
    score = np.asarray(discriminator(picture[None] * 2 - 1))[0, 3, 4, 0]
    assert f"= {score:.2f} sees 22 × 22" in panel.words.value


def test_padding_is_said_at_the_edge_only(picture):
    panel = dashboard.PatchMover(models.patch_discriminator(32, filters=4, strides=(2,)), picture)
    panel.row.value = panel.column.value = 0
    assert "padding" in panel.words.value
    panel.row.value = panel.column.value = 8
    assert "padding" not in panel.words.value


def test_uint8_pictures_are_the_same_pictures(unet):
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype="uint8")
    ours, same = dashboard.FeatureMaps(unet, picture), dashboard.FeatureMaps(unet, picture / 255)
    last = ours.layer.options[-1]
    np.testing.assert_allclose(ours.maps[last], same.maps[last], atol=1e-6)


def test_a_picture_that_does_not_fit_is_refused(discriminator):
    with pytest.raises(ValueError, match=r"\(32, 32, 3\), not \(16, 16, 3\)"):
        dashboard.PatchMover(discriminator, np.zeros((16, 16, 3)))


def test_feature_maps_show_the_chosen_layer_and_channel(unet, picture):
    panel = dashboard.FeatureMaps(unet, picture)
    for name in panel.layer.options:
        panel.layer.value = name
        layer = unet.layers[int(name.split(":")[0])]
        assert panel.channel.max == layer.output.shape[-1] - 1
    first = next(name for name in panel.layer.options if "convolution, 16 × 16" in name)
    panel.layer.value = first
    one = panel.image.value
    panel.channel.value = 3
    assert panel.image.value != one and "channel 3 of 4: 16 × 16 values" in panel.words.value


def test_a_channel_that_the_next_layer_lacks_is_left(unet, picture):
    panel = dashboard.FeatureMaps(unet, picture)
    deep = next(name for name in panel.layer.options if panel.maps[name].shape[-1] == 16)
    panel.layer.value = deep
    panel.channel.value = 15
    panel.layer.value = panel.layer.options[0]  # the picture: 3 channels
    assert panel.channel.value == 2 and "channel 2 of 3" in panel.words.value


def test_maps_are_those_of_the_network(unet, picture):
    panel = dashboard.FeatureMaps(unet, picture)
    np.testing.assert_allclose(panel.maps[panel.layer.options[-1]], unet(picture[None] * 2 - 1)[0], atol=1e-5)
    np.testing.assert_allclose(panel.maps[panel.layer.options[0]], picture * 2 - 1, atol=1e-6)


class TestDiagrams:
    def test_stages_of_a_unet(self, unet):
        boxes, skips = diagrams.stages(unet)
        sizes = [box[0] for box in boxes]
        assert sizes == [32, 16, 8, 4, 8, 16, 32]
        assert [box[2] for box in boxes] == [3, 4, 8, 16, 8, 4, 3]
        assert [box[3] for box in boxes] == ["keeps"] + ["halves"] * 3 + ["doubles"] * 3
        assert skips == [(2, 4, "concatenate"), (1, 5, "concatenate")]

    @pytest.mark.parametrize("skip", ["add", "concatenate"])
    def test_stages_of_a_resnet(self, skip):
        boxes, skips = diagrams.stages(models.resnet_generator(16, filters=2, blocks=2, skip=skip))
        assert [box[0] for box in boxes] == [16, 16, 8, 4, 4, 4, 4, 4, 8, 16, 16]
        assert skips == [(3, 5, skip), (5, 7, skip)]

    def test_the_drawing_says_in_words_what_it_shows(self, unet):
        plot = diagrams.network(unet, "U-Net")
        assert plot.alt.startswith("U-Net: 32 by 32 by 3, then 16 by 16 by 4")
        assert "box 1 to box 5 (concatenate)" in plot.alt
        assert len(plot.png()) > 1000

    def test_a_network_without_a_size_is_refused(self):
        with pytest.raises(ValueError, match="image_size"):
            diagrams.network(models.unet_generator(filters=2))

    def test_axes_of_the_normalisations_share_as_numpy_does(self):
        """Two planes have one number exactly if changing one changes the other's normalised values."""
        axes = {"batch": (0, 1, 2), "layer": (1, 2, 3), "instance": (1, 2)}
        x = np.random.default_rng(0).normal(size=(3, 4, 4, 4))
        for name, over in axes.items():
            changed = x.copy()
            changed[1, :, :, 2] += np.arange(4)
            normal, other = ((v - v.mean(over, keepdims=True)) / v.std(over, keepdims=True) for v in (x, changed))
            touched = np.abs(normal - other).max((1, 2)) > 1e-9
            shared = diagrams.AXES[name]
            expected = [[shared(n, c, 4) == shared(1, 2, 4) for c in range(4)] for n in range(3)]
            np.testing.assert_array_equal(touched, expected, err_msg=name)
        assert len({diagrams.AXES["group"](n, c, 4) for n in range(3) for c in range(4)}) == 6
        assert len(diagrams.normalization_axes().axes) == 4

    def test_a_patch_beyond_the_border_is_drawn(self, picture):
        plot = diagrams.patch(picture, (-5, 3, 17, 25), grid=(8, 8))
        assert "sees rows -5 to 16 and columns 3 to 24" in plot.alt
        low, high = plot.axes[0].get_ylim()[::-1]
        assert low <= -5 and high >= 32
