"""The networks: two generators (U-Net, ResNet) and the PatchGAN discriminator.

Every network has ``model.spec``, the arguments it was built with; ``build(model.spec)`` builds the same network
with fresh weights. Pictures are (batch, height, width, 3) in [-1, 1].
"""

import contextvars
import math
from functools import partial

import tensorflow as tf

from labutils.layers import AttentionBlend, Conv2D, Dropout, InstanceNormalization, ReflectionPadding2D, SizeMultiple

NORMALIZATIONS = {
    "instance": InstanceNormalization,
    "plain_instance": partial(InstanceNormalization, center=False, scale=False),
    "batch": partial(tf.keras.layers.BatchNormalization, momentum=0.9, epsilon=1e-5),
    "none": None,
}
# Normalisations of each picture alone. A layer class that is not listed may take its statistics over a batch.
PER_PICTURE = ("instance", "plain_instance", "none", "Addons>InstanceNormalization")
BUILD = contextvars.ContextVar("BUILD", default=(None, None))  # ``build``'s arguments ``name`` and ``kernels``
CHOICES = {
    "upsampling": ("nearest", "transpose"),
    "padding": ("zero", "reflect"),
    "skip": ("add", "concatenate"),
}


def _normalize(x, normalization):
    """Add a normalisation layer: one of ``NORMALIZATIONS``, or any layer class, such as tensorflow-addons'."""
    layer = NORMALIZATIONS[normalization] if isinstance(normalization, str) else normalization
    return layer()(x) if layer else x


