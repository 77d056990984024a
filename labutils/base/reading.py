"""Read any common picture file as a person sees it."""

import contextlib
import functools
import io
import numbers
import re

import numpy as np
from PIL import Image, ImageCms, ImageOps

from labutils.base.opening import ImageError, opened, orientation, refuse_size
from labutils.base.paths import place

MAX_PIXELS = 90_000_000  # of a picture to be made

# How to turn pixels (height, width, 3) upright, by the value of the EXIF tag.
UPRIGHT = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


def read_image(path, size=None):
    """Read the picture in any common file as a person sees it: uint8 (height, width, 3), RGB.

    It is turned as its EXIF data says. Colours are converted to sRGB by the embedded profile or a PNG's gamma (a broken
    profile is ignored). Transparency becomes white; of an animation the first frame is read. In 16 bits, 0 is black
    and 65535 white: a dark photograph stays dark. With ``size``: the central square, scaled to (size, size, 3).

    Raises ``ImageError`` for
    - a path that cannot be read or is not a regular file, and a file that is cut short, damaged or not a picture;
    - a picture one pixel wide or high, or one that would take more than ``MEMORY`` bytes (raised before they are
      allocated; with ``size`` a large JPEG is decoded smaller);
    - values without a defined white: floating-point numbers, integers of 32 bits or with a sign, and 16 bits of which
      at most 12 are used.
    Raises ``ValueError`` if ``size`` is not a whole number of 1 or more.
    """
    if size is not None:
        refuse_side(size)
    path = place(path)
    with opened(path) as image:
        pixels, turned = _decoded(path, image, size), orientation(image)
    del image  # free its memory before the copy below
    pixels = np.ascontiguousarray(UPRIGHT.get(turned, np.asarray)(pixels))
    if size:
        pixels = np.array(ImageOps.fit(Image.fromarray(pixels), (size, size), Image.Resampling.LANCZOS))
    return pixels


def refuse_side(size):
    """Raise ``ValueError`` unless ``size`` is a possible side of a square picture, in pixels."""
    if not isinstance(size, numbers.Integral) or size < 1 or size**2 > MAX_PIXELS:
        raise ValueError(f"size={size!r}: give the side in pixels, a whole number from 1 to {int(MAX_PIXELS**0.5)}.")


