"""The dataset daisy2sunflower: photographs picked by name from TensorFlow's ``flower_photos``.

``daisy2sunflower.tsv`` lists them with their photographers. No photograph is part of the course.
"""

import shutil
import tarfile
from pathlib import Path

from labutils.base.archives import ArchiveError

LIST = Path(__file__).with_name("daisy2sunflower.tsv")
INSIDE = {"A": "flower_photos/daisy", "B": "flower_photos/sunflowers"}  # the archive's folders
MOST = 10_000_000  # bytes of one photograph


def listed():
    """Return the rows of the list, each a list: file, photographer, page, "yes" for a close-up."""
    lines = LIST.read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t") for line in lines]


def pick(source, target, everything=False):
    """Copy listed photographs into the four folders of ``target``, and the list beside them as ``CREDITS.tsv``.

    ``source``: TensorFlow's archive, or a folder with the four folders. To train on, only close-ups are taken, unless
    ``everything``: with flowers of one size a generator learns more. All listed test pictures are taken.
    Raises ``ArchiveError`` if one is missing or no plain file, or if the archive is damaged.
    """
    source, target = Path(source), Path(target)
    names = [row[0] for row in listed() if everything or row[3] or row[0].startswith("test")]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        for name in filter(lambda name: (source / name).is_file(), names):
            shutil.copyfile(source / name, target / name)
    else:
        _unpack(source, {_inside(name): target / name for name in names})
    if missing := [name for name in names if not (target / name).is_file()]:
        raise ArchiveError(f"{source} lacks {len(missing)} of the listed photographs: {missing[0]}, for example.")
    shutil.copyfile(LIST, target / "CREDITS.tsv")


def _inside(name):
    """Return the name in the archive of the photograph ``trainA/123.jpg``."""
    part, file = name.split("/")
    return f"{INSIDE[part[-1]]}/{file}"


def _unpack(archive, places):
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name in places and member.isfile() and member.size <= MOST:
                    places[member.name].write_bytes(tar.extractfile(member).read())
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{archive} is not a complete tar archive ({error}).") from error
