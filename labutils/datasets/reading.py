"""Reading any picture a person has, as that person sees it."""

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Pillow knows more formats, among them some that start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 90_000_000
ROOMY = 16_000_000  # more pixels than this, and over 100 of them per byte of file: a bomb, not a photograph


class ImageError(ValueError):
    """A file that is no whole, harmless picture: ``path`` and the ``reason`` in words."""

    def __init__(self, path, reason):
        super().__init__(path, reason)
        self.path, self.reason = Path(path), reason

    def __str__(self):
        return f"{self.path}: {self.reason}"


def read_image(path, size=None):
    """The picture in any common file as a person sees it: uint8 (height, width, 3), RGB.

    Turned as its EXIF data says; 16 bits scaled to 8; transparency over white; of an animation the first
    frame. With ``size``, the central square, scaled to (size, size, 3).

    Raises ``ImageError`` for a file that is missing, cut short, damaged, no picture, one pixel wide or high,
    or that would unfold to far more pixels than it can hold; the last two before any memory is taken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata, and on sizes that are tested below
            with Image.open(path, formats=FORMATS) as image:
                _refuse_size(path, image)
                if size:
                    image.draft("RGB", (2 * size, 2 * size))  # large JPEGs are decoded smaller
                image = _as_rgb(path, _upright(image))
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever comes to them
        raise ImageError(path, _reason(path, error)) from error
    if size:
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.array(image)


def _refuse_size(path, image):
    width, height = image.size
    pixels, per_byte = width * height, width * height / max(1, os.path.getsize(path))
    if min(width, height) < 2:
        raise ImageError(path, f"is {width}×{height} pixels: too thin for a picture")
    if pixels > MAX_PIXELS or (pixels > ROOMY and per_byte > 100):
        raise ImageError(path, f"would unfold to {width}×{height} pixels: refused as a decompression bomb")


def _upright(image):
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # unreadable EXIF data: the pixels are fine
        return image


def _as_rgb(path, image):
    """``image`` in 8-bit RGB over white."""
    if image.mode == "F":
        raise ImageError(path, "holds floating-point values: save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion clips instead of scaling
        values = np.asarray(image).astype(np.int64)
        grey = Image.fromarray((np.clip(values, 0, 65535) / 257 + 0.5).astype(np.uint8))
        hidden = image.info.get("transparency")
        if isinstance(hidden, int):
            grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
        image = grey
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reason(path, error):
    """Why ``path`` could not be read, in words for the person who put it there."""
    if isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError):
        return error.strerror.lower()
    with open(path, "rb") as file:
        head = file.read(512)
    if not head:
        return "is empty"
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        return "is a HEIC or AVIF picture: export it as JPEG first"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not a picture: the download went wrong"
    if isinstance(error, Image.DecompressionBombError):
        return "would unfold to too many pixels: refused as a decompression bomb"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is no picture in a known format"
    return f"is damaged or cut short ({error})"
