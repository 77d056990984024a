"""Decode pictures with TensorFlow, and refuse those that it does not read as a person sees them."""

import os

import numpy as np
import tensorflow as tf

from labutils.base.opening import ImageError, opened, orientation, refuse_size
from labutils.base.reading import UPRIGHT, read_image


def decode(path):
    """Decode a JPEG or PNG file: uint8 (height, width, 3). ``path`` is a string tensor."""
    return tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)


def refuse_unfit(path, thorough=False):
    """Raise ``ImageError`` unless ``decode`` reads the file ``path`` as a person sees it, in reasonable memory.

    This finds damaged files and pictures that are very large, turned by EXIF data, transparent, or in another format
    than their name says. Reads only the first and last bytes of a file, and decodes it if they look odd. ``thorough``
    decodes it always.
    """
    with opened(path) as image:
        (width, height), kind = image.size, image.format
        plain = kind in ("JPEG", "MPO", "PNG") and image.mode in ("1", "L", "P", "RGB")
        plain &= not image.has_transparency_data
        if orientation(image) in UPRIGHT:
            raise ImageError(path, "is turned by its EXIF data, which TensorFlow does not read")
    refuse_size(path, (width, height), 15 * width * height)  # 3 bytes and 3 floats a pixel
    if max(width, height) > 20 * min(width, height):
        raise ImageError(path, f"is {width}×{height} pixels: too long (a side over 20 times the other), crop it first")
    if plain and not thorough and _has_its_end(path):
        return
    seen = read_image(path)
    try:
        decoded = decode(os.fsencode(path)).numpy()
    except tf.errors.OpError:
        raise ImageError(path, f"is a picture that TensorFlow cannot decode ({kind})") from None
    if not plain and (decoded.shape != seen.shape or np.abs(decoded.astype(int) - seen).max() > 32):
        raise ImageError(path, f"looks different in TensorFlow than to a person ({kind}: transparency, colours)")


def _has_its_end(path):
    """Return whether the file ends as a JPEG or a PNG does."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        tail = file.read()
    return tail[-2:] == b"\xff\xd9" or tail[:4] == b"IEND"
