"""Checks of lesson 5, style transfer."""

import numpy as np

from labutils.checks import Hint, answer, close, exercise, recognise


def _maps(seed, shape=(1, 5, 6, 3)):
    return np.random.default_rng(seed).random(shape).astype("float32")


@exercise("5-gram")
def gram(function):
    maps = _maps(0)
    if callable(function) and function(maps) is not None and not isinstance(function(maps), np.ndarray):
        raise Hint("The answer should be a NumPy array, made without TensorFlow.")
    flat = maps.reshape(-1, 3).astype("float64")
    expected = flat.T @ flat / len(flat)
    value = answer(function, maps)
    if value.shape == (30, 30):
        raise Hint("This compares positions (30 x 30). Compare channels instead: transpose the *first* factor.")
    centred, mixed = flat - flat.mean(0), maps.reshape(3, -1).astype("float64")
    recognise(
        value,
        {
            "This is the sum over positions. Divide by their number, height times width.": expected * 30,
            "Divided by the channels too: divide by the number of positions only.": expected / 3,
            "Divided by the channels: divide by the number of positions, height times width.": expected * 30 / 3,
            "reshape(channels, -1) mixes the channels. They are the *last* axis: keep it last, and transpose.": mixed
            @ mixed.T
            / 30,
            "This is a covariance. A Gram matrix does not subtract the mean first.": centred.T @ centred / 30,
        },
    )
    close(value, expected, "The Gram matrix of maps (1, 5, 6, 3)", "Rows are channels, columns are channels.")


@exercise("5-variation")
def variation(function):
    image = 255 * _maps(3, (1, 4, 5, 3))
    down, right = np.diff(image, axis=1)[:, :, :-1] ** 2, np.diff(image, axis=2)[:, :-1] ** 2
    value = answer(function, image)
    wrapped = ((np.roll(image, -1, 1) - image) ** 2 + (np.roll(image, -1, 2) - image) ** 2).mean()
    unit = 255**2
    recognise(
        value,
        {
            "Only the pixels below are compared. Add the squared differences to the right.": down.mean() / unit,
            "Only the pixels to the right are compared. Add those below.": right.mean() / unit,
            "Only the unit is wrong: divide by 255², the square of the whole range.": (down + right).mean(),
            "The differences are squared, so divide by 255², not by 255.": (down + right).mean() / 255,
            "np.roll joins the last row to the first. Use slices, such as image[:, 1:] and image[:, :-1].": wrapped
            / unit,
            "This is the sum. Take the mean over all positions and colours.": (down + right).sum() / unit,
            "You summed over the colours: take the mean over them, too.": 3 * (down + right).mean() / unit,
            "This is half the value: add the two squared differences, do not average them.": (down + right).mean()
            / unit
            / 2,
            "These are absolute differences: square them.": (down**0.5 + right**0.5).mean() / unit,
            "These are absolute differences over 255: square both.": (down**0.5 + right**0.5).mean() / 255,
        },
    )
    hint = "Leave the last row and the last column out of both differences, so that both have the same shape."
    close(value, (down + right).mean() / unit, "The variation", hint)


@exercise("5-factor")
def factor(value):
    value = np.asarray(value, "float64")
    recognise(
        value,
        {
            "M is squared: M² / pixels² is 1/16, not 1/4. (Or did you take block1_conv1, with N = 64?)": 64**2 / 9,
            "The layer has a quarter as many positions as the picture has pixels: M² / pixels² is 1/16, not 1.": 128**2
            / 9,
            "The ratio is the other way round: how often does *paint* count a difference that gatys counts once?": 9
            * 16
            / 128**2,
            "block2_conv1 has 128 channels, not 64.": 64**2 / 9 / 16,
        },
    )
    if value.shape != () or not np.isclose(value, 128**2 / 9 / 16, rtol=1e-3):
        raise Hint(f"Your factor is {value}. Write both formulas for this layer, and divide one by the other.")


