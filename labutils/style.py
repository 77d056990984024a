"""Neural style transfer: make a picture with the content of a photograph and the style of a painting.

Paper: Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks".
"""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from scipy.optimize import Bounds, minimize
from threadpoolctl import threadpool_limits

from labutils import features as vgg_features
from labutils import losses
from labutils.pictures import as_picture, resize, to_uint8

CONTENT_LAYER = "block4_conv2"


def gram_matrix(maps):
    """Compute how strongly each two channels fire together: float32 (channels, channels), a mean over all positions.

    ``maps``: feature maps (1, height, width, channels). With the mean, pictures of different sizes can be compared.
    """
    flat = tf.reshape(maps, [-1, tf.shape(maps)[-1]])  # (positions, channels)
    positions = tf.cast(tf.shape(flat)[0], flat.dtype)
    # The gradient takes one matrix product instead of two: the first factor is held fixed, and the term added below is
    # 0 but has the missing half of the gradient. (A custom gradient would stay in TensorFlow's registry with all that
    # it captured: https://github.com/tensorflow/tensorflow/issues/97697.)
    gram = tf.matmul(tf.stop_gradient(flat), flat, transpose_a=True) / positions
    transposed = tf.transpose(gram)
    return gram + (transposed - tf.stop_gradient(transposed))


def difference(values, target, factor=None):
    """Compute the content loss of feature maps, or the style loss of Gram matrices: a scalar.

    It is the summed squared difference times ``factor``, by default 1 over the target's sum of squares: then 0 means
    "equal", and 1 "as far off as values that are all zero".
    """
    factor = 1 / tf.maximum(tf.reduce_sum(target**2), 1e-6) if factor is None else factor
    return factor * tf.reduce_sum((values - target) ** 2)


def total_variation(image, paint=False):
    """Compute how much neighbouring pixels differ, a scalar; ``image``: float (1, height, width, 3) in [0, 255].

    It is the mean squared difference to the pixels below and to the right, where the whole range counts as 1. With
    ``paint`` it is the *sum* of these squares to the power 1.25, in levels, as in the "Paint" chapter's code.
    """
    here = image[:, :-1, :-1]
    squares = (image[:, 1:, :-1] - here) ** 2 + (image[:, :-1, 1:] - here) ** 2
    return tf.reduce_sum(squares**1.25) if paint else tf.reduce_mean(squares) / 255**2


def _variable(weight):
    return tf.Variable(losses.weight("A weight", weight), trainable=False)


class WeightsChanged(Exception):
    """The weights changed, so L-BFGS' memory describes an old loss."""


