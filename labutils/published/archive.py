"""Unpacking a zip from a stranger: everything that can be counted is counted before anything is written."""

import errno
import io
import stat
import zipfile
from pathlib import Path, PurePosixPath

from labutils import files

MOST_MEMBERS = 50_000  # files and folders, those that are only named as part of a path too
MOST_LISTED = 16_000_000  # bytes of names: the list of members is read before it can be counted
DEEPEST = 16  # folders within folders
MOST_GROWTH = 20  # photographs do not get smaller in a zip: twentyfold and more is a bomb
# zipfile unpacks the others (bzip2, lzma) without a limit on what one read may bring
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# what the file system answers to names that do not go together, or that it cannot hold
NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}


class ArchiveError(ValueError):
    """An archive that was refused; the text names it and says why."""


class _Listing(io.FileIO):
    def read(self, size=-1):
        if size > MOST_LISTED:
            raise ArchiveError(f"{self.name} was refused: its list of members has {size:,} bytes.")
        return super().read(size)


def unpack(archive, target):
    """Unpack the zip file ``archive`` into the new folder ``target``.

    Raises ``ArchiveError`` for what is no zip or is damaged, for absolute names, names with ``..``, links and
    devices, encrypted members, methods other than stored and deflated, more than 50,000 files and folders, more than
    16 folders within each other, and contents more than 20 times the archive's size. Raises ``files.DiskError`` for a
    full or read-only disk. ``target`` may then hold a part of the members; nothing is ever written outside it.
    """
    target = Path(target)
    try:
        with _Listing(archive) as listing, zipfile.ZipFile(listing) as file, files.explained(target):
            members = file.infolist()
            places = [_place(archive, member) for member in members]
            count = max(len(members), len({place for each in places for place in (each, *each.parents)}) - 1)  # not "."
            if count > MOST_MEMBERS:
                raise ArchiveError(f"{archive} was refused: it has {count:,} files and folders.")
            room = MOST_GROWTH * Path(archive).stat().st_size + 1_000_000
            _refuse_bomb(archive, room - sum(member.file_size for member in members))
            target.mkdir(parents=True)
            for member, place in zip(members, places, strict=True):
                room = _write(file, member, target / place, room)
                _refuse_bomb(archive, room)
    except (ArchiveError, files.DiskError):
        raise
    except Exception as error:  # zipfile and zlib each have their own
        if isinstance(error, OSError) and error.errno not in NAMES:
            raise
        raise ArchiveError(f"{archive} is no whole zip archive ({type(error).__name__}: {error}).") from error


def _refuse_bomb(archive, room):
    if room < 0:
        raise ArchiveError(f"{archive} was refused: it unfolds too far, as a bomb does.")


def _place(archive, member):
    """Where ``member`` goes, relative to the target; ``ArchiveError`` unless it is a plain file or folder."""
    name = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    reasons = {
        "an absolute name": name.is_absolute(),
        "a name that leads elsewhere": ".." in name.parts or not name.parts or set(member.filename) & set("\\:\0"),
        f"more than {DEEPEST} folders deep": len(name.parts) > DEEPEST + 1,
        "a link or a device": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "an encrypted file": member.flag_bits & 1,
        "packed by a method other than stored and deflated": member.compress_type not in METHODS,
    }
    for reason, applies in reasons.items():
        if applies:
            raise ArchiveError(f"{archive} was refused: {member.filename!r} is {reason}.")
    return Path(*name.parts)


def _write(file, member, path, room):
    """Write one member, counting real bytes, not the declared ones; returns the room left, below 0 to stop."""
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return room
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as packed, open(path, "xb") as unpacked:
        while room >= 0 and (chunk := packed.read(1 << 16)):
            unpacked.write(chunk)
            room -= len(chunk)
    return room
