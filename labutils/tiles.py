"""Apply a network to large pictures in overlapping tiles, to save memory."""

import math

import numpy as np


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
    weights = np.zeros((count, length))
    for weight, start in zip(weights, starts, strict=True):
        place = np.arange(tile) + 0.5
        before = place if start else np.full(tile, np.inf)
        after = tile - place if start + tile < length else np.full(tile, np.inf)
        rise = np.clip((np.minimum(before, after) - margin) / blend, 0, 1)
        weight[start : start + tile] = rise**2 * (3 - 2 * rise)
    weights /= weights.sum(axis=0)
    return [
        (start, weight[start : start + tile].astype(np.float32)) for start, weight in zip(starts, weights, strict=True)
    ]


def apply(network, picture, tile, margin, factor):
    """Apply ``network`` to ``picture`` in tiles: float32 (height, width, 3) to the same shape.

    network: maps (1, height, width, 3) to the same shape.
    picture: float32 (height, width, 3), both sides multiples of ``factor``.
    tile: the side of a tile in pixels.
    margin: how far, in pixels, an output value looks.
    factor: tiles start at multiples of it.

    The result equals the network's on the whole picture, if no value looks further than ``margin`` and the network
    uses no statistics of its input, as instance normalisation does.
    """
    result = np.zeros(picture.shape, np.float32)
    for top, rows in cuts(picture.shape[0], tile, margin, factor):
        for left, columns in cuts(picture.shape[1], tile, margin, factor):
            place = slice(top, top + len(rows)), slice(left, left + len(columns))
            result[place] += rows[:, None, None] * columns[:, None] * np.asarray(network(picture[place][None]))[0]
    return result
