"""The paddock: rendered horses (domain A) and zebras (domain B) in fields of grass, offline and with ground truth.

It works like the orchard and replaces horse2zebra where that cannot be downloaded. NumPy only.
"""

from types import SimpleNamespace

import numpy as np

from labutils.scenes import animals
from labutils.scenes import render as r
from labutils.scenes.render import Pair

VERSION = 1
VARIETIES = ("bay", "chestnut", "grey")


def render_pair(seed, size, variety=None):
    """Render one scene with horses and with zebras.

    Returns a ``Pair``: ``a`` (horses) and ``b`` (zebras), float32 (size, size, 3) in [0, 1], and ``mask``,
    float32 (size, size), where they may differ: the animals. The same seed gives the same scene at every size.
    ``variety``, one of ``VARIETIES``, overrides the horses' own. Raises ``ValueError`` for an unknown variety
    or a size below 8.
    """
    (a, cover_a), (b, cover_b) = _render(seed, size, "ab", variety)
    return Pair(a, b, np.maximum(cover_a, cover_b))


def render(seed, size, domain, variety=None):
    """Render one picture of ``render_pair``, in half the time: ``domain`` is ``"a"`` or ``"b"``."""
    return _render(seed, size, domain, variety)[0][0]


def write(root, train=400, test=200, size=64, seed=0, progress=True):
    """Render the dataset into ``root``, as ``orchard.write`` does, with ``paddock.json``. Returns ``root``."""
    return r.write("paddock", VERSION, render, root, train, test, size, seed, progress)


def _scene(seed):
    """Make all random choices of one scene, in the same order for both domains."""
    rng = r.generator(seed, 1)

    def uniform(low, high):
        return float(rng.uniform(low, high))

    scene = SimpleNamespace(horizon=uniform(0.22, 0.5), haze=uniform(0.2, 0.7), dry=uniform(0, 1) ** 2)
    side, height, front = uniform(-1, 1), uniform(0.5, 1.1), uniform(0.3, 0.8)
    scene.light = r.unit(side, height, front)
    scene.low_sun = uniform(0, 1) ** 2
    scene.warmth = np.array((1.02, 1.0 - 0.08 * scene.low_sun, 0.97 - 0.18 * scene.low_sun), np.float32)
    scene.power = uniform(0.78, 1.08)
    scene.sky = r.colour(uniform(0.54, 0.62), uniform(0.2, 0.55), uniform(0.75, 0.95))
    dusk = r.colour(uniform(0.02, 0.11), uniform(0.25, 0.5), 1.0)
    scene.mist = r.mix(np.float32(0.97), dusk, np.float32(scene.low_sun))  # the sky near the horizon
    scene.grass = r.mix(
        r.colour(uniform(0.23, 0.32), uniform(0.45, 0.7), uniform(0.38, 0.6)),
        r.colour(uniform(0.11, 0.15), 0.45, 0.68),
        np.float32(scene.dry),
    )
    scene.trees = r.colour(uniform(0.22, 0.36), uniform(0.3, 0.6), uniform(0.16, 0.34))
    scene.tree_height = uniform(0.02, 0.14)
    scene.fence = uniform(0, 1) if uniform(0, 1) < 0.45 else None
    scene.fence_at, scene.post = uniform(0.03, 0.08), uniform(0.16, 0.26)
    scene.clouds = [r.lattice(rng, 9, 6) - 0.5, r.lattice(rng, 17, 11) - 0.5]
    scene.crowns = [r.lattice(rng, 4, n) - 0.5 for n in (9, 17, 41)]
    scene.leaves, scene.blades = r.lattice(rng, 45, 45) - 0.5, r.lattice(rng, 37, 97) - 0.5
    scene.meadow, scene.flowers = r.lattice(rng, 23, 23) - 0.5, r.lattice(rng, 29, 29)
    scene.flowering = uniform(-0.4, 0.4)
    common = VARIETIES[int(rng.integers(3))]
    count = (1, 1, 2)[int(rng.integers(3))]
    scene.animals = [_animal(rng, uniform, common, count, n, scene) for n in range(count)]
    scene.animals.sort(key=lambda animal: animal.ground)
    return scene


