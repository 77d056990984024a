"""Folders of pictures: list a dataset's files, and make a dataset of any pictures."""

import json
import os
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from labutils.base.files import aside, tidy
from labutils.base.opening import ImageError
from labutils.base.paths import existing, look, missing, output_name, place, walk
from labutils.base.reading import read_image, refuse_side
from labutils.base.words import listed, shown

FOLDERS = ("trainA", "trainB", "testA", "testB")
SUFFIXES = (".jpg", ".jpeg", ".png")  # formats that TensorFlow reads reliably


def files(root, folder):
    """List the JPEG and PNG files of ``root/folder``, in the order of their names.

    Warns if the folder holds anything else. Raises ``ValueError`` if it is missing (naming the nearest one) or holds
    no JPEG or PNG file.
    """
    root = place(root)
    inside = root / folder
    if not os.path.isdir(inside):
        tidy(root.parent)  # a killed process may have renamed the dataset
    if not os.path.isdir(inside):
        if not root.is_dir():
            expected = f"expected a folder with {', '.join(FOLDERS)}"
            raise ValueError(f"There is no dataset {shown(root)}: {expected}. {missing(root)}")
        split = f" To hold out every tenth picture as a test: {remedy(root)}" if folder in FOLDERS[2:] else ""
        raise ValueError(missing(inside) + split)
    paths = look(inside)
    found = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if len(found) == len(paths) > 0:
        return found
    others = listed([path.name + "/" * os.path.isdir(path) for path in paths if path not in found], 5)
    advice = f"To make a dataset of pictures of any kind, in folders or not: {remedy(root)}"
    if not found:
        raise ValueError(f"{shown(inside)} should hold JPEG or PNG pictures and holds {others}. {advice}")
    message = f"{shown(inside)}: left out because they are not named as JPEG or PNG files: {others}. {advice}"
    warnings.warn(message, stacklevel=2)
    return found


def remedy(root):
    """Return the command that makes a clean dataset from the pictures in ``root``, in a new folder beside it."""
    root = root.absolute()
    whole = all((root / f"train{domain}").is_dir() for domain in "AB")
    source = shlex.quote(shown(root)) if whole else "A_FOLDER B_FOLDER"
    return f"python -m labutils.datasets prepare {source} --root {shlex.quote(shown(root) + '-prepared')}"


@dataclass(frozen=True)
class Report:
    """The result of ``prepare``: ``counts`` of pictures by folder; ``skipped``, an ``ImageError`` for each file."""

    root: Path
    counts: dict
    skipped: tuple

    def __str__(self):
        counts = ", ".join(f"{folder} {count}" for folder, count in self.counts.items())
        lines = [f"{shown(self.root)}: {counts}; skipped {len(self.skipped)}"]
        return "\n".join(lines + [f"  {error}" for error in self.skipped])


def prepare(source, root, size):
    """Make the four folders of a dataset at ``root`` from pictures of any kind; return a ``Report``.

    ``source``: a folder that holds trainA and trainB (and perhaps testA and testB), or two folders, as a pair
    or as ``{"A": folder, "B": folder}``. Without a test folder, every tenth picture is held out.
    Folders are searched with the folders below them (``walk``). The central square of every picture becomes an RGB
    JPEG of (size, size), as ``read_image`` reads it. Unreadable files are skipped and reported. Names that are not
    valid on every system are changed. The dataset is written atomically.

    Raises ``ValueError`` if a source is missing, if a domain has fewer than two readable pictures, for an impossible
    ``size``, or if ``root`` exists and is not a dataset made by this function, which a new one may replace.
    """
    refuse_side(size)
    root, sources = place(root), _sources(source)
    _refuse_root(root, [folder for folder, _, _ in sources])
    counts, skipped = dict.fromkeys(FOLDERS, 0), []
    with aside(root) as new:
        for folder, kept, held_out in sources:
            for number, (name, pixels) in enumerate(_readable(folder, size, skipped)):
                target = held_out if number % 10 == 1 else kept  # the second, the twelfth ...: of two, one is a test
                (new / target).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(new / target / f"{name}.jpg", quality=95, subsampling=0)
                counts[target] += 1
            if not counts[kept] or not counts[held_out]:
                held = "holds one readable picture" if counts[kept] else f"holds no readable picture for {kept}"
                raise ValueError(
                    f"Nothing was made: {shown(folder)} {held}. Add more: a domain needs at least two, one to train on "
                    "and one to test with. Good results need hundreds." + "".join(f"\n  {e}" for e in skipped[:10])
                )
        (new / "prepared.json").write_text(json.dumps({"size": int(size), "counts": counts}))
    return Report(root, counts, tuple(skipped))


def _sources(source):
    """Return triples ``(folder, kept, held_out)``: a folder, where its pictures go, where every tenth goes."""
    tests = {}
    if isinstance(source, str | os.PathLike):
        whole = existing(source)
        source = {domain: whole / f"train{domain}" for domain in "AB"}
        tests = {domain: whole / f"test{domain}" for domain in "AB" if (whole / f"test{domain}").is_dir()}
    elif not isinstance(source, dict):
        source = dict(zip("AB", source, strict=True))
    triples = []
    for domain in "AB":
        train, test = f"train{domain}", f"test{domain}"
        triples.append((existing(source[domain]), train, train if domain in tests else test))
        if domain in tests:
            triples.append((tests[domain], test, test))
    return triples


def _refuse_root(root, sources):
    """Raise ``ValueError`` if a dataset at ``root`` would overwrite files or lie among its ``sources``."""
    if root.is_file():
        raise ValueError(f"{shown(root)} is a file: choose another root, or delete it.")
    if root.exists() and not (root / "prepared.json").exists() and any(root.iterdir()):
        raise ValueError(f"{shown(root)} holds other files already: choose another root, or delete it.")
    for folder in sources:
        inner, outer = folder.resolve(), root.resolve()
        if inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise ValueError(f"{shown(root)} and its source {shown(folder)} overlap: choose another root.")


def _readable(folder, size, skipped):
    """Yield ``(name, pixels)`` for each readable picture below ``folder``, all names different; add to ``skipped``."""
    taken = set()
    for path, reason in walk(folder):
        try:
            if reason:
                raise ImageError(path, reason)
            pixels = read_image(path, size)
        except ImageError as error:
            skipped.append(error)
        else:
            yield output_name(path.relative_to(folder).with_suffix("").parts, taken), pixels
