"""Checks of lesson 2, the networks."""

import numpy as np

from labutils.checks import Hint, answer, close, exercise, recognise


@exercise("2-parameters")
def parameters(function):
    """``function(kernel, inputs, outputs)``: the parameters of a convolution with a bias."""
    for kernel, inputs, outputs in [(4, 3, 16), (3, 64, 32), (7, 1, 1)]:
        count, weights = answer(function, kernel, inputs, outputs).item(), kernel * kernel * inputs * outputs
        hints = {
            weights: "You left out the biases: one for each output channel.",
            weights + inputs: "There is one bias for each output channel, not for each input channel.",
            kernel * inputs * outputs
            + outputs: "The kernel is a square: kernel × kernel weights for each pair of channels.",
            kernel * kernel * outputs + outputs: "Every output channel looks at all input channels.",
            weights + inputs * outputs: "A bias belongs to an output channel, not to a pair of channels.",
        }
        expected = weights + outputs
        if count != expected:
            hint = hints.get(
                count, "Count the weights from every input channel to every output channel, then the biases."
            )
            raise Hint(f"kernel {kernel}, {inputs} to {outputs} channels: expected {expected}, got {count}. {hint}")


def _normalized(x, axes, epsilon=1e-5, root=True):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / (np.sqrt(variance + epsilon) if root else variance + epsilon)


@exercise("2-instance")
def instance(function):
    """``function(x)``: instance normalisation of (batch, height, width, channels), epsilon 1e-5."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 6, 5, 4)) * [1, 2, 3, 0.01] + rng.normal(size=(3, 1, 1, 4)) * 5
    found = answer(function, x.copy())
    wrong = {
        "You normalised over the batch: a picture must not depend on the others in its batch.": _normalized(
            x, (0, 1, 2)
        ),
        "You normalised over the channels as well: that is layer normalisation.": _normalized(x, (1, 2, 3)),
        "You normalised over the channels only: each pixel on its own.": _normalized(x, 3),
        "You divided by the variance: take its square root, the standard deviation.": _normalized(
            x, (1, 2), root=False
        ),
        "Epsilon belongs inside the root, added to the variance.": (x - x.mean((1, 2), keepdims=True))
        / (x.std((1, 2), keepdims=True) + 1e-5),
        "You subtracted the mean, but did not divide by the standard deviation.": x - x.mean((1, 2), keepdims=True),
        "This is the input, unchanged.": x,
        "The axes are right; take epsilon 1e-5, not 1e-3.": _normalized(x, (1, 2), epsilon=1e-3),
    }
    recognise(found, wrong, "Each channel of each picture should have mean 0 and standard deviation 1.")
    hint = "Take mean and variance over height and width, axes (1, 2), with keepdims=True."
    close(found, _normalized(x, (1, 2)), "the normalised pictures", hint)


@exercise("2-residual")
def residual(function):
    """``function(x, first, second)``: a residual block of two layers with a ReLU between them."""
    x = np.linspace(-2, 2, 24).reshape(1, 2, 3, 4)

    def first(values):
        return 1 - 2 * values

    def second(values):
        return values / 2 - 1

    def relu(values):
        return np.maximum(values, 0)

    found = answer(function, x.copy(), first, second)
    correction = second(relu(first(x)))
    if found.shape[-1] == 2 * x.shape[-1]:
        raise Hint("You concatenated: the channels doubled. The paper's block adds x and the correction.")
    wrong = {
        "The skip is missing: this is the correction alone.": correction,
        "The ReLU between the two layers is missing.": x + second(first(x)),
        "Use no activation after the addition: with a ReLU there, the block could not lower a value below zero.": relu(
            x + correction
        ),
        "Use no activation after the second layer: a correction may be negative.": x + relu(correction),
        "This is x, unchanged.": x,
    }
    recognise(found, wrong)
    hint = "x goes through the first layer, a ReLU and the second layer. Add the result to x."
    close(found, x + correction, "the block's output", hint)


def field_of(strides, kernels):
    """Compute the receptive field of consecutive convolutions by the lesson's rule."""
    field, distance = 1, 1
    for stride, kernel in zip(strides, kernels, strict=True):
        field += (kernel - 1) * distance
        distance *= stride
    return field


@exercise("2-field")
def field(function):
    """``function(kernels, strides)``: the receptive field of convolutions in a row."""
    for kernels, strides in [((4,) * 5, (2, 2, 2, 1, 1)), ((3, 3, 3), (1, 1, 1)), ((7, 3, 5), (1, 2, 3))]:
        found, expected = answer(function, kernels, strides).item(), field_of(strides, kernels)
        late = sum((k - 1) * int(np.prod(strides[: i + 1])) for i, k in enumerate(kernels)) + 1
        hints = {
            expected - 1: "Start from 1: a value sees its own pixel before any convolution.",
            sum(k - 1 for k in kernels)
            + 1: "After a stride of 2, neighbours lie two pixels apart: multiply the distance by the stride.",
            late: "A layer's stride affects only later layers: widen the field first, then multiply the distance.",
            sum(kernels): "Kernels overlap: each adds (kernel - 1) times the distance, not the whole kernel.",
        }
        if found != expected:
            hint = hints.get(found, "Each layer adds (kernel - 1) × the distance, then multiplies it by its stride.")
            raise Hint(f"kernels {kernels}, strides {strides}: expected {expected}, got {found}. {hint}")


@exercise("2-strides")
def strides(value):
    """Strides (1 or 2) of a discriminator, kernel 4, with a receptive field of 46 pixels."""
    if np.ndim(value) != 1 or not len(value) or not set(np.asarray(value).tolist()) <= {1, 2}:
        raise Hint(f"A tuple of strides was expected, each 1 or 2, such as (2, 2, 1); got {value!r}.")
    got = field_of([*value, 1], [4] * (len(value) + 1))
    if got == 46:
        return
    hint = "More or larger strides make it larger; try models.receptive_field."
    if field_of(value, [4] * len(value)) == 46:
        hint = "You left out the last convolution, the one to a single channel. Include it, and use fewer strides."
    raise Hint(f"A receptive field of 46 was expected; strides {tuple(value)} give {got}. {hint}")


@exercise("2-checkerboard")
def checkerboard(value):
    """The kernel sizes from 2 to 7 that paint every pixel equally often in a transposed convolution with stride 2."""
    try:
        kernels = {int(kernel) for kernel in value}
    except TypeError:
        raise Hint(f"A list or set of kernel sizes was expected, such as [2, 3]; got {value!r}.") from None
    if kernels == {3, 5, 7}:
        raise Hint("These sizes make a checkerboard: name the others.")
    if kernels - set(range(2, 8)):
        raise Hint(f"Only kernels from 2 to 7 were asked for; got {sorted(kernels)}.")
    if kernels == {3}:
        raise Hint(
            "A kernel of 3 paints pixels one, two or four times: draw two neighbouring kernels, two pixels apart."
        )
    if kernels == {4}:
        raise Hint("4 is right, but not the only one: which sizes are divisible by the stride, 2?")
    if kernels != {2, 4, 6}:
        raise Hint(
            f"Expected three sizes, got {sorted(kernels)}. Try `enlarge` with each from 2 to 7: which of them "
            "paint every pixel equally often?"
        )
