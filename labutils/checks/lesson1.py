"""Checks of lesson 1, the dataset."""

import numpy as np

from labutils.checks import Hint, answer, close, exercise, recognise


@exercise("1-scale")
def scale(function):
    """``function(pixels)``: uint8 to float in [-1, 1]."""
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = np.asarray(function(pixels))
    low, high = found.min(), found.max()
    if found.dtype.kind != "f":
        raise Hint(f"The result should hold floats, yours holds {found.dtype}: integers cannot represent 0.5.")
    if np.allclose((low, high), (0, 1)):
        raise Hint("Your values lie in [0, 1]. The generators end in tanh, so they need [-1, 1]: black is -1, not 0.")
    if np.allclose((low, high), (0, 2)):
        raise Hint("Your values lie in [0, 2]. The scale is right: now shift it so that the middle is 0.")
    if np.allclose((low, high), (0, 255)):
        raise Hint("Your values are still 0 to 255: they should be scaled to [-1, 1].")
    if found.shape == pixels.shape and np.allclose(found, 1 - pixels / 127.5):
        raise Hint("Your colours are inverted: 0 is black and should become -1, 255 is white and should become 1.")
    if np.any(np.diff(found.ravel()) < 0):
        raise Hint("A brighter pixel became darker: uint8 overflowed. Convert to float before you calculate.")
    close(found, pixels / 127.5 - 1, "The scaled picture", "0 becomes -1, 255 becomes 1, 127.5 would become 0.")


