"""What one pass of one picture through a network costs, counted from the shapes of its layers."""

import math

import tensorflow as tf


def multiply_adds(model):
    """List the multiply-adds of each convolution, in order, for a ``model`` that was built with ``image_size``.

    Every position of the output uses every weight of the kernel once. In a transposed convolution, it is every
    position of the input. Normalisation and activation (together under 1 %) are left out.
    """
    counts = []
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            transposed = isinstance(layer, tf.keras.layers.Conv2DTranspose)
            _, height, width, _ = (layer.input if transposed else layer.output).shape
            counts.append(height * width * math.prod(layer.kernel.shape))
    return counts


def values(model):
    """Count the values that all layers put out. Training must keep them for the backward pass."""
    return sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
