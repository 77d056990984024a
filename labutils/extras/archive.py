"""The archive format of older tutorials: both domains of a dataset as two arrays in one ``.npz`` file."""

import zipfile

import numpy as np

from labutils.base import files
from labutils.base.archives import refuse_bomb, room_of
from labutils.base.paths import place
from labutils.base.reading import read_image
from labutils.base.words import shown
from labutils.datasets import folder


def to_npz(root, path, size=256, merge_test=False):
    """Write the training pictures of ``root`` as one compressed NumPy archive.

    ``arr_0`` holds domain A, ``arr_1`` domain B: uint8 (n, size, size, 3). ``merge_test`` adds the test
    pictures. All pictures are in memory at once. Returns the path.
    Raises ``ValueError`` as ``folder.files`` does, and ``ImageError`` for a file that cannot be read.
    """
    arrays = []
    for domain in "AB":
        paths = folder.files(root, f"train{domain}") + (folder.files(root, f"test{domain}") if merge_test else [])
        arrays.append(np.stack([read_image(path, size) for path in paths]))
    path = place(path)
    with files.aside(path) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, *arrays)
    return path


def from_npz(path):
    """Read both domains of an archive made by ``to_npz``: two arrays, uint8 (n, size, size, 3).

    Raises ``ValueError`` if the file holds anything else, or would unpack to more than 20 times its size (a zip
    bomb). Nothing in it is executed. Raises ``FileNotFoundError`` if ``path`` is no file.
    """
    path = place(path)
    if not path.is_file():  # reading a pipe would block
        raise FileNotFoundError(f"There is no archive {shown(path)}.")
    try:
        with zipfile.ZipFile(path) as file:
            refuse_bomb(file.infolist(), room_of(path))
        with np.load(path, allow_pickle=False) as archive:
            arrays = archive["arr_0"], archive["arr_1"]
    except Exception as error:
        raise ValueError(f"{path} is no archive of two picture arrays, arr_0 and arr_1 ({error}).") from error
    for name, array in zip(("arr_0", "arr_1"), arrays, strict=True):
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3:
            raise ValueError(f"{path}: {name} should be uint8 (n, h, w, 3) but is {array.dtype} {array.shape}.")
    return arrays
