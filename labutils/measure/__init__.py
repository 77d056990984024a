"""Further measurements: metrics without ground truth, baselines, the worst pictures, and choosing a checkpoint."""

import functools
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from labutils import datasets, generators, metrics
from labutils.base import files
from labutils.datasets import folder, pipeline
from labutils.measure.classifier import DomainClassifier as DomainClassifier
from labutils.metrics import nearest, psnr, squared_error, translated


def gains(kept, root, direction):
    """Measure the gain (see ``report``) of every generator in a run's folder ``kept``: ``{step: dB}``, by step."""
    real, truths, mask = metrics.test_pairs(str(root), direction)
    copied, found = psnr(real, nearest(real, truths, mask), mask), {}
    paths = files.by_step(kept, f"-{direction}.json").values()
    for path in tqdm(paths, f"measuring {direction}", unit=" steps"):
        network = generators.load_generator(path)
        fake = translated(network, real)
        found[network.card["steps"]] = psnr(fake, nearest(fake, truths, mask), mask) - copied
    return found


def distances(kept, root, direction, part="train", limit=120):
    """Measure the KID of every generator in a run's folder ``kept``: ``{step: KID}``.

    ``limit`` pictures of the folder ``part`` + the first domain of ``root`` are translated, by default training
    pictures, and compared with all training pictures of the other domain.
    """
    paths = files.by_step(kept, f"-{direction}.json").values()
    networks = [generators.load_generator(path) for path in paths]
    size, (source, target) = networks[0].spec["image_size"], direction.upper()
    real = pipeline.pictures(root, f"{part}{source}", size, limit) / 2 + 0.5
    others, found = features_of(pipeline.pictures(root, f"train{target}", size) / 2 + 0.5), {}
    for network in tqdm(networks, f"measuring {direction}", unit=" steps"):
        found[network.card["steps"]] = kid(features_of(translated(network, real)), others)[0]
    return found


def choose(kept, root):
    """Save the best generators in a run's folder ``kept`` as ``chosen-ab`` and ``chosen-ba``.

    The best have the largest gain on the pairs in ``root``; if it has no truth, the least KID on its training pictures.
    Judge the choice on other pictures. Returns all values, ``{direction: {step: dB or KID}}``.
    """
    measured, best = (gains, max) if datasets.truth_of(root) else (distances, min)
    found = {direction: measured(kept, root, direction) for direction in ("ab", "ba")}
    for direction, values in found.items():
        network = generators.load_generator(Path(kept) / files.named(best(values, key=values.get), f"-{direction}"))
        generators.save_generator(network, Path(kept) / f"chosen-{direction}", **network.card)
    return found


def unchanged(batch, training=False):
    """Return the unchanged input: the first baseline, called like a generator."""
    return batch


