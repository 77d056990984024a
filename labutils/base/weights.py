"""Read weight files from unknown sources safely: only numbers that are stored in the file itself.

An HDF5 file can refer to other files on the reader's computer, whose bytes would become weights (external storage,
external links, virtual datasets). HDF5 and ZIP files can hold gigabytes of one value in a few kilobytes.
"""

import contextlib
import zipfile
from pathlib import Path

import numpy as np

from labutils.base.archives import refuse_bomb

BYTES = 2**30  # maximum bytes of a weight file
UNPACKED = 2**28  # maximum bytes of the arrays in an .npz file; VGG19 in float32 has 80 MB
ENTRIES = 5000  # maximum number of groups and arrays in a file
DEPTH = 16  # maximum depth of nested groups


class WeightsError(ValueError, OSError):
    """Raised if a weight file cannot be used; the text says which and why.

    It is also an ``OSError``, because older versions raised that for a damaged file of VGG's weights.
    """


@contextlib.contextmanager
def opened(path):
    """Open a weight file and yield its arrays, ``{name: array}``.

    ``.npz`` is read by NumPy, anything else as HDF5, where an array is an ``h5py.Dataset`` (``shape``, ``dtype``; read
    with ``array[()]``). Every error, also in the block, becomes a ``WeightsError``, because NumPy and h5py raise all
    kinds of errors for damaged files. Raises ``FileNotFoundError`` if ``path`` is not a regular file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}.")
    try:
        if path.stat().st_size > BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {BYTES:,}.")
        with (_npz if path.suffix == ".npz" else _hdf5)(path) as arrays:
            yield arrays
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(f"{path} cannot be read as weights: {str(error)[:300]}") from error


@contextlib.contextmanager
def _npz(path):
    with zipfile.ZipFile(path) as file:
        refuse_bomb(file.infolist(), UNPACKED)
    with np.load(path, allow_pickle=False) as file:
        yield file


@contextlib.contextmanager
def _hdf5(path):
    import h5py

    if not h5py.is_hdf5(path):
        raise ValueError("it is not an HDF5 file.")
    with h5py.File(path, "r") as file:
        yield _arrays(file, path.stat().st_size)


def _arrays(file, size):
    """Return all arrays in a file of ``size`` bytes, ``{name: h5py.Dataset}``; ``ValueError`` if one is unsafe."""
    import h5py

    found, groups, entries = {}, [file], 0
    while groups:
        group = groups.pop()
        for name in group:
            where = f"{group.name}/{name}".lstrip("/")
            entries += 1
            if entries > ENTRIES or where.count("/") > DEPTH:
                raise ValueError(f"it holds more than {ENTRIES} groups and arrays, or groups {DEPTH} deep.")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{where} is a link to another place.")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
            else:
                _refuse_unless_plain(item, where)
                found[where] = item
    if sum(array.nbytes for array in found.values()) > size:
        raise ValueError("its arrays share bytes: together they are larger than the file.")
    return found


def _refuse_unless_plain(item, where):
    import h5py

    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu":
        raise ValueError(f"{where} holds {getattr(item, 'dtype', 'a type')}, not numbers.")
    stored = item.id.get_create_plist()
    if stored.get_external_count() or stored.get_layout() == h5py.h5d.VIRTUAL:
        raise ValueError(f"{where} takes its values from another file.")
    if stored.get_nfilters():
        raise ValueError(f"{where} is compressed: save it again without compression.")
    if item.shape is None or item.id.get_storage_size() < item.nbytes:
        raise ValueError(f"{where} has the shape {item.shape}, but the file does not hold so many values.")
