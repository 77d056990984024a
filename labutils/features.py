"""VGG feature extractor: the convolutional layers of a network trained on ImageNet.

By default ``vgg()`` downloads nothing; it prints which weights it uses. The shipped weights are quantised to 8 bits:
``python -m labutils.extras.packing --help`` makes such a file from full weights.
Networks: Simonyan and Zisserman, "Very deep convolutional networks", 2014.
"""

import functools
import hashlib
import json
import os
import re
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from labutils.base import files
from labutils.base.paths import place
from labutils.base.weights import WeightsError as WeightsError
from labutils.base.weights import opened

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # how many in each block
FILTERS = (64, 128, 256, 512, 512)
MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet; subtracted before the first layer
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"
CACHED = {  # the files keras.applications downloads: name and MD5
    "vgg16": ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6"),
    "vgg19 with classifier": ("vgg19_weights_tf_dim_ordering_tf_kernels.h5", "cbe5617147190e668d6c5d5026f83318"),
}


class ToBGR(tf.keras.layers.Layer):
    """Convert RGB in [0, 255] to what VGG was trained on: BGR, ImageNet's mean colour subtracted."""

    def call(self, image):
        return image[..., ::-1] - tf.constant(MEAN_BGR, image.dtype)


@functools.cache
def _say(text):  # once a session
    print(text)


def layer_names(backbone):
    """List the names of all convolutions of ``"vgg16"`` or ``"vgg19"`` in order: ``["block1_conv1", ...]``."""
    if backbone not in CONVOLUTIONS:
        raise ValueError(f"Unknown backbone {backbone!r}: choose one of {', '.join(CONVOLUTIONS)}.")
    counts = enumerate(CONVOLUTIONS[backbone], 1)
    return [f"block{block}_conv{number}" for block, count in counts for number in range(1, count + 1)]


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
    names = layer_names(backbone)
    if pooling not in ("max", "avg"):
        raise ValueError(f"Unknown pooling {pooling!r}: choose 'max' or 'avg'.")
    if weights == "random":
        arrays = _he_normal(backbone, seed)
        source = f"{backbone.upper()} with random weights (seed {seed}, not trained)"
    else:
        path, source = _find(backbone, weights)
        arrays = read_weights(path)
        found = backbone_of(arrays)
        if found == "vgg19" and backbone == "vgg16":
            raise WeightsError(f"{path} holds VGG19, not VGG16: pass backbone='vgg19'.")
        backbone, names = found, layer_names(found)
        source = source or f"{found.upper()} from {Path(path).name}"
    names = names[: len(arrays)]
    model = _build(names, pooling)
    for name in names:
        model.get_layer(name).set_weights(arrays[name])
    _say(f"Features: {source}, layers to {names[-1]}, {pooling} pooling.")
    return _describe(model, source, backbone, pooling)


def cut(model, layers):
    """Cut ``model`` off after the last of ``layers``; its outputs are a dict of only these layers.

    Raises ``ValueError`` naming the layers that the features lack.
    """
    lacking = [name for name in layers if name not in model.output_names_by_layer]
    if lacking:
        raise ValueError(
            f"{', '.join(lacking)}: not in these features ({model.source}), which have "
            f"{', '.join(model.output_names_by_layer)}. Choose among these, or take all layers, "
            "for example with features.vgg('vgg19', weights='imagenet') (an 80 MB download)."
        )
    return tf.keras.Model(model.input, {name: model.get_layer(name).output for name in layers})


def with_pooling(model, pooling):
    """Return a model with the same weights and ``"max"`` or ``"avg"`` pooling; ``model`` itself if it fits."""
    if pooling == model.pooling:
        return model
    if pooling not in ("max", "avg"):
        raise ValueError(f"Unknown pooling {pooling!r}: choose 'max' or 'avg'.")
    other = _build(model.output_names_by_layer, pooling)
    other.set_weights(model.get_weights())
    return _describe(other, model.source, model.backbone, pooling)


def _describe(model, source, backbone, pooling):
    model.trainable = False
    model.source, model.backbone, model.pooling = source, backbone, pooling
    return model


def _build(names, pooling):
    pool = tf.keras.layers.MaxPooling2D if pooling == "max" else tf.keras.layers.AveragePooling2D
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


def _shapes(backbone):
    """Return ``{name: (inputs, filters)}`` of every convolution."""
    shapes, before = {}, 3
    for name in layer_names(backbone):
        shapes[name] = (before, FILTERS[int(name[5]) - 1])
        before = shapes[name][1]
    return shapes


def _he_normal(backbone, seed):
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(0, np.sqrt(2 / (9 * a)), (3, 3, a, b)).astype("float32"), np.zeros(b, "float32"))
        for name, (a, b) in _shapes(backbone).items()
    }


# Where weights come from


def cache_folders():
    folders = [Path(os.environ["KERAS_HOME"])] if "KERAS_HOME" in os.environ else []
    return [folder / "models" for folder in [*folders, Path.home() / ".keras"]]


