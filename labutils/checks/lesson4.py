"""Checks of lesson 4, the translation."""

import numpy as np

from labutils.checks import Hint, answer, close, exercise, recognise


@exercise("4-to-picture")
def to_picture(function):
    found = answer(function, np.array([-1.0, 0.0, 1.0, 1.2, -1.1, 0.01, 0.5]))
    if found.dtype != np.uint8:
        raise Hint(f"A picture is uint8, yours is {found.dtype}.")
    if found.shape == (7,) and found[0] != 0 and found[2] in (255, 127, 128):
        raise Hint("-1 must become 0: shift before you scale.")
    if found.shape == (7,) and (found[3] != 255 or found[4] != 0) and found[2] == 255:
        raise Hint("Values a little outside [-1, 1] wrap around in uint8: clip before you convert.")
    close(found[[0, 2, 3, 4]], [0, 255, 255, 0], "-1, 1, 1.2 and -1.1", "(values + 1) / 2 is in [0, 1].")
    if found[1] not in (127, 128):
        raise Hint(f"0 is the middle grey, 127 or 128; yours is {found[1]}.")
    if found[5] == 128:
        raise Hint("0.01 is 128.8 of 255 and became 128: converting to uint8 cuts off decimals, so round before.")
    if found[6] == 192:
        raise Hint("0.5 is 191.25 of 255 and became 192: round (values + 1) · 127.5 to the nearest level, not up.")
    close(found[5:], [129, 191], "0.01 and 0.5")


@exercise("4-masked-psnr")
def masked_psnr(function):
    from labutils.metrics import psnr

    random = np.random.default_rng(0)
    image, truth = random.random((2, 8, 8, 3))
    mask = np.zeros((8, 8))
    mask[2:5, 3:7] = 1
    square = (image - truth) ** 2

    def decibel(error):
        return -10 * np.log10(error)

    inside, found = square * mask[..., None], answer(function, image, truth, mask)
    mistakes = {
        "The whole picture was counted: weight the squared error by the mask.": decibel(square.mean()),
        "Divide by the number of values inside the mask, not by all of them.": decibel(inside.mean()),
        "Each pixel has three values: divide by 3 · mask.sum().": decibel(inside.sum() / mask.sum()),
        "The sign is wrong: a small error gives a high PSNR.": -decibel(inside.sum() / (3 * mask.sum())),
    }
    recognise(found, mistakes)
    close(
        found,
        psnr(image, truth, mask),
        "the PSNR inside the mask",
        "Which errors are counted, and by what are they divided?",
    )


@exercise("4-nearest")
def nearest(function):
    fake = np.zeros((2, 2, 3))
    same_mean = np.array([[0.3, -0.3], [-0.3, 0.3]])[..., None] * np.ones(3)
    found = function(fake, [fake + 0.5, same_mean, fake + 0.1, fake - 0.4])
    if found == 0:
        raise Hint("That is the farthest of the four, or no answer yet: take the smallest squared error.")
    if found == 1:
        raise Hint("It has the same mean, but other pixels: square first, then take the mean.")
    if found == 3:
        raise Hint("Darker is not nearer: square the differences.")
    if found != 2:
        raise Hint(f"Return the index of the nearest, a whole number from 0 to 3, not {found!r}.")
    one, two, four = (np.reshape(row, (2, 2, 1)) * np.ones(3) for row in ([0.9, 0, 0, 0], [0.5, 0.5, 0, 0], [0.4] * 4))
    found = function(fake, [one, two, four])
    if found == 0:
        raise Hint(
            "One pixel with a large error counts more than two with half of it: square the differences, then add them."
        )
    if found == 2:
        raise Hint("Count the errors of all pixels, not only the largest.")


@exercise("4-pad")
def pad(function):
    if function(64, 4) == 16:
        raise Hint("64 rows can already be halved four times: add none.")
    if function(100, 4) == 4:
        raise Hint("100 is 4 rows above a multiple of 16. How many are missing to the *next* multiple?")
    close([function(64, 4), function(100, 4), function(1, 3)], [0, 12, 7], "the rows for (64, 4), (100, 4) and (1, 3)")


@exercise("4-kid")
def kid(function):
    from labutils.measure import kid as reference

    random = np.random.default_rng(0)
    x, y = random.normal(0, 1, (6, 4)), random.normal(0.5, 1, (5, 4))
    found, (expected, _) = answer(function, x, y), reference(x, y)
    xx, yy, xy = ((p @ q.T / 4 + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    xxs, yys, xys = ((p @ q.T + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    between, few = 2 * xy.mean(), unbiased(xx) * 5 / 6 + unbiased(yy) * 4 / 5
    unscaled = unbiased(xxs) + unbiased(yys) - 2 * xys.mean()
    itself = "A point was paired with itself, so samples of one distribution look different: leave the diagonal out."
    mistakes = {
        itself: xx.mean() + yy.mean() - between,
        "Without the diagonal there are n · (n - 1) pairs, not n².": few - between,
        "Subtract the mean between the sets twice: once for each of the two means within a set.": expected + xy.mean(),
        "Divide x·y by the number of channels, before you add 1.": unscaled,
        "The sign is wrong: it is the means within minus the means between.": -expected,
    }
    recognise(found, mistakes)
    close(
        found,
        expected,
        "the KID",
        "Add the means of k within x and within y, and subtract twice the mean between.",
        tolerance=1e-6,
    )
    alike, hint = (x[:3], x[3:]), "It may be negative."
    close(function(*alike), reference(*alike)[0], "the KID of two halves of one set", hint, tolerance=1e-6)


def unbiased(kernel):
    return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))
