"""Datasets for unpaired translation: rendered, published, or a student's own photographs."""

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path


class _Rendered(Mapping):
    """Names of the rendered datasets, to their modules, which are imported when they are asked for."""

    names = ("orchard", "paddock", "meadow")

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(name)
        return importlib.import_module(f"labutils.datasets.{name}")

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        return f"rendered datasets: {', '.join(self.names)}"


# Rendered offline, with truth: each module has render_pair, write and VARIETIES.
RENDERED = _Rendered()


def rendered(name):
    """The module of a rendered dataset; ``ValueError`` with the nearest name for any other."""
    if name not in RENDERED:
        near = difflib.get_close_matches(str(name), list(RENDERED), 1, 0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No rendered dataset is called {name!r}: there are {', '.join(RENDERED)}.{hint}")
    return RENDERED[name]


def truth_of(root):
    """The file in which the rendered dataset in ``root`` keeps its truth; None for any other, such as photographs."""
    return next((path for name in RENDERED if (path := Path(root) / f"{name}.json").exists()), None)
