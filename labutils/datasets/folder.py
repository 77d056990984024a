"""Folders of pictures: looking in, tidying two of them into a dataset, packing them into an archive."""

import difflib
import json
import os
import re
import shlex
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import labutils.files
from labutils.datasets.archive import MOST_GROWTH
from labutils.datasets.opening import ImageError, place, shown
from labutils.datasets.reading import read_image, refuse_side
from labutils.weights import refuse_bomb

FOLDERS = ("trainA", "trainB", "testA", "testB")
SUFFIXES = (".jpg", ".jpeg", ".png")  # what TensorFlow reads without surprises
# What systems leave in folders, beside all that begins with a dot: thumbnails, settings, what was deleted.
SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "lost+found"),
    *("$recycle.bin", "recycler", "recycled", "system volume information"),
    *("@eadir", "@recycle", "#recycle", "@recently-snapshot", "#snapshot"),
}


def look(folder):
    """What a person put into ``folder``: its files and folders by name, without hidden ones and the system's own.

    Every place that lists pictures asks this function. Raises ``OSError`` if the folder cannot be looked into.
    """
    inside = sorted(Path(folder).iterdir())
    return [path for path in inside if not path.name.startswith((".", "~$")) and path.name.lower() not in SYSTEM]


def walk(folder, skipped):
    """Yield every file in ``folder`` and in the folders below it, as ``look`` sees them, by name.

    Adds to ``skipped`` an ``ImageError`` for each folder that cannot be looked into or is a link (which may lead to
    anywhere, or round in a circle).
    """
    waiting = [Path(folder)]
    while waiting:
        path = waiting.pop()
        if not os.path.isdir(path):
            yield path
        elif path.is_symlink() and path != Path(folder):
            skipped.append(ImageError(path, "is a link to a folder: copy the folder here, or name it as a source"))
        else:
            try:
                waiting += reversed(look(path))
            except OSError as error:
                skipped.append(ImageError(path, f"cannot be looked into ({error.strerror.lower()})"))


def files(root, folder):
    """The JPEG and PNG files of ``root/folder``, in the order of their names.

    Warns if it holds anything else. Raises ``ValueError`` if the folder is missing (naming the nearest one) or holds no
    such file.
    """
    root = place(root)
    inside = root / folder
    if not os.path.isdir(inside):
        labutils.files.tidy(root.parent)  # a killed process may have moved the dataset out of the way
    if not os.path.isdir(inside):
        expected = f"There is no dataset {shown(root)}: expected a folder with {', '.join(FOLDERS)}. "
        split = f" To hold out every tenth picture as a test: {remedy(root)}" if folder in FOLDERS[2:] else ""
        raise ValueError(_missing(inside) + split if root.is_dir() else expected + _missing(root))
    paths = look(inside)
    found = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if len(found) == len(paths) > 0:
        return found
    others = [shown(path.name) + "/" * os.path.isdir(path) for path in paths if path not in found]
    listed = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    advice = f"To make a dataset of pictures of any kind, in folders or not: {remedy(root)}"
    if not found:
        raise ValueError(f"{shown(inside)} should hold JPEG or PNG pictures and holds {listed or 'nothing'}. {advice}")
    message = f"{shown(inside)}: left out is what is no JPEG or PNG file by its name: {listed}. {advice}"
    warnings.warn(message, stacklevel=2)
    return found


def remedy(root):
    """The command that makes a clean dataset of the pictures in ``root``, beside it."""
    root = root.absolute()
    whole = all((root / f"train{domain}").is_dir() for domain in "AB")
    source = shlex.quote(shown(root)) if whole else "A_FOLDER B_FOLDER"
    return f"python -m labutils.datasets prepare {source} --root {shlex.quote(shown(root) + '-prepared')}"


def _missing(folder):
    """What to say when ``folder`` is not there: where it was looked for, what is there, the nearest name."""
    if os.path.exists(folder):
        return f"{shown(folder)} is a file, not a folder: if it is an archive, unpack it first."
    while not os.path.isdir(folder.parent) and folder.parent.name:  # the first of its parents that is missing
        folder = folder.parent
    try:
        there = [path.name for path in look(folder.parent) if path.is_dir()]
    except OSError:
        there = []
    message = f"There is no folder {shown(folder.name)!r} in {shown(folder.parent)!r}. "
    message += f"Beside it there is: {shown(', '.join(there[:20])) or 'nothing'}."
    near = difflib.get_close_matches(folder.name.lower(), [name.lower() for name in there], n=1, cutoff=0.5)
    if near:
        message += f" Did you mean {shown(next(name for name in there if name.lower() == near[0]))!r}?"
    return message


@dataclass(frozen=True)
class Report:
    """What ``prepare`` did: pictures by folder, and ``skipped``, an ``ImageError`` for each file left out."""

    root: Path
    counts: dict
    skipped: tuple

    def __str__(self):
        counts = ", ".join(f"{folder} {count}" for folder, count in self.counts.items())
        lines = [f"{shown(self.root)}: {counts}; skipped {len(self.skipped)}"]
        return "\n".join(lines + [f"  {error}" for error in self.skipped])


