"""Neural style transfer: make a picture with the content of a photograph and the style of a painting.

Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks", 2016. There is no
training set, and no network is trained: the pixels are the variables.
"""

from functools import partial

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from labutils import features as vgg_features
from labutils.pictures import as_picture, resize, to_uint8
from labutils.style_losses import NORMALISERS, Weights, content_loss, gram_matrix, style_loss, total_variation
from labutils.style_losses import style_factor as style_factor

STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
CONTENT_LAYER = "block4_conv2"
PRESETS = {
    # The "Paint" chapter: VGG19, with the normaliser and the weights of its code.
    "paint": {
        "content_layer": "block5_conv2",
        "layer_weights": dict.fromkeys(STYLE_LAYERS, 1.0),
        "normaliser": "paint",
        "content_weight": 1.0,
        "style_weight": 100.0,
        "variation_weight": 20.0,
    }
}


def memory(height, width, layers):
    """Estimate the memory of an optimisation in GB: feature maps, kept for the gradient."""
    # The names sort in the order of the layers.
    before = (int(name[5]) - 1 for name in vgg_features.layer_names("vgg19") if name <= max(layers))
    return 3 * 4 * sum(vgg_features.FILTERS[block] / 4**block for block in before) * height * width / 1e9


def _refuse_unfit(shape, layers, limit):
    if len(shape) not in (2, 3):
        return  # not a picture: as_picture raises the error
    height, width = shape[:2]
    smallest = 2 ** (max(int(name[5]) for name in layers) - 1)
    if min(height, width) < smallest:
        raise ValueError(f"A picture of {height} x {width} pixels is too small: {max(layers)} needs {smallest}.")
    needed = memory(height, width, layers)
    if needed > limit:
        raise ValueError(
            f"A picture of {height} x {width} pixels would take about {needed:.1f} GB of memory, more than "
            f"max_memory={limit:g}: choose a smaller size, or raise max_memory."
        )


class WeightsChanged(Exception):
    """The weights changed, so L-BFGS' memory describes an old loss."""


class Stopped(Exception):
    """The callback raised ``StopIteration``, which scipy would catch."""


