"""Weights of VGG: find them in Keras' cache or in ``pretrained/``, download them, read any form of weight file."""

import hashlib
import json
import os
import re
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from labutils import features
from labutils.base import files
from labutils.base.paths import place
from labutils.base.weights import WeightsError, opened

PRETRAINED = Path(__file__).resolve().parents[2] / "pretrained"
CACHED = {  # the files keras.applications downloads: name and MD5
    "vgg16": ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6"),
    "vgg19 with classifier": ("vgg19_weights_tf_dim_ordering_tf_kernels.h5", "cbe5617147190e668d6c5d5026f83318"),
}


def cache_folders():
    """Return the folders where Keras may have put weights; it downloads into the first."""
    folders = [Path(os.environ["KERAS_HOME"])] if "KERAS_HOME" in os.environ else []
    return [folder / "models" for folder in [*folders, Path.home() / ".keras"]]


def cached(backbone):
    """Return the path of the backbone's ImageNet weights in Keras' cache; ``None`` if no whole file is there."""
    name, md5 = CACHED[backbone]
    for folder in cache_folders():
        if (folder / name).is_file() and _md5(folder / name) == md5:
            return folder / name
    return None


def _md5(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def load(backbone, weights):
    """Find and read weights for ``features.vgg``: the same arguments, and the same errors.

    Returns the weights' backbone ("vgg16" or "vgg19"), their arrays (see ``read_weights``), and a description.
    """
    path, source = _find(backbone, weights)
    arrays = read_weights(path)
    found = backbone_of(arrays)
    if found == "vgg19" and backbone == "vgg16":
        raise WeightsError(f"{path} holds VGG19, not VGG16: pass backbone='vgg19'.")
    return found, arrays, source or f"{found.upper()} from {Path(path).name}"


def _find(backbone, weights):
    """Return the path of a weights file and a description (``None``: made from the file)."""
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
            stacklevel=5,
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
        for name, shape in features.kernel_shapes(backbone).items():
            if name not in layers:
                break  # the file stops here
            parts = {part: arrays[key] for part, key in layers[name].items()}
            kernel, bias = parts["kernel"], parts["bias"]
            if kernel.shape != shape or bias.shape != shape[3:]:
                raise WeightsError(
                    f"{path}: {name} has kernel {kernel.shape} and bias {bias.shape}, "
                    f"{backbone.upper()} needs {shape} and {shape[3:]}."
                )
            if any(part.dtype.kind not in "fiu" for part in parts.values()):
                raise WeightsError(f"{path}: {name} does not hold numbers.")
            kernel, bias = np.asarray(kernel, "float32"), np.asarray(bias, "float32")
            if "scale" in parts:
                kernel = kernel * np.asarray(parts["scale"], "float32").reshape(shape[3])
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
        layers = dict(zip(features.kernel_shapes(backbone), map(layers.get, ordered), strict=False))
    return layers
