"""Pictures from folders to training steps, in native ``tf.data``, in an order fixed by a seed."""

import itertools

import numpy as np
import tensorflow as tf

from labutils.datasets import folder as folders

JITTER = 1.12  # pictures are enlarged by this before the crop (286 to 256 in the paper's code)


def decode(path):
    """The picture in a JPEG or PNG file: uint8 (height, width, 3). ``path`` is a string tensor."""
    return tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)


def fit(image, size):
    """``image`` (h, w, 3) as float32 in [-1, 1], its shorter side ``size``, in its own proportions."""
    shorter = tf.reduce_min(tf.shape(image)[:2])
    sides = tf.cast(tf.round(tf.shape(image)[:2] * size / shorter), tf.int32)

    def resized(antialias):
        return tf.image.resize(image, sides, "bicubic", antialias=antialias)

    # Filtering takes twice the time, and makes no difference to a picture that grows.
    image = tf.cond(shorter > size, lambda: resized(True), lambda: resized(False))
    return tf.clip_by_value(image / 127.5 - 1, -1, 1)  # cubic interpolation overshoots a little


def crop(image, size, where=(0.5, 0.5)):
    """The (size, size, 3) part of ``image`` at ``where``, from (0, 0), top left, to (1, 1), bottom right."""
    room = tf.cast(tf.shape(image)[:2] - size + 1, tf.float32)
    y, x = tf.unstack(tf.cast(tf.floor(room * tf.clip_by_value(where, 0.0, 0.999)), tf.int32))
    return tf.ensure_shape(image[y : y + size, x : x + size], (size, size, 3))


def random_view(image, size, seed, jitter=JITTER, flip=0.5):
    """A random view of ``image`` (h, w, 3), uint8: float32 (size, size, 3) in [-1, 1].

    Enlarged by ``jitter``, cropped anywhere, mirrored with probability ``flip``. ``seed`` is two integers;
    the same seed gives the same view.
    """
    draw = tf.random.stateless_uniform([3], seed)
    view = crop(fit(image, round(size * jitter)), size, draw[:2])
    return tf.cond(draw[2] < flip, lambda: view[:, ::-1], lambda: view)


def shuffled(sample, count, seed, domain):
    """Which of ``count`` pictures comes as number ``sample``: every epoch is a new order of all of them."""
    epoch, position = sample // count, sample % count
    return tf.random.experimental.index_shuffle(position, [seed, 2 * epoch + domain], count - 1)


def unpaired(root, size, batch_size=1, seed=0, augment=True, start_step=0):
    """Endless training batches from ``root/trainA`` and ``root/trainB``, each in an order of its own.

    Returns a ``tf.data.Dataset`` of ``(real_a, real_b)``, float32 (batch_size, size, size, 3) in [-1, 1].
    What comes at a step is a function of ``(seed, step)`` alone, so ``start_step=k`` continues exactly
    where a run of k steps ended. An epoch of a domain passes each of its pictures once; the smaller domain
    then starts its next one. Files are read as they are needed: memory does not grow with the dataset.

    Raises ``ValueError`` for a missing or empty folder, and for files that are no whole pictures.
    """
    names = []
    for domain in ("trainA", "trainB"):
        found = folders.files(root, domain)
        folders.refuse_broken(found)
        names.append(tf.constant([str(path) for path in found]))

    def view(sample, domain):
        image = decode(tf.gather(names[domain], shuffled(sample, len(names[domain]), seed, domain)))
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
    """The pictures of ``root/folder`` in the order of their names, at most ``limit``, for tests.

    Returns float32 (n, size, size, 3) in [-1, 1]; of a picture that is not square, the central square.
    Raises ``ValueError`` for a missing or empty folder.
    """
    found = list(itertools.islice(folders.files(root, folder), limit))
    folders.refuse_broken(found)
    return np.stack([crop(fit(decode(str(path)), size), size).numpy() for path in found])
