"""Checks of lesson 3, the training."""

import numpy as np

from labutils.checks import Hint, answer, close, exercise, recognise


@exercise("3-adversarial")
def adversarial(function):
    import tensorflow as tf

    scores = tf.constant([[0.9, 0.2], [0.0, 0.5]])
    loss = answer(function, scores)
    mistakes = {
        "This is the discriminator's goal: the generator wants its fakes scored 1, not 0.": 0.275,
        "That is the mean distance without the square.": 0.6,
        "That is the sum: take the mean, so that the number of patches does not matter.": 1.9,
    }
    recognise(loss, mistakes)
    close(loss, 0.475, "the loss of scores 0.9, 0.2, 0.0, 0.5", "Mean of the squared distances from 1.")


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

    found = answer(function, real_b, ab, ba)
    mistakes = {
        "That is A→B→A: a picture of B goes through generator_ba first.": loss(ba(ab(real_b))),
        "You compared the fake with the picture it was made from: translate the fake back first.": loss(ba(real_b)),
        "That is the identity loss: real_b did not go through generator_ba.": loss(ab(real_b)),
        "That is the mean square: take absolute differences.": np.mean((real_b - ab(ba(real_b))) ** 2),
    }
    recognise(found, mistakes)
    close(found, loss(ab(ba(real_b))), "the loss of B→A→B", "Mean absolute difference of real_b and its round trip.")


@exercise("3-missing")
def missing(answers):
    right = ("cycle", "adversarial", "identity")
    why = (
        "Which loss makes the fake depend on the picture it came from?",
        "Returning the picture unchanged makes two of the losses zero. Which one stays above zero?",
        "The round trip is perfect, so the cycle loss is zero. Which loss notices the blue wall?",
    )
    if not isinstance(answers, dict) or len(answers) != 3:
        raise Hint("Keep the dictionary of three symptoms, and replace each question mark.")
    for (symptom, given), expected, hint in zip(answers.items(), right, why, strict=True):
        if given not in right:
            raise Hint(f'"{symptom}": answer "adversarial", "cycle" or "identity", not {given!r}.')
        if given != expected:
            raise Hint(f'"{symptom}": not the {given} loss. {hint}')


@exercise("3-rate")
def rate(function):
    level, half, beyond = (answer(function, step) for step in (50, 150, 250))
    if not np.isclose(level, 2e-4):
        raise Hint(f"Within the first 100 steps the rate is 2e-4; yours is {level:.2g} at step 50.")
    mistakes = {
        "the line starts at `constant`, not at 0.": 0.5e-4,
        "the line is `total - constant` steps long, not `total`.": 1.5e-4,
    }
    recognise(half, mistakes, "At step 150, halfway down, the rate should be half, 1e-4:")
    if beyond < 0:
        raise Hint("After the last step the rate turns negative: the training would run backwards. Stop at 0.")
    close([function(s) for s in (150, 200, 250)], [1e-4, 0, 0], "the rates at steps 150, 200 and 250", tolerance=1e-8)
    other = answer(function, 125, 1e-3, 50, 200)
    hint = (
        "Halfway down the rate is half of `base`. The line falls from `constant` to `total`: they may be any numbers."
    )
    close(other, 5e-4, "the rate at step 125 for base 1e-3, constant 50, total 200", hint, tolerance=1e-8)


@exercise("3-pool")
def pool(function):
    def play(size, moves):
        """Return what is shown and what is kept for pictures 0, 1, 2 …, each with a coin and a slot."""
        kept = []
        return [function(kept, fake, size, *move) for fake, move in enumerate(moves)], kept

    if play(2, [(True, 0), (True, 0)]) != ([0, 1], [0, 1]):
        raise Hint("While the pool is not full, ignore the coin `swap`: keep and show every new picture.")
    shown, kept = play(2, [(False, 0), (False, 0), (False, 1)])
    if len(kept) > 2:
        raise Hint(f"A pool of 2 holds {len(kept)} pictures: once it is full, a new picture replaces an old one.")
    if (shown, kept) != ([0, 1, 2], [0, 1]):
        raise Hint("When the pool is full and `swap` is False, show the new picture and leave the pool unchanged.")
    shown, kept = play(2, [(False, 0), (False, 0), (True, 1)])
    if shown[-1] == 2:
        raise Hint("With `swap` you show the new picture: take the old one out of its slot before you overwrite it.")
    if kept == [0, 1]:
        raise Hint("With `swap` the old picture is shown, but the new one is lost: put it into the slot.")
    if (shown, kept) != ([0, 1, 1], [0, 2]):
        raise Hint(
            f"With `swap`, a pool of [0, 1], slot 1 and picture 2: expected 1 shown and [0, 2] kept, got {kept}."
        )


@exercise("3-mistakes")
def mistakes(answers):
    why = {
        "batch norm": "Its curves match the healthy run's, so the training went well. But its walls keep their own "
        "colours, unlike in any other sheet. Which layer behaves differently in use than in training (lesson 2)?",
        "no cycle loss": "In the healthy sheet the curves of cycle and identity overlap. Here they separate. "
        "Which of them lies higher, and which loss would have kept it low?",
        "strong discriminators": "Two curves separate here, unlike in any other sheet. "
        "Whose loss goes to zero, and who is losing?",
        "no identity loss": "One curve lies far higher than in the other sheets. Look at its row of the pictures.",
        "no pool": "No curve is unusual, and the sheet is close to the healthy one. Find the other four first.",
    }
    if not isinstance(answers, dict) or sorted(answers) != [1, 2, 3, 4, 5]:
        raise Hint("Keep the dictionary of the sheets 1 to 5, and replace each question mark.")
    for number, (mistake, hint) in enumerate(why.items(), 1):
        if answers[number] not in why:
            raise Hint(f"Sheet {number}: answer one of {', '.join(sorted(why))}, not {answers[number]!r}.")
        if answers[number] != mistake:
            raise Hint(f"Sheet {number}: not {answers[number]}. {hint}")
