"""Pictures painted by code as sources of style, available offline: strokes, tiles, waves and more."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

FINE = 2  # paint at this many times the size, then reduce, for smooth edges


def brush_strokes(random, size):
    """Paint thick short strokes along a swirling flow, in night blues and moon yellows."""
    flow, y, x = _flow(random, size, whirls=5)
    moons = random.uniform(0.12, 0.88, (3, 2)) * size
    glow = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * (0.085 * size) ** 2)) for a, b in moons)
    band = 0.5 + 0.5 * np.sin(flow * 2 + 5 * y / size)
    night = _palette("#0b1d4d #17429b #2f74c0 #7fb4d8 #1a5a6e #d8e2c0")
    moon = _palette("#f6d743 #f2a93b #fff3b0 #e8c15a")
    canvas = Image.new("RGB", (size, size), "#12306e")
    draw = ImageDraw.Draw(canvas)
    for width, count in ((0.022, 2600), (0.014, 5000), (0.008, 2600)):
        for a, b in random.uniform(0, size, (count, 2)):
            i, j = min(int(b), size - 1), min(int(a), size - 1)
            lit = random.random() < min(1, 1.3 * glow[i, j])
            palette = moon if lit else night
            tone = random.integers(len(palette)) if lit else int(band[i, j] * 4.2 + random.normal(0, 0.7)) % 6
            colour = _shade(palette[tone], random.normal(1, 0.09))
            _stroke(draw, flow, a, b, length=0.055 * size, width=width * size, colour=colour)
    return canvas


def tiles(random, size):
    """Paint a mosaic: small stones in rings around two flowers, with dark grout, each stone a little different."""
    y, x = np.mgrid[:size, :size] / size
    corners = _scatter(random, 1500)
    stone = cKDTree(corners).query(np.stack([x, y], -1).reshape(-1, 2), k=2)
    first, gap = stone[1][:, 0], np.diff(stone[0], axis=1)[:, 0].reshape(size, size)
    u, v = corners.T
    towards = np.minimum(np.hypot(u - 0.33, v - 0.36), np.hypot(u - 0.72, v - 0.74) * 1.25)
    petal = np.arctan2(v - 0.36, u - 0.33)
    ring = ((towards + 0.018 * np.cos(8 * petal)) * 13).astype(int)
    palette = _palette("#f4c95d #c8553d #8f2d2d #f0e2c4 #2a7f7a #14505c #e6a23c #d9cbb0 #1f6f8b #7a2e1f")
    colours = palette[ring % len(palette)] * random.normal(1, 0.1, (len(corners), 1))
    light = 1 + 0.16 * ((x - u[first].reshape(size, size)) + (y - v[first].reshape(size, size))) / 0.02 * -1
    stones = colours[first].reshape(size, size, 3) * np.clip(light, 0.75, 1.25)[..., None]
    grout = np.clip((gap - 0.0022) / 0.0025, 0, 1)[..., None]
    return Image.fromarray(_uint8(stones * grout + np.array([46, 38, 34]) * (1 - grout)))


def waves(random, size):
    """Paint rows of overlapping crests in indigo and cream with ink outlines, as on a Japanese print."""
    canvas = Image.new("RGB", (size, size), "#efe3c6")
    draw = ImageDraw.Draw(canvas)
    radius = size / 9
    bands = _palette("#16335b #efe6cf #2d5f8b #efe6cf #6f9fb5 #f4edda #16335b")
    for row in range(-1, 23):
        y = row * radius * 0.47
        for column in range(-1, 7):
            x = (column + (row % 2) / 2) * radius * 1.9 + random.normal(0, 0.04) * radius
            foam = random.random() < 0.22
            for ring, share in enumerate((1, 0.88, 0.72, 0.58, 0.42, 0.28, 0.13)):
                r = radius * share
                tone = bands[(ring + 2 * foam) % len(bands)] * random.normal(1, 0.03)
                box = [x - r, y - r * 0.96, x + r, y + r * 0.96]
                draw.ellipse(box, fill=_rgb(tone), outline="#0f2238", width=max(1, round(size / 220)))
    grain = gaussian_filter(random.normal(0, 1, (size, size)), (0.6, 5))[..., None]
    return Image.fromarray(_uint8(np.asarray(canvas) + 9 * grain))


def dots(random, size):
    """Paint a shore under an evening sun in dots of pure colour, which mix only in the eye."""
    y, x = np.mgrid[:size, :size] / size
    sun = np.exp(-((x - 0.66) ** 2 + (y - 0.32) ** 2) / 0.012)
    shore = 0.72 + 0.06 * np.sin(5 * x + 1) + 0.03 * np.sin(13 * x)
    sky, sea, sand = (_palette(text) for text in (
        "#f7b267 #f79d65 #f4845f #8ab6d6 #b8a4c9 #ffe8a3", "#1f6f8b #2a9d8f #264e86 #e9c46a #7fb7be",
        "#2d6a4f #588157 #a3b18a #d4a373 #6d597a"))  # fmt: skip
    canvas = Image.new("RGB", (size, size), "#f2e8d5")
    draw = ImageDraw.Draw(canvas)
    for a, b in random.uniform(0, 1, (17000, 2)):
        i, j = int(b * size), int(a * size)
        palette = sand if b > shore[i, j] else sea if b > 0.52 else sky
        lit = random.random() < sun[i, j] + 0.25 * sun[min(size - 1, int(size * abs(0.9 - b))), j] * (b > 0.52)
        base = np.array([255, 236, 150]) if lit else palette[random.integers(len(palette))]
        r = size * random.uniform(0.0045, 0.0085)
        draw.ellipse([j - r, i - r, j + r, i + r], fill=_rgb(base * random.normal(1, 0.06)))
    return canvas


def glass(random, size):
    """Paint a church window: panes of glowing glass, lighter in the middle, between strips of lead."""
    y, x = np.mgrid[:size, :size] / size
    angles, radii = np.meshgrid(np.arange(14) * 2 * np.pi / 14, [0.1, 0.21, 0.32, 0.44, 0.58, 0.73])
    twist = angles + np.arange(6)[:, None] * np.pi / 14
    middles = 0.5 + np.stack([radii * np.cos(twist), radii * np.sin(twist)], -1).reshape(-1, 2)
    middles += random.normal(0, 0.008, middles.shape)
    middles = np.vstack([[0.5, 0.5], middles])
    near, which = cKDTree(middles).query(np.stack([x, y], -1).reshape(-1, 2), k=2)
    palette = _palette("#b3122b #0f4fa8 #f2b51d #13795b #5c2a86 #e2641b #1c8fc4 #8c0f3f")
    order = np.concatenate([[2], (np.repeat(np.arange(6), 14) * 3 + np.tile(np.arange(14), 6) % 2 * 2)])
    colours = palette[order % len(palette)] * random.normal(1, 0.12, (len(middles), 1))
    glow = np.exp(-((near[:, 0] / 0.055) ** 2))[:, None]
    streaks = gaussian_filter(random.normal(0, 1, (size, size)), (1, 7)).reshape(-1, 1)
    panes = colours[which[:, 0]] * (0.72 + 0.5 * glow + 0.35 * streaks) + 45 * glow
    lead = np.clip((np.diff(near, axis=1) - 0.006) / 0.004, 0, 1)
    return Image.fromarray(_uint8((panes * lead + 18 * (1 - lead)).reshape(size, size, 3)))


def hatching(random, size):
    """Paint an etching: fine ink lines on warm paper, crossed where it is dark."""
    y, x = np.mgrid[:size, :size] / size
    hills = gaussian_filter(random.normal(0, 1, (size, size)), 0.06 * size)
    dark = 0.5 + 0.28 * hills / hills.std() + 0.22 * np.sin(6 * x + 3 * y)
    paper = np.array([243, 231, 205]) + 5 * gaussian_filter(random.normal(0, 1, (size, size)), 2)[..., None]
    ink = np.zeros((size, size))
    for level, angle in ((0.18, 0.5), (0.42, 2.1), (0.62, 1.25), (0.8, -0.2)):
        wobble = 0.35 * gaussian_filter(random.normal(0, 1, (size, size)), 0.03 * size) * size * 0.02
        bend = 0.06 * np.sin(4 * (x * np.sin(angle) + y * np.cos(angle)))
        phase = (x * np.cos(angle) + y * np.sin(angle) + bend) * 78 * 2 * np.pi + wobble
        strength = np.clip((dark - level) * 3.2, 0, 1)
        ink = np.maximum(ink, np.clip((np.sin(phase) - 1.0 + 1.1 * strength) * 4, 0, 1) * (strength > 0))
    return Image.fromarray(_uint8(paper * (1 - ink[..., None]) + np.array([38, 28, 30]) * ink[..., None]))


STYLES = {f.__name__: f for f in (brush_strokes, tiles, waves, dots, glass, hatching)}


def paint(name, size=256, seed=0):
    """Paint the picture ``name`` (one of ``STYLES``), uint8 (size, size, 3); the same for the same ``seed``.

    Raises ``ValueError`` for an unknown name or a size below 16.
    """
    if name not in STYLES:
        raise ValueError(f"No style is called {name!r}: choose one of {', '.join(STYLES)}.")
    if size < 16:
        raise ValueError(f"A painting of {size} pixels is too small: ask for at least 16.")
    canvas = STYLES[name](np.random.default_rng(seed), FINE * size)
    return np.asarray(canvas.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))


def _palette(text):
    return np.array([[int(word[i : i + 2], 16) for i in (1, 3, 5)] for word in text.split()], float)


def _uint8(values):
    return np.clip(values + 0.5, 0, 255).astype("uint8")


def _rgb(colour):
    return tuple(int(value) for value in _uint8(colour))


def _shade(colour, factor):
    return _rgb(colour * factor)


def _flow(random, size, whirls):
    """Return directions (radians) that circle around a few points, and the pixel coordinates y, x."""
    y, x = np.mgrid[:size, :size].astype(float)
    u, v = np.full((size, size), 0.35), np.zeros((size, size))
    for a, b in random.uniform(0.1, 0.9, (whirls, 2)) * size:
        dx, dy = x - a, y - b
        near = np.exp(-(dx**2 + dy**2) / (2 * (0.17 * size) ** 2)) * random.choice([-1, 1])
        u, v = u - near * dy / (0.1 * size), v + near * dx / (0.1 * size)
    return np.arctan2(v, u), y, x


def _stroke(draw, flow, x, y, length, width, colour):
    points, size = [(x, y)], len(flow)
    for _ in range(6):
        direction = flow[min(max(int(y), 0), size - 1), min(max(int(x), 0), size - 1)]
        x, y = x + length / 6 * np.cos(direction), y + length / 6 * np.sin(direction)
        points.append((x, y))
    draw.line(points, fill=colour, width=max(1, round(width)), joint="curve")


def _scatter(random, count, rounds=6):
    """Spread points evenly over the unit square: move each to the centre of its nearest samples (Lloyd)."""
    points, sample = random.uniform(0, 1, (count, 2)), random.uniform(0, 1, (30 * count, 2))
    for _ in range(rounds):
        nearest = cKDTree(points).query(sample)[1]
        counts = np.maximum(np.bincount(nearest, minlength=count), 1)[:, None]
        sums = np.stack([np.bincount(nearest, sample[:, axis], count) for axis in (0, 1)], 1)
        points = np.where(np.bincount(nearest, minlength=count)[:, None] > 0, sums / counts, points)
    return points
