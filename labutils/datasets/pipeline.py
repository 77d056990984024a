"""The training pipeline: pictures from folders, read with ``tf.data`` in an order fixed by a seed."""

import itertools
import os

import numpy as np
import tensorflow as tf

from labutils.base import decoding
from labutils.base.opening import ImageError
from labutils.base.words import shown
from labutils.datasets import folder as folders

JITTER = 1.12  # pictures are enlarged by this before the crop (286 to 256 in the paper's code)


def refuse_unfit(paths, thorough=False):
    """Raise ``ValueError`` naming the files among ``paths`` that cannot be trained on as they are, and the remedy.

    ``decoding.refuse_unfit`` says which these are. ``thorough`` decodes every file: use it when TensorFlow could not
    decode one, because its error does not name the file.
    """
    unfit = []
    for path in paths:
        try:
            decoding.refuse_unfit(path, thorough)
        except ImageError as error:
            unfit.append(error)
    if unfit:
        errors = "\n".join(map(str, unfit[:10])) + ("\n..." if len(unfit) > 10 else "")
        raise ValueError(
            f"{len(unfit)} of {len(paths)} files in {shown(paths[0].parent)} cannot be trained on. To make a "
            f"dataset of what can be read: {folders.remedy(paths[0].parents[1])}\nOr replace or delete them:\n{errors}"
        )


def fit(image, size):
    """Resize ``image`` (h, w, 3) to the shorter side ``size``, proportions kept: float32 in [-1, 1]."""
    shorter = tf.reduce_min(tf.shape(image)[:2])
    sides = tf.cast(tf.round(tf.shape(image)[:2] * size / shorter), tf.int32)

    def resized(antialias):
        return tf.image.resize(image, sides, "bicubic", antialias=antialias)

    # Antialiasing takes twice the time, and makes no difference when a picture is enlarged.
    image = tf.cond(shorter > size, lambda: resized(True), lambda: resized(False))
    return tf.clip_by_value(image / 127.5 - 1, -1, 1)  # cubic interpolation overshoots a little


def crop(image, size, where=(0.5, 0.5)):
    """Cut (size, size, 3) out of ``image`` at ``where``, from (0, 0), top left, to (1, 1), bottom right."""
    room = tf.cast(tf.shape(image)[:2] - size + 1, tf.float32)
    y, x = tf.unstack(tf.cast(tf.floor(room * tf.clip_by_value(where, 0.0, 0.999)), tf.int32))
    return tf.ensure_shape(image[y : y + size, x : x + size], (size, size, 3))


def random_view(image, size, seed, jitter=JITTER, flip=0.5):
    """Return a random view of a picture: enlarged, cropped at a random place, perhaps mirrored.

    image: uint8 (h, w, 3).
    size: side of the result in pixels; the result is float32 (size, size, 3) in [-1, 1].
    seed: two integers; the same seed gives the same view.
    jitter: factor of the enlargement; default 1.12.
    flip: probability of mirroring; default 0.5.
    """
    draw = tf.random.stateless_uniform([3], seed)
    view = crop(fit(image, round(size * jitter)), size, draw[:2])
    return tf.cond(draw[2] < flip, lambda: view[:, ::-1], lambda: view)


def shuffled(sample, count, seed, domain):
    """Return which of ``count`` pictures is number ``sample``: every epoch is a new order of all of them."""
    epoch, position = sample // count, sample % count
    return tf.random.experimental.index_shuffle(position, [seed, 2 * epoch + domain], count - 1)


def unpaired(root, size, batch_size=1, seed=0, augment=True, start_step=0):
    """Make endless training batches from ``root/trainA`` and ``root/trainB``, each in its own random order.

    Returns a ``tf.data.Dataset`` of ``(real_a, real_b)``, float32 (batch_size, size, size, 3) in [-1, 1].

    root: the dataset's folder.
    size: side of the pictures in pixels.
    batch_size: pictures of each domain in a batch; default 1.
    seed: fixes orders and augmentation; default 0. A batch depends only on ``seed`` and its step.
    augment: random views (``random_view``), otherwise central squares; default True.
    start_step: ``start_step=k`` continues exactly where a run of k steps ended; default 0.

    In an epoch of a domain each of its pictures comes once; the smaller domain starts its next epoch earlier. Files
    are read when they are needed, so memory does not grow with the dataset. Embedded colour profiles are ignored
    (``folder.prepare`` converts them). Raises ``ValueError`` for a missing or empty folder, and for files that
    ``refuse_unfit`` refuses.
    """
    names = []
    for domain in ("trainA", "trainB"):
        found = folders.files(root, domain)
        refuse_unfit(found)
        names.append(tf.constant([os.fsencode(path) for path in found]))  # a name need not be UTF-8

    def view(sample, domain):
        image = decoding.decode(tf.gather(names[domain], shuffled(sample, len(names[domain]), seed, domain)))
        if not augment:
            return crop(fit(image, size), size)
        return random_view(image, size, tf.random.experimental.stateless_fold_in([seed, domain], sample))

    samples = tf.data.Dataset.counter(start_step * batch_size)
    pairs = samples.map(
        lambda sample: (view(sample, 0), view(sample, 1)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return pairs.batch(batch_size, drop_remainder=True).prefetch(4)


def pictures(root, folder, size, limit=None):
    """Read the pictures of ``root/folder`` in the order of their names, at most ``limit``, for testing.

    Returns the central squares, float32 (n, size, size, 3) in [-1, 1].
    Raises ``ValueError`` for a missing or empty folder, and for files that ``refuse_unfit`` refuses.
    """
    found = list(itertools.islice(folders.files(root, folder), limit))
    refuse_unfit(found)
    return np.stack([crop(fit(_decoded(path), size), size).numpy() for path in found])


def _decoded(path):
    try:
        return decoding.decode(os.fsencode(path))
    except tf.errors.OpError:  # its message names no file and no remedy
        refuse_unfit([path], thorough=True)
        raise
