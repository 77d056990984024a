"""Atomic writes, locks, hashes, and error messages for full and read-only disks.

A file or folder is written under a temporary name first and then renamed. The temporary name contains the number of
the writing process, so a later process can delete what a killed one left.
"""

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import shutil
import time
import uuid
import zlib
from pathlib import Path

HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # other computers may write to the same network drive
OURS = re.compile(r"\.(writing|replaced)-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}-(.+)", re.DOTALL)
DAY = 24 * 3600  # seconds
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)  # what such a drive answers
REFUSALS = {
    errno.ENOSPC: "The disk of {} is full: make room",
    errno.EDQUOT: "Your disk quota for {} is used up: make room",
    errno.EROFS: "{} is on a read-only disk: choose another place",
    errno.EACCES: "You have no permission to write to {}: choose another place",
    errno.EPERM: "You have no permission to write to {}: choose another place",
}


class DiskError(OSError):
    """Raised if the disk is full or must not be written to; the text names the folder and the remedy."""


@contextlib.contextmanager
def explained(folder):
    """Raise ``DiskError`` if the disk is full or read-only while the block writes below ``folder``.

    Other errors pass unchanged, also errors about files elsewhere, such as a photograph without read permission.
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
    if not isinstance(error.filename, str | bytes):  # errors from an open file have no name
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    folder, file = Path(folder).absolute(), Path(os.fsdecode(error.filename)).absolute()
    return file.is_relative_to(folder) or folder.is_relative_to(file)


@contextlib.contextmanager
def scratch(path):
    """Yield a temporary name in the folder of ``path``; create the folder if it is missing.

    Whatever has that name is deleted when the block ends. Files that killed processes left in the folder are tidied
    up first. Raises ``DiskError`` if the disk is full or read-only.
    """
    path = Path(path)
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy_once(path.parent.resolve())
        token = f"{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        place = path.with_name(f".writing-{token}-{path.name[-40:]}")  # a name may have at most 255 bytes
        try:
            yield place
        finally:
            _delete(place)


@contextlib.contextmanager
def aside(path):
    """Write a file or a folder atomically: yield a temporary name; when the block ends, rename it to ``path``.

    If the block raises, or the renaming fails, the temporary file is deleted and ``path`` is unchanged. Raises
    ``DiskError`` if the disk is full or read-only.

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
        old = path.with_name(f".replaced-{token}{path.name}")  # renaming cannot overwrite a folder
        try:
            os.replace(path, old)
            os.replace(place, path)
        except BaseException:
            if old.exists() and not path.exists():
                os.replace(old, path)
            raise
        _delete(old)


def rename_new(place, path):
    """Rename the folder ``place`` to ``path``; if another process has made a folder of that name, keep that one."""
    with contextlib.suppress(OSError):
        os.rmdir(path)  # an empty folder: Windows does not overwrite it
    try:
        os.replace(place, path)
    except OSError:
        if not Path(path).is_dir():
            raise


def write(path, data):
    """Write the bytes ``data`` to ``path`` atomically."""
    with aside(path) as place:
        place.write_bytes(data)


def tidy(folder):
    """Delete what killed processes left in ``folder``.

    A folder that was renamed for a new one gets its old name back if there is no new one. Everything else with a
    temporary name of this module is deleted. Files of living processes are left alone. Files of other computers are
    left alone for a day after their last change.
    """
    with contextlib.suppress(OSError):  # no such folder, or no permission to read it
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
    """Return whether a living process may still write to ``place``."""
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
        except psutil.Error:  # it is alive, and belongs to another user
            return True
    try:
        changed = max(path.lstat().st_mtime for path in (place, *place.rglob("*")))
    except OSError:  # it is just being moved or deleted
        return True
    return changed > started - DAY  # else a later process has the writer's number; the day allows for clock changes


def _delete(place):
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # open elsewhere, on Windows: a later process deletes it
            place.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path, wait=True):
    """Hold a lock on the file ``path`` during the block, which may end in another thread; create the file if missing.

    The lock is also released when the process ends. If another block holds it, in this process or another one, this
    waits, or raises ``BlockingIOError`` if ``wait`` is false. On a drive without locks nothing is held.
    """
    from filelock import FileLock, Timeout

    path = Path(path)
    # without locks the library would take the file itself for the lock, and a killed process would leave it
    held = FileLock(path, blocking=wait, thread_local=False, fallback_to_soft=False)
    with contextlib.ExitStack() as stack:
        try:
            with explained(path.parent):
                stack.enter_context(held)
        except Timeout:
            raise BlockingIOError(errno.EAGAIN, "Locked by another process or thread", str(path)) from None
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
        yield


def sha256(path):
    """Return the SHA-256 of the file ``path`` in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def by_step(folder, ending=""):
    """Find the files in ``folder`` named ``step-00000100`` + ``ending``: ``{step: path}``, lowest step first.

    Anything else, such as a copy that a person made, is ignored. A missing folder gives ``{}``. Raises ``OSError`` if
    the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return {}
    found = [re.fullmatch(r"step-([0-9]{8,18})" + re.escape(ending), name) for name in names]
    steps = {int(match[1]) for match in found if match}
    return {step: Path(folder) / named(step, ending) for step in sorted(steps) if named(step, ending) in names}


def named(step, ending=""):
    """Return the file name for a step: ``step-00000100`` + ``ending``."""
    return f"step-{step:08d}{ending}"
