"""The shapes and coats of the paddock's animals, in heights at the withers, facing right, feet at y = 0."""

import math

import numpy as np

from labutils.scenes import render as r

# Coat, mane and tail, lower legs and muzzle.
COATS = {
    "bay": ((0.43, 0.24, 0.12), (0.08, 0.06, 0.06), (0.12, 0.08, 0.07)),
    "chestnut": ((0.62, 0.31, 0.13), (0.72, 0.42, 0.20), (0.52, 0.26, 0.12)),
    "grey": ((0.66, 0.65, 0.64), (0.40, 0.40, 0.42), (0.36, 0.35, 0.36)),
}
COATS = {name: np.array(colours, np.float32) for name, colours in COATS.items()}
WHITE, BLACK = np.array((0.93, 0.91, 0.86), np.float32), np.array((0.09, 0.08, 0.09), np.float32)
HOOF = np.array((0.13, 0.11, 0.10), np.float32)
HIPS = ((0.28, 0.64, 0.03, 0.092), (-0.41, 0.70, -0.05, 0.125))  # x, y, bend of the leg, thickness
STRIPES = 7.5  # per height at the withers


def skeleton(animal, domain):
    """Return tapering limbs as rows (x, y, x', y', radius, radius', path, path').

    Units are heights at the withers, with the feet at y = 0. The path is the distance along the body;
    stripes are perpendicular to it. Returns the limbs of the body and near legs, the limbs of the far legs, and the
    poll and muzzle.
    """
    nx, ny = math.cos(animal.neck), math.sin(animal.neck)
    poll = (0.36 + 0.50 * nx, 0.74 + 0.50 * ny)
    hx, hy = math.cos(animal.head), math.sin(animal.head)
    muzzle = (poll[0] + 0.31 * hx, poll[1] + 0.31 * hy)
    cheek = (poll[0] + 0.09 * hx + 0.02 * hy, poll[1] + 0.09 * hy - 0.02 * hx)
    ear = (poll[0] + 0.16 * math.cos(animal.head + 2.4), poll[1] + 0.16 * math.sin(animal.head + 2.4))
    body = [
        (-0.32, 0.77, 0.26, 0.75, 0.185, 0.185, -0.32, 0.26),
        (0.02, 0.70, 0.20, 0.69, 0.185, 0.195, 0.02, 0.20),
        (-0.39, 0.75, -0.30, 0.75, 0.185, 0.19, -0.47, -0.32),
        (0.32, 0.73, *poll, 0.175, 0.085, 0.34, 0.86),
        (*poll, *cheek, 0.085, 0.082, 0.90, 1.02),
        (*cheek, *muzzle, 0.078, 0.052, 1.02, 1.32),
        (*poll, *ear, 0.036, 0.016 if domain == "a" else 0.03, 0.9, 1.0),
    ]
    legs = []
    for step, (hip_x, hip_y, bend, thick) in zip(animal.steps, HIPS * 2, strict=True):
        path = -0.5 if hip_x < 0 else 0.3
        way = math.copysign(1.0, hip_x)
        knee, ankle = (hip_x + bend + 0.4 * step, 0.34), (hip_x + step + 0.2 * bend, 0.09)
        foot = (ankle[0] + 0.025, 0.022)
        legs.append(
            [
                (hip_x, hip_y, *knee, thick, 0.046, path, path + way * 0.33),
                (*knee, *ankle, 0.044, 0.028, path + way * 0.33, path + way * 0.60),
                (*ankle, *foot, 0.031, 0.040, path + way * 0.60, path + way * 0.68),
            ]
        )
    return body + legs[0] + legs[1], legs[2] + legs[3], poll, muzzle


def limbs(parts, px, py, blend=34.0):
    """Compute the smooth union of limbs: signed distance, normal (3 arrays) and path at points (h, w)."""
    ax, ay, bx, by, ra, rb, sa, sb = np.array(parts, np.float32).T[:, :, None, None]
    ux, uy = bx - ax, by - ay
    t = np.clip(((px - ax) * ux + (py - ay) * uy) / (ux * ux + uy * uy + 1e-6), 0, 1)
    ox, oy = px - ax - t * ux, py - ay - t * uy
    radius = ra + (rb - ra) * t
    away = np.sqrt(ox * ox + oy * oy)
    distance = away - radius
    nearest = distance.min(0)
    weight = np.exp(np.float32(-blend) * (distance - nearest))
    total = weight.sum(0)
    weight /= total
    scale = weight / np.maximum(radius, away)
    nx, ny = (ox * scale).sum(0), (oy * scale).sum(0)
    path = ((sa + (sb - sa) * t) * weight).sum(0)
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0.04))
    return nearest - np.log(total) / np.float32(blend), (nx, ny, nz), path


