"""Layers that Keras lacks; the only place in the core where TensorFlow 2.15 and current TensorFlow differ.

The layers have the same class names in both, so that each can read the other's weight files.
"""

from functools import partial

import keras
import tensorflow as tf

# The same results as Keras, faster. To do without: tf.keras.optimizers.Adam and tf.keras.layers.Conv2D.
from labutils.speed import Adam as Adam
from labutils.speed import Conv2D as Conv2D

KERAS = int(keras.__version__.split(".")[0])  # 2 and 3 save optimizers differently


@tf.keras.utils.register_keras_serializable("labutils")
class InstanceNormalization(tf.keras.layers.Layer):
    """Normalise each channel of each picture to mean 0 and variance 1; then scale and shift it.

    Equal to ``tensorflow_addons.layers.InstanceNormalization`` (whose default ``epsilon`` is 1e-3), and faster.
    For one picture, batch normalisation in training does the same, and TensorFlow has a fused kernel for it. A
    batch of one or two pictures goes through that kernel picture by picture.

    Shapes: (batch, height, width, channels) in and out. Under mixed precision the statistics are float32.
    ``epsilon``: at least 1e-5, the minimum of the fused kernel, otherwise ``ValueError``; default 1e-5.
    ``center``, ``scale``: whether each channel has a learned shift and a learned factor; default True. Paper: Ulyanov
    et al. 2016, "Instance Normalization: The Missing Ingredient for Fast Stylization".
    """

    def __init__(self, epsilon=1e-5, center=True, scale=True, **kwargs):
        super().__init__(**kwargs)
        if epsilon < 1e-5:
            raise ValueError(f"epsilon must be at least 1e-5, not {epsilon}.")
        self.epsilon, self.center, self.scale = epsilon, center, scale

    def build(self, input_shape):
        shape, ones = (input_shape[-1],), tf.keras.initializers.RandomNormal(1.0, 0.02)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=ones) if self.scale else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.center else None
        super().build(input_shape)

    def call(self, inputs):
        x = tf.cast(inputs, tf.float32)
        gamma = tf.cast(self.gamma, tf.float32) if self.scale else tf.ones(x.shape[-1:])
        beta = tf.cast(self.beta, tf.float32) if self.center else tf.zeros(x.shape[-1:])
        if x.shape[0] in (1, 2):  # as in a training step
            fused = partial(tf.compat.v1.nn.fused_batch_norm, epsilon=self.epsilon, is_training=True)
            x = tf.concat([fused(picture, gamma, beta)[0] for picture in tf.split(x, x.shape[0])], axis=0)
        else:
            mean, variance = tf.nn.moments(x, axes=(1, 2), keepdims=True)
            x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)
        return tf.cast(x, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "center": self.center, "scale": self.scale}


@tf.keras.utils.register_keras_serializable("labutils")
class ReflectionPadding2D(tf.keras.layers.Layer):
    """Pad a picture with its own mirror image: no dark frame, unlike zero padding.

    ``padding``: pixels on every side, or (before, after). Shapes: (batch, height, width, channels) to (batch,
    height + before + after, width + before + after, channels); height and width must be larger than ``padding``.
    """

    def __init__(self, padding=1, **kwargs):
        super().__init__(**kwargs)
        self.padding = (padding, padding) if isinstance(padding, int) else tuple(padding)

    def call(self, inputs):
        return tf.pad(inputs, [(0, 0), self.padding, self.padding, (0, 0)], mode="REFLECT")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        grow = sum(self.padding)
        return (batch, height and height + grow, width and width + grow, channels)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


@tf.keras.utils.register_keras_serializable("labutils")
class SizeMultiple(tf.keras.layers.Layer):
    """Raise ``ValueError`` unless height and width are multiples of ``factor``; return the pictures unchanged.

    Otherwise a network that halves and doubles its picture would return another size, or fail in a later layer.
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        height, width = inputs.shape[1:3]
        if (height or 0) % self.factor or (width or 0) % self.factor:
            raise ValueError(f"Height and width must be multiples of {self.factor}, not {height} and {width}.")
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@tf.keras.utils.register_keras_serializable("labutils")
class AttentionBlend(tf.keras.layers.Layer):
    """Blend a generator's colours into its input where a mask m says so: ``picture · (1 - m) + painted · m``.

    Inputs: the picture (batch, height, width, 3) in [-1, 1] and four raw maps (batch, height, width, 4). The first
    three become the painted colours by tanh, the last becomes the attention mask m by a sigmoid. Output: (batch,
    height, width, 3). Paper: Mejjati et al. 2018, "Unsupervised Attention-guided Image-to-Image Translation".
    """

    def call(self, inputs):
        picture, maps = inputs
        painted, mask = tf.tanh(maps[..., :3]), tf.sigmoid(maps[..., 3:])
        return picture + mask * (painted - picture)

    def compute_output_shape(self, input_shape):
        return input_shape[0]
