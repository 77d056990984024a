"""Translate pictures and picture files with a generator; large ones in overlapping tiles, to save memory."""

import math
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from labutils.base import files
from labutils.base.paths import place
from labutils.base.reading import read_image
from labutils.base.words import shown
from labutils.generators import WeightsError as WeightsError
from labutils.generators import any_size as any_size
from labutils.generators import find as find
from labutils.generators import load_generator as load_generator
from labutils.generators import save_generator as save_generator
from labutils.generators import shipped as shipped
from labutils.pictures import to_uint8

TILE = 512  # pixels; a side longer than this is translated in tiles


def apply(generator, image, tile=TILE):
    """Translate one picture: uint8 (height, width, 3), any height and width, to uint8 of the same size.

    The picture is padded by reflection to a multiple of the network's strides (4 or 16, for example), and cropped back.
    If a side is longer than ``tile`` pixels, it is translated in overlapping tiles (``tiling``); ``None``: always
    whole. Without normalisation the result is the same; instance normalisation takes its statistics from each tile.
    A generator built for one size is rebuilt for any size first.
    Raises ``ValueError`` for anything but such a picture, and if the generator's values are not finite.
    """
    import tensorflow as tf

    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 1:
        raise ValueError(f"A picture is uint8 (height, width, 3); this is {image.dtype} {image.shape}.")
    network, (height, width) = any_size(generator), image.shape[:2]
    factor = _factor(network)
    # Reflection padding inside a ResNet needs two rows at a quarter of the size.
    ends = [(0, max(-side % factor, 2 * factor - side)) for side in (height, width)]
    picture = np.pad(image, (*ends, (0, 0)), mode="symmetric") / np.float32(127.5) - 1
    if tile is None or max(height, width) <= tile:
        fake = np.asarray(network(picture[None], training=False))[0]
    else:
        # A graph frees memory while it runs; one graph serves every size of tile.
        anything = [tf.TensorSpec((1, None, None, 3))]
        graph = tf.function(lambda part: network(part, training=False), input_signature=anything)
        fake = in_tiles(graph, picture, *tiling(network, tile))
    if not np.isfinite(fake).all():
        raise ValueError(f"The generator {_name(generator)} turns it into values that are not finite (NaN, infinite).")
    return to_uint8(fake[:height, :width], -1, 1)


def _factor(generator):
    """Return the number that height and width must be multiples of: the product of all strides."""
    import tensorflow as tf

    down, up = tf.keras.layers.Conv2D, tf.keras.layers.Conv2DTranspose
    return math.prod(x.strides[0] for x in generator.layers if isinstance(x, down) and not isinstance(x, up))


def tiling(generator, tile=TILE):
    """Return how to tile pictures, in pixels: a tile's side, the margin not used, the multiple at which tiles start.

    The margin is how far the network looks, at most a quarter of the tile. The tile grows to four margins, up to 1,024
    pixels, so what a network sees beyond 256 pixels is left out.
    """
    from labutils import models

    factor = _factor(generator)
    margin = models.receptive_field(generator) // 2 + 2 * factor
    tile = max(tile, min(4 * margin, 1024), 4 * factor)
    tile += -tile % factor
    return tile, min(margin, tile // 4), factor


def in_tiles(network, picture, tile, margin, factor):
    """Apply ``network`` to ``picture``, float32 (height, width, 3), in tiles; return the same shape.

    ``network`` maps (1, height, width, 3) to the same shape. Both sides of the picture are multiples of ``factor``. The
    result equals the network's on the whole picture, if no value looks further than ``margin`` pixels and the network
    uses no statistics of its input, as instance normalisation does.
    """
    result = np.zeros(picture.shape, np.float32)
    for top, rows in cuts(picture.shape[0], tile, margin, factor):
        for left, columns in cuts(picture.shape[1], tile, margin, factor):
            part = slice(top, top + len(rows)), slice(left, left + len(columns))
            result[part] += rows[:, None, None] * columns[:, None] * np.asarray(network(picture[part][None]))[0]
    return result


def cuts(length, tile, margin, factor):
    """Place tiles of ``tile`` pixels along ``length`` pixels: return a list of ``(start, shares)``.

    ``shares``: float32 (tile,), the weight of the tile at each pixel; over all tiles they add up to 1. They are 0
    within ``margin`` pixels of a tile's edge, unless that is the picture's own edge. From there they rise smoothly over
    an eighth of a tile. ``length``, ``tile`` and the starts are multiples of ``factor``.
    Raises ``ValueError`` if tiles are too small for their margins.
    """
    if length <= tile:
        return [(0, np.ones(length, np.float32))]
    blend = tile // 8
    overlap = math.ceil((2 * margin + blend) / factor) * factor
    if overlap >= tile:
        raise ValueError(f"Tiles of {tile} pixels are too small for margins of {margin} and steps of {factor}.")
    count = math.ceil((length - overlap) / (tile - overlap))
    starts = [number * (length - tile) // (count - 1) // factor * factor for number in range(count)]
    shares = np.zeros((count, length))
    for share, start in zip(shares, starts, strict=True):
        pixel = np.arange(tile) + 0.5
        before = pixel if start else np.full(tile, np.inf)
        after = tile - pixel if start + tile < length else np.full(tile, np.inf)
        rise = np.clip((np.minimum(before, after) - margin) / blend, 0, 1)
        share[start : start + tile] = rise**2 * (3 - 2 * rise)
    shares = np.float32(shares / shares.sum(axis=0))
    return [(start, share[start : start + tile]) for start, share in zip(starts, shares, strict=True)]


def apply_file(generator, source, target, tile=TILE):
    """Translate the picture file ``source`` into the PNG file ``target``; return it, uint8 (height, width, 3)."""
    result = apply(generator, read_image(source), tile)
    save_png(target, result, settings(generator, tile, source=Path(source).name))
    return result


def settings(generator, tile=TILE, **more):
    """Return the text fields of a translation, ``{name: text}``: the generator, its hash, the tile, and ``more``."""
    card = getattr(generator, "card", {})
    known = {key: card[key] for key in ("direction", "data", "size", "steps", "sha256") if key in card}
    made = {"generator": _name(generator), **known, "tile": tile or "whole", **more}
    return {"software": "cyclegan-lab, labutils.translate", **{key: shown(value) for key, value in made.items()}}


def _name(generator):
    return getattr(generator, "card", {}).get("name", generator.name)


def save_png(path, image, settings=None):
    """Write ``image``, uint8 (height, width, 3), atomically as a PNG; return the path.

    ``settings``: text fields, ``{name: text}``; ``PIL.Image.open(path).text`` reads them back.
    """
    path, fields = place(path), PngImagePlugin.PngInfo()
    for key, value in (settings or {}).items():
        fields.add_text(key, value)
    with files.aside(path) as aside:
        Image.fromarray(image).save(aside, format="PNG", pnginfo=fields)
    return path
