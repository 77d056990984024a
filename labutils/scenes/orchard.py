"""The orchard: rendered apples (domain A) and oranges (domain B), offline and with ground truth.

Training is unpaired, but the same scene can be rendered as both fruit. So a lesson can measure a translation on
held-out pairs, which no real unpaired dataset allows. NumPy only.
"""

import math
from types import SimpleNamespace

import numpy as np

from labutils.scenes import render as r
from labutils.scenes.render import Pair

VERSION = 2
VARIETIES = ("red", "green", "yellow")

# Skin, streaks, blush on the sunny side.
SKINS = {
    "red": ((0.74, 0.11, 0.10), (0.92, 0.52, 0.24), (0.56, 0.03, 0.07)),
    "green": ((0.49, 0.66, 0.15), (0.69, 0.80, 0.33), (0.66, 0.62, 0.20)),
    "yellow": ((0.91, 0.74, 0.22), (0.95, 0.85, 0.42), (0.88, 0.42, 0.20)),
}
SKINS = {name: np.array(colours, np.float32) for name, colours in SKINS.items()}
STEM = np.array((0.33, 0.22, 0.11), np.float32)
RUSSET = np.array((0.55, 0.47, 0.18), np.float32)
CALYX = np.array((0.30, 0.40, 0.13), np.float32)


def render_pair(seed, size, variety=None):
    """Render one scene as apples and as oranges.

    Returns a ``Pair``: ``a`` (apples) and ``b`` (oranges), float32 (size, size, 3) in [0, 1], and ``mask``,
    float32 (size, size), where they may differ: fruit of both kinds, stems, contact shadows. The same seed
    gives the same scene at every size. ``variety``, one of ``VARIETIES``, overrides the apples' own. Raises
    ``ValueError`` for an unknown variety or a size below 8.
    """
    (a, cover_a), (b, cover_b) = _render(seed, size, "ab", variety)
    return Pair(a, b, np.maximum(cover_a, cover_b))


def render(seed, size, domain, variety=None):
    """Render one picture of ``render_pair``, in half the time: ``domain`` is ``"a"`` or ``"b"``."""
    return _render(seed, size, domain, variety)[0][0]


def write(root, train=400, test=200, size=64, seed=0, progress=True):
    """Render the dataset into ``root``: ``trainA trainB testA testB`` and ``orchard.json``. Returns ``root``.

    ``train``: pictures in each training folder, 400 by default.
    ``test``: test pairs, 200 by default.
    ``size``: pixels a side, 64 by default. A picture of 64 pixels takes about 6 ms.
    ``seed``: 0 by default.
    ``progress``: whether to show a progress bar.

    The training sets share no scene with each other or with the test set. Test pictures of the same name are pairs.
    ``orchard.json`` records version, size, seed and the scene of every file, for ``render_pair``. The folder is
    written atomically. Returns at once if ``root`` already holds this dataset. Raises ``ValueError`` if it holds
    anything else, or for a number out of range.
    """
    return r.write("orchard", VERSION, render, root, train, test, size, seed, progress)


def _scene(seed):
    """Make all random choices of one scene, in the same order for both domains."""
    rng = r.generator(seed)

    def uniform(low, high):
        return float(rng.uniform(low, high))

    scene = SimpleNamespace(horizon=uniform(0.25, 0.48), blur=uniform(0.02, 0.10))
    side, height = uniform(-1.0, 1.0), uniform(0.55, 1.1)
    scene.light = r.unit(side, height, uniform(0.55, 1.0))
    scene.warmth = np.array((1.0 + uniform(-0.02, 0.06), 1.0, 1.0 - uniform(-0.02, 0.10)), np.float32)
    scene.power = uniform(0.88, 1.08)
    wall = uniform(0, 1)
    table = wall + uniform(0.3, 0.7) if uniform(0, 1) < 0.6 else wall + uniform(-0.1, 0.1)
    scene.wall = r.colour(wall, uniform(0.05, 0.5), uniform(0.30, 0.85))
    scene.table = r.colour(table, uniform(0.05, 0.45), uniform(0.40, 0.85))
    scene.tints = rng.uniform(-1, 1, (2, 3)).astype(np.float32) * np.float32(0.16)
    scene.clouds = [r.lattice(rng, n, n) - 0.5 for n in (6, 10, 18)]
    scene.grain = r.lattice(rng, 44, 16) - 0.5
    common = VARIETIES[int(rng.integers(3))]
    count = (1, 1, 2, 2, 3)[int(rng.integers(5))]
    scene.fruits = [_fruit(rng, uniform, common, count) for _ in range(count)]
    for fruit in scene.fruits:  # on the table; farther away is higher up and smaller
        fruit.ground = r.mix(scene.horizon + scene.blur + 0.10, 0.96, fruit.near)
        fruit.radius *= 0.78 + 0.30 * fruit.near
    _spread(scene.fruits)
    scene.fruits.sort(key=lambda fruit: fruit.ground)
    return scene


