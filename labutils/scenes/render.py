"""Common parts of the rendered datasets: noise, antialiasing, compositing, and writing the four folders.

Scenes live in the unit square, x to the right and y down, so that a picture means the same at every size.
Pictures are drawn at twice their size and averaged. All randomness is uniform and integer draws of one PCG64
generator a scene, made before anything is drawn: the same seed gives the same scene on every machine and at
every size.
"""

import colorsys
import functools
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from labutils.base import files
from labutils.base.paths import place
from labutils.datasets.folder import FOLDERS
from labutils.pictures import to_uint8

SUPERSAMPLING = 2
SCENES_PER_SET = 400_000  # scenes reserved for each of trainA, trainB and test, for every seed


class Pair(NamedTuple):
    """The same scene in both domains, ``a`` and ``b``, float32 (size, size, 3) in [0, 1].

    ``mask``, float32 (size, size) in [0, 1], shows where they may differ: where it is 0, they are equal.
    """

    a: np.ndarray
    b: np.ndarray
    mask: np.ndarray


def generator(seed, stream=0):
    """Make the random generator of one scene (NumPy's PCG64, whose streams are the same on every machine)."""
    return np.random.Generator(np.random.PCG64([int(seed), stream]))


def axis(size):
    """Return the positions of the samples along one side of a picture, float32 in (0, 1)."""
    n = size * SUPERSAMPLING
    return ((np.arange(n) + 0.5) / n).astype(np.float32)


def average(samples):
    """Average samples (2·size, 2·size, ...) to pixels (size, size, ...)."""
    return (samples[::2, ::2] + samples[1::2, ::2] + samples[::2, 1::2] + samples[1::2, 1::2]) * np.float32(0.25)


def window(size, x, y, left, right, below, above):
    """Return the samples in a box around the point x, y: two slices, and positions relative to it, with y up."""
    places = axis(size)
    n = len(places)
    rows = slice(max(0, int((y - above) * n)), max(0, int((y + below) * n) + 2))
    columns = slice(max(0, int((x - left) * n)), max(0, int((x + right) * n) + 2))
    return (rows, columns), places[None, columns] - np.float32(x), np.float32(y) - places[rows, None]


def unit(*vector):
    """Return the vector of length 1 in the same direction, as a tuple."""
    length = math.sqrt(sum(v * v for v in vector)) + 1e-6
    return tuple(v / length for v in vector)


def turn(x, y, angle):
    """Return the point x, y in axes rotated by ``angle``."""
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def smoothstep(low, high, x):
    """Return 0 up to ``low``, 1 from ``high`` on, and smooth values between. With ``low > high`` it falls."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    """Interpolate: ``a`` where t is 0, ``b`` where t is 1."""
    return a + (b - a) * t


def colour(hue, saturation, value):
    """Convert hue, saturation and value in [0, 1] to an RGB colour, float32 (3,)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)


def lattice(rng, rows, columns):
    """Draw random values in [0, 1) at the corners of a grid, float32 (rows, columns), for ``noise``."""
    return rng.uniform(size=(rows, columns)).astype(np.float32)


def noise(values, x, y):
    """Compute smooth noise in [0, 1] at points x, y, in cells of the lattice ``values``, which repeats endlessly."""
    rows, columns = values.shape
    left, top = np.floor(x), np.floor(y)
    u, v = x - left, y - top
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    i, j = top.astype(np.int32) % rows, left.astype(np.int32) % columns
    below, right, flat = (i + 1) % rows * columns, (j + 1) % columns, values.ravel()
    i = i * columns
    upper = mix(flat.take(i + j), flat.take(i + right), u)
    return mix(upper, mix(flat.take(below + j), flat.take(below + right), u), v)


def octaves(values, x, y):
    """Sum noise of four sizes, in [0, 1], for clouds."""
    return sum(noise(values, x * k + k, y * k + k) / k for k in (1, 2.1, 4.3, 8.7)) / 1.83


def stretch(values, size):
    """Spread a lattice over a whole picture by cubic B-splines: soft clouds, float32 (2·size, 2·size)."""
    for n in values.shape:  # down, then across
        cells, weights = _splines(n, size)
        values = sum(values[cells + k] * weight for k, weight in enumerate(weights)).T
    return values


