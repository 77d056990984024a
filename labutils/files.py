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


@contextlib.contextmanager
def lock(path, wait=True):
    """Hold the file ``path``, which is made if need be, for the length of a block; a process' end lets go of it, too.

    While anybody else holds it this waits, or raises ``BlockingIOError`` if ``wait`` is false. Where there are no
    locks (Windows, some network drives) it holds nothing.
    """
    with open(path, "a") as file, contextlib.ExitStack() as held:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held.callback(fcntl.flock, file, fcntl.LOCK_UN)  # closing is not enough if a child has it open
            except BlockingIOError:
                raise
            except OSError:  # a drive without locks
                pass
        yield