@exercise("5-colours")
def colours(function):
    matrix = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    random = np.random.default_rng(4)
    painted, photograph = random.uniform(90, 160, (2, 4, 5, 3))
    one, two = painted @ matrix.T, photograph @ matrix.T
    mixed = np.concatenate([one[..., :1], two[..., 1:]], -1)

    def rgb(first, others):
        return np.concatenate([first[..., :1], others[..., 1:]], -1) @ np.linalg.inv(matrix).T

    value = answer(function, painted, photograph)
    if value.shape == painted.shape and np.allclose(value, mixed, atol=1e-3):
        raise Hint("These are still Y, I and Q. Go back to RGB with the inverse matrix.")
    for hint, wrong in (
        ("You used the transposed matrix on the way there: transpose the inverse on the way back as well.",
         mixed @ np.linalg.inv(matrix)),
        ("Swapped: brightness (Y) comes from the painted picture, I and Q from the photograph.", rgb(two, one)),
        ("This is the painted picture unchanged: take I and Q from the photograph.", painted),
        ("This is the photograph unchanged: take Y from the painted picture.", photograph),
        ("Multiply by the *transposed* matrix: colours are the last axis, rows of the matrix are Y, I and Q.",
         np.concatenate([(painted @ matrix)[..., :1], (photograph @ matrix)[..., 1:]], -1) @ np.linalg.inv(matrix)),
    ):  # fmt: skip
        if value.shape == wrong.shape and np.allclose(value, wrong, atol=0.6):
            raise Hint(hint)
    close(value, rgb(one, two), "The picture in the photograph's colours", tolerance=0.6)


@exercise("5-decay")
def decay(weights):
    if not isinstance(weights, dict):
        raise Hint(f"The answer should be a dict {{layer name: weight}}, not {type(weights).__name__}.")
    names = [f"block{block}_conv1" for block in range(1, 5)]
    if set(weights) != set(names):
        raise Hint(f"The layers should be {', '.join(names)}; yours are {', '.join(map(str, weights))}.")
    value = np.array([float(weights[name]) for name in names])
    recognise(
        value,
        {
            "The weights are all the same: each layer should have half the weight of the one before.": np.full(4, 0.25),
            "The weights halve but do not sum to 1: divide each by their sum.": 0.5 ** np.arange(4),
            "The weights halve from 1/2 on, but do not sum to 1: divide each by their sum.": 0.5 ** np.arange(1, 5),
            "The wrong way round: block1_conv1 should have the largest weight.": 2.0 ** np.arange(4) / 15,
            "The weights fall in equal steps. Each should be *half* of the one before.": np.array([4, 3, 2, 1]) / 10,
        },
    )
    if not np.allclose(value, 0.5 ** np.arange(4) / (0.5 ** np.arange(4)).sum(), atol=1e-5):
        raise Hint(f"Your weights: {value.round(4)}. Halve a weight from layer to layer, and divide all by their sum.")


@exercise("5-mix")
def mix(function):
    random = np.random.default_rng(5)
    maps = [random.random((1, 4, 4, 3)).astype("float32") for _ in range(2)]

    def gram_of(picture):
        flat = picture.reshape(-1, 3).astype("float64")
        return flat.T @ flat / len(flat)

    grams = [gram_of(each) for each in maps]
    value = answer(function, grams[0], grams[1], 1.0, 3.0)
    recognise(
        value,
        {
            "The shares are the other way round.": (3 * grams[0] + grams[1]) / 4,
            "Divide by the sum of the shares: only their ratio should count.": grams[0] + 3 * grams[1],
            "The shares are not used: this is the plain mean.": (grams[0] + grams[1]) / 2,
            "Divide by the sum of the shares, not by the number of pictures.": (grams[0] + 3 * grams[1]) / 2,
        },
    )
    close(value, (grams[0] + 3 * grams[1]) / 4, "The mixed Gram matrix")