class StyleTransfer:
    """Optimise the pixels of one picture for a content and a style; ``run`` does the steps.

    content: a picture (see ``pictures.as_picture``), or None for no content loss.
    style: a picture of any size, a list of pictures, or None for no style loss.
    features: the network, from ``features.vgg``; default ``vgg()``.
    content_weight, style_weight, variation_weight: 0 or more; total loss = the sum of each weight times its loss.
    layer_weights: ``{layer: relative weight}`` of the style loss; default: the first layer of each block, weight 1.
    content_layer: where content is compared; default ``CONTENT_LAYER``.
    style_shares: the relative weight of each style picture; default 1 each.
    normaliser: one of ``style_losses.NORMALISERS``. "target" (default) divides each loss by its target's sum of
        squares; then weights mean the same at any size and layer, and 1 and 10 suit most pictures.
    start: "content" (default), "noise", "style", or a picture of the content's size.
    size: (height, width) of the result without content; default: the first style's.
    seed: of the noise; default 0.
    max_memory: in GB; default 4.

    Pixels stay in [0, 255]. ``.weights`` may be changed while it runs; ``.image`` is the picture so far, and ``.step``
    counts its iterations. Raises ``ValueError`` for unfit pictures, names, weights, layers that the features lack, and
    pictures whose optimisation would take more than ``max_memory``.
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
        size=None,
        seed=0,
        max_memory=4.0,
    ):
        if normaliser not in NORMALISERS:
            raise ValueError(f"Unknown normaliser {normaliser!r}: choose one of {', '.join(NORMALISERS)}.")
        self.features = vgg_features.vgg() if features is None else features
        styles = style if isinstance(style, (list, tuple)) else [] if style is None else [style]
        self.content_layer = None if content is None else content_layer
        if layer_weights is None:
            layer_weights = {name: 1.0 for name in STYLE_LAYERS if name in self.features.output_names_by_layer}
        layer_weights = layer_weights if styles else {}
        shares = [1.0] * len(styles) if style_shares is None else style_shares
        if len(shares) != len(styles):
            raise ValueError(f"{len(styles)} style pictures need as many style_shares, not {len(shares)}.")
        self.weights = Weights(content_weight, style_weight, variation_weight, layer_weights, shares)
        self.normaliser = normaliser
        wanted = [*layer_weights, *([self.content_layer] if self.content_layer else [])]
        if not wanted:
            raise ValueError("Nothing to optimise for: give a content picture, a style picture, or both.")
        self.network = vgg_features.cut(self.features, list(dict.fromkeys(wanted)))
        for picture in [content, *styles]:
            _refuse_unfit(np.shape(picture), wanted, max_memory)
        styles = [as_picture(picture, f"style picture {number}") for number, picture in enumerate(styles, 1)]
        content = None if content is None else as_picture(content, "content picture")
        self.shape = (
            tuple(size) if content is None and size else (content if content is not None else styles[0]).shape[:2]
        )
        _refuse_unfit(self.shape, wanted, max_memory)
        self._take_targets(content, styles)
        self.pictures = content, styles
        self.begin(start, seed)
        signature = [tf.TensorSpec([self.pixels.size], tf.float32)]
        self.evaluate = tf.function(partial(self._evaluate), input_signature=signature, autograph=False)

    def _take_targets(self, content, styles):
        self.content_target = None
        if self.content_layer:
            self.content_target = self.network(content[None])[self.content_layer]
        maps = [self.network(picture[None]) for picture in styles]
        self.style_targets = [{name: gram_matrix(each[name]) for name in self.weights.layers} for each in maps]

    def begin(self, start="content", seed=0):
        """Reset to step 0 and a starting picture (as for ``StyleTransfer``); targets and graph are kept."""
        content, styles = self.pictures
        if isinstance(start, str):
            start = "noise" if start == "content" and content is None else start
            if start not in ("content", "noise", "style") or (start == "style" and not styles):
                raise ValueError(f"Cannot start from {start!r}: choose 'content', 'noise', 'style' or a picture.")
            if start == "noise":
                start = np.random.default_rng(seed).uniform(1, 255, (*self.shape, 3))
            else:
                start = content if start == "content" else resize(to_uint8(styles[0]), self.shape)
        else:
            start = as_picture(start, "starting picture")
        if start.shape[:2] != self.shape:
            raise ValueError(f"The starting picture is {start.shape[:2]}, the result {self.shape}: resize it first.")
        self.pixels, self.step, self.restarts = start.astype("float32").ravel(), 0, []

    @property
    def image(self):
        """The picture so far, uint8 (height, width, 3)."""
        return np.round(self.pixels).astype("uint8").reshape(*self.shape, 3)

    def terms(self, image):
        """Return content, style and variation loss, before weighting, of a float picture (1, height, width, 3)."""
        maps, pixels, zero = self.network(image), self.shape[0] * self.shape[1], tf.constant(0.0)
        content = style = zero
        if self.content_layer:
            content = content_loss(maps[self.content_layer], self.content_target, self.normaliser)
        total = tf.add_n([*self.weights.layers.values(), zero]) * tf.add_n([*self.weights.styles, zero])
        for name, weight in self.weights.layers.items():
            gram, positions = gram_matrix(maps[name]), float(maps[name].shape[1] * maps[name].shape[2])
            for share, targets in zip(self.weights.styles, self.style_targets, strict=True):
                loss = style_loss(gram, targets[name], self.normaliser, positions, pixels)
                style += tf.math.divide_no_nan(weight * share, total) * loss
        return content, style, total_variation(image, self.normaliser)

    def _evaluate(self, flat):
        with tf.GradientTape() as tape:
            tape.watch(flat)
            content, style, variation = self.terms(tf.reshape(flat, [1, *self.shape, 3]))
            weights = self.weights
            loss = weights.content * content + weights.style * style + weights.variation * variation
        return tape.gradient(loss, flat), tf.stack([loss, content, style, variation])

    def losses(self):
        """Return the losses of the picture so far, by name; only ``"total"`` is weighted."""
        return self._named(self.evaluate(self.pixels)[1])

    def _named(self, numbers):
        numbers = numbers.numpy()
        if not np.isfinite(numbers).all():
            raise FloatingPointError(
                f"The loss is not finite after step {self.step}: try smaller weights. "
                "The last good picture is kept in .image."
            )
        return dict(zip(("total", "content", "style", "variation"), map(float, numbers), strict=True))

    def run(self, steps=60, optimizer="lbfgs", callback=None, learning_rate=3.0):
        """Run ``steps`` more iterations; return the picture, uint8 (height, width, 3).

        ``optimizer``: "lbfgs" (default) or "adam". ``callback(step, image, losses)`` is called after every iteration;
        if it raises ``StopIteration``, the run ends. ``learning_rate``: Adam's, in levels of 255; default 3.
        Weights may be assigned during a run. L-BFGS then restarts with an empty memory, because its memory
        describes the old loss; ``.restarts`` lists these steps.
        Raises ``ValueError`` for an unknown optimizer, ``FloatingPointError`` if the loss is not finite.
        """
        if optimizer not in ("lbfgs", "adam"):
            raise ValueError(f"Unknown optimizer {optimizer!r}: choose 'lbfgs' or 'adam'.")

        def report(pixels, numbers):
            losses = self._named(numbers)
            self.pixels, self.step = pixels.astype("float32"), self.step + 1
            try:
                if callback:
                    callback(self.step, self.image, losses)
            except StopIteration as stop:
                raise Stopped from stop

        try:
            if optimizer == "adam":
                self._adam(steps, report, learning_rate)
            else:
                self._lbfgs(self.step + steps, report)
        except Stopped:
            pass
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
            report(pixels, numbers)

    def _lbfgs(self, last, report):
        """Optimise with scipy's L-BFGS-B within [0, 255]; its first step, of length 1, is 5 levels a pixel."""
        scale, numbers = 5 * np.sqrt(self.pixels.size), None
        while self.step < last:
            began, weights = self.step, self.weights.values()

            def objective(variables, weights=weights):
                nonlocal numbers
                if not np.array_equal(self.weights.values(), weights, equal_nan=True):
                    raise WeightsChanged
                gradient, numbers = self.evaluate(tf.constant(variables * scale, tf.float32))
                return self._named(numbers)["total"], gradient.numpy().astype("float64") * scale

            def accepted(variables):
                report(variables * scale, numbers)
                if self.step >= last:
                    raise StopIteration

            bounds = [(0, 255 / scale)] * self.pixels.size
            options = {"maxiter": last, "maxfun": 20 * last, "ftol": 0, "gtol": 0}
            how = {"method": "L-BFGS-B", "jac": True, "bounds": bounds, "callback": accepted, "options": options}
            try:
                with threadpool_limits(1, "blas"):  # idle BLAS threads would spin and slow TensorFlow down
                    minimize(objective, self.pixels / scale, **how)
            except WeightsChanged:
                self.restarts.append(self.step)
                continue
            if self.step == began:
                break  # the line search finds nothing lower


def coarse_to_fine(content, style, sizes, steps, features=None, optimizer="lbfgs", callback=None, **settings):
    """Run style transfer at growing sizes, each started from the result before; return uint8 (height, width, 3).

    Large forms are then found at a small size, where an iteration is cheap. The style picture is scaled with the
    content, so that its strokes keep their share of the picture.

    content, style: pictures (see ``pictures.as_picture``).
    sizes: the shorter sides in pixels; the last is the result's.
    steps: iterations at each size, a number or a list.
    features: the network, from ``features.vgg``; default ``vgg()``.
    optimizer, callback: as for ``StyleTransfer.run``.
    settings: other arguments of ``StyleTransfer``.
    """
    steps = [steps] * len(sizes) if np.isscalar(steps) else steps
    features = vgg_features.vgg() if features is None else features
    start = settings.pop("start", "content")
    for size, count in zip(sizes, steps, strict=True):
        small = resize(content, size)
        if not isinstance(start, str):
            start = resize(start, small.shape[:2])
        factor = size / sizes[-1]
        brush = resize(style, max(16, round(min(np.shape(style)[:2]) * factor)))
        transfer = StyleTransfer(small, brush, features, start=start, **settings)
        start = transfer.run(count, optimizer, callback)
    return start
