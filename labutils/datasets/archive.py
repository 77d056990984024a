"""Unpacking a zip from a stranger: all names are looked at before anything is written."""

import stat
import zipfile
from pathlib import Path, PurePosixPath

MOST_MEMBERS = 50_000
MOST_GROWTH = 20  # photographs do not get smaller in a zip: twentyfold and more is a bomb


class ArchiveError(ValueError):
    """An archive that was refused; the text names it and says why."""


def unpack(archive, target):
    """Unpack the zip file ``archive`` into the new folder ``target``.

    Raises ``ArchiveError`` for what is no zip or is damaged, for absolute names, names with ``..``, links and
    devices, encrypted members, more than 50,000 members, and contents more than 20 times the archive's size.
    ``target`` may then hold a part of the members; nothing is ever written outside it.
    """
    target = Path(target)
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            if len(members) > MOST_MEMBERS:
                raise ArchiveError(f"{archive} was refused: it has {len(members):,} members.")
            places = [_place(archive, member) for member in members]
            room = MOST_GROWTH * Path(archive).stat().st_size + 1_000_000
            target.mkdir(parents=True)
            for member, place in zip(members, places, strict=True):
                room = _write(file, member, target / place, room)
                if room < 0:
                    raise ArchiveError(f"{archive} was refused: it unfolds too far, as a bomb does.")
    except ArchiveError:
        raise
    except Exception as error:  # zipfile, zlib and the file system each have their own
        raise ArchiveError(f"{archive} is no whole zip archive ({type(error).__name__}: {error}).") from error


def _place(archive, member):
    """Where ``member`` goes, relative to the target; ``ArchiveError`` unless it is a plain file or folder."""
    name = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    reasons = {
        "an absolute name": name.is_absolute(),
        "a name that leads elsewhere": ".." in name.parts or not name.parts or set(member.filename) & set("\\:\0"),
        "a link or a device": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "an encrypted file": member.flag_bits & 1,
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