def colour_matching(root, direction):
    """Make the second baseline, a "generator" that matches mean colour and contrast to the other domain.

    It scales and shifts each channel in the same way for all pictures. The mean and standard deviation of one
    training folder then become those of the other (in RGB, after Reinhard et al.
    2001, "Color Transfer between Images").
    """
    (mean, deviation), (target_mean, target_deviation) = (
        _colours(str(root), f"train{domain.upper()}") for domain in direction
    )
    factor = target_deviation / deviation
    return lambda batch, training=False: np.clip((batch - mean) * factor + target_mean, -1, 1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _colours(root, part):
    """Compute mean and standard deviation of each channel of the pictures in ``root/part``, in [-1, 1]: two (3,)."""
    sums = np.zeros((2, 3))
    files = folder.files(root, part)
    for path in files:
        picture = folder.read_image(path) / 127.5 - 1
        sums += picture.mean(axis=(0, 1)), (picture**2).mean(axis=(0, 1))
    mean, square = sums / len(files)
    return mean, np.sqrt(square - mean**2)


def features_of(pictures, network="vgg16"):
    """Convert pictures (n, height, width, 3) in [0, 1] to feature vectors for ``kid``, float64 (n, channels).

    ``network``: "vgg16" (default) or "inception". "vgg16" averages block 4 of the course's 8-bit VGG16 over the
    picture and scales each vector to a mean square of 1. "inception" is the usual choice; Keras downloads its weights
    (88 MB) unless they are cached. Raises ``ValueError`` for another network.
    """
    run, pictures = _network(network), np.asarray(pictures, np.float32)
    return np.concatenate([run(batch) for batch in np.array_split(pictures, -(-len(pictures) // 25))]).astype(float)


@functools.cache
def _network(name):
    import tensorflow as tf

    from labutils import features

    if name == "inception":
        inception = tf.keras.applications.InceptionV3(include_top=False, weights="imagenet", pooling="avg")
        return lambda batch: inception(tf.image.resize(batch, (299, 299)) * 2 - 1, training=False).numpy()
    if name != "vgg16":
        raise ValueError(f'Unknown network {name!r}: choose "vgg16" or "inception".')
    vgg = features.vgg("vgg16", weights="packed")
    vgg = features.cut(vgg, [vgg.output_names_by_layer[-1]])

    def run(batch):
        (maps,) = vgg(batch * 255, training=False).values()
        means = maps.numpy().mean(axis=(1, 2))
        return means / np.sqrt((means**2).mean(axis=1, keepdims=True))

    return run


def kid(features_x, features_y):
    """Compute the Kernel Inception Distance of two sets of feature vectors, (n, channels) and (m, channels).

    Returns ``(value, standard_error)``. The value is the unbiased estimate of the squared maximum mean discrepancy with
    the kernel (x·y / channels + 1)³. For two samples of one distribution it is 0 on average, so it may be negative.
    The error is a jackknife: the spread of the value when each picture in turn is left out. Bińkowski et al. 2018,
    "Demystifying MMD GANs". Raises ``ValueError`` for fewer than 3 vectors in a set, or other shapes.
    """
    x, y = np.asarray(features_x, float), np.asarray(features_y, float)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 3:
        raise ValueError(f"Give two sets of at least 3 vectors of one length, not {x.shape} and {y.shape}.")
    xx, yy, xy = ((p @ q.T / x.shape[1] + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)

    def mmd(n, m, sum_xx, sum_yy, sum_xy):
        return sum_xx / (n * (n - 1)) + sum_yy / (m * (m - 1)) - 2 * sum_xy / (n * m)

    n, m, sums = len(x), len(y), (xx.sum(), yy.sum(), xy.sum())
    without_x = mmd(n - 1, m, sums[0] - 2 * xx.sum(axis=1), sums[1], sums[2] - xy.sum(axis=1))
    without_y = mmd(n, m - 1, sums[0], sums[1] - 2 * yy.sum(axis=1), sums[2] - xy.sum(axis=0))
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    return float(mmd(n, m, *sums)), float(np.sqrt(variance))


def errors(generator, back, classifier, root, direction, limit=None):
    """Measure the error of each held-out translation in four ways: ``{measure: (n,)}``, higher is worse.

    ``generator``, ``back``: the generators of ``direction`` and of the opposite direction.
    ``classifier``: a ``DomainClassifier``.
    ``root``: the dataset's folder.
    ``direction``: "ab" or "ba".
    ``limit``: how many test pictures to use, by default all.

    "fruit" and "background" are the root mean squared error inside and outside the mask. "cycle" is the mean
    absolute difference after translating back. All three are in grey levels of 255. "classifier" is the probability,
    from 0 to 1, that the translation is *not* of the target domain. A picture without pixels inside or outside has
    NaN there. A measure that is NaN for all pictures is left out. Without a truth, "fruit" and "background" are.
    """
    measured = {}
    if datasets.truth_of(root):
        real, truths, mask = metrics.test_pairs(str(root), direction, limit)
    else:
        real = pipeline.pictures(root, f"test{direction[0].upper()}", classifier.size, limit) / 2 + 0.5
    fake = translated(generator, real)
    if datasets.truth_of(root):
        truth = nearest(fake, truths, mask)

        def levels(weight):
            pixels = weight.sum(axis=(1, 2))
            return 255 * np.sqrt(squared_error(fake, truth, weight) / np.where(pixels, 3 * pixels, np.nan))

        measured |= {"fruit": levels(mask), "background": levels(mask == 0)}
    is_b = classifier.probability(fake)
    measured |= {
        "classifier": 1 - is_b if direction == "ab" else is_b,
        "cycle": 255 * np.abs(translated(back, fake) - real).mean(axis=(1, 2, 3)),
    }
    return {name: values for name, values in measured.items() if not np.isnan(values).all()}


def worst(values, count=10):
    """Find the ``count`` worst pictures by each measure of ``errors``: ``{measure: indices}``, the worst first.

    Pictures with NaN are left out.
    """
    known = {measure: np.flatnonzero(~np.isnan(error)) for measure, error in values.items()}
    return {measure: at[np.argsort(-values[measure][at], kind="stable")][:count] for measure, at in known.items()}
