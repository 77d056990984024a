"""The published datasets of the CycleGAN paper, and ``ensure``, which finds or makes a profile's data."""

import importlib
from pathlib import Path

from labutils.profile import home


def ensure(lab, root=None):
    """The folder of the profile ``lab``'s dataset, made or downloaded if it is not there.

    ``root`` is where datasets are kept: ``data`` at the top of the course unless given. Returns a ``Path``.
    Raises ``ValueError`` for an unknown dataset, ``DownloadError`` if a published one cannot be had.
    """
    root = Path(root or home("data"))
    rendered = importlib.import_module("labutils.datasets").RENDERED
    if lab.dataset in rendered:
        place = root / f"{lab.dataset}-{lab.size}-{lab.train}"
        if not (place / f"{lab.dataset}.json").exists():
            rendered[lab.dataset].write(place, train=lab.train, test=lab.test, size=lab.size, seed=0)
        return place
    return download(lab.dataset, root)