def _md5(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def cached(backbone):
    """Return the path of the backbone's ImageNet weights in Keras' cache; ``None`` if no whole file is there."""
    name, md5 = CACHED[backbone]
    for folder in cache_folders():
        if (folder / name).is_file() and _md5(folder / name) == md5:
            return folder / name
    return None


def _find(backbone, weights):
    """Return the path of a weights file and a description (``None``: the caller makes it from the layers)."""
    if weights in ("auto", "imagenet"):
        path = cached(backbone)
        if path:
            return path, f"{backbone.upper()} trained on ImageNet (from Keras' cache)"
        if weights == "imagenet" and (path := _download(backbone)):
            return path, f"{backbone.upper()} trained on ImageNet (downloaded)"
        weights = "packed"
    if weights == "packed":
        own = PRETRAINED / f"{backbone}_features_8bit.npz"
        path = own if own.exists() else PRETRAINED / "vgg16_features_8bit.npz"
        _check_card(path)
        return path, f"{path.name[:5].upper()} trained on ImageNet (8-bit file of the course)"
    path = place(weights)
    if path.suffix not in (".h5", ".npz"):
        raise ValueError(
            f"Unknown weights {str(weights)!r}: choose 'auto', 'imagenet', 'packed', 'random', "
            "or the path of an .h5 or .npz file."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}.")
    return path, None


def _download(backbone):
    name, md5 = CACHED[backbone]
    folder = cache_folders()[0]
    origin = f"https://storage.googleapis.com/tensorflow/keras-applications/{backbone}/{name}"
    try:
        return tf.keras.utils.get_file(name, origin, file_hash=md5, cache_dir=str(folder.parent), cache_subdir="models")
    except Exception as error:  # Keras raises plain Exception for every failure
        warnings.warn(
            f"The {backbone.upper()} weights could not be downloaded ({error}). The 8-bit features in pretrained/ are "
            f"used instead. For {backbone.upper()}: download {origin} on another machine and put it into {folder}, or "
            "pass its path as weights=.",
            stacklevel=4,
        )
        return None


def _check_card(path):
    card = path.with_suffix(".json")
    if not path.is_file() or not card.is_file():
        raise FileNotFoundError(f"{path} or its card {card.name} is missing: download the course again.")
    expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    if files.sha256(path) != expected:
        raise WeightsError(f"{path} is damaged (its SHA-256 is not the card's): download the course again.")


def read_weights(path):
    """Read kernels and biases, float32, as ``{"block1_conv1": (kernel, bias), ...}`` in the network's order.

    Reads Keras' ``.h5`` and ``.weights.h5``, and ``.npz`` with ``NAME/kernel`` and ``NAME/bias``. If the kernel is
    int8, ``NAME/scale`` has one factor for each filter. Only numbers in VGG's shapes are read, never code.
    Raises ``WeightsError`` (a ``ValueError`` and ``OSError``) for a damaged file, or if it does not hold VGG from
    ``block1_conv1`` on, and ``FileNotFoundError``.
    """
    path, held = Path(path), {}
    with opened(path) as arrays, np.errstate(over="ignore", invalid="ignore"):
        layers = (_npz_layers if path.suffix == ".npz" else _h5_layers)(arrays)
        backbone = backbone_of(layers)
        for name, (inputs, filters) in _shapes(backbone).items():
            if name not in layers:
                break  # the file stops here
            parts = {part: arrays[key] for part, key in layers[name].items()}
            kernel, bias = parts["kernel"], parts["bias"]
            if kernel.shape != (3, 3, inputs, filters) or bias.shape != (filters,):
                raise WeightsError(
                    f"{path}: {name} has kernel {kernel.shape} and bias {bias.shape}, "
                    f"{backbone.upper()} needs {(3, 3, inputs, filters)} and {(filters,)}."
                )
            if any(part.dtype.kind not in "fiu" for part in parts.values()):
                raise WeightsError(f"{path}: {name} does not hold numbers.")
            kernel, bias = np.asarray(kernel, "float32"), np.asarray(bias, "float32")
            if "scale" in parts:
                kernel = kernel * np.asarray(parts["scale"], "float32").reshape(filters)
            if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
                raise WeightsError(f"{path}: {name} has values that are not finite.")
            held[name] = kernel, bias
    if not held:
        raise WeightsError(f"{path} holds no layer block1_conv1, so it is not VGG. It has: {list(layers)[:5]}.")
    return held


def backbone_of(arrays):
    """Return ``"vgg19"`` if the fourth convolution of a block is among the names, otherwise ``"vgg16"``."""
    return "vgg19" if any(re.fullmatch(r"block\d_conv4", name) for name in arrays) else "vgg16"


# Both return the names of each layer's arrays in a file: ``{"block1_conv1": {"kernel": name, ...}, ...}``


def _npz_layers(arrays):
    layers = {}
    for key in arrays:
        name, _, part = key.rpartition("/")
        layers.setdefault(name, {})[part] = key
    return layers


def _h5_layers(arrays):
    layers = {}
    for key, array in arrays.items():
        name = re.search(r"block\d_conv\d", key) or re.search(r"conv2d(_\d+)?(?=/)", key)
        if name and array.ndim in (1, 4) and "optimizer" not in key:  # newer files number the layers: conv2d, conv2d_1
            layers.setdefault(name[0], {})["bias" if array.ndim == 1 else "kernel"] = key
    layers = {name: parts for name, parts in layers.items() if len(parts) == 2}
    if layers and all(name.startswith("conv2d") for name in layers):
        ordered = sorted(layers, key=lambda name: int(name.partition("_")[2] or 0))
        backbone = "vgg19" if len(layers) == 16 else "vgg16"
        layers = dict(zip(layer_names(backbone), map(layers.get, ordered), strict=False))
    return layers