def _decoded(path, image, size):
    """Decode the pixels of ``image`` as they are stored, RGB over white; fewer if ``size`` allows."""
    stored = image.size
    if size:
        image.draft("RGB", (2 * size, 2 * size))  # large JPEGs are decoded smaller
    pixel = 3 if size is None else 0  # bytes a pixel of the result
    pixel += {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}.get(image.mode, 4)
    if image.format == "WEBP":
        pixel += 12  # libwebp makes its own copies
    memory = image.width * image.height * pixel
    if "progressive" in image.info:  # all coefficients of such a JPEG are in memory, even if it is decoded smaller
        across, down = (max(component[i] for component in image.layer) for i in (1, 2))
        memory += stored[0] * stored[1] * 2 * sum(c[1] * c[2] for c in image.layer) / (across * down)
    refuse_size(path, stored, memory)
    how = image.tile[0][3] if image.tile else ""  # Pillow's name for the format of the values in the file
    sixteen = "16" in str(how if isinstance(how, str) else how[0])
    if sixteen and isinstance(colour := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(value >> 8 for value in colour)  # Pillow reads the pixels so, too
    image.load()
    if _ends_early(path, image):
        raise ImageError(path, "is cut short: its lower part is missing")
    return _rgb(path, image, size, sixteen)


def _ends_early(path, image):
    """Return whether a JPEG's end marker comes before its last row; libjpeg raises nothing and fills in mid-grey."""
    corner = image.crop((image.width - 2, image.height - 1, *image.size))
    if image.format not in ("JPEG", "MPO") or not np.isin(np.asarray(corner), (127, 128)).all():
        return False
    data = path.read_bytes()
    start, scans = 2, 0
    while data[start + 1] != 0xD9:  # from marker to marker
        if data[start + 1] == 0xFF:  # a fill byte
            start += 1
            continue
        scan = data[start + 1] == 0xDA
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if scan:  # skip its pixel data, in which FF 00 and FF D0 to FF D7 do not end it
            start, scans = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(data, start).start(), scans + 1
    if "progressive" in image.info:
        return scans == 1  # a whole file has about ten
    try:  # without the end marker Pillow does raise; the zeros complete the last few bits
        with Image.open(io.BytesIO(data[:start] + bytes(64)), formats=["JPEG"]) as strict:
            strict.draft("RGB", (1, 1))
            strict.load()
    except OSError:
        return True
    return False


def _rgb(path, image, size, sixteen):
    """Convert the loaded ``image`` to uint8 (height, width, 3), sRGB over white; shrink it if ``size`` allows.

    Works in strips, so that there is never a second copy of a large picture.
    """
    factor = max(1, min(image.size) // (2 * size)) if size else 1
    width, height = image.size
    rows = factor * max(1, 64 // factor)
    boxes = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    to_eight_bits, to_srgb = _to_eight_bits(path, image, boxes, sixteen), _to_srgb(image)
    pixels = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    for box in boxes:
        strip = to_eight_bits(image.crop(box))
        alpha = strip.convert("RGBA").getchannel("A") if strip.has_transparency_data else None
        white = Image.new("RGB", strip.size, "white")
        white.paste(to_srgb(strip), mask=alpha)
        pixels[box[1] // factor :][: rows // factor] = white.reduce(factor)
    return pixels


def _to_eight_bits(path, image, boxes, sixteen):
    """Return a function that scales a strip of ``image`` to 8 bits; Pillow's own conversion of 16 bits clips."""
    if image.mode == "F":
        raise ImageError(path, "holds floating-point values: save it with 8 or 16 bits")
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    bits, negative = tags.get(258, (16,))[0], tags.get(262) == 0  # BitsPerSample; Photometric: "min is white"
    most = 65535
    if image.mode.startswith("I"):
        most = max(int(np.asarray(image.crop(box)).max()) for box in boxes)
    elif sixteen and image.mode in ("RGB", "RGBA"):  # Pillow keeps the upper 8 bits
        most = 256 * max(high for _, high in image.getextrema()[:3])
    if (image.mode == "I" and image.format not in ("PPM", "PNG")) or 2 in tags.get(339, ()):  # SampleFormat: signed
        raise ImageError(
            path,
            "holds measured data: whole numbers, some perhaps negative, without saying which is white. "
            "Choose what is black and what is white, and save it with 8 bits",
        )
    if sixteen and bits == 16 and 0 < most < 4096:
        raise ImageError(
            path,
            f"uses only values up to {most} of 65535, as 12-bit data do, and would look black: "
            "stretch its values, and save it with 8 bits",
        )
    if not image.mode.startswith("I"):
        return lambda strip: strip.convert("LA") if strip.mode == "La" else strip
    hidden, white = image.info.get("transparency"), 2**bits - 1

    def scaled(strip):
        values = np.asarray(strip).astype(np.int64)
        grey = np.clip(white - values if negative else values, 0, white) * 255 / white + 0.5
        grey = Image.fromarray(grey.astype(np.uint8))
        if isinstance(hidden, int):
            grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
        return grey

    return scaled


@functools.cache
def _srgb():
    return ImageCms.createProfile("sRGB")


def _to_srgb(image):
    """Return a function that converts a strip of ``image`` to RGB, by the embedded profile or the gamma of a PNG."""
    own = image.mode if image.mode in ("CMYK", "LAB") else "RGB"
    with contextlib.suppress(Exception):  # without a usable profile, the pixels are taken as sRGB
        if own == "LAB":
            profile, space = ImageCms.createProfile("LAB"), "LAB"
        else:
            profile = ImageCms.getOpenProfile(io.BytesIO(image.info["icc_profile"]))
            space = profile.profile.xcolor_space.strip()
        grey = space == "GRAY" and image.mode in ("1", "L", "LA", "I", "I;16", "I;16B")
        if space == own or grey:
            mode = "L" if grey else own
            intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
            transform = ImageCms.buildTransform(profile, _srgb(), mode, "RGB", intent, flags)
            return lambda strip: ImageCms.applyTransform(strip.convert(mode), transform)
    gamma = image.info.get("gamma", 0)
    if "srgb" not in image.info and 0.01 < gamma < 100 and abs(2.2 * gamma - 1) > 0.05:
        table = [round(255 * (value / 255) ** (1 / (2.2 * gamma))) for value in range(256)]
        return lambda strip: strip.convert("RGB").point(3 * table)
    return lambda strip: strip.convert("RGB")