def _animal(rng, uniform, common, count, number, scene):
    animal = SimpleNamespace(near=uniform(0, 1))
    animal.ground = r.mix(max(scene.horizon + 0.22, 0.62), 0.95, animal.near)
    animal.height = uniform(0.36, 0.52) * (1.0, 0.82)[count - 1] * (0.8 + 0.3 * animal.near)
    animal.x = uniform(0.36, 0.64) if count == 1 else (0.28, 0.72)[number] + uniform(-0.08, 0.08)
    animal.facing = (-1, 1)[int(rng.integers(2))]
    own = VARIETIES[int(rng.integers(3))]
    animal.variety = own if uniform(0, 1) < 0.2 else common
    animal.tone = np.float32(uniform(0.85, 1.15))
    animal.neck = uniform(0.55, 1.05) if uniform(0, 1) < 0.7 else uniform(-0.75, -0.5)
    animal.head = animal.neck - uniform(1.45, 1.75) if animal.neck > 0 else uniform(-1.5, -1.2)
    animal.steps = [uniform(-0.13, 0.13) for _ in range(4)]
    animal.tail = uniform(-0.12, 0.10)
    animal.socks = [uniform(0, 1) < 0.3 for _ in range(2)]
    animal.phase, animal.coat = uniform(0, 1), r.lattice(rng, 19, 19) - 0.5
    return animal


def _render(seed, size, domains, variety):
    """Return, for each domain, its picture and how much of each pixel is animal."""
    r.check(size, variety, VARIETIES)
    scene = _scene(seed)
    field = _field(scene, size)
    results = []
    for domain in domains:
        canvas, cover = field.copy(), np.zeros(field.shape[:2], np.float32)
        for animal in scene.animals:
            _paint_animal(canvas, cover, scene, animal, size, domain, variety)
        results.append((np.clip(r.average(canvas), 0, 1), r.average(cover)))
    return results


def _field(scene, size):
    """Render sky, trees, perhaps a fence, and grass with the animals' shadows, the same for both kinds."""
    x, y = r.axis(size)[None, :], r.axis(size)[:, None]
    h = np.float32(scene.horizon)
    clouds = r.smoothstep(0.0, 0.35, r.stretch(scene.clouds[0], size) + 0.5 * r.stretch(scene.clouds[1], size))
    picture = r.mix(scene.sky, scene.mist, np.minimum(0.15 + 0.6 * y / h + 0.5 * clouds, 1)[..., None])

    crown = sum(r.stretch(c, size)[:1] * w for c, w in zip(scene.crowns, (0.9, 0.5, 0.35), strict=True))
    top = h - scene.tree_height * (1 + 1.6 * crown)
    leaves = r.stretch(scene.leaves, size)
    trees = r.mix(scene.trees * (1 + 1.2 * leaves[..., None]), scene.mist, np.float32(0.45 * scene.haze))
    edge = np.float32(1.5 / (size * r.SUPERSAMPLING))
    r.paint(picture, trees, r.smoothstep(-3 * edge, 3 * edge, y - top + 0.03 * leaves))

    depth = 0.10 / np.maximum(y - h + 0.05, 0.02)
    patches = r.noise(scene.meadow, (x - 0.5) * depth * 9 + 40, depth * 12)
    near = np.clip((y - h) / 0.5, 0, 1)
    blades = r.stretch(scene.blades, size) * (0.15 + 0.55 * near)
    grass = scene.grass * (0.80 + 0.25 * near + 0.45 * patches + blades)[..., None]
    flower = r.smoothstep(0.11, 0.05, r.spots(scene.flowers, (x - 0.5) * depth * 60 + 90, depth * 45))
    grass = r.mix(
        grass, np.float32((0.95, 0.92, 0.75)), (flower * max(0, scene.flowering))[..., None] * 2 * near[..., None]
    )
    grass = r.mix(scene.mist * 0.25 + grass * 0.75, grass, r.smoothstep(0, 0.12, y - h)[..., None])
    r.paint(picture, grass, r.smoothstep(-edge, edge, y - h) * np.ones_like(x))
    if scene.fence is not None:
        _paint_fence(picture, scene, x, y, edge)
    return picture * (_shadows(scene, x, y)[..., None] * scene.warmth * np.float32(scene.power))


