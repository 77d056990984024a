"""Files are written aside and moved into place: a reader sees the old one or the new one, never a part."""

import contextlib
import os
import shutil
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def aside(path):
    """A new name in the folder of ``path``, which is made if need be, for a file or a folder to be written to.

    When the block ends, what was written is moved to ``path``, in the place of what was there; if the block raises, it
    is deleted and ``path`` is as it was.

    Example::

        with files.aside("notes.txt") as place:
            place.write_text("all of it")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".writing-{uuid.uuid4().hex[:8]}-{path.name}")
    old = place.with_name(f"{place.name}-old")
    try:
        yield place
        if place.is_dir() and path.is_dir():  # a folder is not written over
            os.replace(path, old)
        os.replace(place, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def write(path, data):
    """Write the bytes ``data`` aside and move them to ``path``."""
    with aside(path) as place:
        place.write_bytes(data)


def lock(path, wait=True):
    """Lock the file ``path``, which is made if need be, and return it open: closing it, or a process' end, unlocks it.

    While it is locked by anybody else this waits, or raises ``BlockingIOError`` if ``wait`` is false. Where there are
    no locks (Windows, some network drives) it returns at once.
    """
    file = open(path, "a")  # noqa: SIM115 (whoever asked closes it)
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        raise
    except OSError:  # a drive without locks
        pass
    return file
