"""Folders of pictures: list them, and make datasets of them."""

import difflib
import json
import os
import re
import shlex
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from labutils.base.files import aside, tidy
from labutils.base.opening import ImageError, place, shown
from labutils.base.reading import read_image, refuse_side

FOLDERS = ("trainA", "trainB", "testA", "testB")
SUFFIXES = (".jpg", ".jpeg", ".png")  # formats that TensorFlow reads reliably
# What systems leave in folders besides names that begin with a dot: thumbnails, settings, deleted files.
SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "lost+found"),
    *("$recycle.bin", "recycler", "recycled", "system volume information"),
    *("@eadir", "@recycle", "#recycle", "@recently-snapshot", "#snapshot"),
}


def look(folder):
    """List the files and folders in ``folder`` by name, without hidden ones and the system's own.

    All code that lists pictures calls this function. Raises ``OSError`` if the folder cannot be read.
    """
    inside = sorted(Path(folder).iterdir())
    return [path for path in inside if not path.name.startswith((".", "~$")) and path.name.lower() not in SYSTEM]


def walk(folder, skipped):
    """Yield every file in ``folder`` and in the folders below it, as ``look`` lists them, by name.

    Adds to ``skipped`` an ``ImageError`` for each folder that cannot be read or is a link (links may lead anywhere,
    or in a circle).
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
                skipped.append(ImageError(path, f"cannot be read ({error.strerror.lower()})"))


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
    message = f"{shown(inside)}: left out because they are not named as JPEG or PNG files: {listed}. {advice}"
    warnings.warn(message, stacklevel=2)
    return found


def remedy(root):
    """Return the command that makes a clean dataset from the pictures in ``root``, in a new folder beside it."""
    root = root.absolute()
    whole = all((root / f"train{domain}").is_dir() for domain in "AB")
    source = shlex.quote(shown(root)) if whole else "A_FOLDER B_FOLDER"
    return f"python -m labutils.datasets prepare {source} --root {shlex.quote(shown(root) + '-prepared')}"


def _missing(folder):
    """Return the error message for a missing ``folder``: where it should be, what is there, the nearest name."""
    if os.path.exists(folder):
        return f"{shown(folder)} is a file, not a folder: if it is an archive, unpack it first."
    while not os.path.isdir(folder.parent) and folder.parent.name:  # report the topmost parent that is missing
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
    root = place(root)
    if root.is_file():
        raise ValueError(f"{shown(root)} is a file: choose another root, or delete it.")
    if root.exists() and not (root / "prepared.json").exists() and any(root.iterdir()):
        raise ValueError(f"{shown(root)} holds other files already: choose another root, or delete it.")
    sources = _sources(source)
    for folder, *_ in sources:
        inner, outer = folder.resolve(), root.resolve()
        if inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise ValueError(f"{shown(root)} and its source {shown(folder)} overlap: choose another root.")
    counts, skipped = dict.fromkeys(FOLDERS, 0), []
    with aside(root) as new:
        for folder, kept, held_out in sources:
            _write(folder, kept, held_out, new, size, counts, skipped)
            reasons = "".join(f"\n  {error}" for error in skipped[:10])
            if not counts[kept]:
                message = f"Nothing was made: no readable picture is left for {kept} in {shown(folder)}."
                raise ValueError(message + reasons)
            if not counts[held_out]:
                raise ValueError(
                    f"Nothing was made: {shown(folder)} holds one readable picture. Add more: a domain needs at least "
                    f"two, one to train on and one to test with. Good results need hundreds.{reasons}"
                )
        (new / "prepared.json").write_text(json.dumps({"size": int(size), "counts": counts}))
    return Report(root, counts, tuple(skipped))


def _sources(source):
    """Return triples ``(folder, kept, held_out)``: a folder, where its pictures go, where every tenth goes."""
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


def _write(folder, kept, held_out, new, size, counts, skipped):
    """Write the readable pictures of ``folder`` below ``new``; add to ``counts`` and ``skipped``."""
    read, taken = 0, set()
    for path in walk(folder, skipped):
        try:
            pixels = read_image(path, size)
        except ImageError as error:
            skipped.append(error)
            continue
        target = held_out if read % 10 == 1 else kept  # the second, the twelfth ...: of two pictures, one is a test
        (new / target).mkdir(parents=True, exist_ok=True)
        name = output_name(path.relative_to(folder).with_suffix("").parts, taken)
        Image.fromarray(pixels).save(new / target / f"{name}.jpg", quality=95, subsampling=0)
        counts[target] += 1
        read += 1


def output_name(parts, taken):
    """Join the ``parts`` of a path to a new file name without suffix, valid on every system; add it to ``taken``.

    Some systems treat two names as the same that differ only in case, or in how an accent is encoded.
    """
    name = unicodedata.normalize("NFC", "_".join(parts))
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]', "_", name).encode()[:100].decode(errors="ignore")
    name = name.strip(". ") or "picture"
    if re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name.lower()):  # names of devices on Windows
        name = f"_{name}"
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free.casefold())
    return free
