"""Paths as people give them: find folders, list what is in them, and make names that every system accepts."""

import os
import re
import unicodedata
from pathlib import Path

from labutils.base.words import choices, shown

# What systems leave in folders besides names that begin with a dot: thumbnails, settings, deleted files.
SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "lost+found"),
    *("$recycle.bin", "recycler", "recycled", "system volume information"),
    *("@eadir", "@recycle", "#recycle", "@recently-snapshot", "#snapshot"),
}


def place(path):
    """Return ``path`` as a ``Path``; a leading ``~`` is the home folder."""
    return Path(os.path.expanduser(path))


def existing(folder):
    """Return ``folder`` as a ``Path``; raise ``ValueError`` with the nearest name if there is no such folder."""
    folder = place(folder)
    if not os.path.isdir(folder):
        raise ValueError(missing(folder))
    return folder


def missing(folder):
    """Return the error message for a missing ``folder``: where it should be, what is there, the nearest name."""
    if os.path.exists(folder):
        return f"{shown(folder)} is a file, not a folder: if it is an archive, unpack it first."
    while not os.path.isdir(folder.parent) and folder.parent.name:  # report the topmost parent that is missing
        folder = folder.parent
    try:
        there = [path.name for path in look(folder.parent) if path.is_dir()]
    except OSError:
        there = []
    message = f"There is no folder {shown(folder.name)!r} in {shown(folder.parent)!r}."
    return f"{message} Beside it there is: {choices(folder.name, there)}"


def look(folder):
    """List the files and folders in ``folder`` by name, without hidden ones and the system's own.

    All code that lists pictures calls this function. Raises ``OSError`` if the folder cannot be read.
    """
    inside = sorted(Path(folder).iterdir())
    return [path for path in inside if not path.name.startswith((".", "~$")) and path.name.lower() not in SYSTEM]


def walk(folder):
    """Yield ``(path, None)`` for every file in ``folder`` and in the folders below it, as ``look`` lists them, by name.

    Yields ``(path, reason)`` for a folder that is left out: one that cannot be read, or a link to a folder (links may
    lead anywhere, or in a circle).
    """
    waiting = [Path(folder)]
    while waiting:
        path = waiting.pop()
        if not os.path.isdir(path):
            yield path, None
        elif path.is_symlink() and path != Path(folder):
            yield path, "is a link to a folder: copy the folder here, or name it as a source"
        else:
            try:
                waiting += reversed(look(path))
            except OSError as error:
                yield path, f"cannot be read ({error.strerror.lower()})"


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
