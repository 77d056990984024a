"""Untrusted zip files: check everything that can be counted before anything is unpacked."""

import errno
import io
import stat
import zipfile
from pathlib import Path, PurePosixPath

from labutils.base import files

MOST_MEMBERS = 50_000  # files and folders, including those that only appear as part of a path
MOST_LISTED = 16_000_000  # bytes of the list of members, which is read before the members can be counted
DEEPEST = 16  # folders within folders
MOST_GROWTH = 20  # zip hardly compresses photographs: twentyfold growth or more is a zip bomb
# zipfile unpacks other methods (bzip2, lzma) without a limit on the size of one read
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# errors of the file system for names that conflict or that it cannot store
NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}


class ArchiveError(ValueError):
    """Raised for an archive that is refused; the text gives the reason."""


class _Listing(io.FileIO):
    def read(self, size=-1):
        if size > MOST_LISTED:
            raise ArchiveError(f"its list of members has {size:,} bytes.")
        return super().read(size)


def unpack(archive, target):
    """Unpack the zip file ``archive`` into the new folder ``target``.

    Raises ``ArchiveError`` for

    - files that are no zip or are damaged,
    - absolute names, names with ``..``, links and devices,
    - encrypted members, and methods other than stored and deflated,
    - more than 50,000 files and folders, or more than 16 nested folders,
    - contents more than 20 times the archive's size.

    Raises ``files.DiskError`` for a full or read-only disk. After an error ``target`` may hold some of the members.
    Nothing is ever written outside it.
    """
    target = Path(target)
    try:
        with _Listing(archive) as listing, zipfile.ZipFile(listing) as file, files.explained(target):
            members = file.infolist()
            places = [_place(member) for member in members]
            count = max(len(members), len({place for each in places for place in (each, *each.parents)}) - 1)  # not "."
            if count > MOST_MEMBERS:
                raise ArchiveError(f"it has {count:,} files and folders.")
            room = room_of(archive)
            refuse_bomb(members, room)
            target.mkdir(parents=True)
            for member, place in zip(members, places, strict=True):
                room = _write(file, member, target / place, room)
                if room < 0:  # members may be larger than they say
                    raise ArchiveError("it unpacks to too many bytes, like a zip bomb.")
    except files.DiskError:
        raise
    except ArchiveError as error:
        raise ArchiveError(f"{archive} was refused: {error}") from error
    except Exception as error:  # zipfile and zlib each have their own exceptions
        if isinstance(error, OSError) and error.errno not in NAMES:
            raise
        raise ArchiveError(f"{archive} is not a complete zip archive ({type(error).__name__}: {error}).") from error


def room_of(archive):
    """Return how many bytes the zip file ``archive`` may unpack to."""
    return MOST_GROWTH * Path(archive).stat().st_size + 1_000_000


def refuse_bomb(members, room):
    """Raise ``ArchiveError`` if ``members`` of a zip file may unpack to more than ``room`` bytes."""
    for member in members:
        if member.compress_type not in METHODS:
            raise ArchiveError(f"{member.filename!r} is packed by a method other than stored and deflated.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > room:
        raise ArchiveError(f"it would take {unpacked:,} bytes, more than {room:,}, like a zip bomb.")


def _place(member):
    """Return ``member``'s path relative to the target. Raise ``ArchiveError`` unless it is a plain file or folder."""
    name = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    reasons = {
        "an absolute name": name.is_absolute(),
        "a name that leads elsewhere": ".." in name.parts or not name.parts or set(member.filename) & set("\\:\0"),
        f"more than {DEEPEST} folders deep": len(name.parts) > DEEPEST + 1,
        "a link or a device": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "an encrypted file": member.flag_bits & 1,
    }
    for reason, applies in reasons.items():
        if applies:
            raise ArchiveError(f"{member.filename!r} is {reason}.")
    return Path(*name.parts)


def _write(file, member, path, room):
    """Write one member and count the real bytes, not the declared ones. Returns the bytes left, below 0 to stop."""
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return room
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as packed, open(path, "xb") as unpacked:
        while room >= 0 and (chunk := packed.read(1 << 16)):
            unpacked.write(chunk)
            room -= len(chunk)
    return room
