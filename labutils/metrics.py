"""Measure translations against the right answers ("truth") of a rendered dataset.

Pictures are float arrays in [0, 1] (peak 1). PSNR is in decibels; higher is better for PSNR and SSIM. Measures without
right answers, comparisons and choices are in ``labutils.measure``.
"""

import functools
import json

import numpy as np
from skimage.metrics import structural_similarity

from labutils import datasets


def squared_error(image, truth, mask):
    """Return the squared error of each of n pictures (n, height, width, 3), weighted by ``mask`` (n, height, width)."""
    return ((np.asarray(image, float) - truth) ** 2 * np.asarray(mask)[..., None]).sum(axis=(-3, -2, -1))


def psnr(image, truth, mask=None):
    """Return the peak signal-to-noise ratio in dB of pictures (..., height, width, 3) in [0, 1]; infinite if equal.

    ``mask`` (..., height, width) weights the pixels; if it is 0 everywhere, the result is ``None``. Several pictures
    are pooled: one mean squared error over all.
    """
    mask = np.ones(np.shape(truth)[:-1]) if mask is None else np.asarray(mask)
    if not mask.any():
        return None
    error = squared_error(image, truth, mask).sum() / (3 * mask.sum())
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(image, truth, mask=None):
    """Return the structural similarity of pictures (..., height, width, 3) in [0, 1]: 1 if equal (Wang et al. 2004).

    ``mask`` (..., height, width) weights the map of similarities, whose windows of 7 pixels also see pixels outside
    the mask. If it is 0 everywhere, the result is ``None``. Without a mask, two pictures (height, width, 3) are
    compared as scikit-image does, without the outer 3 pixels.
    """
    compare = functools.partial(structural_similarity, channel_axis=-1, data_range=1.0)
    if mask is None:
        return float(compare(np.asarray(image), np.asarray(truth)))
    if not np.any(mask):
        return None
    image, truth = (np.reshape(pictures, (-1, *np.shape(pictures)[-3:])).astype(float) for pictures in (image, truth))
    maps = [compare(*pair, full=True)[1].mean(axis=-1) for pair in zip(image, truth, strict=True)]
    return float(np.average(np.reshape(maps, np.shape(mask)), weights=mask))


def report(generator, root, direction, limit=None):
    """Measure a generator on the held-out pairs of the rendered dataset in ``root``, on the first ``limit`` if given.

    ``direction``: "ab" (A to B) or "ba". Returns a dict. In dB: ``fruit_psnr`` inside the mask, where the two domains
    differ; ``background_psnr`` outside it; ``copy_fruit_psnr`` of the unchanged input; ``gain``, which is
    ``fruit_psnr`` minus ``copy_fruit_psnr``. Then ``fruit_ssim``, ``background_ssim``, and the number of ``pictures``.
    From B to A, the truth of each picture is the nearest of A's varieties. Errors are pooled over all pictures. A
    measure without pixels is left out: the meadow, for example, has no background.

    Raises ``ValueError`` if ``root`` has no truth: real photographs have none.
    """
    real, truths, mask = test_pairs(str(root), direction, limit)
    fake = translated(generator, real)
    truth, outside = nearest(fake, truths, mask), mask == 0
    fruit, copied = psnr(fake, truth, mask), psnr(real, nearest(real, truths, mask), mask)
    measured = {
        "fruit_psnr": fruit,
        "background_psnr": psnr(fake, real, outside),  # outside the mask both domains are equal to the last bit
        "copy_fruit_psnr": copied,
        "gain": None if fruit is None else fruit - copied,
        "fruit_ssim": ssim(fake, truth, mask),
        "background_ssim": ssim(fake, truth, outside),
        "pictures": len(real),
    }
    return {name: value for name, value in measured.items() if value is not None}


def translated(generator, real):
    """Translate the pictures ``real``, (n, height, width, 3) in [0, 1], with ``generator``, 50 at a time."""
    batches = np.array_split(real, -(-len(real) // 50))
    fake = np.concatenate([np.asarray(generator(batch * 2 - 1, training=False)) for batch in batches])
    return np.clip(fake / 2 + 0.5, 0, 1)


def nearest(pictures, truths, mask):
    """Choose for each picture the right answer with the least error inside ``mask``: (n, height, width, 3)."""
    least = np.argmin([squared_error(pictures, truth, mask) for truth in truths], axis=0)
    return np.stack([truths[choice][i] for i, choice in enumerate(least)])


@functools.lru_cache(maxsize=4)
def test_pairs(root, direction, limit=None):
    """Render the held-out pictures of a rendered dataset (the first ``limit``; ``None``: all), and their truth.

    Returns ``real`` (n, size, size, 3), ``truths`` (a list of such arrays: one right answer for "ab", one for each
    variety for "ba") and ``mask`` (n, size, size), float32 in [0, 1].
    """
    if direction not in ("ab", "ba"):
        raise ValueError(f'direction must be "ab" or "ba", not {direction!r}.')
    record = datasets.truth_of(root)
    if record is None:
        raise ValueError(f"{root} has no truth: only rendered datasets have one ({', '.join(datasets.RENDERED)}).")
    written, domain = json.loads(record.read_text()), datasets.rendered(record.stem)
    scenes = [scene for file, scene in written["scenes"].items() if file.startswith("testA/")][:limit]
    pairs = [domain.render_pair(scene, written["size"]) for scene in scenes]
    a, b, mask = (np.stack(pictures) for pictures in zip(*pairs, strict=True))
    if direction == "ab":
        return a, [b], mask
    varieties = [[domain.render(scene, written["size"], "a", kind) for scene in scenes] for kind in domain.VARIETIES]
    return b, [np.stack(pictures) for pictures in varieties], mask
