"""The networks: two generators (U-Net, ResNet) and the PatchGAN discriminator.

Every network carries ``model.spec``, the arguments it was built with; ``build(model.spec)`` makes its twin, without
its weights. Pictures are (batch, height, width, 3) in [-1, 1].
"""

import math
from functools import partial

import tensorflow as tf

from labutils.layers import AttentionBlend, InstanceNormalization, ReflectionPadding2D

NORMALIZATIONS = {
    "instance": InstanceNormalization,
    "batch": partial(tf.keras.layers.BatchNormalization, momentum=0.9, epsilon=1e-5),
    "none": None,
}


def _normalize(x, normalization):
    """Add a normalisation: one of the names above, or any layer class, such as tensorflow-addons'."""
    layer = NORMALIZATIONS[normalization] if isinstance(normalization, str) else normalization
    return layer()(x) if layer else x


def _conv(x, filters, kernel, stride=1, padding="zero", transpose=False, **kwargs):
    """A convolution with the paper's N(0, 0.02) weights that keeps the size (or divides it by the stride)."""
    if padding == "reflect" and not transpose:
        x = ReflectionPadding2D(((kernel - 1) // 2, kernel // 2))(x)
    layer = tf.keras.layers.Conv2DTranspose if transpose else tf.keras.layers.Conv2D
    return layer(
        filters,
        kernel,
        strides=stride,
        padding="valid" if padding == "reflect" and not transpose else "same",
        kernel_initializer=tf.keras.initializers.RandomNormal(0, 0.02),
        **kwargs,
    )(x)


def _upsample(x, filters, kernel, upsampling, padding):
    """Twice the size: by a transposed convolution, or by repeating pixels and then convolving."""
    if upsampling == "transpose":
        return _conv(x, filters, kernel, 2, transpose=True)
    return _conv(tf.keras.layers.UpSampling2D()(x), filters, kernel, padding=padding)


def _leaky(x):
    return tf.keras.layers.LeakyReLU(0.2)(x)


def _generator_output(picture, x, kernel, padding, attention, normalization="none"):
    """Colours in [-1, 1]; with ``attention``, blended into the picture that came in."""
    x = _normalize(_conv(x, 4 if attention else 3, kernel, padding=padding), normalization)
    if attention:
        return AttentionBlend(dtype="float32")([picture, x])
    return tf.keras.layers.Activation("tanh", dtype="float32")(x)


def _finish(inputs, outputs, spec):
    model = tf.keras.Model(inputs, outputs, name=spec["kind"])
    object.__setattr__(model, "spec", spec)  # past Keras' tracking: it is a description, not a part
    return model


def _spec(kind, arguments):
    """What a network was built with, ready for JSON: a layer class is kept by the name Keras knows it by."""
    spec = {"kind": kind, **arguments}
    if not isinstance(spec["normalization"], str):
        spec["normalization"] = tf.keras.utils.get_registered_name(spec["normalization"])
    elif spec["normalization"] not in NORMALIZATIONS:
        raise ValueError(
            f"Unknown normalization {spec['normalization']!r}: choose one of {', '.join(NORMALIZATIONS)}, "
            "or give a layer class."
        )
    return spec


def _check_size(image_size, factor):
    if image_size is not None and (image_size < factor or image_size % factor):
        raise ValueError(f"image_size must be a multiple of {factor} for this network, not {image_size}.")


def unet_generator(
    image_size=None,
    filters=32,
    levels=4,
    kernel=4,
    normalization="instance",
    upsampling="nearest",
    padding="zero",
    attention=False,
):
    """A U-Net: halve the picture ``levels`` times, double it again, and hand each size's details across.

    Input and output: (batch, image_size, image_size, 3) in [-1, 1]; ``image_size`` (None: any) must be a multiple of
    2 to the power ``levels``, otherwise ``ValueError``. ``normalization``: "instance", "batch", "none" or a layer class.
    ``upsampling``: "nearest" or "transpose". ``padding``: "zero" or "reflect". ``attention``: blend the result into
    the picture (``AttentionBlend``). Paper: Ronneberger et al. 2015.
    """
    spec = _spec("unet_generator", dict(locals()))
    _check_size(image_size, 2**levels)
    x = picture = tf.keras.Input((image_size, image_size, 3))
    details = []
    for level in range(levels):
        x = _leaky(_normalize(_conv(x, filters * 2**level, kernel, 2), normalization))
        details.append(x)
    for level in reversed(range(levels - 1)):
        x = _upsample(x, filters * 2**level, kernel, upsampling, padding)
        x = tf.keras.layers.ReLU()(_normalize(x, normalization))
        x = tf.keras.layers.Concatenate()([x, details[level]])
    x = tf.keras.layers.UpSampling2D()(x)
    return _finish(picture, _generator_output(picture, x, kernel, padding, attention), spec)


def resnet_generator(
    image_size=None,
    filters=64,
    blocks=9,
    normalization="instance",
    upsampling="transpose",
    padding="reflect",
    attention=False,
):
    """The paper's generator: halve twice, ``blocks`` residual blocks that each *add* a correction, double twice.

    Arguments as for ``unet_generator``; ``image_size`` must be a multiple of 4.
    Papers: Johnson et al. 2016; Zhu et al. 2017, appendix.
    """
    spec = _spec("resnet_generator", dict(locals()))
    _check_size(image_size, 4)
    relu = tf.keras.layers.ReLU
    x = picture = tf.keras.Input((image_size, image_size, 3))
    x = relu()(_normalize(_conv(x, filters, 7, padding=padding), normalization))
    for level in (1, 2):
        x = relu()(_normalize(_conv(x, filters * 2**level, 3, 2), normalization))
    for _ in range(blocks):
        y = relu()(_normalize(_conv(x, filters * 4, 3, padding=padding), normalization))
        y = _normalize(_conv(y, filters * 4, 3, padding=padding), normalization)
        x = tf.keras.layers.Add()([x, y])
    for level in (1, 0):
        x = relu()(_normalize(_upsample(x, filters * 2**level, 3, upsampling, padding), normalization))
    return _finish(picture, _generator_output(picture, x, 7, padding, attention), spec)


def patch_discriminator(
    image_size=None, filters=64, strides=(2, 2, 2, 1), kernel=4, normalization="instance", max_filters=512
):
    """A PatchGAN: a grid of scores, each for one overlapping patch of the picture (1 for real, 0 for generated).

    Input: (batch, image_size, image_size, 3) in [-1, 1]. Output: (batch, h, w, 1), unbounded. One convolution per
    entry of ``strides``, the filters doubling up to ``max_filters``, then one to a single channel; the first has no
    normalisation. The default sees 70×70 pixels a score (``receptive_field``). Paper: Isola et al. 2017.
    """
    spec = _spec("patch_discriminator", dict(locals()))
    _check_size(image_size, math.prod(strides))
    x = picture = tf.keras.Input((image_size, image_size, 3))
    for level, stride in enumerate(strides):
        x = _conv(x, min(filters * 2**level, max_filters), kernel, stride)
        x = _leaky(_normalize(x, normalization if level else "none"))
    return _finish(picture, _conv(x, 1, kernel, dtype="float32"), {**spec, "strides": list(strides)})


BUILDERS = {f.__name__: f for f in (unet_generator, resnet_generator, patch_discriminator)}


def build(spec):
    """The network that ``spec`` (a ``model.spec``, or ``{"kind": …, arguments}``) describes, with fresh weights.

    Raises ``ValueError`` for an unknown kind or argument.
    """
    arguments = dict(spec)
    kind = arguments.pop("kind", None)
    if kind not in BUILDERS:
        raise ValueError(f"Unknown network {kind!r}: choose one of {', '.join(BUILDERS)}.")
    normalization = arguments.get("normalization", "none")
    if normalization not in NORMALIZATIONS:
        arguments["normalization"] = tf.keras.utils.get_registered_object(normalization)
        if arguments["normalization"] is None:
            raise ValueError(f"The layer {normalization!r} is not known here: import the package that defines it first.")
    try:
        return BUILDERS[kind](**arguments)
    except TypeError as error:
        raise ValueError(f"{kind} cannot be built from {spec}: {error}") from None


def receptive_field(model):
    """The side, in pixels, of the square of the input that one output value sees (without normalisation).

    Each convolution widens the field by (kernel - 1) times the distance, in input pixels, between neighbours of its
    input. Networks with branches: the branch with most layers, which sees furthest.
    """
    field, distance = 1, 1.0
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.UpSampling2D):
            distance /= layer.size[0]
        elif isinstance(layer, tf.keras.layers.Conv2DTranspose):
            distance /= layer.strides[0]
            field += (layer.kernel_size[0] - 1) * distance
        elif isinstance(layer, tf.keras.layers.Conv2D):
            field += (layer.kernel_size[0] - 1) * distance
            distance *= layer.strides[0]
    return math.ceil(field)
