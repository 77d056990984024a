"""The meadow: rendered landscapes as photographs (domain A) and as paintings (domain B), offline and with ground truth.

It works like the orchard and replaces monet2photo where that cannot be downloaded. NumPy only. A landscape is
a function of points: the photograph evaluates it at every sample, the painting where a brush stroke is placed.
"""

from types import SimpleNamespace

import numpy as np

from labutils.scenes import render as r
from labutils.scenes.render import Pair

VERSION = 1
VARIETIES = ("day", "evening", "overcast")  # the light in the photograph

# Zenith, sky at the horizon, sun, ambient light.
LIGHTS = {
    "day": ((0.27, 0.50, 0.84), (0.76, 0.87, 0.95), (0.66, 0.62, 0.50), (0.52, 0.58, 0.66)),
    "evening": ((0.36, 0.42, 0.66), (0.99, 0.71, 0.44), (0.85, 0.50, 0.25), (0.46, 0.42, 0.50)),
    "overcast": ((0.58, 0.62, 0.67), (0.83, 0.84, 0.85), (0.14, 0.14, 0.13), (0.74, 0.76, 0.78)),
}
LIGHTS = {name: np.array(colours, np.float32) for name, colours in LIGHTS.items()}

# Strokes, coarse to fine: how many cells across, half length, half width, share that is painted.
STROKES = ((14, 0.080, 0.036, 1.0), (26, 0.042, 0.015, 0.9), (44, 0.026, 0.0085, 0.6))
CANVAS = np.array((0.80, 0.72, 0.58), np.float32)
VIOLET, CREAM = np.array((0.34, 0.31, 0.52), np.float32), np.array((1.0, 0.94, 0.78), np.float32)


def render_pair(seed, size, variety=None):
    """Render one landscape as a photograph and as a painting.

    Returns a ``Pair``: ``a`` (photograph) and ``b`` (painting), float32 (size, size, 3) in [0, 1], and ``mask``,
    float32 (size, size), all ones: a painting differs everywhere. The same seed gives the same landscape at every
    size. ``variety``, one of ``VARIETIES``, overrides the light of the photograph; the painting keeps its own.
    Raises ``ValueError`` for an unknown variety or a size below 8.
    """
    a, b = render(seed, size, "a", variety), render(seed, size, "b")
    return Pair(a, b, np.ones((size, size), np.float32))


def render(seed, size, domain, variety=None):
    """Render one picture of ``render_pair``: ``domain`` is ``"a"`` or ``"b"``."""
    r.check(size, variety, VARIETIES)
    scene = _scene(seed)
    if domain == "b":
        return _paint(scene, size)
    x, y, edge = r.axis(size)[None, :], r.axis(size)[:, None], 0.7 / (size * r.SUPERSAMPLING)
    picture, _ = _landscape(scene, variety or scene.light, x, y, edge)
    return np.clip(r.average(picture), 0, 1)


def write(root, train=400, test=200, size=64, seed=0, progress=True):
    """Render the dataset into ``root``, as ``orchard.write`` does, with ``meadow.json``. Returns ``root``."""
    return r.write("meadow", VERSION, render, root, train, test, size, seed, progress)


