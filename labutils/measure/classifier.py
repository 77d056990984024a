"""A metric without ground truth: a small network that classifies pictures by domain."""

import numpy as np
import tensorflow as tf

from labutils.datasets import pipeline


class DomainClassifier:
    """Classify pictures as A or B, after less than a minute of training on a dataset's training folders.

    ``size``: pixels a side. ``seed``: of weights and order; the same seed gives the same classifier. Pictures are
    (n, size, size, 3) in [0, 1]. The classifier was never trained on translations. A good translation should be
    accepted, but an accepted one may still be wrong.

    Example::

        classifier = DomainClassifier(64).fit(root)
        classifier.accuracy(root), classifier.accepts(fakes, "b")
    """

    def __init__(self, size, seed=0):
        self.size, self.seed = size, seed
        layers = [
            tf.keras.layers.Conv2D(
                filters,
                3,
                strides=2,
                padding="same",
                activation="relu",
                kernel_initializer=tf.keras.initializers.HeNormal(seed=10 * seed + number),
            )
            for number, filters in enumerate((16, 32, 64, 64))
        ]
        head = tf.keras.layers.Dense(1, kernel_initializer=tf.keras.initializers.HeNormal(seed=10 * seed + 9))
        self.network = tf.keras.Sequential([*layers, tf.keras.layers.GlobalAveragePooling2D(), head])

    def fit(self, root, epochs=25):
        """Train on ``root/trainA`` and ``root/trainB``, with batches mirrored at random; returns itself.

        Raises ``ValueError`` for missing or empty folders.
        """
        pictures = [pipeline.pictures(root, f"train{domain}", self.size) for domain in "AB"]
        is_b = np.repeat([[0.0], [1.0]], [len(part) for part in pictures], axis=0)
        pictures, random = np.concatenate(pictures), np.random.default_rng(self.seed)
        batches = -(-len(pictures) // 32)
        self.network.compile(
            tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(2e-3, epochs * batches)),
            tf.keras.losses.BinaryCrossentropy(from_logits=True),
        )
        for _ in range(epochs):
            for batch in np.array_split(random.permutation(len(pictures)), batches):
                mirrored = pictures[batch, :, :: random.choice([-1, 1])]
                self.network.train_on_batch(mirrored, is_b[batch])
        return self

    def probability(self, pictures):
        """Return the probability that each of n pictures shows domain B: (n,), from 0 to 1."""
        pictures = np.asarray(pictures)
        if pictures.ndim != 4 or pictures.min() < -1e-3 or pictures.max() > 1.001:
            raise ValueError(f"Pictures should be (n, height, width, 3) in [0, 1], but have shape {pictures.shape}.")
        batches = np.array_split(pictures * 2 - 1, -(-len(pictures) // 50))
        return np.concatenate([tf.sigmoid(self.network(batch, training=False)).numpy()[:, 0] for batch in batches])

    def accepts(self, pictures, domain):
        """Return the share of ``pictures`` that it classifies as ``domain``, "a" or "b"."""
        if domain not in ("a", "b"):
            raise ValueError(f'domain must be "a" or "b", not {domain!r}.')
        return float(np.mean((self.probability(pictures) > 0.5) == (domain == "b")))

    def accuracy(self, root):
        """Return the share of held-out pictures, ``root/testA`` and ``root/testB``, that it classifies correctly."""
        real_a, real_b = (pipeline.pictures(root, f"test{domain}", self.size) / 2 + 0.5 for domain in "AB")
        right = self.accepts(real_a, "a") * len(real_a) + self.accepts(real_b, "b") * len(real_b)
        return right / (len(real_a) + len(real_b))
