"""Datasets for unpaired translation: rendered, published, or a student's own photographs."""

import difflib
import importlib

# Rendered offline, with truth; each module has render_pair, write and VARIETIES.
RENDERED = {name: f"labutils.datasets.{name}" for name in ("orchard", "paddock", "meadow")}


def rendered(name):
    """The module of a rendered dataset; ``ValueError`` with the nearest name for any other."""
    if name not in RENDERED:
        near = difflib.get_close_matches(str(name), RENDERED, 1, 0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No rendered dataset is called {name!r}: there are {', '.join(RENDERED)}.{hint}")
    return importlib.import_module(RENDERED[name])
