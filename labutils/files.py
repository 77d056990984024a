"""Atomic writes, locks, and what to say when the disk refuses.

A file or folder is written under a temporary name first and then renamed: a reader sees the old one or the new one. The
temporary names say which process writes, so that a later one can tidy up after a process that was killed.
"""

import contextlib
import errno
import functools
import os
import platform
import re
import shutil
import time
import uuid
import zlib
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # on a network drive, other computers write too
OURS = re.compile(r"\.(writing|replaced)-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}-(.+)", re.DOTALL)
DAY = 24 * 3600  # seconds
REFUSALS = {
    errno.ENOSPC: "The disk of {} is full: make room",
    errno.EDQUOT: "Your share of the disk of {} is used up: make room",
    errno.EROFS: "{} is on a disk that cannot be written to: choose another place",
    errno.EACCES: "{} must not be written to: choose another place",
    errno.EPERM: "{} must not be written to: choose another place",
}


class DiskError(OSError):
    """The disk is full or must not be written to; the text names the folder and the remedy."""


@contextlib.contextmanager
def explained(folder):
    """Turn a full or read-only disk, met while the block writes below ``folder``, into a ``DiskError``.

    Other errors pass, and so do those whose file lies elsewhere, for example a photograph that must not be read.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, DiskError) or error.errno not in REFUSALS or not _concerns(error, folder):
            raise
        raise DiskError(
            f"{REFUSALS[error.errno].format(folder)}, or set the variable LAB_HOME to a folder on another disk: "
            "data and runs are then kept there."
        ) from error


def _concerns(error, folder):
    if not isinstance(error.filename, str | bytes):  # writing to an open file tells no name
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    folder, file = Path(folder).absolute(), Path(os.fsdecode(error.filename)).absolute()
    return file.is_relative_to(folder) or folder.is_relative_to(file)


@contextlib.contextmanager
def scratch(path):
    """Yield an unused name in the folder of ``path``, which is made if need be.

    What is written there is deleted when the block ends. What a killed process has left in that folder is tidied up
    first. Raises ``DiskError`` if the disk refuses.
    """
    path = Path(path)
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy_once(path.parent.resolve())
        token = f"{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        place = path.with_name(f".writing-{token}-{path.name[-40:]}")  # of a long name its end: 255 bytes hold it
        try:
            yield place
        finally:
            _delete(place)


@contextlib.contextmanager
def aside(path):
    """Yield a temporary name in the folder of ``path``, for a file or a folder to be written to.

    When the block ends, what was written replaces ``path``. If the block raises, or the replacing fails, what was
    written is deleted and ``path`` is as it was. Raises ``DiskError`` if the disk refuses.

    Example::

        with files.aside("notes.txt") as place:
            place.write_text("all of it")
    """
    path = Path(path)
    with scratch(path) as place:
        yield place
        if not (place.is_dir() and path.is_dir()):
            os.replace(place, path)
            return
        token = place.name.removeprefix(".writing-")[: -len(path.name[-40:])]
        old = path.with_name(f".replaced-{token}{path.name}")  # a folder is not written over
        try:
            os.replace(path, old)
            os.replace(place, path)
        except BaseException:
            if old.exists() and not path.exists():
                os.replace(old, path)
            raise
        _delete(old)


def write(path, data):
    """Write the bytes ``data`` to ``path``, atomically."""
    with aside(path) as place:
        place.write_bytes(data)


def tidy(folder):
    """Tidy up in ``folder`` after processes that were killed while they wrote there.

    A folder that was renamed to make way for a new one that never came is put back. Everything else with a temporary
    name of this module is deleted. What a living process writes is left alone; so is, for a day after its last change,
    what another computer writes.
    """
    with contextlib.suppress(OSError):  # no such folder, or it must not be read
        for place in sorted(Path(folder).iterdir()):
            found = OURS.fullmatch(place.name)
            if not found or _in_use(place, found[2], int(found[3])):
                continue
            path = place.with_name(found[4])
            if found[1] == "replaced" and not path.exists():
                with contextlib.suppress(OSError):  # another process was first
                    os.replace(place, path)
            else:
                _delete(place)


@functools.cache
def _tidy_once(folder):
    tidy(folder)


def _in_use(place, host, process):
    """Whether a living process may still write to ``place``."""
    import psutil

    started = time.time()
    if host == HOST:
        try:
            writer = psutil.Process(process)
            if writer.status() == psutil.STATUS_ZOMBIE:
                return False
            started = writer.create_time()
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:  # it lives, and belongs to someone else
            return True
    try:
        changed = max(path.lstat().st_mtime for path in (place, *place.rglob("*")))
    except OSError:  # it is just being moved or deleted
        return True
    return changed > started - DAY  # otherwise a later process got the writer's number. Clocks may be set meanwhile


def _delete(place):
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # on Windows: somebody has it open. A later process deletes it
            place.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path, wait=True):
    """Hold the lock file ``path``, which is made if need be, for the length of a block.

    The lock is released when the process ends. While another holds it this waits, or raises ``BlockingIOError`` if
    ``wait`` is false. Where there are no locks (Windows, some network drives) it holds nothing.
    """
    path = Path(path)
    with contextlib.ExitStack() as held:
        with explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(open(path, "a"))
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
