"""The losses of style transfer, each a short function of feature maps or pixels (Gatys et al., 2016)."""

import numpy as np
import tensorflow as tf

from labutils import losses

# How a Gram difference is scaled, as texts in circulation do it; see ``style_factor``.
NORMALISERS = ("target", "gatys", "tensorflow", "pytorch", "paint")


def gram_matrix(maps):
    """How strongly each two channels fire together: float32 (channels, channels), a mean over all positions.

    ``maps``: feature maps (1, height, width, channels). The mean, not the sum, lets pictures of unlike sizes
    be compared.
    """
    flat = tf.reshape(maps, [-1, tf.shape(maps)[-1]])
    positions = tf.cast(tf.shape(flat)[0], flat.dtype)
    # The gradient takes one product where TensorFlow would make two, each with the other's transpose: one factor counts
    # as fixed, and adding "the transpose less itself", which is 0, brings the transpose in. (A custom gradient would
    # stay in TensorFlow's registry with all that it captured:
    # https://github.com/tensorflow/tensorflow/issues/97697.)
    gram = tf.matmul(tf.stop_gradient(flat), flat, transpose_a=True) / positions
    transposed = tf.transpose(gram)
    return gram + (transposed - tf.stop_gradient(transposed))


def content_loss(maps, target, normaliser="target"):
    """The squared difference of two stacks of feature maps of one shape, a scalar.

    Normaliser ``"target"``: as a share of the target's own sum of squares (1 = nothing in common but chance);
    ``"gatys"``: half the sum; ``"tensorflow"`` and ``"pytorch"``: the mean; ``"paint"``: the sum.
    """
    size = tf.cast(tf.size(target), tf.float32)
    factor = {
        "target": 1 / tf.maximum(tf.reduce_sum(target**2), 1e-6),
        "gatys": 0.5,
        "tensorflow": 1 / size,
        "pytorch": 1 / size,
        "paint": 1.0,
    }[normaliser]
    return factor * tf.reduce_sum((maps - target) ** 2)


def style_factor(normaliser, target, positions=1, pixels=1):
    """The number that ``sum((gram - target)**2)`` is multiplied with, for mean Gram matrices of N channels.

    ``"target"``: 1 / sum(target²), so that 1 means "nothing of the style"; ``"gatys"``: 1 / (4 N²), which is
    the paper's 1 / (4 N² M²) for Gram matrices summed over M positions; ``"tensorflow"``: 1 / N², the mean;
    ``"pytorch"``: 1 / N⁴; ``"paint"``: M² / (4 · 3² · pixels²), where M are the layer's positions, ``pixels``
    the picture's.
    """
    channels = float(target.shape[-1])
    return {
        "target": 1 / tf.maximum(tf.reduce_sum(target**2), 1e-6),
        "gatys": 1 / (4 * channels**2),
        "tensorflow": 1 / channels**2,
        "pytorch": 1 / channels**4,
        "paint": positions**2 / (4 * 3**2 * pixels**2),
    }[normaliser]


def style_loss(gram, target, normaliser="target", positions=1, pixels=1):
    """The squared difference of two mean Gram matrices, scaled as ``style_factor`` says, a scalar."""
    return style_factor(normaliser, target, positions, pixels) * tf.reduce_sum((gram - target) ** 2)


def total_variation(image, normaliser="target"):
    """How much neighbouring pixels differ, a scalar; ``image``: float (1, height, width, 3) in [0, 255].

    The mean squared difference to the pixels below and to the right, in units of the whole range; for
    ``"paint"``, as its code has it, the *sum* of these squares to the power 1.25, in units of one level.
    """
    here = image[:, :-1, :-1]
    squares = (image[:, 1:, :-1] - here) ** 2 + (image[:, :-1, 1:] - here) ** 2
    if normaliser == "paint":
        return tf.reduce_sum(squares**1.25)
    return tf.reduce_mean(squares) / 255**2


class Weights:
    """The weights of one transfer, ``tf.Variable``s: ``assign`` acts at the next evaluation, without retracing.

    ``content``, ``style``, ``variation``; ``layers`` (by name) and ``styles`` are relative to their sum.
    """

    def __init__(self, content, style, variation, layers, styles):
        self.content, self.style, self.variation = map(self._variable, (content, style, variation))
        self.layers = {name: self._variable(weight) for name, weight in layers.items()}
        self.styles = [self._variable(weight) for weight in styles]

    @staticmethod
    def _variable(value):
        return tf.Variable(losses.weight("A weight", value), trainable=False, dtype=tf.float32)

    def values(self):
        """All of them, as an array."""
        everything = [self.content, self.style, self.variation, *self.layers.values(), *self.styles]
        return np.array([variable.numpy() for variable in everything])