def _fruit(rng, uniform, common, count):
    fruit = SimpleNamespace(radius=uniform(0.15, 0.27) * (1.2, 1.0, 0.88)[count - 1])
    fruit.x, fruit.near = uniform(0.2, 0.8), uniform(0, 1)
    fruit.roll, fruit.tilt = uniform(-0.5, 0.5), uniform(0.35, 0.75)
    fruit.variety = common  # one variety per scene, so that an orange has a nearest true apple
    fruit.lean, fruit.bend, fruit.stem = uniform(-0.05, 0.05), uniform(-0.25, 0.25), uniform(0.24, 0.42)
    fruit.tone = (1 + rng.uniform(-0.06, 0.06, 3)).astype(np.float32)
    fruit.streaks, fruit.patches = r.lattice(rng, 5, 34), r.lattice(rng, 6, 9)
    fruit.dots, fruit.peel = r.lattice(rng, 31, 31), r.lattice(rng, 37, 37)
    fruit.blush = r.unit(uniform(-1, 1), uniform(-1, 1), uniform(0, 1))
    fruit.navel = uniform(0, 1)
    return fruit


def _spread(fruits):
    """Push fruit apart sideways where one would hide most of another."""
    for i, fruit in enumerate(fruits):
        for other in fruits[:i]:
            gap = fruit.x - other.x
            least = 0.95 * (fruit.radius + other.radius) * 0.8
            if abs(gap) < least:
                fruit.x = other.x + math.copysign(least, gap)
        fruit.x = min(max(fruit.x, 0.06), 0.94)
    for fruit in fruits:
        fruit.y = fruit.ground - 0.93 * fruit.radius


def _render(seed, size, domains, variety):
    """Return, for each domain, its picture and how much of each pixel is fruit, stem or contact shadow."""
    r.check(size, variety, VARIETIES)
    scene = _scene(seed)
    background = _background(scene, size)
    results = []
    for domain in domains:
        canvas, cover = background.copy(), np.zeros(background.shape[:2], np.float32)
        for fruit in scene.fruits:
            _contact(canvas, cover, fruit, size, domain)
        for fruit in scene.fruits:
            _paint_fruit(canvas, cover, scene, fruit, size, domain, variety)
        results.append((np.clip(r.average(canvas), 0, 1), r.average(cover)))
    return results


def _background(scene, size):
    """Render wall, table and the fruit's broad shadows, the same for both kinds of fruit."""
    x, y = r.axis(size)[None, :, None], r.axis(size)[:, None, None]
    on_table = r.smoothstep(scene.horizon - scene.blur, scene.horizon + scene.blur, y)
    wall = scene.wall + scene.tints[0] * (x - 0.5) * 2 + 0.12 * (0.4 - y)
    table = (scene.table + scene.tints[1] * (x - 0.5)) * (0.82 + 0.25 * y)
    side = 1 + np.float32(0.22 * scene.light[0]) * (x - 0.5)
    clouds = sum(
        r.stretch(values, size) * weight for values, weight in zip(scene.clouds, (0.42, 0.26, 0.16), strict=True)
    )
    grain = r.stretch(scene.grain, size)[..., None] * 0.16
    picture = r.mix(wall, table + grain, on_table) * side * (1 + clouds[..., None])
    shade = np.float32(scene.power)
    for fruit in scene.fruits:
        shift = -0.75 * scene.light[0] * fruit.radius
        dx = (x[..., 0] - fruit.x - shift) / (fruit.radius * (1.15 + 0.5 * abs(scene.light[0])))
        dy = (y[..., 0] - fruit.ground + 0.10 * fruit.radius) / (0.36 * fruit.radius)
        shade = shade * (1 - np.exp(-1.3 * dx * dx) * np.exp(-1.3 * dy * dy) * on_table[..., 0] * np.float32(0.55))
    return picture * (shade[..., None] * scene.warmth)


def _contact(canvas, cover, fruit, size, domain):
    """Draw the dark line where the fruit meets the table; narrower under an apple, which tapers."""
    width = fruit.radius * (0.62 if domain == "a" else 0.72)
    window, dx, dy = r.window(size, fruit.x, fruit.ground, *4 * (fruit.radius,))
    distance = np.sqrt((dx / width) ** 2 + ((dy - 0.03 * fruit.radius) / (0.16 * fruit.radius)) ** 2)
    dark = r.smoothstep(1.0, 0.2, distance)
    canvas[window] *= (1 - np.float32(0.62) * dark)[..., None]
    cover[window] = np.maximum(cover[window], np.minimum(1, 2 * dark))