class StyleTransfer:
    """Optimise the pixels of one picture for a content and a style. ``run`` does the steps; no network is trained.

    content: a picture (see ``pictures.as_picture``), or None for no content loss.
    style: a picture of any size, a list of pictures, or None for no style loss.
    features: the network, from ``features.vgg``; default ``vgg()``.
    content_weight, style_weight, variation_weight: 0 or more; total loss = the sum of each weight times its loss.
    layer_weights: ``{layer: relative weight}`` of the style loss; default: the first layer of each block, weight 1.
    content_layer: where content is compared; default ``CONTENT_LAYER``.
    style_shares: the relative weight of each style picture; default 1 each.
    normaliser: "target" (default) divides each loss by its target's sum of squares, so that weights mean the same at
        any size and layer, and 1 and 10 suit most pictures; "paint" is the "Paint" chapter's (``extras/presets.py``).
    start: "content" (default), "noise", "style", or a picture of the result's size.

    The result has the size of the content, else of the first style. ``.image`` is the picture so far, ``.step`` counts
    its iterations. ``.weights`` has ``tf.Variable``s: ``content``, ``style``, ``variation``, the dict ``layers`` and
    the list ``styles``. ``assign`` acts at the next evaluation, without retracing.
    Raises ``ValueError`` for unfit pictures, names and weights, and for layers that the features lack.
    """

    def __init__(
        self,
        content,
        style,
        features=None,
        content_weight=1.0,
        style_weight=10.0,
        variation_weight=0.5,
        layer_weights=None,
        content_layer=CONTENT_LAYER,
        style_shares=None,
        normaliser="target",
        start="content",
    ):
        if normaliser not in ("target", "paint"):
            raise ValueError(f"Unknown normaliser {normaliser!r}: choose 'target' or 'paint'.")
        self.features = vgg_features.vgg() if features is None else features
        self.paint = normaliser == "paint"
        styles = style if isinstance(style, (list, tuple)) else [] if style is None else [style]
        shares = [1.0] * len(styles) if style_shares is None else list(style_shares)
        if len(shares) != len(styles):
            raise ValueError(f"{len(styles)} style pictures need as many style_shares, not {len(shares)}.")
        if layer_weights is None:
            layer_weights = {name: 1.0 for name in self.features.output_names_by_layer if name.endswith("conv1")}
        layers = layer_weights if styles else {}
        weights = {"content": content_weight, "style": style_weight, "variation": variation_weight}
        weights = tf.nest.map_structure(_variable, {**weights, "layers": layers, "styles": shares})
        self.weights = SimpleNamespace(**weights)
        self.content_layer = None if content is None else content_layer
        wanted = {*layers, self.content_layer} - {None}
        if not wanted:
            raise ValueError("Nothing to optimise for: give a content picture, a style picture, or both.")
        self.network = vgg_features.cut(self.features, wanted)
        for picture in [content, *styles]:
            vgg_features.refuse_unfit(self.network, np.shape(picture))
        styles = [as_picture(picture, f"style picture {number}") for number, picture in enumerate(styles, 1)]
        content = None if content is None else as_picture(content, "content picture")
        self.pictures, self.shape = (content, styles), (styles[0] if content is None else content).shape[:2]
        self.content_target = None if content is None else self.network(content[None])[content_layer]
        maps = [self.network(picture[None]) for picture in styles]
        self.style_targets = [{name: gram_matrix(each[name]) for name in layers} for each in maps]
        self.begin(start)

    def begin(self, start="content"):
        """Go back to step 0 and a starting picture (as for ``StyleTransfer``); targets and graph are kept."""
        content, styles = self.pictures
        if not isinstance(start, str):
            picture = as_picture(start, "starting picture")
        elif start == "content" and content is not None:
            picture = content
        elif start in ("content", "noise"):
            picture = np.random.default_rng(0).uniform(1, 255, (*self.shape, 3))
        elif start == "style" and styles:
            picture = resize(to_uint8(styles[0]), self.shape)
        else:
            raise ValueError(f"Cannot start from {start!r}: choose 'content', 'noise', 'style' or a picture.")
        if picture.shape[:2] != self.shape:
            raise ValueError(f"The starting picture is {picture.shape[:2]}, the result {self.shape}: resize it first.")
        self.pixels, self.step, self.restarts = picture.astype("float32").ravel(), 0, []

    @property
    def image(self):
        """The picture so far, uint8 (height, width, 3)."""
        return np.round(self.pixels).astype("uint8").reshape(*self.shape, 3)

    @tf.function(autograph=False)
    def evaluate(self, pixels):
        """Return the gradient for flat ``pixels``, and a tensor of the total, content, style and variation loss."""
        weights, content, style = self.weights, tf.constant(0.0), tf.constant(0.0)
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            image = tf.reshape(pixels, [1, *self.shape, 3])
            maps = self.network(image)
            if self.content_layer:
                content = difference(maps[self.content_layer], self.content_target, 1.0 if self.paint else None)
            total = sum(weights.layers.values()) * sum(weights.styles)
            for name, weight in weights.layers.items():
                gram, positions = gram_matrix(maps[name]), float(maps[name].shape[1] * maps[name].shape[2])
                factor = positions**2 / (4 * 3**2 * (self.shape[0] * self.shape[1]) ** 2) if self.paint else None
                for share, targets in zip(weights.styles, self.style_targets, strict=True):
                    style += tf.math.divide_no_nan(weight * share, total) * difference(gram, targets[name], factor)
            variation = total_variation(image, self.paint)
            loss = weights.content * content + weights.style * style + weights.variation * variation
        return tape.gradient(loss, pixels), tf.stack([loss, content, style, variation])

    def losses(self):
        """Return the losses of the picture so far, by name; only ``"total"`` is weighted."""
        return self._named(self.evaluate(self.pixels)[1])

    def _named(self, numbers):
        if not np.isfinite(numbers).all():
            raise FloatingPointError(
                f"The loss is not finite after step {self.step}: try smaller weights. .image is the last good picture."
            )
        return dict(zip(("total", "content", "style", "variation"), map(float, numbers), strict=True))

    def run(self, steps=60, optimizer="lbfgs", callback=None, learning_rate=3.0):
        """Run ``steps`` more iterations; return the picture, uint8 (height, width, 3).

        ``optimizer``: "lbfgs" (default) or "adam". ``callback(step, image, losses)`` is called after every iteration;
        if it raises ``StopIteration``, the run ends. ``learning_rate``: Adam's, in levels of 255; default 3.
        When a weight changes, L-BFGS restarts with an empty memory; ``.restarts`` lists these steps.
        Raises ``ValueError`` for an unknown optimizer, ``FloatingPointError`` if the loss is not finite.
        """
        if optimizer not in ("lbfgs", "adam"):
            raise ValueError(f"Unknown optimizer {optimizer!r}: choose 'lbfgs' or 'adam'.")
        last = self.step + steps

        def report(pixels, numbers):
            """Keep a new picture; return whether it is the last."""
            losses = self._named(numbers)
            self.pixels, self.step = pixels.astype("float32"), self.step + 1
            try:
                if callback:
                    callback(self.step, self.image, losses)
            except StopIteration:
                return True
            return self.step >= last

        if optimizer == "adam":
            self._adam(steps, report, learning_rate)
        elif steps > 0:
            self._lbfgs(report)
        return self.image

    def _adam(self, steps, report, learning_rate):
        """Optimise the pixels, kept within [0, 255], with Adam (Kingma and Ba, 2014)."""
        first = second = 0.0
        gradient, _ = self.evaluate(self.pixels)
        for step in range(1, steps + 1):
            first = 0.9 * first + 0.1 * gradient.numpy()
            second = 0.999 * second + 0.001 * gradient.numpy() ** 2
            direction = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            pixels = np.clip(self.pixels - learning_rate * direction, 0, 255).astype("float32")
            gradient, numbers = self.evaluate(pixels)
            if report(pixels, numbers):
                return

    def _lbfgs(self, report):
        """Optimise with scipy's L-BFGS-B within [0, 255]; its first step, of length 1, is 5 levels a pixel."""
        scale, numbers, ended = 5 * np.sqrt(self.pixels.size), None, False
        while not ended:
            began, weights = self.step, self._weights()

            def objective(variables, weights=weights):
                nonlocal numbers
                if not np.array_equal(self._weights(), weights, equal_nan=True):
                    raise WeightsChanged
                gradient, numbers = self.evaluate(tf.constant(variables * scale, tf.float32))
                return self._named(numbers)["total"], gradient.numpy().astype("float64") * scale

            def accepted(variables):
                nonlocal ended
                ended = report(variables * scale, numbers)
                if ended:
                    raise StopIteration

            how = {"method": "L-BFGS-B", "jac": True, "bounds": Bounds(0, 255 / scale), "callback": accepted}
            try:
                with threadpool_limits(1, "blas"):  # idle BLAS threads would spin and slow TensorFlow down
                    minimize(objective, self.pixels / scale, options={"ftol": 0, "gtol": 0}, **how)
                ended = ended or self.step == began  # the line search finds nothing lower
            except WeightsChanged:
                self.restarts.append(self.step)

    def _weights(self):
        return np.array([variable.numpy() for variable in tf.nest.flatten(vars(self.weights))])
