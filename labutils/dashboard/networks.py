"""Widgets of lesson 2: the patch that each discriminator score sees, and the feature maps of a network's layers."""

import ipywidgets as widgets
import numpy as np
import tensorflow as tf

from labutils.dashboard import parts
from labutils.figures import diagrams, plots

WIDE = {"style": {"description_width": "130px"}, "layout": {"width": "360px", "max_width": "100%"}}
WRAPPED = {"flex_flow": "row wrap"}
FIGURE = {"width": "420px", "max_width": "100%"}
WORDS = {
    "InputLayer": "the picture",
    "Conv2D": "convolution",
    "Conv2DTranspose": "transposed convolution",
    "InstanceNormalization": "normalisation",
    "BatchNormalization": "normalisation",
    "LeakyReLU": "leaky ReLU",
    "UpSampling2D": "upsampling",
    "Concatenate": "concatenation",
    "Add": "addition",
    "ReflectionPadding2D": "reflected border",
    "AttentionBlend": "blended into the picture",
}  # other layers show the name of their class


def _batch(picture):
    """Convert a picture (height, width, 3), uint8 or in [0, 1], to (1, height, width, 3) in [-1, 1]."""
    picture = np.asarray(picture)
    unit = picture / 255 if picture.dtype == np.uint8 else picture
    return (unit[None] * 2 - 1).astype("float32")


def _in_words(layer):
    """Describe a layer by its kind and output size: Keras' own name only numbers the layers of a kind."""
    _, height, width, _ = layer.output.shape
    kind = type(layer).__name__
    return f"{WORDS.get(kind, kind)}, {height} × {width}"


class PatchMover(widgets.VBox):
    """Choose a score of a discriminator and show the square of the picture that it sees.

    ``discriminator``: built with the picture's size; ``picture``: (size, size, 3), uint8 or in [0, 1]. Raises
    ``ValueError`` if they do not fit.

    Example::

        PatchMover(models.patch_discriminator(256), picture)
    """

    def __init__(self, discriminator, picture):
        expected = tuple(discriminator.input_shape[1:])
        if expected != np.shape(picture):
            raise ValueError(f"The discriminator takes pictures of shape {expected}, not {np.shape(picture)}.")
        self.discriminator, self.picture = discriminator, picture
        self.scores = np.asarray(discriminator(_batch(picture)))[0, :, :, 0]
        rows, columns = self.scores.shape
        self.row = widgets.IntSlider(rows // 2, 0, rows - 1, description="row of scores", **WIDE)
        self.column = widgets.IntSlider(columns // 2, 0, columns - 1, description="column of scores", **WIDE)
        self.image = parts.Picture(
            format="png",
            layout=FIGURE,
            tooltip="The scores of all patches, and the picture with the patch of one score",
        )
        self.words = parts.Words()
        super().__init__([widgets.HBox([self.row, self.column], layout=WRAPPED), self.image, self.words])
        for slider in (self.row, self.column):
            slider.observe(self._draw, "value")
        self._draw()

    def _draw(self, _=None):
        row, column = self.row.value, self.column.value
        top, left, bottom, right = seen = diagrams.seen_by(self.discriminator, row, column)
        plot = diagrams.patch(self.picture, seen, grid=self.scores.shape)
        self.image.value = plot.png()
        size = len(self.picture)
        padding = " (partly padding)" if min(top, left) < 0 or max(bottom, right) > size else ""
        self.words.value = (
            f"Score ({row}, {column}) = {self.scores[row, column]:.2f} sees {bottom - top} × {right - left} pixels: "
            f"rows {top} to {bottom - 1}, columns {left} to {right - 1}{padding}."
        )


class FeatureMaps(widgets.VBox):
    """Choose a layer of a network and one of its channels, and show its output for a picture.

    ``model``: any functional model; ``picture``: (height, width, 3), uint8 or in [0, 1]. Only layers whose
    output is a map (height, width, channels) of more than one pixel are offered.

    Example::

        FeatureMaps(models.unet_generator(64), picture)
    """

    def __init__(self, model, picture):
        layers = [layer for layer in model.layers if len(layer.output.shape) == 4]
        outputs = tf.keras.Model(model.inputs[0], [layer.output for layer in layers])(_batch(picture))
        self.maps = {
            f"{number}: {_in_words(layer)}": np.asarray(output)[0]
            for number, (layer, output) in enumerate(zip(layers, outputs, strict=True))
        }
        names = list(self.maps)
        self.layer = widgets.Dropdown(options=names, value=names[min(1, len(names) - 1)], description="layer", **WIDE)
        self.channel = widgets.IntSlider(0, 0, 0)
        self.image = parts.Picture(
            format="png", layout=FIGURE, tooltip="One channel of the layer's output for the picture"
        )
        self.words = parts.Words()
        super().__init__([widgets.HBox(layout=WRAPPED), self.image, self.words])
        self.layer.observe(self._choose, "value")
        self._choose()

    def _choose(self, _=None):
        last = self.maps[self.layer.value].shape[-1] - 1
        value = min(self.channel.value, last)
        # A new slider: if only the maximum changed, the page would keep the old range for the keyboard.
        self.channel = widgets.IntSlider(value, 0, last, description="channel (number)", **WIDE)
        self.channel.observe(self._draw, "value")
        self.children[0].children = [self.layer, self.channel]
        self._draw()

    def _draw(self, _=None):
        maps = self.maps[self.layer.value]
        channel = maps[..., self.channel.value]
        height, width, channels = maps.shape
        self.words.value = (
            f"{self.layer.value}, channel {self.channel.value} of {channels}: {height} × {width} values from "
            f"{channel.min():.3g} to {channel.max():.3g}, mean {channel.mean():.3g}."
        )
        plot = plots.Plot(figsize=(4.2, 3.4), alt=self.words.value)
        axis = plot.subplots()
        shown = axis.imshow(channel, cmap="viridis", interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        plot.colorbar(shown, ax=axis, label="value")
        self.image.value = plot.png()