def _scene(seed):
    """Make all random choices of one scene, in the same order for both domains."""
    rng = r.generator(seed, 2)

    def uniform(low, high):
        return float(rng.uniform(low, high))

    scene = SimpleNamespace(horizon=uniform(0.38, 0.62), light=VARIETIES[int(rng.integers(3))])
    scene.water = uniform(0, 1) < 0.45
    scene.side = (-1, 1)[int(rng.integers(2))]  # where the sun is
    scene.sun = (0.5 + scene.side * uniform(0.1, 0.35), uniform(0.12, 0.8))
    scene.cloudy, scene.haze, scene.exposure = uniform(0.34, 0.6), uniform(0.3, 0.9), uniform(0.88, 1.08)
    scene.drift = uniform(0, 20)
    scene.hills = [
        SimpleNamespace(
            high=uniform(0.05, 0.2) * (1, 0.75, 0.5)[k],
            colour=r.colour(uniform(0.2, 0.4), uniform(0.25, 0.5), uniform(0.3, 0.5)),
            ridge=r.lattice(rng, 3, 7),
            shift=uniform(0, 7),
            wide=uniform(1.2, 3.0),
        )
        for k in range(3)
    ]
    ripe = uniform(0, 1)
    scene.grass = r.mix(
        r.colour(uniform(0.2, 0.31), uniform(0.45, 0.7), uniform(0.4, 0.6)),
        r.colour(0.13, 0.5, 0.75),
        np.float32(ripe**3),
    )
    scene.deep = r.colour(uniform(0.45, 0.6), uniform(0.3, 0.6), uniform(0.25, 0.45))
    scene.petals = r.colour((0.0, 0.02, 0.78, 0.14)[int(rng.integers(4))], uniform(0.5, 0.9), uniform(0.8, 0.95))
    scene.flowering = max(0.0, uniform(-0.5, 1.0))
    scene.clouds, scene.leaves, scene.ground = r.lattice(rng, 31, 31), r.lattice(rng, 53, 53), r.lattice(rng, 37, 37)
    scene.flowers = r.lattice(rng, 41, 41)
    scene.trees = [_tree(rng, uniform, scene) for _ in range(int(rng.integers(1, 6)))]
    scene.trees.sort(key=lambda tree: tree.foot)
    scene.strokes = [rng.uniform(size=(6, n + 2, n + 2)).astype(np.float32) for n, *_ in STROKES]
    return scene


def _tree(rng, uniform, scene):
    near = uniform(0, 1) ** 1.5
    foot = scene.horizon + (0.01 if scene.water else 0.02 + 0.28 * near)
    tall = uniform(0.14, 0.3) * (0.8 if scene.water else 0.7 + 0.9 * near)
    poplar = uniform(0, 1) < 0.4
    wide = tall * (uniform(0.11, 0.17) if poplar else uniform(0.33, 0.5))
    green = r.colour(uniform(0.17, 0.36), uniform(0.4, 0.7), uniform(0.22, 0.42))
    return SimpleNamespace(
        x=uniform(0.03, 0.97), foot=foot, tall=tall, wide=wide, poplar=poplar, colour=green, shift=uniform(0, 50)
    )


def _landscape(scene, variety, x, y, edge):
    """Return colours (..., 3) and stroke directions (...), in radians, at a grid of points x, y (y down)."""
    _, low, sun, sky = LIGHTS[variety]
    angle = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    picture = low * np.ones_like(angle)[..., None]
    h = scene.horizon

    def put(layer, left, right, top, bottom):
        """Paint ``layer(x, y)``, which gives colours, directions and opacity, on the points inside a box."""
        rows = _span((y > top - 2 * edge) & (y < bottom + 2 * edge), 1)
        columns = _span((x > left - 2 * edge) & (x < right + 2 * edge), 0)
        colour, direction, alpha = layer(
            x[rows if len(x) > 1 else slice(None), columns], y[rows, columns if y.shape[1] > 1 else slice(None)]
        )
        r.paint(picture[rows, columns], colour, alpha)
        angle[rows, columns] = r.mix(angle[rows, columns], direction, alpha)

    put(lambda x, y: _sky(scene, variety, x, y), -9, 9, -9, h)
    for k, hill in enumerate(scene.hills):
        box = -9, 9, h - 1.3 * hill.high, h
        put(lambda x, y, k=k, hill=hill: _hill(scene, k, hill, low, sun, sky, x, y, edge), *box)
    if not scene.water:
        put(lambda x, y: _field(scene, sun, sky, low, x, y, edge), -9, 9, h, 9)
    for tree in scene.trees:
        box = tree.x - 1.3 * tree.wide, tree.x + 1.3 * tree.wide, tree.foot - 1.15 * tree.tall, tree.foot
        put(lambda x, y, tree=tree: _crown(scene, tree, sun, sky, x, y, edge), *box)
    if scene.water:
        put(lambda x, y: _water(scene, variety, x, y, edge), -9, 9, h, 9)
    return picture * np.float32(scene.exposure), angle


def _span(true, axis):
    """Return the slice of rows (axis 1) or columns (axis 0) in which anything is true."""
    where = np.flatnonzero(true.any(axis))
    return slice(where[0], where[-1] + 1) if len(where) else slice(0, 0)


