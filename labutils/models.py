"""The networks: two generators (U-Net, ResNet) and the PatchGAN discriminator.

A dataclass describes each network; its fields are ``model.spec``. ``build(model.spec)`` builds the same network with
fresh weights. Pictures are (batch, height, width, 3) in [-1, 1].
"""

import functools
import inspect
import math
from dataclasses import asdict, dataclass

import tensorflow as tf

from labutils.layers import AttentionBlend, Conv2D, InstanceNormalization, ReflectionPadding2D, SizeMultiple

NORMALIZATIONS = {
    "instance": InstanceNormalization,
    "plain_instance": functools.partial(InstanceNormalization, center=False, scale=False),
    "batch": functools.partial(tf.keras.layers.BatchNormalization, momentum=0.9, epsilon=1e-5),
    "none": None,
}
# Normalisations of each picture alone. A layer class that is not listed may take its statistics over a batch.
PER_PICTURE = ("instance", "plain_instance", "none", "Addons>InstanceNormalization")
CHOICES = {"upsampling": ("nearest", "transpose"), "padding": ("zero", "reflect"), "skip": ("add", "concatenate")}
FORMER = {"dropout": 0, "max_filters": 512}  # fields of older cards, and the one value that can still be built


class Network:
    """The base of all networks. A subclass lists its fields; its ``connect`` turns the input into the output."""

    activation_first = output_normalization = False  # for networks without these fields

    def build(self, name=None, claim=None):
        """Return the ``tf.keras.Model``; for arguments and errors see ``models.build``."""
        for option in CHOICES.keys() & vars(self).keys():
            if (given := getattr(self, option)) not in CHOICES[option]:
                raise ValueError(f"Unknown {option} {given!r}: choose one of {', '.join(CHOICES[option])}.")
        size, factor = self.image_size, self.factor  # a size must be a multiple of the factor
        if size is not None and (not factor <= size <= 2**16 or size % factor):
            raise ValueError(f"image_size must be a multiple of {factor} up to 65,536 for this network, not {size}.")
        spec = {"kind": self.kind, **asdict(self)}
        self.normalizer, self.claim = _normalizer(self.normalization), claim or (lambda shape: None)
        if isinstance(self.normalization, type):
            spec["normalization"] = tf.keras.utils.get_registered_name(self.normalization)  # ready for JSON
        picture, number = tf.keras.Input((size, size, 3)), tf.keras.backend.get_uid(self.kind)
        name = name or (self.kind if number == 1 else f"{self.kind}_{number}")
        model = tf.keras.Model(picture, self.connect(picture), name=name)
        object.__setattr__(model, "spec", spec)  # bypass Keras' tracking, which would wrap the dict
        return model

    def conv(self, x, filters, kernel, stride=1, padding="zero", layer=Conv2D, **options):
        """Add a convolution with the paper's N(0, 0.02) weights; it keeps the size, or divides it by the stride."""
        self.claim((kernel, kernel, *((x.shape[-1], filters) if layer is Conv2D else (filters, x.shape[-1]))))
        if padding == "reflect":
            x = ReflectionPadding2D(((kernel - 1) // 2, kernel // 2))(x)
        options["padding"] = "valid" if padding == "reflect" else "same"
        options["kernel_initializer"] = tf.keras.initializers.RandomNormal(0, 0.02)
        return layer(filters, kernel, strides=stride, **options)(x)

    def normalize(self, x):
        return self.normalizer()(x) if self.normalizer else x

    def activate(self, x, leaky=False):
        """Normalise, then apply ReLU or LeakyReLU(0.2); with ``activation_first`` in the opposite order."""
        activation = tf.keras.layers.LeakyReLU(0.2) if leaky else tf.keras.layers.ReLU()
        return self.normalize(activation(x)) if self.activation_first else activation(self.normalize(x))

    def upsample(self, x, filters, kernel):
        """Double the size: by a transposed convolution, or by repeating pixels and then convolving."""
        if self.upsampling == "transpose":
            return self.conv(x, filters, kernel, 2, layer=tf.keras.layers.Conv2DTranspose)
        return self.conv(tf.keras.layers.UpSampling2D()(x), filters, kernel, padding=self.padding)

    def paint(self, picture, x, kernel):
        """Add a generator's last layers: colours in [-1, 1]; with ``attention``, blended into the input picture."""
        x = self.conv(x, 4 if self.attention else 3, kernel, padding=self.padding)
        x = self.normalize(x) if self.output_normalization else x
        if self.attention:
            return AttentionBlend(dtype="float32")([picture, x])
        return tf.keras.layers.Activation("tanh", dtype="float32")(x)


def _normalizer(normalization):
    """Return the layer class of a normalisation: a key of ``NORMALIZATIONS``, a class, or its name in Keras."""
    if isinstance(normalization, str) and normalization in NORMALIZATIONS:
        return NORMALIZATIONS[normalization]
    layer = normalization
    if not isinstance(layer, type):
        layer = tf.keras.utils.get_registered_object(str(layer)) or getattr(tf.keras.layers, str(layer), None)
    if not (isinstance(layer, type) and issubclass(layer, tf.keras.layers.Layer)):
        known = f"choose one of {', '.join(NORMALIZATIONS)}, give a layer class, or import the package that has it"
        raise ValueError(f"The normalization {normalization!r} is not known here: {known}.")
    return layer


@dataclass
class UNet(Network):
    """A U-Net: halve the picture ``levels`` times, double it again, and join the maps of equal size.

    Input and output: (batch, height, width, 3) in [-1, 1]; both sides are multiples of 2 to the power ``levels``.
    Raises ``ValueError`` for an unfit size or field. Papers: Ronneberger et al. 2015; Isola et al. 2017.
    """

    image_size: int | None = None  # height and width in pixels; None: any
    filters: int = 32  # of the first convolution, doubled at each level
    levels: int = 4  # 1 to 16
    kernel: int = 4  # side of the kernels in pixels
    normalization: str = "instance"  # or "plain_instance" (no scale and shift), "batch", "none", a layer class
    upsampling: str = "nearest"  # or "transpose": a transposed convolution
    padding: str = "zero"  # or "reflect"
    attention: bool = False  # blend the result into the picture (``AttentionBlend``)
    leaky: bool = True  # LeakyReLU, not ReLU, on the way down
    activation_first: bool = False  # activate before normalising
    kind = "unet_generator"

    @property
    def factor(self):
        if self.levels not in range(1, 17):
            raise ValueError(f"levels must be a whole number from 1 to 16, not {self.levels!r}.")
        return 2**self.levels

    def connect(self, picture):
        x, details = picture if self.image_size else SizeMultiple(self.factor)(picture), []
        for level in range(self.levels):
            x = self.activate(self.conv(x, self.filters * 2**level, self.kernel, 2), self.leaky)
            details.append(x)  # (batch, h / 2 ** (level + 1), w / 2 ** (level + 1), filters * 2 ** level)
        for level in reversed(range(self.levels - 1)):
            x = self.activate(self.upsample(x, self.filters * 2**level, self.kernel))
            x = tf.keras.layers.Concatenate()([x, details[level]])
        return self.paint(picture, tf.keras.layers.UpSampling2D()(x), self.kernel)


@dataclass
class ResNet(Network):
    """The paper's generator: halve twice, apply ``blocks`` residual blocks, double twice.

    Shapes, errors and the fields without a comment are those of ``UNet``; both sides are multiples of 4.
    Papers: Johnson et al. 2016; Zhu et al. 2017, appendix.
    """

    image_size: int | None = None
    filters: int = 64
    blocks: int = 9  # each *adds* a correction
    normalization: str = "instance"
    upsampling: str = "transpose"
    padding: str = "reflect"
    attention: bool = False
    skip: str = "add"  # or "concatenate": then every block adds ``4 * filters`` channels
    output_normalization: bool = False  # normalise once more before the final tanh
    kind, factor = "resnet_generator", 4

    def connect(self, picture):
        join = tf.keras.layers.Add if self.skip == "add" else tf.keras.layers.Concatenate
        x = picture if self.image_size else SizeMultiple(self.factor)(picture)
        x = self.activate(self.conv(x, self.filters, 7, padding=self.padding))
        for level in (1, 2):
            x = self.activate(self.conv(x, self.filters * 2**level, 3, 2))
        for _ in range(self.blocks):
            y = self.activate(self.conv(x, self.filters * 4, 3, padding=self.padding))
            y = self.normalize(self.conv(y, self.filters * 4, 3, padding=self.padding))
            x = join()([x, y])  # (batch, h / 4, w / 4, 4 * filters)
        for level in (1, 0):
            x = self.activate(self.upsample(x, self.filters * 2**level, 3))
        return self.paint(picture, x, 7)


@dataclass
class PatchGAN(Network):
    """A discriminator: a grid of scores, each for one overlapping patch (1 real, 0 generated).

    Input: (batch, height, width, 3) in [-1, 1]. Output: (batch, h, w, 1), unbounded. Paper: Isola et al. 2017.
    Raises ``ValueError`` for an ``image_size`` that is not a multiple of the product of ``strides``.
    """

    image_size: int | None = None
    filters: int = 64  # of the first convolution, doubled at each of the others up to 512
    strides: tuple = (2, 2, 2, 1)  # one convolution each; one more makes a single channel. A score sees 70×70 pixels
    kernel: int = 4
    normalization: str = "instance"  # not after the first convolution
    activation_first: bool = False
    kind, factor = "patch_discriminator", property(lambda self: math.prod(self.strides))

    def __post_init__(self):
        self.strides = list(self.strides)  # as in JSON

    def connect(self, x):
        for level, stride in enumerate(self.strides):
            x = self.conv(x, min(self.filters * 2**level, 512), self.kernel, stride)
            x = self.activate(x, leaky=True) if level else tf.keras.layers.LeakyReLU(0.2)(x)
        return self.conv(x, 1, self.kernel, dtype="float32")


def _builder(network):
    """Return the function that builds ``network`` from its fields, as in ``unet_generator(64, filters=16)``."""
    builder = functools.wraps(network, updated=())(lambda *fields, **named: network(*fields, **named).build())
    builder.__signature__ = inspect.signature(network).replace(return_annotation=tf.keras.Model)
    builder.__name__ = network.kind
    return builder


KINDS = {network.kind: network for network in (UNet, ResNet, PatchGAN)}
unet_generator, resnet_generator, patch_discriminator = map(_builder, KINDS.values())


def build(spec, name=None, claim=None):
    """Build the network that ``spec`` (a ``model.spec``, or ``{"kind": …, fields}``) describes, with fresh weights.

    ``name``: the model's name, by default its kind and a number. ``claim``: a function that is called with the shape
    of each kernel before it is made, and may refuse it. Raises ``ValueError`` for an unknown kind or field.
    """
    fields = {key: value for key, value in spec.items() if key not in FORMER or value != FORMER[key]}
    kind = fields.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"Unknown network {kind!r}: choose one of {', '.join(KINDS)}.")
    try:
        return KINDS[kind](**fields).build(name, claim)
    except TypeError as error:
        raise ValueError(f"{kind} cannot be built from {spec}: {error}") from None


def networks(lab):
    """Build the four networks of the profile ``lab`` with fresh weights; their names are the four roles."""
    roles = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
    return [build({**getattr(lab, role.partition("_")[0]), "image_size": lab.size}, name=role) for role in roles]


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
