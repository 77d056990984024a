"""Datasets for unpaired translation: rendered, published, or a student's own photographs."""

import difflib
import importlib
import os
from pathlib import Path

# Rendered offline, with known right answers: the names of their modules in ``labutils.scenes``.
RENDERED = ("orchard", "paddock", "meadow")


def rendered(name):
    """Return the module of a rendered dataset; ``ValueError`` with the nearest name for any other."""
    if name not in RENDERED:
        near = difflib.get_close_matches(str(name), RENDERED, 1, 0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No rendered dataset is called {name!r}: there are {', '.join(RENDERED)}.{hint}")
    return importlib.import_module(f"labutils.scenes.{name}")  # the module has the dataset's name


def truth_of(root):
    """Return the file with the truth of the rendered dataset in ``root``; None for photographs and the like."""
    paths = [Path(os.path.expanduser(root)) / f"{name}.json" for name in RENDERED]
    return next((path for path in paths if path.exists()), None)
