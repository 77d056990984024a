"""Pictures larger than memory likes: overlapping tiles, blended only where each of them is right."""

import math

import numpy as np


def cuts(length, tile, margin, factor):
    """Where tiles of ``tile`` pixels lie along ``length`` pixels: a list of ``(start, shares)``.

    ``shares``: float32 (tile,), how much of each pixel's value this tile gives; over all tiles they add up to 1. It
    is 0 within ``margin`` pixels of a tile's edge, unless that is the picture's own edge, and rises smoothly over an
    eighth of a tile. ``length``, ``tile`` and the starts are multiples of ``factor``.
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
    """``network`` applied to ``picture`` in tiles: float32 (height, width, 3) to the same.

    ``network`` takes and returns (1, height, width, 3). ``margin``: how far, in pixels, an output value looks; where
    that is true the result is the network's on the whole picture, as long as no statistic of a tile goes into it.
    """
    result = np.zeros(picture.shape, np.float32)
    for top, rows in cuts(picture.shape[0], tile, margin, factor):
        for left, columns in cuts(picture.shape[1], tile, margin, factor):
            place = slice(top, top + len(rows)), slice(left, left + len(columns))
            result[place] += rows[:, None, None] * columns[:, None] * np.asarray(network(picture[place][None]))[0]
    return result
