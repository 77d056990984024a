"""The losses of style transfer, each a short function of feature maps or pixels (Gatys et al., 2016)."""

import numpy as np
import tensorflow as tf

from labutils import losses

# How published tutorials scale the difference of Gram matrices; see ``style_factor``.
NORMALISERS = ("target", "gatys", "tensorflow", "pytorch", "paint")


def gram_matrix(maps):
    """Compute how strongly each two channels fire together: float32 (channels, channels), a mean over all positions.

    ``maps``: feature maps (1, height, width, channels). With the mean, pictures of different sizes can be compared.
    """
    flat = tf.reshape(maps, [-1, tf.shape(maps)[-1]])
    positions = tf.cast(tf.shape(flat)[0], flat.dtype)
    # The gradient takes one matrix product instead of TensorFlow's two. The first factor is held fixed, and the term
    # added below is 0 but has the missing half of the gradient. (A custom gradient would stay in TensorFlow's registry
    # with all that it captured: https://github.com/tensorflow/tensorflow/issues/97697.)
    gram = tf.matmul(tf.stop_gradient(flat), flat, transpose_a=True) / positions
    transposed = tf.transpose(gram)
    return gram + (transposed - tf.stop_gradient(transposed))


def content_loss(maps, target, normaliser="target"):
    """Compute the squared difference of two stacks of feature maps of the same shape, a scalar.

    Normaliser ``"target"``: divided by the target's sum of squares (1: no more alike than by chance); ``"gatys"``:
    half the sum; ``"tensorflow"`` and ``"pytorch"``: the mean; ``"paint"``: the sum.
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
    """Return the factor of ``sum((gram - target)**2)``, for mean Gram matrices of N channels.

    ``"target"``: 1 / sum(target²), so that a loss of 1 means "nothing of the style"; ``"gatys"``: 1 / (4 N²), which is
    the paper's 1 / (4 N² M²) for Gram matrices summed over M positions; ``"tensorflow"``: 1 / N², the mean;
    ``"pytorch"``: 1 / N⁴; ``"paint"``: M² / (4 · 3² · pixels²). M: ``positions`` in the layer's maps; ``pixels``: in
    the picture.
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
    """Compute the squared difference of two mean Gram matrices times ``style_factor``, a scalar.

    gram: float32 (channels, channels).
    target: the style's, of the same shape.
    normaliser: one of ``NORMALISERS``; default "target".
    positions: in the layer's maps; only "paint" uses it; default 1.
    pixels: in the picture; only "paint" uses it; default 1.
    """
    return style_factor(normaliser, target, positions, pixels) * tf.reduce_sum((gram - target) ** 2)


def total_variation(image, normaliser="target"):
    """Compute how much neighbouring pixels differ, a scalar; ``image``: float (1, height, width, 3) in [0, 255].

    It is the mean squared difference to the pixels below and to the right, where the whole range counts as 1. For
    ``"paint"`` it is the *sum* of these squares to the power 1.25, in levels, as in its code.
    """
    here = image[:, :-1, :-1]
    squares = (image[:, 1:, :-1] - here) ** 2 + (image[:, :-1, 1:] - here) ** 2
    if normaliser == "paint":
        return tf.reduce_sum(squares**1.25)
    return tf.reduce_mean(squares) / 255**2


class Weights:
    """Hold the weights of one transfer as ``tf.Variable``s: ``assign`` acts at the next evaluation, without retracing.

    content, style, variation: the weight of each loss, 0 or more.
    layers: ``{name: weight}``, relative to their sum.
    styles: one for each style picture, relative to their sum.
    """

    def __init__(self, content, style, variation, layers, styles):
        self.content, self.style, self.variation = map(self._variable, (content, style, variation))
        self.layers = {name: self._variable(weight) for name, weight in layers.items()}
        self.styles = [self._variable(weight) for weight in styles]

    @staticmethod
    def _variable(value):
        return tf.Variable(losses.weight("A weight", value), trainable=False, dtype=tf.float32)

    def values(self):
        """Return all weights as one array."""
        everything = [self.content, self.style, self.variation, *self.layers.values(), *self.styles]
        return np.array([variable.numpy() for variable in everything])