def prepare(source, root, size):
    """Make the four folders of a dataset at ``root`` from pictures of any kind; returns a ``Report``.

    ``source``: a folder that holds trainA and trainB (and perhaps testA and testB), or two folders, as a pair
    or as ``{"A": folder, "B": folder}``. Where there is no test folder, every tenth picture is held out.
    Folders are searched with all they hold (``walk``). The central square of every picture becomes an RGB JPEG of
    (size, size), as ``read_image`` reads it; unreadable files are skipped and reported. Names that some system could
    not hold are changed. All is written aside and then put in place.

    Raises ``ValueError`` if a source is missing, if fewer than two readable pictures are left of a domain, for a
    ``size`` that no picture has, or if ``root`` is something else than a dataset made by this function, which it
    would replace.
    """
    refuse_side(size)
    root = place(root)
    if root.is_file():
        raise ValueError(f"{shown(root)} is a file: choose another root, or delete it.")
    if root.exists() and not (root / "prepared.json").exists() and any(root.iterdir()):
        raise ValueError(f"{shown(root)} holds other files already: choose another root, or delete it.")
    sources = _sources(source)
    for folder, *_ in sources:
        inner, outer = folder.resolve(), root.resolve()
        if inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise ValueError(f"{shown(root)} and its source {shown(folder)} lie in each other: choose another root.")
    counts, skipped = dict.fromkeys(FOLDERS, 0), []
    with labutils.files.aside(root) as aside:
        for folder, kept, held_out in sources:
            _write(folder, kept, held_out, aside, size, counts, skipped)
            reasons = "".join(f"\n  {error}" for error in skipped[:10])
            if not counts[kept]:
                message = f"Nothing was made: no readable picture is left for {kept} in {shown(folder)}."
                raise ValueError(message + reasons)
            if not counts[held_out]:
                raise ValueError(
                    f"Nothing was made: {shown(folder)} holds one readable picture. Add more: a domain needs two at "
                    f"least, one to train on and one to test with, and hundreds to learn from.{reasons}"
                )
        (aside / "prepared.json").write_text(json.dumps({"size": int(size), "counts": counts}))
    return Report(root, counts, tuple(skipped))


def _sources(source):
    """Triples ``(folder, kept, held_out)``: a folder, where its pictures go, where every tenth goes."""
    tests = {}
    if isinstance(source, str | os.PathLike):
        source = place(source)
        if not os.path.isdir(source):
            raise ValueError(_missing(source))
        places = {domain: source / f"train{domain}" for domain in "AB"}
        tests = {domain: source / f"test{domain}" for domain in "AB" if (source / f"test{domain}").is_dir()}
    else:
        places = source if isinstance(source, dict) else dict(zip("AB", source, strict=True))
    triples = []
    for domain in "AB":
        folder = place(places[domain])
        if not os.path.isdir(folder):
            raise ValueError(_missing(folder))
        triples.append((folder, f"train{domain}", f"train{domain}" if domain in tests else f"test{domain}"))
        if domain in tests:
            triples.append((tests[domain], f"test{domain}", f"test{domain}"))
    return triples


def _write(folder, kept, held_out, aside, size, counts, skipped):
    """Write the readable pictures of ``folder`` below ``aside``; adds to ``counts`` and ``skipped``."""
    read, taken = 0, set()
    for path in walk(folder, skipped):
        try:
            pixels = read_image(path, size)
        except ImageError as error:
            skipped.append(error)
            continue
        target = held_out if read % 10 == 1 else kept  # the second, the twelfth ...: two pictures give one to test
        (aside / target).mkdir(parents=True, exist_ok=True)
        name = output_name(path.relative_to(folder).with_suffix("").parts, taken)
        Image.fromarray(pixels).save(aside / target / f"{name}.jpg", quality=95, subsampling=0)
        counts[target] += 1
        read += 1


def output_name(parts, taken):
    """A file's name without ending, of the ``parts`` of a path, that is valid on every system; adds it to ``taken``.

    Two names that differ only in case, or in how an accent is written, are one name on some systems.
    """
    name = unicodedata.normalize("NFC", "_".join(parts))
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]', "_", name).encode()[:100].decode(errors="ignore")
    name = name.strip(". ") or "picture"
    if re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name.lower()):  # devices on Windows
        name = f"_{name}"
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free.casefold())
    return free


def to_npz(root, path, size=256, merge_test=False):
    """The training pictures of ``root`` as one compressed NumPy archive, the form of older tutorials.

    ``arr_0`` holds domain A, ``arr_1`` domain B: uint8 (n, size, size, 3). ``merge_test`` adds the test
    pictures. All pictures are in memory at once. Returns the path.
    Raises ``ValueError`` as ``files`` does, and ``ImageError`` for a file that cannot be read.
    """
    arrays = []
    for domain in "AB":
        paths = files(root, f"train{domain}") + (files(root, f"test{domain}") if merge_test else [])
        arrays.append(np.stack([read_image(path, size) for path in paths]))
    path = place(path)
    with labutils.files.aside(path) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, *arrays)
    return path


def from_npz(path):
    """Both domains of an archive made by ``to_npz``: two arrays, uint8 (n, size, size, 3).

    Raises ``ValueError`` if the file holds anything else, or would unfold to more than 20 times its size, as a bomb
    does; nothing in it is ever executed. Raises ``FileNotFoundError`` if ``path`` is no file.
    """
    path = place(path)
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError(f"There is no archive {shown(path)}.")
    try:
        refuse_bomb(path, MOST_GROWTH * path.stat().st_size + 1_000_000)
        with np.load(path, allow_pickle=False) as archive:
            arrays = archive["arr_0"], archive["arr_1"]
    except Exception as error:
        raise ValueError(f"{path} is no archive of two picture arrays, arr_0 and arr_1 ({error}).") from error
    for name, array in zip(("arr_0", "arr_1"), arrays, strict=True):
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3:
            raise ValueError(f"{path}: {name} should be uint8 (n, h, w, 3) and is {array.dtype} {array.shape}.")
    return arrays
