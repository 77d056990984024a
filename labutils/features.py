"""VGG feature extractor: the convolutional layers of a network trained on ImageNet.

``vgg()`` prints which weights it uses, and downloads nothing by default. ``labutils/published/vgg.py`` finds and reads
the weights. Networks: Simonyan and Zisserman, "Very deep convolutional networks", 2014.
"""

import functools
import importlib

import numpy as np
import tensorflow as tf

from labutils.base.weights import WeightsError as WeightsError

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # how many in each block
FILTERS = (64, 128, 256, 512, 512)
MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet; subtracted before the first layer
MEMORY = 4.0  # GB: a picture whose feature maps would take more is refused
WEIGHTS = "labutils.published.vgg"  # finds and reads weights; loaded by name, because the core imports no side room


class ToBGR(tf.keras.layers.Layer):
    """Convert RGB in [0, 255] to what VGG was trained on: BGR, ImageNet's mean colour subtracted."""

    def call(self, image):
        return image[..., ::-1] - tf.constant(MEAN_BGR, image.dtype)


@functools.cache
def _say(text):  # once a session
    print(text)


def kernel_shapes(backbone):
    """Return the shape of each convolution's kernel of ``"vgg16"`` or ``"vgg19"``, by name and in the network's order.

    The names and shapes are ``{"block1_conv1": (3, 3, 3, 64), "block1_conv2": (3, 3, 64, 64), ...}``. Raises
    ``ValueError`` for another backbone.
    """
    if backbone not in CONVOLUTIONS:
        raise ValueError(f"Unknown backbone {backbone!r}: choose one of {', '.join(CONVOLUTIONS)}.")
    shapes, inputs = {}, 3
    for block, (count, filters) in enumerate(zip(CONVOLUTIONS[backbone], FILTERS, strict=True), 1):
        for number in range(1, count + 1):
            shapes[f"block{block}_conv{number}"] = 3, 3, inputs, filters
            inputs = filters
    return shapes


def vgg(backbone="vgg19", weights="auto", pooling="max", seed=0):
    """Build VGG's convolutional layers as a feature extractor.

    It maps RGB pictures, float32 (batch, height, width, 3) in [0, 255], to a dict of feature maps by layer name,
    each (batch, height / 2**(block - 1), width / 2**(block - 1), filters), after the ReLU.

    ``backbone``: "vgg19" (default) or "vgg16". ``weights``, one of
    - "auto" (default): the backbone's ImageNet weights if they are in Keras' cache, otherwise "packed";
    - "packed": the 8-bit file in ``pretrained/`` (the backbone's, otherwise VGG16's);
    - "imagenet": downloads them if they are not cached; if that fails, "packed" with a warning;
    - "random": He-normal kernels from ``seed``;
    - the path of an ``.h5`` or ``.npz`` file; its layers determine the backbone.
    ``pooling``: "max" (default, as trained) or "avg" (smoother gradients: Gatys et al., 2016).

    The model's ``.source`` describes its weights; ``.backbone`` and ``.pooling`` are the ones it has. Raises
    ``ValueError`` for unknown names, ``FileNotFoundError`` for missing files, and ``WeightsError`` (both a
    ``ValueError`` and an ``OSError``) for damaged or unfit files.
    """
    shapes, pool = kernel_shapes(backbone), _pooling_layer(pooling)
    if weights == "random":
        arrays = _he_normal(shapes, seed)
        source = f"{backbone.upper()} with random weights (seed {seed}, not trained)"
    else:
        backbone, arrays, source = importlib.import_module(WEIGHTS).load(backbone, weights)
    model = _build(list(arrays), pool)
    for name, kernel_and_bias in arrays.items():
        model.get_layer(name).set_weights(kernel_and_bias)
    _say(f"Features: {source}, layers to {list(arrays)[-1]}, {pooling} pooling.")
    return _describe(model, source, backbone, pooling)


def cut(model, layers):
    """Cut ``model`` off after the last of ``layers``; its outputs are a dict of only these layers.

    Raises ``ValueError`` naming the layers that the features lack.
    """
    lacking = sorted(set(layers) - set(model.output_names_by_layer))
    if lacking:
        raise ValueError(
            f"{', '.join(lacking)}: not in these features ({model.source}), which have "
            f"{', '.join(model.output_names_by_layer)}. Choose among these, or take all layers, "
            "for example with features.vgg('vgg19', weights='imagenet') (an 80 MB download)."
        )
    return tf.keras.Model(model.input, {name: model.get_layer(name).output for name in layers})


def refuse_unfit(model, shape):
    """Raise ``ValueError`` if a picture is too small for ``model``, or would take more than ``MEMORY`` to optimise.

    ``shape``: the picture's; only (height, width) or (height, width, channels) can be unfit. The memory is estimated:
    all feature maps as float32, three times, as they are kept for the gradient.
    """
    if len(shape) not in (2, 3):
        return
    height, width = shape[:2]
    maps = {layer.name: layer.filters for layer in model.layers if "conv" in layer.name}
    last = max(maps)  # the names sort in the order of the layers
    smallest = 2 ** (int(last[5]) - 1)
    if min(height, width) < smallest:
        raise ValueError(f"A picture of {height} x {width} pixels is too small: {last} needs {smallest}.")
    numbers = height * width * sum(filters / 4 ** (int(name[5]) - 1) for name, filters in maps.items())
    if (needed := 3 * 4 * numbers / 1e9) > MEMORY:
        reason = f"would take about {needed:.1f} GB of memory, more than {MEMORY:g}"
        raise ValueError(f"A picture of {height} x {width} pixels {reason}: choose a smaller size.")


def with_pooling(model, pooling):
    """Return a model with the same weights and ``"max"`` or ``"avg"`` pooling; ``model`` itself if it fits."""
    if pooling == model.pooling:
        return model
    other = _build(model.output_names_by_layer, _pooling_layer(pooling))
    other.set_weights(model.get_weights())
    return _describe(other, model.source, model.backbone, pooling)


def _pooling_layer(pooling):
    if pooling not in ("max", "avg"):
        raise ValueError(f"Unknown pooling {pooling!r}: choose 'max' or 'avg'.")
    return tf.keras.layers.MaxPooling2D if pooling == "max" else tf.keras.layers.AveragePooling2D


def _describe(model, source, backbone, pooling):
    model.trainable = False
    model.source, model.backbone, model.pooling = source, backbone, pooling
    return model


def _build(names, pool):
    image = tf.keras.Input((None, None, 3))
    x = ToBGR(name="to_bgr")(image)
    outputs, block = {}, "1"
    for name in names:
        if name[5] != block:
            x = pool(2, name=f"block{block}_pool")(x)
            block = name[5]
        filters = FILTERS[int(block) - 1]
        x = tf.keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        outputs[name] = x
    model = tf.keras.Model(image, outputs)
    model.output_names_by_layer = tuple(names)
    return model


def _he_normal(shapes, seed):
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(0, np.sqrt(2 / (9 * shape[2])), shape).astype("float32"), np.zeros(shape[3], "float32"))
        for name, shape in shapes.items()
    }
