"""The exercises' checks: what was expected, what came, and a hint, in words. One module a lesson.

After each check a line says how many of the lesson's exercises are done, and which are left.

A check never raises in a student's notebook. CI sets ``LAB_STRICT``: with "1" a wrong answer raises
``AssertionError``, with "unsolved" a right one does, because a stand-in should not pass.
"""

import difflib
import importlib
import os
import pkgutil
import textwrap

import numpy as np

EXERCISES = {}
DONE = set()  # answered rightly in this session


class Hint(Exception):
    """A wrong answer; the text says what was expected, what came, and how to go on."""


def exercise(name):
    """Register the decorated function, which takes the student's value, as the check of exercise ``name``.

    It raises ``Hint`` for a wrong answer and returns nothing for a right one.
    """

    def register(function):
        EXERCISES[name] = function
        return function

    return register


def check(name, value):
    """Check the answer ``value`` of exercise ``name`` ("1-scale": the lesson, what it is about); print the result.

    Raises ``ValueError`` with the list of all exercises for any other name.
    """
    name = name if isinstance(name, str) else repr(name)[:60]  # perhaps the answer: the two were swapped
    lessons = [module.name for module in pkgutil.iter_modules(__path__)]
    for lesson in lessons if name not in EXERCISES else []:  # all of them, so that the list below is whole
        importlib.import_module(f"{__name__}.{lesson}")
    if name not in EXERCISES:
        near = "".join(f" Did you mean {x!r}?" for x in difflib.get_close_matches(str(name), EXERCISES, n=1))
        raise ValueError(f"No exercise is called {name!r}.{near} There are: {', '.join(sorted(EXERCISES))}.")
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
    """How far this session is with the exercises of ``lesson`` ("3"), in words."""
    names = [name for name in EXERCISES if name.startswith(f"{lesson}-")]
    left = [name for name in names if name not in DONE]
    if not left:
        return f"Lesson {lesson}: all {len(names)} done."
    return f"Lesson {lesson}: {len(names) - len(left)} of {len(names)} done; to do: {', '.join(left)}."


def answer(function, *arguments):
    """What the student's ``function`` gives; ``Hint`` if it is no function, or gives nothing yet."""
    if not callable(function):
        raise Hint("Hand over the function itself, without parentheses after its name.")
    value = function(*arguments)
    if value is None:
        raise Hint(f"{getattr(function, '__name__', 'your function')} returned nothing: does it end with `return`?")
    return np.asarray(value)


def recognise(value, mistakes, asked="", tolerance=1e-4):
    """Raise ``Hint`` if ``value`` is what a typical mistake gives: ``mistakes`` is ``{hint: value}``."""
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
