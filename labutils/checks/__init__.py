"""Check answers to exercises: print what was expected, what came, and a hint. One module per lesson.

After each check a line lists how many of the lesson's exercises are done, and which are left.

A check never raises in a student's notebook. CI sets ``LAB_STRICT``. With "1" a wrong answer raises
``AssertionError``. With "unsolved" a right answer raises it, because a placeholder must not pass.
"""

import importlib
import os
import pkgutil
import textwrap

import numpy as np

from labutils.base.words import choices

EXERCISES = {}
DONE = set()  # answered correctly in this session


class Hint(Exception):
    """Report a wrong answer. The text says what was expected, what came, and what to do next."""


def exercise(name):
    """Register the decorated function as the check of exercise ``name``.

    The function takes the student's value. It raises ``Hint`` if the answer is wrong.
    """

    def register(function):
        EXERCISES[name] = function
        return function

    return register


def check(name, value):
    """Check ``value``, the answer to exercise ``name`` (such as "1-scale"), and print the result.

    Raises ``ValueError`` with the list of all exercises if ``name`` is unknown.
    """
    name = name if isinstance(name, str) else repr(name)[:60]  # name and value may be swapped
    lessons = [module.name for module in pkgutil.iter_modules(__path__)]
    for lesson in lessons if name not in EXERCISES else []:  # so that the list below is complete
        importlib.import_module(f"{__name__}.{lesson}")
    if name not in EXERCISES:
        raise ValueError(f"No exercise is called {name!r}. There are: {choices(name, sorted(EXERCISES))}")
    DONE.discard(name)
    try:
        EXERCISES[name](value)
    except Hint as hint:
        message = f"{name}: not yet. {hint}"
    except Exception as error:  # the student's own code, called by the check
        message = f"{name}: not yet. Your code raised {type(error).__name__}: {error}"
    else:
        DONE.add(name)
        message = f"{name}: right."
    if os.environ.get("LAB_STRICT") == ("unsolved" if name in DONE else "1"):
        raise AssertionError(message)
    print(textwrap.fill(message, 100, break_long_words=False, break_on_hyphens=False))
    print(progress(name[0]))


def progress(lesson):
    """Say how many exercises of ``lesson`` ("3") are done in this session."""
    names = [name for name in EXERCISES if name.startswith(f"{lesson}-")]
    left = [name for name in names if name not in DONE]
    if not left:
        return f"Lesson {lesson}: all {len(names)} done."
    return f"Lesson {lesson}: {len(names) - len(left)} of {len(names)} done; to do: {', '.join(left)}."


def answer(function, *arguments):
    """Call the student's ``function`` and return its result. Raise ``Hint`` if it is not callable or returns None."""
    if not callable(function):
        raise Hint("Pass the function itself, without parentheses after its name.")
    value = function(*arguments)
    if value is None:
        raise Hint(f"{getattr(function, '__name__', 'your function')} returned nothing: does it end with `return`?")
    return np.asarray(value)


def recognise(value, mistakes, asked="", tolerance=1e-4):
    """Raise ``Hint`` if ``value`` is the result of a typical mistake: ``mistakes`` is ``{hint: value}``."""
    for hint, wrong in mistakes.items():
        if np.shape(value) == np.shape(wrong) and np.allclose(value, wrong, rtol=tolerance, atol=tolerance / 100):
            raise Hint(f"{asked} {hint}".strip())


def close(value, expected, what, hint="", tolerance=1e-5):
    """Raise ``Hint`` unless ``value`` has the shape and the values of ``expected``."""
    array, expected = np.asarray(value), np.asarray(expected)
    if array.shape != expected.shape:
        raise Hint(f"{what} should have shape {expected.shape}, yours has {array.shape}. {hint}")
    if np.allclose(array, expected, rtol=min(tolerance, 1e-3), atol=tolerance):
        return
    shown = expected if expected.size <= 4 else f"values from {expected.min():.3g} to {expected.max():.3g}"
    came = array if array.size <= 4 else f"values from {array.min():.3g} to {array.max():.3g}"
    raise Hint(f"{what}: expected {shown}, got {came}. {hint}")
