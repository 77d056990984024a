"""The losses of a CycleGAN: each takes pictures or scores of any shape and returns one number (float32).

Paper: Zhu et al. 2017, with the least-squares adversarial loss of Mao et al. 2017.
"""

import math

import tensorflow as tf


def weight(name, value):
    """``value`` as a float. Raises ``ValueError`` unless it is a number from 0 up, as every loss weight and rate is."""
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a number from 0 up, not {value}.")
    return float(value)


def adversarial(scores, real):
    """Mean squared distance of a discriminator's patch scores from 1 (``real`` true) or 0 (false).

    The generator minimises ``adversarial(scores_of_its_fakes, real=True)``: it wants its pictures called real.
    """
    return tf.reduce_mean(tf.square(scores - 1.0 if real else scores))


def discriminator(real_scores, fake_scores):
    """What a discriminator minimises: real pictures at 1, fakes at 0; halved, so that it learns at half the pace."""
    return 0.5 * (adversarial(real_scores, real=True) + adversarial(fake_scores, real=False))


def cycle(real, cycled):
    """Mean absolute difference of a picture and its round trip (A→B→A)."""
    return tf.reduce_mean(tf.abs(real - cycled))


def identity(real, same):
    """Mean absolute difference of a picture and what the generator *to its own domain* makes of it."""
    return tf.reduce_mean(tf.abs(real - same))
