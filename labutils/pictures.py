"""Pictures as arrays: convert, resize, and transfer colours."""

import numpy as np
from PIL import Image

from labutils.base.reading import MAX_PIXELS

# Luminance Y and two colour axes I, Q from RGB (the NTSC matrix).
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def as_picture(image, what="picture"):
    """Convert any array that is a picture to RGB float32 (height, width, 3) in [0, 255].

    The type defines white: 1 for floats and booleans, 65,535 for uint16, 255 for other whole numbers. Shapes: grey
    (h, w) or (h, w, 1), RGB, RGBA (over white). Raises ``ValueError`` naming ``what`` for anything else, and for values
    that are not finite.
    """
    image = np.asarray(image)
    if image.dtype.kind not in "buif" or image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"The {what} must be an array (height, width, 3), not {image.dtype} {image.shape}.")
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] not in (1, 3, 4):
        raise ValueError(f"The {what} must have 1, 3 or 4 channels in its last axis, not shape {image.shape}.")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError(f"The {what} has values that are not finite (NaN or infinite): repair them first.")
    low, high = image.min(), image.max()
    whole = 1.0 if image.dtype.kind in "bf" else 65535.0 if image.dtype == np.uint16 else 255.0
    image = image.astype("float32") * np.float32(255 / whole)
    if image.min() < -0.5 or image.max() > 255.5:
        raise ValueError(f"The {what} has values from {low:g} to {high:g}: use uint8, or floats in [0, 1].")
    image = np.clip(image, 0, 255)  # rounding may have passed the limits
    if image.shape[2] == 4:
        alpha = image[..., 3:] / 255
        image = image[..., :3] * alpha + 255 * (1 - alpha)
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else np.ascontiguousarray(image)


def resize(image, size):
    """Resize ``image`` to uint8 RGB; ``size``: (height, width), or the shorter side, with proportions kept."""
    picture = to_uint8(as_picture(image))
    height, width = picture.shape[:2]
    if np.isscalar(size):
        factor = size / min(height, width)
        size = round(height * factor), round(width * factor)
    if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"A picture cannot be {size[0]} x {size[1]} pixels.")
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.LANCZOS))


def to_uint8(pictures, black=0.0, white=255.0):
    """Convert pictures of any shape with values from ``black`` to ``white`` to uint8, rounded and clipped."""
    return np.clip((np.asarray(pictures) - black) * (255 / (white - black)) + 0.5, 0, 255).astype(np.uint8)


def keep_colours(result, content):
    """Combine the luminance of ``result`` with the colours of ``content`` (same size), uint8: Gatys et al., 2016b."""
    yiq = as_picture(content) @ YIQ.T
    yiq[..., 0] = (as_picture(result) @ YIQ.T)[..., 0]
    return to_uint8(yiq @ np.linalg.inv(YIQ).T)


def match_colours(style, content):
    """Give ``style`` the mean colour and the colour covariance of ``content``, uint8: Gatys et al., 2016b.

    Used before the transfer: then the result has the painting's strokes in the photograph's colours.
    """
    source, target = (as_picture(image).reshape(-1, 3).astype("float64") for image in (style, content))
    # A picture of one colour has covariance 0, which cannot be inverted: add that of noise of one level.
    roots = [_root(np.cov(pixels.T, bias=True) + np.eye(3)) for pixels in (source, target)]
    matched = (source - source.mean(0)) @ np.linalg.inv(roots[0]) @ roots[1] + target.mean(0)
    return to_uint8(matched).reshape(np.asarray(style).shape[:2] + (3,))


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
