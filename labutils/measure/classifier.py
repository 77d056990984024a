"""A judge that needs no truth: a small network that tells the pictures of two domains apart."""

import numpy as np
import tensorflow as tf

from labutils.datasets import pipeline


class DomainClassifier:
    """Is a picture one of A or of B? Learned from the training folders of a dataset, in less than a minute.

    ``size``: pixels a side; ``seed``: of weights and order, so that the same seed gives the same judge. Pictures are
    (n, size, size, 3) in [0, 1]. It never saw a translation, so what it accepts looks like the domain *to it*: a
    necessary sign, not a sufficient one.

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
        """Learn from ``root/trainA`` and ``root/trainB``, batches mirrored at random; returns itself.

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
        """How sure it is, for each of n pictures, that they show domain B: (n,) from 0 to 1."""
        pictures = np.asarray(pictures)
        if pictures.ndim != 4 or pictures.min() < -1e-3 or pictures.max() > 1.001:
            raise ValueError(f"Pictures should be (n, height, width, 3) in [0, 1], these are {pictures.shape}.")
        batches = np.array_split(pictures * 2 - 1, -(-len(pictures) // 50))
        return np.concatenate([tf.sigmoid(self.network(batch, training=False)).numpy()[:, 0] for batch in batches])

    def accepts(self, pictures, domain):
        """The share of ``pictures`` that it takes for real ones of ``domain``, "a" or "b"."""
        if domain not in ("a", "b"):
            raise ValueError(f'domain must be "a" or "b", not {domain!r}.')
        return float(np.mean((self.probability(pictures) > 0.5) == (domain == "b")))

    def accuracy(self, root):
        """The share of the held-out pictures, ``root/testA`` and ``root/testB``, that it tells right."""
        real_a, real_b = (pipeline.pictures(root, f"test{domain}", self.size) / 2 + 0.5 for domain in "AB")
        right = self.accepts(real_a, "a") * len(real_a) + self.accepts(real_b, "b") * len(real_b)
        return right / (len(real_a) + len(real_b))
