"""The losses of a CycleGAN: each takes pictures or scores of any shape and returns one number (float32).

Paper: Zhu et al. 2017, with the least-squares adversarial loss of Mao et al. 2017.
"""

import math

import tensorflow as tf


def weight(name, value):
    """Return a loss weight or rate as a float; raise ``ValueError`` unless it is finite and 0 or more."""
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number of 0 or more, not {value}.")
    return float(value)


def adversarial(scores, real):
    """Return the mean squared distance of a discriminator's patch scores from 1 (``real`` true) or 0 (false).

    The generator minimises ``adversarial(scores_of_its_fakes, real=True)``: its pictures should be judged real.
    """
    return tf.reduce_mean(tf.square(scores - 1.0 if real else scores))


def discriminator(real_scores, fake_scores):
    """Return a discriminator's loss: real pictures at 1, fakes at 0; halved, so that it learns at half the pace."""
    return 0.5 * (adversarial(real_scores, real=True) + adversarial(fake_scores, real=False))


def cycle(real, cycled):
    """Return the mean absolute difference of a picture and its round trip (A→B→A)."""
    return tf.reduce_mean(tf.abs(real - cycled))


def identity(real, same):
    """Return the mean absolute difference of a picture and its translation *to its own domain*."""
    return tf.reduce_mean(tf.abs(real - same))
