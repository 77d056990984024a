"""Checks of lesson 3, the training."""

import numpy as np

from labutils.checks import Hint, close, exercise


@exercise("3-adversarial")
def adversarial(function):
    import tensorflow as tf

    scores = tf.constant([[0.9, 0.2], [0.0, 0.5]])
    answer = np.asarray(function(scores))
    wanted = {
        0.275: "These are the discriminator's wishes: the generator wants its fakes scored 1, not 0.",
        0.6: "That is the mean distance without the square.",
        1.9: "That is the sum: take the mean, so that the number of patches does not matter.",
    }
    for value, hint in wanted.items():
        if answer.shape == () and abs(float(answer) - value) < 1e-4:
            raise Hint(hint)
    close(answer, 0.475, "the loss of scores 0.9, 0.2, 0.0, 0.5", "Mean of the squared distances from 1.")


@exercise("3-cycle")
def cycle(function):
    import tensorflow as tf

    real_b = tf.constant([[[[1.0, -0.5, 0.0]]]])

    def ab(x):
        return 0.5 * x + 0.25

    def ba(x):
        return 0.5 * x - 0.5

    def loss(x):
        return np.mean(np.abs(real_b - x))

    answer = np.asarray(function(real_b, ab, ba))
    mistakes = {
        float(loss(ba(ab(real_b)))): "That is A→B→A: a picture of B goes through generator_ba first.",
        float(loss(ba(real_b))): "The fake is compared with the picture it was made from: go all the way back first.",
        float(loss(ab(real_b))): "That is the identity loss: the picture never left B.",
        float(np.mean((real_b - ab(ba(real_b))) ** 2)): "That is the mean square: take absolute differences.",
    }
    for value, hint in mistakes.items():
        if answer.shape == () and abs(float(answer) - value) < 1e-5:
            raise Hint(hint)
    close(answer, loss(ab(ba(real_b))), "the loss of B→A→B", "Mean absolute difference of real_b and its round trip.")


@exercise("3-missing")
def missing(answers):
    right = ("cycle", "adversarial", "identity")
    why = (
        "Which loss makes the fake depend on the picture it came from?",
        "Handing the picture back makes two of the losses zero. Which one objects?",
        "The round trip is perfect, so the cycle loss is content. Which loss sees the blue wall?",
    )
    if not isinstance(answers, dict) or len(answers) != 3:
        raise Hint("Keep the dictionary of three symptoms, and replace each question mark.")
    for (symptom, answer), expected, hint in zip(answers.items(), right, why, strict=True):
        if answer not in right:
            raise Hint(f'"{symptom}": answer "adversarial", "cycle" or "identity", not {answer!r}.')
        if answer != expected:
            raise Hint(f'"{symptom}": not the {answer} loss. {hint}')


@exercise("3-rate")
def rate(function):
    if not np.isclose(function(50), 2e-4):
        raise Hint(f"Within the first 100 steps the rate is 2e-4; yours is {function(50):.2g} at step 50.")
    if function(250) < 0:
        raise Hint("After the last step the rate turns negative: the training would run backwards. Stop at 0.")
    if np.isclose(function(150), 0.5e-4):
        raise Hint("At step 150, halfway down, the rate should be half, 1e-4: the line starts at `constant`, not at 0.")
    close([function(s) for s in (150, 200, 250)], [1e-4, 0, 0], "the rates at steps 150, 200 and 250", tolerance=1e-8)