def _sky(scene, variety, x, y):
    zenith, low, sun, _ = LIGHTS[variety]
    up = np.maximum(scene.horizon - y, 0)
    picture = r.mix(low, zenith, np.minimum(up / 0.5, 1)[..., None]) * np.ones_like(x)[..., None]
    away = 1 / (up + 0.2)
    u, v = (x - 0.5) * away * 1.5 + scene.drift, 3.4 * away + scene.drift
    puffs = r.octaves(scene.clouds, u, v)
    beyond = r.octaves(scene.clouds, u - 0.25 * scene.side, v + 0.2)  # thinner towards the sun: lit
    veil = r.smoothstep(0.0, 0.07, up) * (0.95 if variety != "overcast" else 0.7)
    cover = r.smoothstep(scene.cloudy, scene.cloudy + 0.18, puffs) * veil
    lit = np.clip(0.55 + 2.2 * (puffs - beyond), 0, 1)
    cloud = r.mix(zenith * 0.45 + low * 0.35 + 0.05, low * 0.35 + 0.58 + 0.12 * sun, lit[..., None])
    r.paint(picture, cloud, cover)
    sy = scene.horizon * (1 - (0.35 if variety == "evening" else 0.85) * scene.sun[1])
    away = np.sqrt((x - scene.sun[0]) ** 2 + (y - sy) ** 2)
    glow = np.exp(-away * 7) * 0.6 + r.smoothstep(0.032, 0.024, away) * (variety != "overcast")
    r.paint(picture, np.minimum(sun + 0.45, 1), np.minimum(glow * sun[0] * 1.3, 1))
    return picture, 0.9 * (r.noise(scene.clouds, x * 3 + 5, y * 3) - 0.5), np.ones_like(up * x)


def _hill(scene, k, hill, low, sun, sky, x, y, edge):
    """Render one of three ranges of hills; the farthest comes first and is the bluest."""
    ridge = x * hill.wide + hill.shift
    height = r.noise(hill.ridge, ridge, 0 * x) + 0.25 * r.noise(hill.ridge, ridge * 3.7, 0 * x + 1)
    top = scene.horizon - hill.high * height
    woods = 0.7 * r.noise(scene.leaves, x * 34 + 9 * k, y * 90) + 0.6 * r.noise(scene.leaves, x * 70, y * 120 + k)
    fields = r.noise(scene.ground, x * 7 + 3 * k, (y - top) * 40)
    bright = sky + sun * (0.30 + 0.5 * fields + 0.5 * (height - 0.5) * scene.side)[..., None]
    colour = hill.colour * (0.55 + 0.6 * woods)[..., None] * bright
    far = (0.85, 0.6, 0.35)[k] * scene.haze * r.smoothstep(-0.3, 0.25, 1 - (scene.horizon - y) / 0.25)
    return r.mix(colour, low * 0.92, far[..., None]), 0.5 * (height - 0.5), r.smoothstep(-edge, edge, y - top)


def _crown(scene, tree, sun, sky, x, y, edge):
    """Render a tree: a crown of leaves, lit from the sun's side, on a trunk."""
    middle, tall = (0.50, 0.50) if tree.poplar else (0.60, 0.40)
    ex, ey = (x - tree.x) / tree.wide, (tree.foot - middle * tree.tall - y) / (tall * tree.tall)
    u, v = x / tree.tall + tree.shift, y / tree.tall
    lumps, leaves, fine = (r.noise(scene.leaves, u * k, v * k + k) - 0.5 for k in (4.5, 10, 19))
    ragged = 0.5 if tree.poplar else 1.0
    inside = 1 - np.sqrt(ex * ex + ey * ey) + ragged * (0.45 * lumps + 0.4 * leaves) + 0.3 * fine
    lit = np.clip(0.40 + 0.30 * ex * scene.side + 0.28 * ey + 0.5 * lumps + 0.6 * leaves + 0.7 * fine, 0.04, 1.1)[
        ..., None
    ]
    trunk = np.maximum(abs(x - tree.x) - 0.028 * tree.tall, abs(y - tree.foot + 0.2 * tree.tall) - 0.2 * tree.tall)
    wood, soft = r.smoothstep(edge, -edge, trunk), edge / (tall * tree.tall)
    crown = r.smoothstep(-soft - 0.05, soft + 0.05, inside)
    bark = np.float32((0.26, 0.19, 0.14)) * (sky + 0.4 * sun)
    colour = r.mix(bark, tree.colour * (sky + 1.5 * sun * lit) * (0.65 + 0.6 * lit), crown[..., None])
    return colour, r.mix(1.5, (1.45 if tree.poplar else 0.8) + 1.2 * lumps, crown), np.maximum(wood, crown)


