"""Open picture files; say in plain words why a file is refused."""

import contextlib
import os
import stat
import warnings
from pathlib import Path

from PIL import Image, JpegImagePlugin

from labutils.base.words import shown

# Pillow reads more formats, but some of them start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MEMORY = 480e6  # bytes that reading one picture may take: 68 megapixels of RGB


class ImageError(ValueError):
    """Raised for a file that is not a complete, harmless picture: ``path`` and ``reason`` in words."""

    def __init__(self, path, reason):
        super().__init__(path, reason)
        self.path, self.reason = Path(path), reason

    def __str__(self):
        return f"{shown(self.path)}: {self.reason}"


@contextlib.contextmanager
def opened(path):
    """Open a file as a Pillow image, reading only the header; errors in the block become ``ImageError``.

    Folders are refused, and so are pipes and devices, because reading them may never end.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind != stat.S_IFREG:
            raise ImageError(path, "is a directory" if kind == stat.S_IFDIR else "is a pipe or a device, not a file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and about sizes, which ``refuse_size`` checks
            with _header(path) as image:
                yield image
    except ImageError:
        raise
    except Exception as error:  # decoders raise all kinds of errors
        raise ImageError(path, _reason(path, error)) from error


def _header(path):
    try:
        return Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:  # Pillow's own limit; but a JPEG can be decoded smaller
        try:
            return JpegImagePlugin.JpegImageFile(path)
        except SyntaxError:
            raise error from None


def refuse_size(path, size, memory):
    """Raise ``ImageError`` if ``size`` (width, height) has a side below 2 pixels, or ``memory`` is above ``MEMORY``."""
    if min(size) < 2:
        raise ImageError(path, f"is {size[0]}×{size[1]} pixels: too thin for a picture")
    if memory > MEMORY:
        raise ImageError(path, f"would decode to {size[0]}×{size[1]} pixels: too large, export it smaller")


def orientation(image):
    """Return the EXIF orientation of ``image``, 1 to 8; None if it has none."""
    if image.tile and image.format == "PNG" and "exif" not in image.info:
        return None  # Pillow would decode the picture to look for EXIF data after the pixels
    with contextlib.suppress(Exception):  # unreadable EXIF data does not matter for the pixels
        return image.getexif().get(0x0112)


def _reason(path, error):
    """Explain why ``path`` could not be read, in words for the person who put it there."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return "is a link to a file that does not exist"
    if isinstance(error, OSError) and error.errno:
        return error.strerror.lower()
    if "\0" in str(path):
        return "is not a file name: it holds a NUL character"
    if isinstance(error, MemoryError):
        return "needs more memory than there is: export it smaller"
    if isinstance(error, Image.DecompressionBombError):
        return "would decode to too many pixels: export it smaller"
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head:
        return "is empty"
    if head[4:8] == b"ftyp":
        brand = head[8:12].lower()
        if brand[:2] in (b"he", b"mi", b"ms", b"av", b"ma"):
            return "is a HEIC or AVIF picture: export it as JPEG first"
        return "is a camera's raw picture: export it as JPEG first" if brand == b"crx " else "is a video, not a picture"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        if b"<html" in text or b"<!doctype html" in text:
            return "is a web page, not a picture: the download went wrong"
        if b"<svg" in text:
            return "is an SVG drawing: export it as PNG first"
        return "is an XML file, not a picture"
    if isinstance(error, Image.UnidentifiedImageError) and head[:4] in (b"II*\0", b"MM\0*"):
        return "is a kind of TIFF that is not supported (measured data, a camera's raw picture): save it with 8 bits"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is not a picture in a known format (JPEG, PNG, WebP, GIF, BMP, TIFF, PPM)"
    return f"is damaged or cut short ({error})"