@exercise("1-white")
def over_white(function):
    """``function(rgba)``: uint8 (h, w, 4) to uint8 (h, w, 3), over white."""
    rgba = np.zeros((3, 5, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = (200, 100, 40), (0, 64, 128, 192, 255)
    alpha = rgba[..., 3:] / 255
    found = np.asarray(function(rgba.copy()))
    if found.shape != (3, 5, 3):
        raise Hint(f"The result should have shape (3, 5, 3) for an RGBA picture of 3 × 5, yours has {found.shape}.")
    values = found.astype(float)
    if np.allclose(values, rgba[..., :3]):
        raise Hint("You dropped the alpha channel: transparent pixels show their hidden colour.")
    if np.abs(values - rgba[..., :3] * alpha).max() <= 1:
        raise Hint("Your background is black: add white where the picture is transparent, 255 · (1 - alpha).")
    if np.abs(values - (rgba[..., :3] * (1 - alpha) + 255 * alpha)).max() <= 1:
        raise Hint("Alpha is the wrong way round: 255 is opaque, 0 is transparent.")
    if found.dtype != np.uint8:
        raise Hint(f"The numbers may be right, but the result should be uint8 and is {found.dtype}.")
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    if np.abs(values - expected).max() > 1:
        raise Hint(
            f"At alpha 128 of 255 the colour (200, 100, 40) should become about "
            f"{tuple(expected[0, 2].round().astype(int).tolist())}, yours became {tuple(found[0, 2].tolist())}. "
            "Convert to float first, and divide alpha by 255."
        )


@exercise("1-mirror")
def mirror(function):
    """``function(seed, step)``: whether to mirror A and B at a step, two booleans."""
    steps = range(1000)
    tossed = np.array([[bool(coin) for coin in function(0, step)] for step in steps])
    if tossed.shape != (1000, 2):
        raise Hint(f"mirrored(seed, step) should return two booleans, for A and for B; yours gives {tossed[0]}.")
    again = np.array([[bool(coin) for coin in function(0, step)] for step in steps[:40]])
    if not (again == tossed[:40]).all():
        raise Hint("Two calls for the same step gave different answers: use a stateless draw with seed and step.")
    if (tossed == tossed[0]).all():
        raise Hint("Every step gets the same answer: the step should go into the seed of the draw.")
    if (tossed[:, 0] == tossed[:, 1]).all():
        raise Hint("A and B are always mirrored together: they are not a pair, so each domain needs its own draw.")
    if (tossed[:, 0] != tossed[:, 1]).all():
        raise Hint("B is always the opposite of A: each domain needs its own draw.")
    share, together = tossed.mean(axis=0), (tossed[:, 0] == tossed[:, 1]).mean()
    if not (abs(share - 0.5) < 0.06).all():  # fair coins fail about once in a few thousand answers
        raise Hint(f"Half of the pictures should be mirrored; yours are {share[0]:.0%} of A and {share[1]:.0%} of B.")
    if (tossed[1:, 0] == tossed[:-1, 1]).all() or (tossed[1:, 1] == tossed[:-1, 0]).all():
        raise Hint("One domain gets the other's coin a step later: each domain needs its own draws.")
    if abs(together - 0.5) > 0.06:
        raise Hint(f"A and B agree in {together:.0%} of the steps; independent coins agree in about half.")
    other = np.array([[bool(coin) for coin in function(1, step)] for step in steps])
    if (other == tossed).all():
        raise Hint("Another seed gives the same coins: pass the seed to the draw as well.")
    if (other[:-1] == tossed[1:]).all():
        raise Hint("Seed 1 gives what seed 0 gives a step later. Do not add seed and step: pass both to the draw.")


@exercise("1-cache")
def cache(function):
    """``function(paths, load, view)``: an endless dataset that loads each file once and makes each view anew."""
    import tensorflow as tf

    loads, count = [], 4

    def read(path):
        loads.append(path.numpy())
        return tf.strings.to_number(path)

    def load(path):
        return tf.ensure_shape(tf.py_function(read, [path], tf.float32), ())

    def view(picture, number):
        return picture + (tf.cast(number, tf.float32) + 1) / 1000

    dataset = function([str(i) for i in range(count)], load, view)
    values = [float(value) for value in dataset.take(3 * count)]
    if len(values) < 3 * count:
        raise Hint(f"The dataset ended after {len(values)} views of {count} pictures: training needs .repeat().")
    if all(value == round(value) for value in values):
        raise Hint("The pictures come out unchanged: `view` should be applied to each of them.")
    epochs = [sorted(values[i : i + count]) for i in range(0, 3 * count, count)]
    if epochs[0] == epochs[1]:
        raise Hint(
            "Every epoch shows the same views: what stands before .cache() runs only once. "
            "What should stand before it, and what after?"
        )
    if len(loads) > count:
        raise Hint(f"{len(loads)} files were read for {count} pictures: put .cache() right after loading.")
    if [sorted({int(value) for value in epoch}) for epoch in epochs] != [list(range(count))] * 3:
        raise Hint("An epoch should pass each picture exactly once.")


@exercise("1-memory")
def memory(function):
    """``function(pictures, size, bytes_per_value)``: gigabytes (10⁹ bytes) of RGB pictures."""
    question = "7,359 pictures of 256 × 256 as float32 (4 bytes)"
    expected, found = 7359 * 256 * 256 * 3 * 4 / 1e9, answer(function, 7359, 256, 4)
    mistakes = {
        "You forgot that each pixel has three channels.": expected / 3,
        "You counted one row of pixels: a picture has size × size of them.": expected / 256,
        "You counted values, not bytes: a float32 takes 4 bytes.": expected / 4,
        "You counted bits: 4 is the number of bytes per value.": expected * 8,
        "These are bytes: a gigabyte is 10⁹ of them.": expected * 1e9,
        "These are megabytes: a gigabyte is 1,000 of them.": expected * 1e3,
        "These are gibibytes (1,024³ bytes); the question asks for gigabytes (10⁹ bytes).": expected * 1e9 / 1024**3,
    }
    if found == 0:
        raise Hint("No answer yet. How many values does a picture have, and how many bytes does a value take?")
    recognise(found, mistakes, f"{question}: got {found:.4g}.", tolerance=1e-3)
    close(found, expected, f"Gigabytes of {question}", "Count the values of a picture, then the bytes.", 1e-3)
    close(function(10, 128, 1), 10 * 128 * 128 * 3 / 1e9, "The same for 10 uint8 pictures of 128 × 128", "", 1e-12)