def _conv(x, filters, kernel, stride=1, padding="zero", transpose=False, **kwargs):
    """Add a convolution with the paper's N(0, 0.02) weights; it keeps the size, or divides it by the stride."""
    _claim((kernel, kernel, *((filters, x.shape[-1]) if transpose else (x.shape[-1], filters))))
    if padding == "reflect" and not transpose:
        x = ReflectionPadding2D(((kernel - 1) // 2, kernel // 2))(x)
    layer = tf.keras.layers.Conv2DTranspose if transpose else Conv2D
    return layer(
        filters,
        kernel,
        strides=stride,
        padding="valid" if padding == "reflect" and not transpose else "same",
        kernel_initializer=tf.keras.initializers.RandomNormal(0, 0.02),
        **kwargs,
    )(x)


def _claim(shape):
    """Count a kernel of ``shape`` before it is made; ``ValueError`` if ``build``'s ``kernels`` allow no more."""
    _, kernels = BUILD.get()
    if kernels is not None:
        if kernels[shape] < 1:
            raise ValueError(f"another architecture: only the network has one more kernel of {shape}.")
        kernels[shape] -= 1


def _upsample(x, filters, kernel, upsampling, padding):
    """Double the size: by a transposed convolution, or by repeating pixels and then convolving."""
    if upsampling == "transpose":
        return _conv(x, filters, kernel, 2, transpose=True)
    return _conv(tf.keras.layers.UpSampling2D()(x), filters, kernel, padding=padding)


def _activate(x, normalization, leaky=False, activation_first=False):
    """Normalise, then apply ReLU or LeakyReLU(0.2); with ``activation_first`` in the opposite order."""
    activation = tf.keras.layers.LeakyReLU(0.2) if leaky else tf.keras.layers.ReLU()
    if activation_first:
        return _normalize(activation(x), normalization)
    return activation(_normalize(x, normalization))


def _generator_output(picture, x, kernel, padding, attention, normalization="none"):
    """Add the last layers: colours in [-1, 1]; with ``attention``, blended into the input picture."""
    x = _normalize(_conv(x, 4 if attention else 3, kernel, padding=padding), normalization)
    if attention:
        return AttentionBlend(dtype="float32")([picture, x])
    return tf.keras.layers.Activation("tanh", dtype="float32")(x)


def _finish(inputs, outputs, spec):
    name, number = BUILD.get()[0], tf.keras.backend.get_uid(spec["kind"])
    model = tf.keras.Model(inputs, outputs, name=name or (spec["kind"] if number == 1 else f"{spec['kind']}_{number}"))
    object.__setattr__(model, "spec", spec)  # bypass Keras' tracking, which would wrap the dict
    return model


def _spec(kind, arguments):
    """Return a network's arguments, ready for JSON: a layer class becomes its name in Keras' registry."""
    spec = {"kind": kind, **arguments}
    if _is_layer(spec["normalization"]):
        spec["normalization"] = tf.keras.utils.get_registered_name(spec["normalization"])
    elif spec["normalization"] not in NORMALIZATIONS:
        raise ValueError(
            f"Unknown normalization {spec['normalization']!r}: choose one of {', '.join(NORMALIZATIONS)}, "
            "or give a layer class."
        )
    for name in CHOICES.keys() & spec.keys():
        if spec[name] not in CHOICES[name]:
            raise ValueError(f"Unknown {name} {spec[name]!r}: choose one of {', '.join(CHOICES[name])}.")
    return spec


def _is_layer(value):
    return isinstance(value, type) and issubclass(value, tf.keras.layers.Layer)


def _input(image_size, factor):
    """Return the input and, checked for a size that is a multiple of ``factor``, the tensor for the first layer."""
    if image_size is not None and (not factor <= image_size <= 2**16 or image_size % factor):
        raise ValueError(f"image_size must be a multiple of {factor} up to 65,536 for this network, not {image_size}.")
    picture = tf.keras.Input((image_size, image_size, 3))
    return picture, picture if image_size or factor == 1 else SizeMultiple(factor)(picture)


def unet_generator(
    image_size=None,
    filters=32,
    levels=4,
    kernel=4,
    normalization="instance",
    upsampling="nearest",
    padding="zero",
    attention=False,
    leaky=True,
    activation_first=False,
    dropout=0.0,
):
    """Build a U-Net: halve the picture ``levels`` times, double it again, and join the maps of equal size.

    Input and output: (batch, image_size, image_size, 3) in [-1, 1].

    image_size: pixels, a multiple of 2 to the power ``levels``; default None: height and width may be any multiples.
    filters: of the first convolution, doubled at each level; default 32.
    levels: 1 to 16; default 4.
    kernel: side of the kernels in pixels; default 4.
    normalization: "instance" (default), "plain_instance" (no scale and shift), "batch", "none" or a layer class.
    upsampling: "nearest" (default) or "transpose".
    padding: "zero" (default) or "reflect".
    attention: blend the result into the picture (``AttentionBlend``); default False.
    leaky: LeakyReLU, not ReLU, on the way down; default True.
    activation_first: activate before normalising; default False.
    dropout: share of values dropped in the first three levels on the way up, in [0, 1); default 0 (pix2pix: 0.5).

    Raises ``ValueError`` for an unfit size or argument. Papers: Ronneberger et al. 2015; Isola et al. 2017.
    """
    spec = _spec("unet_generator", dict(locals()))
    if levels not in range(1, 17):
        raise ValueError(f"levels must be a whole number from 1 to 16, not {levels!r}.")
    picture, x = _input(image_size, 2**levels)
    details = []
    for level in range(levels):
        x = _activate(_conv(x, filters * 2**level, kernel, 2), normalization, leaky, activation_first)
        details.append(x)
    for level in reversed(range(levels - 1)):
        x = _upsample(x, filters * 2**level, kernel, upsampling, padding)
        x = _activate(x, normalization, activation_first=activation_first)
        if dropout and level >= levels - 4:
            x = Dropout(dropout, seed=level)(x)
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
    skip="add",
    output_normalization=False,
    dropout=0.0,
):
    """Build the paper's generator: halve twice, apply ``blocks`` residual blocks, double twice.

    Other arguments, shapes and errors as for ``unet_generator``; height and width must be multiples of 4.

    blocks: how many blocks, each of which *adds* a correction; default 9.
    skip: "add" (default), or "concatenate": then every block adds ``4 * filters`` channels.
    output_normalization: normalise once more before the final tanh; default False.
    dropout: share of values dropped between a block's two convolutions, as in pix2pix; default 0.

    Papers: Johnson et al. 2016; Zhu et al. 2017, appendix.
    """
    spec = _spec("resnet_generator", dict(locals()))
    picture, x = _input(image_size, 4)
    join = tf.keras.layers.Add if skip == "add" else tf.keras.layers.Concatenate
    x = _activate(_conv(x, filters, 7, padding=padding), normalization)
    for level in (1, 2):
        x = _activate(_conv(x, filters * 2**level, 3, 2), normalization)
    for block in range(blocks):
        y = _activate(_conv(x, filters * 4, 3, padding=padding), normalization)
        if dropout:
            y = Dropout(dropout, seed=block)(y)
        y = _normalize(_conv(y, filters * 4, 3, padding=padding), normalization)
        x = join()([x, y])
    for level in (1, 0):
        x = _activate(_upsample(x, filters * 2**level, 3, upsampling, padding), normalization)
    last = normalization if output_normalization else "none"
    return _finish(picture, _generator_output(picture, x, 7, padding, attention, last), spec)


def patch_discriminator(
    image_size=None,
    filters=64,
    strides=(2, 2, 2, 1),
    kernel=4,
    normalization="instance",
    max_filters=512,
    activation_first=False,
):
    """Build a PatchGAN: it gives a grid of scores, each for one overlapping patch (1 real, 0 generated).

    Input: (batch, image_size, image_size, 3) in [-1, 1]. Output: (batch, h, w, 1), unbounded.

    image_size: pixels, a multiple of the product of ``strides``, otherwise ``ValueError``; default None: any size.
    filters: of the first convolution, doubled at each of the others up to ``max_filters``; default 64.
    strides: one convolution for each; one more makes a single channel. By default a score sees 70×70 pixels.
    kernel: side of the kernels in pixels; default 4.
    normalization: as for ``unet_generator``; the first convolution has none.
    max_filters: default 512.
    activation_first: activate before normalising; default False.

    Paper: Isola et al. 2017.
    """
    spec = _spec("patch_discriminator", {**locals(), "strides": list(strides)})
    picture, x = _input(image_size, math.prod(strides) if image_size else 1)
    for level, stride in enumerate(strides):
        x = _conv(x, min(filters * 2**level, max_filters), kernel, stride)
        x = _activate(x, normalization if level else "none", leaky=True, activation_first=activation_first)
    return _finish(picture, _conv(x, 1, kernel, dtype="float32"), spec)


BUILDERS = {f.__name__: f for f in (unet_generator, resnet_generator, patch_discriminator)}


def networks(lab):
    """Build the four networks of the profile ``lab`` with fresh weights.

    Their names are their roles: ``generator_ab``, ``generator_ba``, ``discriminator_a``, ``discriminator_b``.
    """
    roles = {"generator": ("ab", "ba"), "discriminator": ("a", "b")}
    return [
        build({**getattr(lab, part), "image_size": lab.size}, name=f"{part}_{domain}")
        for part, domains in roles.items()
        for domain in domains
    ]


def build(spec, name=None, kernels=None):
    """Build the network that ``spec`` (a ``model.spec``, or ``{"kind": …, arguments}``) describes, with fresh weights.

    ``name``: the model's name, by default its kind and a number. ``kernels``: a ``Counter`` of the kernel shapes it
    may have; the first kernel beyond them raises ``ValueError`` before it takes memory.
    Raises ``ValueError`` also for an unknown kind or argument.
    """
    arguments = dict(spec)
    kind = arguments.pop("kind", None)
    if kind not in BUILDERS:
        raise ValueError(f"Unknown network {kind!r}: choose one of {', '.join(BUILDERS)}.")
    normalization = arguments.get("normalization", "none")
    if not _is_layer(normalization) and normalization not in NORMALIZATIONS:
        known = tf.keras.utils.get_registered_object(normalization)
        layer = known or getattr(tf.keras.layers, str(normalization), None)
        if not _is_layer(layer):
            raise ValueError(
                f"The layer {normalization!r} is not known here: import the package that defines it, or "
                "register it with tf.keras.utils.register_keras_serializable."
            )
        arguments["normalization"] = layer
    before = BUILD.set((name, None if kernels is None else kernels.copy()))
    try:
        return BUILDERS[kind](**arguments)
    except TypeError as error:
        raise ValueError(f"{kind} cannot be built from {spec}: {error}") from None
    finally:
        BUILD.reset(before)


def per_picture(model):
    """Return whether a picture's result in training is the same alone and in a batch; unknown networks: False."""
    return getattr(model, "spec", {}).get("normalization") in PER_PICTURE


def receptive_field(model):
    """Return the side, in pixels, of the input square that one output value sees (without normalisation).

    Each convolution widens the field by (kernel - 1) times the distance, in input pixels, between neighbours
    of its input. Where branches meet, the one with most layers counts, because it sees furthest. After nearest
    upsampling the field of an even kernel varies by a pixel between places: this is the mean, rounded up.
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


def seen_by(discriminator, row, column):
    """Return the pixels that a score sees: ``(top, left, bottom, right)``, the last two excluded.

    Numbers below 0 or above the picture's size lie in the padding. Raises ``ValueError`` for a ``row`` or ``column``
    outside the grid, or a discriminator built without ``image_size``.
    """
    rows, columns = discriminator.output_shape[1:3]
    if rows is None:
        raise ValueError("Build the discriminator with image_size: where its scores lie depends on the size.")
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(f"There is no score at ({row}, {column}): the grid is {rows} by {columns}.")
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, tf.keras.layers.Conv2D)]
    first, last = [row, column], [row, column]
    for layer in reversed(convolutions):
        size, kernel, stride = layer.input.shape[1], layer.kernel_size[0], layer.strides[0]
        before = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) // 2  # what "same" padding adds
        first = [place * stride - before for place in first]
        last = [place * stride - before + kernel - 1 for place in last]
    return (*first, *(place + 1 for place in last))