def _field(scene, sun, sky, low, x, y, edge):
    """Render grass and flowers, paler and flatter with distance."""
    near = np.maximum(y - scene.horizon, 0)
    depth = 0.12 / (near + 0.05)
    u, v = (x - 0.5) * depth + 20, depth * 2.5 + 20
    tufts = 0.6 * r.noise(scene.ground, u * 5, v * 4) + 0.5 * r.noise(scene.ground, u * 17, v * 9)
    blades = r.noise(scene.leaves, u * 80, v * 18) - 0.5
    blades = blades + (r.noise(scene.leaves, u * 190, v * 36) - 0.5) * r.smoothstep(0.05, 0.35, near)
    tone = 0.45 + 0.55 * tufts + 0.65 * blades * r.smoothstep(0.0, 0.25, near)
    colour = scene.grass * tone[..., None] * (sky + 1.1 * sun)
    bloom = r.smoothstep(0.30, 0.18, r.spots(scene.flowers, u * 30, v * 20, 0.25))
    bloom = bloom * r.smoothstep(1.0 - scene.flowering, 1.15 - 0.4 * scene.flowering, tufts)
    colour = r.mix(colour, scene.petals * (sky + 0.8 * sun), bloom[..., None])
    colour = r.mix(colour, low * 0.92, (0.45 * scene.haze * np.exp(-near * 14))[..., None])
    shade = np.float32(1)
    for tree in scene.trees:
        dx = (x - tree.x + 0.8 * scene.side * tree.wide) / (1.5 * tree.wide + 0.05 * tree.tall)
        dy = (y - tree.foot) / (0.09 * tree.tall)
        shade = shade * (1 - (0.2 + 0.45 * sun[0]) * np.exp(-dx * dx) * np.exp(-dy * dy))
    direction = r.mix(0.15 * (tufts - 0.8), 1.3 + 0.5 * (x - 0.5), np.minimum(near * 2.2, 0.8))
    return colour * shade[..., None], direction, r.smoothstep(-edge, edge, y - scene.horizon) * np.ones_like(x)


def _water(scene, variety, x, y, edge):
    """Render the reflection of the far bank and the sky, broken by ripples, with lilies in front."""
    near = np.maximum(y - scene.horizon, 0)
    depth = 0.12 / (near + 0.05)
    u = (x - 0.5) * depth + 20
    ripple = r.noise(scene.ground, u * 7, depth * 50) + 0.7 * r.noise(scene.ground, u * 19, depth * 110) - 0.85
    bank = SimpleNamespace(**{**vars(scene), "water": False, "grass": scene.deep, "flowering": 0, "exposure": 1})
    above = scene.horizon - near - 0.07 * ripple * near / (near + 0.1)
    image, _ = _landscape(bank, variety, x + 0.012 * ripple, above, edge * 2)
    deep = scene.deep * (LIGHTS[variety][3] + 0.2)
    colour = r.mix(image * 0.9, deep, np.clip(0.15 + 0.45 * near + 0.3 * ripple, 0, 1)[..., None])
    pads = r.spots(scene.flowers, u * 10, depth * 22, 0.16)
    patch = r.noise(scene.clouds, u * 3, depth * 7) + 0.4 * near
    leaf = r.smoothstep(0.38, 0.28, pads) * r.smoothstep(
        1.1 - 0.8 * scene.flowering, 1.2 - 0.8 * scene.flowering, patch
    )
    leaf = leaf * r.smoothstep(0.0, 0.12, near)
    lily = r.mix(scene.grass * (0.7 + 0.4 * ripple)[..., None], scene.petals, r.smoothstep(0.24, 0.06, pads)[..., None])
    colour = r.mix(colour, lily * LIGHTS[variety][3] * 1.4, leaf[..., None])
    return colour, 0.10 * ripple, r.smoothstep(-edge, edge, y - scene.horizon) * np.ones_like(x)