@functools.lru_cache(maxsize=64)
def _splines(n, size):
    """Return the index of the first of four values at every sample of a side, and the four weights, (2·size, 1)."""
    position = axis(size) * (n - 3)
    cells = position.astype(int)
    t = (position - cells.astype(np.float32))[:, None]
    weights = ((1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3)
    return cells, tuple(weight / 6 for weight in weights)


def spots(values, x, y, scatter=0.36):
    """Compute the distance to the nearest scattered point, in cells; about one point per cell of ``values``."""
    rows, columns = values.shape
    nearest = np.float32(9)
    for k in (
        0,
        1,
    ):  # two shifted grids, each checked only in its own cell: fast, and even enough
        left, top = np.floor(x + 0.5 * k), np.floor(y + 0.5 * k)
        i, j = top.astype(np.int32) % rows, left.astype(np.int32) % columns
        jitter = values.ravel()[i * columns + j]
        u = x + 0.5 * k - left - 0.5 - scatter * np.cos(50 * jitter + k)
        v = y + 0.5 * k - top - 0.5 - scatter * np.sin(50 * jitter + k)
        nearest = np.minimum(nearest, np.sqrt(u * u + v * v))
    return nearest


def paint(canvas, layer, alpha):
    """Lay ``layer``, (h, w, 3) or (3,), over ``canvas`` (h, w, 3) in place, with opacity ``alpha`` (h, w)."""
    canvas += (layer - canvas) * alpha[..., None]


def check(size, variety, varieties):
    """Raise ``ValueError`` for a size or variety that cannot be rendered."""
    if not isinstance(size, int | np.integer) or size < 8:
        raise ValueError(f"size={size!r}: a rendered picture needs a whole number of pixels a side, at least 8.")
    if variety is not None and variety not in varieties:
        raise ValueError(f"Unknown variety {variety!r}: choose one of {', '.join(varieties)}, or None.")


def scenes(train, test, seed):
    """Return ``{"trainA/0000.jpg": scene}`` for every file. Only the two pictures of a test pair share a scene."""
    first = int(seed) * 3 * SCENES_PER_SET
    # Training pictures are JPEGs, like photographs: a third of the bytes. Test pairs are lossless, because they
    # must stay equal outside the mask.
    files = {
        f"train{domain}/{i:04}.jpg": first + i + "AB".index(domain) * SCENES_PER_SET
        for domain in "AB"
        for i in range(train)
    }
    return files | {f"test{domain}/{i:04}.png": first + i + 2 * SCENES_PER_SET for domain in "AB" for i in range(test)}


def write(name, version, render, root, train, test, size, seed, progress=True):
    """Render the dataset ``name`` into ``root`` atomically (see ``orchard.write``); return ``root``.

    ``render(scene, size, domain)`` gives one picture, float32 (size, size, 3) in [0, 1], domain "a" or "b".
    """
    root = place(root)
    check(size, None, ())
    for key, value, least in (("train", train, 1), ("test", test, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or not least <= value <= SCENES_PER_SET:
            raise ValueError(f"{key}={value!r}: give a whole number from {least} to {SCENES_PER_SET}.")
    record = {"generator": name, "version": version, "size": int(size), "seed": int(seed)}
    record |= {"train": int(train), "test": int(test), "scenes": scenes(train, test, seed)}
    if _holds(root, name, record):
        return root

    def save(file):
        picture = render(record["scenes"][file], size, "a" if file.split("/")[0].endswith("A") else "b")
        picture = Image.fromarray(to_uint8(picture, 0, 1))
        picture.save(aside / file, quality=95, subsampling=0)

    with files.scratch(root) as aside:
        for part in FOLDERS:
            (aside / part).mkdir(parents=True)
        names = list(record["scenes"])
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
            for _ in tqdm(pool.map(save, names), name, len(names), unit=" pictures", disable=not progress):
                pass
        (aside / f"{name}.json").write_text(json.dumps(record, indent=1))
        files.rename_new(aside, root)
    _holds(root, name, record)  # another process may have been first, with another dataset
    return root


def _holds(root, name, record):
    """Return whether ``root`` already is this dataset. Raise ``ValueError`` if it is something else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    remedy = "Choose another folder, or delete this one first."
    try:
        found = json.loads((root / f"{name}.json").read_text())
    except (OSError, ValueError):
        here = sorted(path.name for path in root.iterdir())[:5] if root.is_dir() else "a file"
        raise ValueError(f"{root} is not empty and holds no {name}: found {here}. {remedy}") from None
    if found != record:
        differ = {k: (found.get(k), v) for k, v in record.items() if k != "scenes" and found.get(k) != v}
        what = ", ".join(f"{k} {old} instead of {new}" for k, (old, new) in differ.items()) or "other scenes"
        raise ValueError(f"{root} holds another {name}, with {what}. {remedy}")
    missing = [file for file in record["scenes"] if not (root / file).is_file()]
    if missing:
        raise ValueError(f"{root} lacks {len(missing)} of its pictures, {missing[0]} first. {remedy}")
    return True