def _outline(c, s, fruit, domain):
    """Return the outline's distance from the centre in the direction (c, s), in radii."""
    if domain == "b":
        return 1.0 - 0.035 * s * s + 0.01 * c * fruit.lean / 0.05
    up, down = r.smoothstep(0, 1, s), r.smoothstep(0, -1, s)
    shoulders = 0.05 * np.exp(-(((s - 0.62) / 0.35) ** 2))
    taper = 0.12 * np.exp(-(((s + 0.8) / 0.42) ** 2))
    dip, base = 0.13 * np.exp(-((c / 0.33) ** 2)) * up, np.exp(-((c / 0.2) ** 2)) * down
    return 1.01 + shoulders - taper - dip + 0.06 * down - 0.025 * base + fruit.lean * c * s


def _paint_fruit(canvas, cover, scene, fruit, size, domain, variety):
    window, dx, dy = r.window(size, fruit.x, fruit.y, *4 * (fruit.radius * 1.2,))
    px, py = r.turn(dx, dy, fruit.roll)
    px, py = px / np.float32(fruit.radius), py / np.float32(fruit.radius)
    light = (*r.turn(scene.light[0], scene.light[1], fruit.roll), scene.light[2])
    distance = np.sqrt(px * px + py * py) + np.float32(1e-6)
    radius = _outline(px / distance, py / distance, fruit, domain)
    sample = 1 / (fruit.radius * size * r.SUPERSAMPLING)
    alpha = r.smoothstep(sample, -sample, distance - radius)
    # Darken the fruit behind this one; the table already has its own shadow.
    halo = 0.45 * r.smoothstep(1.2, 0.95, distance) * cover[window]
    canvas[window] *= (1 - halo)[..., None]

    nx, ny = px / radius, py / radius
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0.0)).astype(np.float32)
    surface = _apple if domain == "a" else _orange
    skin, normal, pit, shine = surface(fruit, (nx, ny, nz), variety)
    lit = _light(skin, normal, light, pit, shine, scene, fruit)
    r.paint(canvas[window], lit, alpha)
    cover[window] = np.maximum(cover[window], alpha)
    if domain == "a":
        _paint_stem(canvas, cover, scene, fruit, size, light)


def _light(skin, normal, light, pit, shine, scene, fruit):
    """Shade the fruit: soft light from one side, sky and table; highlights; darker towards the rim."""
    nx, ny, nz = normal
    towards = nx * light[0] + ny * light[1] + nz * light[2]
    diffuse = r.smoothstep(-0.35, 1.15, towards)
    power = (0.40 + 0.10 * ny + 0.78 * diffuse) * (0.80 + 0.20 * nz) * pit
    bounce = np.maximum(-ny - 0.1, 0) * 0.22
    half = r.unit(light[0], light[1], light[2] + 1)
    facing = np.maximum(nx * half[0] + ny * half[1] + nz * half[2], 0)
    gloss = sum(strength * facing**sharpness for sharpness, strength in shine) * pit
    lit = skin * power[..., None] * scene.warmth * np.float32(scene.power)
    return lit + skin * scene.table * bounce[..., None] + gloss[..., None].astype(np.float32)


def _apple(fruit, normal, variety):
    """Return an apple's skin colour, normals, darkness of the dimple, and highlights (sharpness, strength)."""
    nx, ny, nz = normal
    ct, st = math.cos(fruit.tilt), math.sin(fruit.tilt)
    along, across = ny * ct + nz * st, nz * ct - ny * st
    turn = np.arctan2(across, nx) * np.float32(1 / (2 * math.pi))
    base, streak, blush = SKINS[variety or fruit.variety]
    stripes = r.noise(fruit.streaks, turn * 34, along * 1.6 + 2)
    patches = r.noise(fruit.patches, nx * 2.2 + 4, ny * 2.2 + 4)
    streaked = r.smoothstep(0.45, 0.95, stripes * 0.75 + patches * 0.35)
    sunny = nx * fruit.blush[0] + ny * fruit.blush[1] + nz * fruit.blush[2]
    reddened = r.smoothstep(-0.1, 1.1, sunny + 0.7 * (patches - 0.5)) * (0.75 + 0.35 * stripes)
    skin = r.mix(r.mix(base, blush, reddened[..., None] * 0.8), streak, streaked[..., None] * 0.75)
    dots = r.smoothstep(0.16, 0.05, r.spots(fruit.dots, nx * 4.5 + 15, ny * 4.5 + 15)) * 0.4
    skin = r.mix(skin, np.float32((0.95, 0.88, 0.62)), dots[..., None]) * fruit.tone

    # The dimple: the surface turns towards the stem, and little light gets in.
    polar = np.sqrt(np.maximum(2 - 2 * along, 0))
    dip = np.exp(-((polar / 0.34) ** 2))
    russet = r.smoothstep(0.5, 0.12, polar + 0.12 * (stripes - 0.5))
    skin = r.mix(skin, RUSSET, russet[..., None] * 0.75)
    push = 1.6 * dip * polar / 0.34
    normal = (nx - push * nx, ny - push * (ny - ct), nz - push * (nz - st))
    length = np.sqrt(sum(n * n for n in normal)) + 1e-6
    return skin, tuple(n / length for n in normal), 1 - 0.6 * dip, ((90, 0.55), (14, 0.16))


