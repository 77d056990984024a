"""The networks: two generators (U-Net, ResNet) and the PatchGAN discriminator.

Every network carries ``model.spec``, the arguments it was built with; ``build(model.spec)`` makes its twin,
without its weights. Pictures are (batch, height, width, 3) in [-1, 1].
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
# What normalises each picture by itself. A layer class that is not listed may take its statistics over a batch.
PER_PICTURE = ("instance", "plain_instance", "none", "Addons>InstanceNormalization")
BUILD = contextvars.ContextVar("BUILD", default=(None, None))  # the name, and the kernels there may be, of ``build``
CHOICES = {
    "upsampling": ("nearest", "transpose"),
    "padding": ("zero", "reflect"),
    "skip": ("add", "concatenate"),
}


def _normalize(x, normalization):
    """Add a normalisation: one of the names above, or any layer class, such as tensorflow-addons'."""
    layer = NORMALIZATIONS[normalization] if isinstance(normalization, str) else normalization
    return layer()(x) if layer else x


def _conv(x, filters, kernel, stride=1, padding="zero", transpose=False, **kwargs):
    """A convolution with the paper's N(0, 0.02) weights that keeps the size (or divides it by the stride)."""
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
    """Take a kernel of ``shape`` from those there may be, before it is made; ``ValueError`` if none is left."""
    _, kernels = BUILD.get()
    if kernels is not None:
        if kernels[shape] < 1:
            raise ValueError(f"another architecture: only the network has one more kernel of {shape}.")
        kernels[shape] -= 1


def _upsample(x, filters, kernel, upsampling, padding):
    """Twice the size: by a transposed convolution, or by repeating pixels and then convolving."""
    if upsampling == "transpose":
        return _conv(x, filters, kernel, 2, transpose=True)
    return _conv(tf.keras.layers.UpSampling2D()(x), filters, kernel, padding=padding)


def _activate(x, normalization, leaky=False, activation_first=False):
    """Normalise, then ReLU or LeakyReLU(0.2); or, with ``activation_first``, the other way round."""
    activation = tf.keras.layers.LeakyReLU(0.2) if leaky else tf.keras.layers.ReLU()
    if activation_first:
        return _normalize(activation(x), normalization)
    return activation(_normalize(x, normalization))


def _generator_output(picture, x, kernel, padding, attention, normalization="none"):
    """Colours in [-1, 1]; with ``attention``, blended into the picture that came in."""
    x = _normalize(_conv(x, 4 if attention else 3, kernel, padding=padding), normalization)
    if attention:
        return AttentionBlend(dtype="float32")([picture, x])
    return tf.keras.layers.Activation("tanh", dtype="float32")(x)


def _finish(inputs, outputs, spec):
    name, number = BUILD.get()[0], tf.keras.backend.get_uid(spec["kind"])
    model = tf.keras.Model(inputs, outputs, name=name or (spec["kind"] if number == 1 else f"{spec['kind']}_{number}"))
    object.__setattr__(model, "spec", spec)  # past Keras' tracking: it is a description, not a part
    return model


def _spec(kind, arguments):
    """What a network was built with, ready for JSON: a layer class is kept by the name Keras knows it by."""
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
    """The picture that comes in, and what the layers work on; its size must be a multiple of ``factor``."""
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
    """A U-Net: halve the picture ``levels`` times, double it again, and hand each size's details across.

    Input and output: (batch, image_size, image_size, 3) in [-1, 1]. Height and width must be multiples of 2
    to the power ``levels``, otherwise ``ValueError``; with ``image_size=None`` any such size goes in, oblong
    ones as well. ``normalization``: "instance", "plain_instance" (without scale and shift), "batch", "none"
    or a layer class. ``upsampling``: "nearest" or "transpose". ``padding``: "zero" or "reflect".
    ``attention``: blend the result into the picture (``AttentionBlend``). ``leaky``: LeakyReLU, not ReLU, on
    the way down. ``activation_first``: activate before normalising. ``dropout``: the share of values dropped in
    the first three levels on the way up, as in pix2pix (0.5 there; CycleGAN has none). Papers: Ronneberger et
    al. 2015; Isola et al. 2017.
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
    """The paper's generator: halve twice, ``blocks`` blocks that each *add* a correction, double twice.

    Arguments as for ``unet_generator``; height and width must be multiples of 4. ``skip``: "add", or
    "concatenate", by which every block makes the picture ``4 * filters`` channels deeper.
    ``output_normalization``: normalise once more before the final tanh. ``dropout``: the share of values dropped
    between a block's two convolutions, as in pix2pix. Papers: Johnson et al. 2016; Zhu et
    al. 2017, appendix.
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
    """A PatchGAN: a grid of scores, each for one overlapping patch of the picture (1 real, 0 generated).

    Input: (batch, image_size, image_size, 3) in [-1, 1]; ``image_size`` must be a multiple of the product of
    ``strides``, otherwise ``ValueError``; None takes any size. Output: (batch, h, w, 1), unbounded. One
    convolution per entry of ``strides``, the filters doubling up to ``max_filters``, then one to a single
    channel; the first has no normalisation. ``activation_first``: activate before normalising. The default
    sees 70×70 pixels a score (``receptive_field``). Paper: Isola et al. 2017.
    """
    spec = _spec("patch_discriminator", {**locals(), "strides": list(strides)})
    picture, x = _input(image_size, math.prod(strides) if image_size else 1)
    for level, stride in enumerate(strides):
        x = _conv(x, min(filters * 2**level, max_filters), kernel, stride)
        x = _activate(x, normalization if level else "none", leaky=True, activation_first=activation_first)
    return _finish(picture, _conv(x, 1, kernel, dtype="float32"), spec)


BUILDERS = {f.__name__: f for f in (unet_generator, resnet_generator, patch_discriminator)}


def networks(lab):
    """The profile ``lab``'s four networks with fresh weights: generators A→B and B→A, discriminators of A and of B.

    Each is called by its role: ``generator_ab``, ``generator_ba``, ``discriminator_a``, ``discriminator_b``.
    """
    roles = {"generator": ("ab", "ba"), "discriminator": ("a", "b")}
    return [
        build({**getattr(lab, part), "image_size": lab.size}, name=f"{part}_{domain}")
        for part, domains in roles.items()
        for domain in domains
    ]


def build(spec, name=None, kernels=None):
    """The network that ``spec`` (a ``model.spec``, or ``{"kind": …, arguments}``) describes; fresh weights.

    ``name``: the model's, by default its kind and a number. ``kernels``: how many convolutions of each kernel shape it
    may have, a ``Counter``; building ends at the first one too many, before that takes memory.
    Raises ``ValueError`` for an unknown kind or argument.
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
    """Whether a picture's result in training is the same alone and in a batch; unknown networks count as not."""
    return getattr(model, "spec", {}).get("normalization") in PER_PICTURE


def receptive_field(model):
    """The side, in pixels, of the square of the input that one output value sees (without normalisation).

    Each convolution widens the field by (kernel - 1) times the distance, in input pixels, between neighbours
    of its input. Where branches meet, the one with most layers counts, which sees furthest. After nearest
    upsampling an even kernel sees a pixel more or less from one place to the next: this is their mean,
    rounded up.
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
    """The pixels that the score at (``row``, ``column``) sees: ``(top, left, bottom, right)``, the last two
    excluded.

    Beyond the picture's border (negative, or past its size) lies padding. Raises ``ValueError`` for a score
    that is not there, or a discriminator built without ``image_size``.
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
