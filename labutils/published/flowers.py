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


def pick(archive, target):
    """Copy the listed photographs from ``archive`` into the four folders of ``target``, with ``CREDITS.tsv`` beside.

    Raises ``ArchiveError`` if one is missing or no plain file, or if the archive is damaged.
    """
    places = {}
    for name, *_ in listed():
        part, file = name.split("/")
        places[f"{INSIDE[part[-1]]}/{file}"] = Path(target) / name
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name in places and member.isfile() and member.size <= MOST:
                    place = places.pop(member.name)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(tar.extractfile(member).read())
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{archive} is not a complete tar archive ({error}).") from error
    if places:
        raise ArchiveError(f"{archive} lacks {len(places)} of the listed photographs: {min(places)}, for example.")
    shutil.copyfile(LIST, Path(target) / "CREDITS.tsv")