def _paint_fence(picture, scene, x, y, edge):
    foot = scene.horizon + scene.fence_at
    tall = 1.9 * scene.fence_at + 0.05
    rails = np.minimum(abs(y - foot + 0.45 * tall), abs(y - foot + 0.85 * tall)) - 0.07 * tall
    across = abs((x / scene.post + scene.fence) % 1 - 0.5) * scene.post
    posts = np.maximum(across - 0.08 * tall, abs(y - foot + 0.5 * tall) - 0.5 * tall)
    wood = np.float32((0.62, 0.55, 0.45)) * (0.8 + 0.3 * scene.haze)
    r.paint(picture, wood, r.smoothstep(edge, -edge, np.minimum(rails, posts)))


def _shadows(scene, x, y):
    shade = np.float32(1)
    for animal in scene.animals:
        shift, wide = -0.35 * scene.light[0] * animal.height, animal.height * (0.5 + 0.15 * abs(scene.light[0]))
        dx, dy = (x - animal.x - shift) / wide, (y - animal.ground + 0.01) / (0.085 * animal.height)
        shade = shade * (1 - 0.55 * np.exp(-dx * dx * dx * dx) * np.exp(-dy * dy))
    return shade


def _paint_animal(canvas, cover, scene, animal, size, domain, variety):
    """Draw far legs, tail, body with near legs, mane, eye, in this order."""
    light = (scene.light[0] * animal.facing, *scene.light[1:])
    sample = 1 / (animal.height * size * r.SUPERSAMPLING)
    body, far, poll, muzzle = animals.skeleton(animal, domain)

    def lay(parts, coat, dark=1.0):
        window, px, py = _around(parts, animal, size)
        distance, normal, path = animals.limbs(parts, px, py)
        colour, outline = coat(animal, px, py, path, muzzle, variety)
        alpha = r.smoothstep(sample, -sample, distance + outline)
        towards = normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]
        bright = 0.42 + 0.12 * normal[1] + 0.75 * r.smoothstep(-0.4, 1.2, towards)
        bright *= (0.75 + 0.25 * normal[2]) * np.float32(dark * scene.power)
        r.paint(canvas[window], colour * (bright[..., None] * scene.warmth), alpha)
        cover[window] = np.maximum(cover[window], alpha)

    horse = domain == "a"
    lay(far, animals.horse if horse else animals.zebra, 0.62)
    lay(animals.tail(animal, horse), animals.hair if horse else animals.tuft)
    lay(body, animals.horse if horse else animals.zebra)
    lay(animals.mane(animal, poll, horse), animals.hair if horse else animals.crest)
    eye = (r.mix(poll[0], muzzle[0], 0.28), r.mix(poll[1], muzzle[1], 0.28) + 0.025)
    lay([(*eye, *eye, 0.016, 0.016, 0, 0)], lambda *_: (animals.BLACK, 0))


def _around(parts, animal, size):
    """Return the samples that limbs can cover, and their places in the animal's own units, facing right."""
    ax, ay, bx, by, ra, rb, *_ = np.array(parts).T
    reach = np.maximum(ra, rb) + 0.06
    left, right = (reach - np.minimum(ax, bx)).max(), (np.maximum(ax, bx) + reach).max()
    below, above = (reach - np.minimum(ay, by)).max(), (np.maximum(ay, by) + reach).max()
    if animal.facing < 0:
        left, right = right, left
    box = [animal.height * float(side) for side in (left, right, below, above)]
    window, dx, dy = r.window(size, animal.x, animal.ground, *box)
    return window, dx * np.float32(animal.facing / animal.height), dy / np.float32(animal.height)
