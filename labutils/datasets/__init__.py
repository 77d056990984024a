"""Datasets for unpaired translation: rendered, published, or a student's own photographs."""

import importlib

from labutils.base.paths import place
from labutils.base.words import choices

# Rendered offline, with known right answers: the names of their modules in ``labutils.scenes``.
RENDERED = ("orchard", "paddock", "meadow")


def rendered(name):
    """Return the module of a rendered dataset; ``ValueError`` with the nearest name for any other."""
    if name not in RENDERED:
        raise ValueError(f"No rendered dataset is called {name!r}. There are: {choices(name, RENDERED)}")
    return importlib.import_module(f"labutils.scenes.{name}")  # the module has the dataset's name


def truth_of(root):
    """Return the file with the truth of the rendered dataset in ``root``; None for photographs and the like."""
    paths = [place(root) / f"{name}.json" for name in RENDERED]
    return next((path for path in paths if path.exists()), None)
