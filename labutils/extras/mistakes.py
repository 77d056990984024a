"""Lesson 3's five mistakes: each changes one setting of a profile whose generators have no attention mask."""

import dataclasses

import tensorflow as tf

from labutils import cyclegan, models, training


def changes(lab):
    """Return what each mistake changes in the profile ``lab``: ``{mistake: {field: value}}``."""
    generator, weights = {**lab.generator, "attention": False}, lab.loss_weights
    return {
        "no cycle loss": {"loss_weights": {**weights, "cycle": 0.0}},
        "no identity loss": {"loss_weights": {**weights, "identity": 0.0}},
        "no pool": {"pool_size": 0},
        "batch norm": {"generator": {**generator, "normalization": "batch"}},
        "strong discriminators": {"loss_weights": {**weights, "adversarial": 0.05}},
    }


def run(mistake, lab, root, directory, seed=0):
    """Make a ``training.Run`` with one mistake in it, ready to start; ``None``: a healthy one, also without mask.

    mistake: a key of ``changes(lab)``, otherwise ``ValueError``.
    lab: the profile.
    root: the folder of the data.
    directory: where the run keeps its files.
    seed: of the weights, the order and the augmentation; default 0.
    """
    known = changes(lab)
    if mistake is not None and mistake not in known:
        raise ValueError(f"There is no mistake called {mistake!r}. Choose one of: {', '.join(known)}.")
    plain = dataclasses.replace(lab, generator={**lab.generator, "attention": False})
    wrong = dataclasses.replace(plain, **known.get(mistake, {}))
    tf.keras.utils.set_random_seed(seed)
    weights = cyclegan.LossWeights(**wrong.loss_weights)
    gan = cyclegan.CycleGAN(*models.networks(wrong), loss_weights=weights, pool_size=wrong.pool_size)
    return training.Run(gan, root, wrong, directory, seed=seed)