def _paint(scene, size):
    """Paint the landscape in three layers of brush strokes on a toned canvas."""
    centres = []
    for numbers, (cells, *_) in zip(scene.strokes, STROKES, strict=True):
        # Stroke (i, j) starts in cell (i - 1, j - 1), so there is an extra row and column on every side.
        cell = np.arange(cells + 2, dtype=np.float32) - 0.8
        centres.append(((cell + 0.6 * numbers[0]) / cells, (cell[:, None] + 0.6 * numbers[1]) / cells))
    x, y = (np.concatenate([centre[k].ravel() for centre in centres])[None] for k in (0, 1))
    turned, warm, light, order = (np.concatenate([n[k].ravel() for n in scene.strokes]) for k in (2, 3, 4, 5))
    colours, angle = _landscape(scene, scene.light, x, y, 0.004)
    colours, angle = _palette(np.clip(colours[0], 0, 1), warm, light), angle[0] + 0.5 * (turned - 0.5)

    n, first = size * r.SUPERSAMPLING, 0
    picture = np.broadcast_to(CANVAS, (n, n, 3)).copy()
    for (cx, cy), (cells, length, width, share) in zip(centres, STROKES, strict=True):
        own = slice(first, first := first + cx.size)
        index, across = _strokes(size, cells, cx, cy, angle[own], order[own] < share, order[own], length, width)
        bristles = 1 + 0.10 * (r.noise(scene.leaves, across * 2.2 + index * 0.37, index * 0.61) - 0.5) - 0.05 * across
        painted = index >= 0
        picture[painted] = (colours[own][index] * bristles.astype(np.float32)[..., None])[painted]
    return np.clip(r.average(picture), 0, 1)


def _strokes(size, cells, cx, cy, angle, wanted, order, length, width):
    """Return for every sample its topmost stroke (a number, or -1) and the position across its width, in [-1, 1]."""
    places, shape = r.axis(size), cx.shape
    cos, sin, rank = np.cos(angle), np.sin(angle), np.empty(len(order), np.float32)
    from_below = np.argsort(order, kind="stable")
    rank[from_below] = np.arange(len(order))
    rank[~wanted] = -1
    # Along a stroke: (x cos + y sin - along) / length; across it: (y cos - x sin - aside) / width.
    along, aside = cx.ravel() * cos + cy.ravel() * sin, cy.ravel() * cos - cx.ravel() * sin
    fields = [field.reshape(shape) for field in (cos, sin, along, aside, rank)]
    cell, top = (places * cells).astype(int), np.full((len(places), len(places)), -1, np.float32)
    x, y = places[None, :], places[:, None]
    for i in range(3):
        rows = [field[cell + i] for field in fields]
        for j in range(3):
            c, s, u, v, up = (field.take(cell + j, axis=1) for field in rows)
            u = (x * c + y * s - u) * np.float32(1 / length)
            v = (y * c - x * s - v) * np.float32(1 / width)
            u *= u
            np.maximum(top, np.where(u * u + v * v < 1, up, -1), out=top)
    index = np.where(top >= 0, from_below[top.astype(int)], -1)
    across = (y * cos[index] - x * sin[index] - aside[index]) / np.float32(width)
    return index, across * (index >= 0)


def _palette(colours, warm, light):
    """Return a painter's colours: vivid, violet in shadows, cream in lights, varied from stroke to stroke."""
    grey = colours.mean(-1, keepdims=True)
    colours = grey + (colours - grey) * 1.35
    colours = r.mix(colours, VIOLET, 0.42 * r.smoothstep(0.55, 0.05, grey))
    colours = r.mix(colours, CREAM, 0.30 * r.smoothstep(0.5, 1.0, grey))
    tint = np.float32((0.10, 0.0, -0.10)) * (warm - 0.5)[..., None]
    return (colours * 0.92 + 0.06 + tint) * (0.9 + 0.2 * light)[..., None]
