"""Files are written aside and moved into place: a reader sees the old one or the new one, never a part."""

import contextlib
import errno
import os
import re
import shutil
import uuid
from pathlib import Path

from labutils.profile import home

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def writing(path):
    """Make the folder that ``path`` is to lie in. An ``OSError`` of the block then names ``LAB_HOME``, if that helps.

    That is where ``path`` is in the course's ``data`` or ``runs``, and the system does not let it be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        ours = any(path.absolute().is_relative_to(home(part).absolute()) for part in ("data", "runs"))
        if ours and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and "LAB_HOME" not in error.strerror:
            error.strerror += "; set the variable LAB_HOME to a folder that you may write to"
        raise


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
    place = path.with_name(f".writing-{uuid.uuid4().hex[:8]}-{path.name[-40:]}")  # a name has 255 bytes at most
    old = place.with_name(f"{place.name}-old")
    with writing(path):
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
    path = Path(path)
    with writing(path), open(path, "a") as file, contextlib.ExitStack() as held:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held.callback(fcntl.flock, file, fcntl.LOCK_UN)  # closing is not enough if a child has it open
            except BlockingIOError:
                raise
            except OSError:  # a drive without locks
                pass
        yield


def by_step(folder, ending=""):
    """What ``folder`` holds under the names ``step-00000100`` + ``ending``, ``{step: path}``, lowest step first.

    Anything else in it, such as a copy that a person made, is ignored. No folder: nothing. Raises ``OSError`` if the
    folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return {}
    found = [re.fullmatch(r"step-([0-9]{8,18})" + re.escape(ending), name) for name in names]
    steps = {int(match[1]) for match in found if match}
    return {step: Path(folder) / named(step, ending) for step in sorted(steps) if named(step, ending) in names}


def named(step, ending=""):
    """The name of what is kept of a step: ``step-00000100`` + ``ending``."""
    return f"step-{step:08d}{ending}"