def _orange(fruit, normal, variety):
    """As ``_apple``, for an orange: pitted peel, a green calyx or a navel, soft highlights."""
    nx, ny, nz = normal
    ct, st = math.cos(fruit.tilt), math.sin(fruit.tilt)
    along, across = ny * ct + nz * st, nz * ct - ny * st
    polar = np.sqrt(np.maximum(2 - 2 * along, 0))
    patches = r.noise(fruit.patches, nx * 2.2 + 4, ny * 2.2 + 4)
    widen = 9 * (1 + 0.35 * (1 - nz))  # pores crowd towards the rim
    pores = r.smoothstep(0.05, 0.40, r.spots(fruit.peel, nx * widen + 18, ny * widen + 18))
    bumps = r.noise(fruit.dots, nx * 9 + 15, ny * 9 + 15) - 0.5
    skin = r.mix(np.float32((0.93, 0.47, 0.04)), np.float32((0.97, 0.60, 0.10)), patches[..., None])
    skin = skin * fruit.tone * (0.87 + 0.15 * pores)[..., None]
    star = 0.10 + 0.035 * np.cos(5 * np.arctan2(across, nx))
    if fruit.navel < 0.35:
        ring = np.exp(-(((polar - 0.13) / 0.05) ** 2))
        skin, pit = skin * (1 - 0.35 * ring)[..., None], 1 - 0.15 * np.exp(-((polar / 0.2) ** 2))
    else:
        green = r.smoothstep(star + 0.05, star - 0.03, polar)
        skin = r.mix(skin, CALYX, green[..., None])
        pit = 1 - 0.25 * np.exp(-((polar / 0.22) ** 2))
    normal = (nx + 0.22 * bumps, ny + 0.16 * (pores - 0.6) + 0.16 * bumps, nz)
    length = np.sqrt(sum(n * n for n in normal)) + 1e-6
    return skin, tuple(n / length for n in normal), pit, ((26, 0.16), (7, 0.08))


def _paint_stem(canvas, cover, scene, fruit, size, light):
    """Draw a bent stem out of the dimple: a chain of short pieces, thicker at the end."""
    foot = (math.cos(fruit.tilt) * 0.93 - 0.02) * fruit.radius
    x, y = fruit.x - math.sin(fruit.roll) * foot, fruit.y - math.cos(fruit.roll) * foot
    window, dx, dy = r.window(size, x, y, *4 * (fruit.radius * 0.55,))
    px, py = r.turn(dx, dy, fruit.roll)
    px, py = px / np.float32(fruit.radius), py / np.float32(fruit.radius)
    sample = 1 / (fruit.radius * size * r.SUPERSAMPLING)
    nearest, along, side = np.full(px.shape, 9, np.float32), np.float32(0), np.float32(0)
    steps = np.linspace(0, 1, 5)
    points = np.stack([fruit.bend * steps**1.7, fruit.stem * steps], 1).tolist()
    for k, (p, q) in enumerate(zip(points[:-1], points[1:], strict=True)):
        u, v = q[0] - p[0], q[1] - p[1]
        t = np.clip(((px - p[0]) * u + (py - p[1]) * v) / (u * u + v * v), 0, 1)
        ox, oy = px - p[0] - t * u, py - p[1] - t * v
        distance = np.sqrt(ox * ox + oy * oy)
        closer = distance < nearest
        nearest = np.where(closer, distance, nearest)
        along = np.where(closer, (k + t) / 4, along)
        side = np.where(closer, ox, side)
    width = 0.035 + 0.03 * along * along
    alpha = r.smoothstep(sample, -sample, nearest - width)
    shade = np.clip(0.85 + 6 * side * light[0], 0.5, 1.6) * (0.6 + 0.6 * along)
    r.paint(canvas[window], STEM * shade[..., None] * scene.warmth * np.float32(scene.power), alpha)
    cover[window] = np.maximum(cover[window], alpha)
