"""The layers Keras lacks, a faster Adam, and the only place where the two TensorFlow generations differ.

The layers keep their class names in both environments, so that weight files travel between them.
"""

from functools import partial

import keras
import numpy as np
import tensorflow as tf

KERAS = int(keras.__version__.split(".")[0])  # 2 and 3 keep optimizers differently


@tf.keras.utils.register_keras_serializable("labutils")
class InstanceNormalization(tf.keras.layers.Layer):
    """Each channel of each picture, less its own mean, over its own deviation; then scaled and shifted.

    Equal to ``tensorflow_addons.layers.InstanceNormalization`` (which sets ``epsilon`` to 1e-3), and faster:
    for one picture it is what batch normalisation does in training, and TensorFlow has one fused kernel for
    that, which takes one or two pictures in turn.

    Shapes: (batch, height, width, channels) in and out. Statistics are taken in float32 under mixed
    precision. ``epsilon``: at least 1e-5, the least the fused kernel knows, otherwise ``ValueError``.
    ``center``, ``scale``: whether there is a learned shift and a learned factor a channel. Paper: Ulyanov et
    al. 2016, "Instance Normalization: The Missing Ingredient for Fast Stylization".

    Example::

        pictures = InstanceNormalization()(tf.random.normal((1, 64, 64, 8)))
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
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }


# Winograd's convolution with a 3 × 3 kernel: 4 × 4 values out of 6 × 6 with 36 multiplications, not 144. These matrices
# (Lavin and Gray's Bᵀ, G and Aᵀ) take pixels and kernel to where the convolution is a product, and back.
PIXELS = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
BACK = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


@tf.keras.utils.register_keras_serializable("labutils")
class Conv2D(tf.keras.layers.Conv2D):
    """Keras' convolution, with a quarter of the multiplications where that pays: in the blocks of a wide ResNet.

    Arguments, weights and numbers as in ``tf.keras.layers.Conv2D``, the numbers up to rounding: at worst some 7e-5 of
    their deviation, where Keras' own have 1e-5. It pays on a CPU for a kernel of 3 × 3 that steps by 1, from at least
    256 channels to as many, in float32, if the batch is known and height and width of the result are multiples of 4
    up to 128. GPUs' libraries do the like by themselves. Paper: Lavin and Gray 2016, "Fast Algorithms for Convolutional
    Neural Networks".
    """

    def convolution_op(self, inputs, kernel):
        border = 1 if self.padding == "same" else 0
        batch, *size, channels = inputs.shape
        result = [side + 2 * border - 2 for side in size if side]
        fits = batch and len(result) == 2 and all(side % 4 == 0 and side <= 128 for side in result)
        wide = min(channels, self.filters) >= 256 and self.groups == 1
        plain = self.kernel_size == (3, 3) and self.strides == self.dilation_rate == (1, 1)
        if fits and wide and plain and inputs.dtype == tf.float32 and not tf.config.list_physical_devices("GPU"):
            return _winograd(inputs, tf.convert_to_tensor(kernel), border)
        return super().convolution_op(inputs, kernel)


@tf.function  # one graph for all layers of a network
def _winograd(inputs, kernel, border):
    batch, height, width, channels = inputs.shape
    filters = kernel.shape[-1]
    (there_y, back_y), (there_x, back_x) = (_tiles(side, border) for side in (height, width))
    tall, wide = len(there_y) // 6, len(there_x) // 6
    x = tf.matmul(there_y, tf.reshape(inputs, (batch, height, width * channels)))
    x = tf.matmul(there_x, tf.reshape(x, (batch, 6 * tall, width, channels)))
    x = tf.transpose(tf.reshape(x, (batch, 6, tall, 6, wide, channels)), (1, 3, 0, 2, 4, 5))
    kernel = tf.matmul(np.kron(KERNEL, KERNEL).astype("float32"), tf.reshape(kernel, (9, channels * filters)))
    x = tf.matmul(tf.reshape(x, (36, batch * tall * wide, channels)), tf.reshape(kernel, (36, channels, filters)))
    x = tf.transpose(tf.reshape(x, (6, 6, batch, tall, wide, filters)), (2, 0, 3, 1, 4, 5))
    x = tf.matmul(back_x, tf.reshape(x, (batch, 6 * tall, 6 * wide, filters)))
    x = tf.matmul(back_y, tf.reshape(x, (batch, 6 * tall, 4 * wide * filters)))
    return tf.reshape(x, (batch, 4 * tall, 4 * wide, filters))


def _tiles(side, border):
    """What ``PIXELS`` and ``BACK`` do to all tiles along one side, each as one matrix; zeros beyond the border."""
    tiles = np.lib.stride_tricks.sliding_window_view(np.pad(np.eye(side), ((border, border), (0, 0))), 6, axis=0)[::4]
    there = np.einsum("ir,tpr->itp", PIXELS, tiles).reshape(-1, side)
    back = np.einsum("mi,tu->tmiu", BACK, np.eye(len(tiles))).reshape(4 * len(tiles), -1)
    return there.astype("float32"), back.astype("float32")


@tf.keras.utils.register_keras_serializable("labutils")
class ReflectionPadding2D(tf.keras.layers.Layer):
    """Continue a picture beyond its border as a mirror would: no dark frame, unlike zero padding.

    ``padding``: pixels on every side, or (before, after). Shapes: (batch, height, width, channels) to (batch,
    height + before + after, width + before + after, channels); height and width must be above ``padding``.
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
    """Lets pictures through whose height and width are multiples of ``factor``; ``ValueError`` for others.

    A network that halves and doubles its picture gives back another size, or fails far inside, without it.
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
    """Lets a generator say *where* it changes the picture: ``picture · (1 - m) + painted · m``.

    Inputs: the picture (batch, height, width, 3) in [-1, 1] and four raw maps (batch, height, width, 4):
    three become the painted colours by tanh, the last the attention mask m by a sigmoid. Output: (batch,
    height, width, 3). Paper: Mejjati et al. 2018, "Unsupervised Attention-guided Image-to-Image Translation".
    """

    def call(self, inputs):
        picture, maps = inputs
        painted, mask = tf.tanh(maps[..., :3]), tf.sigmoid(maps[..., 3:])
        return picture + mask * (painted - picture)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@tf.keras.utils.register_keras_serializable("labutils")
class Dropout(tf.keras.layers.Layer):
    """In training, sets a share ``rate`` of the values to zero and enlarges the others by 1 / (1 - rate).

    Which ones is a function of ``seed`` (two layers of one network want different ones) and of how often the layer was
    called in training. That count is a weight, so a checkpoint holds it and a continued run draws what the unbroken
    one would have; Keras' own ``Dropout`` does not. Shapes: any, out as in. ``rate``: from 0 up to, not including, 1,
    otherwise ``ValueError``. Paper: Srivastava et al. 2014.
    """

    def __init__(self, rate, seed=0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"The rate of dropout must be from 0 up to, not including, 1, not {rate}.")
        self.rate, self.seed = rate, seed

    def build(self, input_shape):
        self.calls = self.add_weight(name="calls", shape=(), dtype="int64", initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        calls = self.calls.assign_add(1)
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed=[self.seed, calls])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class Adam(tf.keras.optimizers.Adam):
    """Keras' Adam, each update by TensorFlow's one kernel for it: the graph of a training step is half as large.

    Arguments, variables and numbers as in ``tf.keras.optimizers.Adam`` (up to rounding), without ``amsgrad``, weight
    decay, clipping and sparse gradients. Paper: Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization".
    """

    def apply_gradients(self, grads_and_vars):
        """One step for pairs of gradient and variable. What is the same for all variables is computed once."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        with tf.init_scope():
            self.build(list(variables))  # unless it was
        if hasattr(self, "_compute_current_learning_rate"):  # Keras 2
            self._compute_current_learning_rate()
            index = [self._index_dict[self._var_key(variable)] for variable in variables]
        else:
            index = [self._get_variable_index(variable) for variable in variables]
        step, rate = tf.cast(self.iterations + 1, tf.float32), tf.cast(self.learning_rate, tf.float32)
        powers = {"beta1_power": self.beta_1**step, "beta2_power": self.beta_2**step}
        for i, gradient, variable in zip(index, gradients, variables, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=_handle(variable),
                m=_handle(self._momentums[i]),
                v=_handle(self._velocities[i]),
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
                **powers,
            )
        self.iterations.assign_add(1)


def _handle(variable):
    """Of a TensorFlow variable, or of one that Keras 3 has wrapped."""
    return (variable if isinstance(variable, tf.Variable) else variable.value).handle