# Coats: the colour at points px, py, and how far the outline is moved inwards there.


def horse(animal, px, py, path, muzzle, variety):
    """Return a horse's coat: one dappled colour with darker points, perhaps with white socks."""
    coat, _, points = COATS[variety or animal.variety]
    dapple = r.noise(animal.coat, px * 11 + 30, py * 11 + 30) + 0.5 * r.noise(animal.coat, px * 3 + 9, py * 3 + 9)
    skin = coat * animal.tone * (1 + 0.22 * dapple)[..., None]
    leg = abs(px) < 0.75
    skin = r.mix(skin, points, np.maximum(r.smoothstep(0.40, 0.14, py) * leg, 0.8 * _nose(px, py, muzzle))[..., None])
    for sock, front in zip(animal.socks, (True, False), strict=True):
        if sock:
            skin = r.mix(skin, WHITE, (r.smoothstep(0.20, 0.15, py) * leg * ((px > 0) == front))[..., None])
    return r.mix(skin, HOOF, (r.smoothstep(0.065, 0.045, py) * leg)[..., None]), 0


def zebra(animal, px, py, path, muzzle, variety):
    """Return a zebra's coat: wavy stripes across the path, finer on the legs; white belly, black muzzle."""
    warp = 0.09 * r.noise(animal.coat, px * 3.2 + 9, py * 2.6 + 9) + 0.03 * r.noise(
        animal.coat, px * 9 + 30, py * 5 + 30
    )
    slant = np.where(px < -0.1, (0.9 - py) * (-0.1 - px) * 1.2, 0)  # on the rump they sweep down and back
    finer = 1 + 0.5 * r.smoothstep(0.45, 0.25, py)
    wave = np.sin(2 * np.pi * ((path - slant + warp) * STRIPES * finer + animal.phase))
    belly = r.smoothstep(0.60, 0.50, py) * (abs(px) < 0.30) * (py > 0.42)
    black = r.smoothstep(-0.28, 0.28, wave - 0.1) * (1 - 0.9 * belly)
    skin = r.mix(WHITE * animal.tone.clip(0.92, 1.05), BLACK, np.maximum(black, _nose(px, py, muzzle))[..., None])
    return r.mix(skin, HOOF, (r.smoothstep(0.065, 0.045, py) * (abs(px) < 0.75))[..., None]), 0


def _nose(px, py, muzzle):
    return r.smoothstep(0.13, 0.05, np.sqrt((px - muzzle[0]) ** 2 + (py - muzzle[1]) ** 2))


def hair(animal, px, py, path, muzzle, variety):
    """Return the hair of a horse's mane or tail."""
    strands = r.noise(animal.coat, px * 26 + py * 6 + 50, py * 7 + 20)
    return COATS[variety or animal.variety][1] * (1 + 0.6 * strands)[..., None], 0.022 * (strands + 0.2)


def crest(animal, px, py, path, muzzle, variety):
    """Return a zebra's mane, which continues the stripes of the neck."""
    wave = np.sin(2 * np.pi * (path * STRIPES + animal.phase))
    return r.mix(WHITE, BLACK, r.smoothstep(-0.3, 0.3, wave)[..., None]), 0


def tuft(animal, px, py, path, muzzle, variety):
    """Return a zebra's tail: rings, then black."""
    rings = r.smoothstep(-0.3, 0.3, np.sin(path * 60)) * (path < 0.28)
    return r.mix(BLACK, WHITE, rings[..., None]), 0


def tail(animal, horse):
    """Return the limbs of the tail: full on a horse, a tuft on a zebra."""
    a, b, c = (0.04, 0.07, 0.035) if horse else (0.028, 0.02, 0.05)
    x, low = -0.645, -0.645 + animal.tail
    return [(-0.555, 0.80, x, 0.62, a, b, 0, 0.2), (x, 0.62, low, 0.34, b, c, 0.2, 0.5)]


def mane(animal, poll, horse):
    """Return the limb of the mane along the neck: lying on it (horse), or short and upright (zebra)."""
    dx, dy = math.cos(animal.neck), math.sin(animal.neck)
    lift, thick = (-0.03, 0.058) if horse else (0.035, 0.036)
    base = (0.30 - dy * (0.16 + lift), 0.76 + dx * (0.16 + lift))
    top = (poll[0] - dy * (0.08 + lift), poll[1] + dx * (0.08 + lift))
    return [(*base, *top, thick * 0.5, thick, 0.34, 0.86)]
