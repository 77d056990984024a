"""Folders of pictures: looking in, tidying two of them into a dataset, packing them into an archive."""

import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import labutils.files
from labutils.datasets.reading import ImageError, read_image

FOLDERS = ("trainA", "trainB", "testA", "testB")
SUFFIXES = (".jpg", ".jpeg", ".png")  # what TensorFlow reads without surprises


def files(root, folder):
    """The JPEG and PNG files of ``root/folder``, in the order of their names.

    Raises ``ValueError`` if the folder is missing (naming the nearest one) or holds no such file.
    """
    place = Path(root) / folder
    if not place.is_dir():
        raise ValueError(_missing(place))
    inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    found = [path for path in inside if path.suffix.lower() in SUFFIXES]
    if not found:
        there = f"{len(inside)} other files, for example {inside[0].name!r}" if inside else "nothing"
        raise ValueError(
            f"{place} should hold JPEG or PNG pictures and holds {there}. Any two folders of pictures "
            f"become a dataset with: python -m labutils.datasets prepare A_FOLDER B_FOLDER --root {root}"
        )
    return found


def _missing(place):
    """What to say when the folder ``place`` of a dataset is not there."""
    parent = place.parent
    if not parent.is_dir():
        there = sorted(path.name for path in parent.parent.iterdir()) if parent.parent.is_dir() else []
        message, wanted = (
            f"There is no dataset {str(parent)!r}: expected a folder with {', '.join(FOLDERS)}",
            parent,
        )
    else:
        there = sorted(path.name for path in parent.iterdir() if path.is_dir())
        wanted, message = place, f"There is no folder {place.name!r} in {str(parent)!r}"
    message += f". Beside it there is: {', '.join(there[:20]) or 'nothing'}."
    near = difflib.get_close_matches(wanted.name.lower(), [name.lower() for name in there], n=1, cutoff=0.5)
    if near:
        message += f" Did you mean {next(name for name in there if name.lower() == near[0])!r}?"
    return message


def refuse_broken(paths, thorough=False):
    """Raise ``ValueError`` naming the files among ``paths`` that are cut short, damaged or no pictures at all.

    Looks at the first and last bytes, which takes no time; what looks odd is decoded to be sure. ``thorough``
    decodes every file: use it to find the culprit when TensorFlow, which names no file, could not decode one.
    """
    broken = []
    for path in paths:
        if thorough or not _looks_whole(path):
            try:
                read_image(path)
            except ImageError as error:
                broken.append(error)
    if broken:
        listed = "\n".join(map(str, broken[:10]))
        raise ValueError(f"Damaged pictures: {len(broken)} in {paths[0].parent}. Delete or replace them:\n{listed}")


def _looks_whole(path):
    """Whether the file begins and ends as a JPEG or a PNG does."""
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(max(0, path.stat().st_size - 8))
        tail = file.read()
    whole_jpeg = head[:3] == b"\xff\xd8\xff" and tail[-2:] == b"\xff\xd9"
    return whole_jpeg or (head == b"\x89PNG\r\n\x1a\n" and tail[:4] == b"IEND")


@dataclass(frozen=True)
class Report:
    """What ``prepare`` did: pictures by folder, and ``skipped``, an ``ImageError`` for each file left out."""

    root: Path
    counts: dict
    skipped: tuple

    def __str__(self):
        counts = ", ".join(f"{folder} {count}" for folder, count in self.counts.items())
        lines = [f"{self.root}: {counts}; skipped {len(self.skipped)}"]
        return "\n".join(lines + [f"  {error}" for error in self.skipped])


def prepare(source, root, size):
    """Make the four folders of a dataset at ``root`` from pictures of any kind; returns a ``Report``.

    ``source``: a folder that holds trainA and trainB (and perhaps testA and testB), or two folders, as a pair
    or as ``{"A": folder, "B": folder}``. Where there is no test folder, every tenth picture is held out.
    Folders are searched with all they hold. The central square of every picture becomes an RGB JPEG of
    (size, size); unreadable files are skipped and reported. All is written aside and then put in place.

    Raises ``ValueError`` if a source is missing, if nothing readable is left of a domain, or if ``root`` is
    something else than a dataset made by this function, which it would replace.
    """
    root = Path(root)
    if root.exists() and not (root / "prepared.json").exists() and any(root.iterdir()):
        raise ValueError(f"{root} holds other files already: choose another root, or delete it.")
    counts, skipped = dict.fromkeys(FOLDERS, 0), []
    with labutils.files.aside(root) as aside:
        for place, kept, held_out in _sources(source):
            _write(place, kept, held_out, aside, size, counts, skipped)
        for folder, count in counts.items():
            if not count:
                reasons = "".join(f"\n  {error}" for error in skipped[:10])
                raise ValueError(f"Nothing was made: no readable picture is left for {folder}.{reasons}")
        (aside / "prepared.json").write_text(json.dumps({"size": size, "counts": counts}))
    return Report(root, counts, tuple(skipped))


def _sources(source):
    """Triples ``(place, kept, held_out)``: a folder, where its pictures go, where every tenth goes."""
    if isinstance(source, str | os.PathLike):
        source = Path(source)
        places = {domain: source / f"train{domain}" for domain in "AB"}
        tests = {domain: source / f"test{domain}" for domain in "AB" if (source / f"test{domain}").is_dir()}
    else:
        places = source if isinstance(source, dict) else dict(zip("AB", source, strict=True))
        tests = {}
    for domain in "AB":
        place = Path(places[domain])
        if not place.is_dir():
            raise ValueError(_missing(place))
        if domain in tests:
            yield place, f"train{domain}", f"train{domain}"
            yield tests[domain], f"test{domain}", f"test{domain}"
        else:
            yield place, f"train{domain}", f"test{domain}"


def _write(place, kept, held_out, aside, size, counts, skipped):
    """Write the readable pictures of ``place`` below ``aside``; adds to ``counts`` and ``skipped``."""
    read = 0
    for path in sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")):
        try:
            pixels = read_image(path, size)
        except ImageError as error:
            skipped.append(error)
            continue
        folder = held_out if read % 10 == 1 else kept  # the second, the twelfth ...: two pictures give one to test
        (aside / folder).mkdir(parents=True, exist_ok=True)
        name = "_".join(path.relative_to(place).with_suffix("").parts)
        target = aside / folder / f"{name}.jpg"
        if target.exists():  # IMG_1.jpg and IMG_1.png
            target = target.with_stem(f"{name}_{path.suffix[1:]}_{read}")
        Image.fromarray(pixels).save(target, quality=95, subsampling=0)
        counts[folder] += 1
        read += 1


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
    path = Path(path)
    with labutils.files.aside(path) as place, open(place, "wb") as file:
        np.savez_compressed(file, *arrays)
    return path


def from_npz(path):
    """Both domains of an archive made by ``to_npz``: two arrays, uint8 (n, size, size, 3).

    Raises ``ValueError`` if the file holds anything else; nothing in it is ever executed.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = archive["arr_0"], archive["arr_1"]
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is no archive of two picture arrays, arr_0 and arr_1 ({error}).") from error
    for name, array in zip(("arr_0", "arr_1"), arrays, strict=True):
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3:
            raise ValueError(f"{path}: {name} should be uint8 (n, h, w, 3) and is {array.dtype} {array.shape}.")
    return arrays
