"""Keep and load generators.

A generator travels as two files: ``NAME.weights.h5``, numbers only, and ``NAME.json``, its card, which says how to
build the network that they fill. Neither runs code when it is read.
"""

import difflib
import hashlib
import json
from collections import Counter
from pathlib import Path

from labutils import files
from labutils.profile import home

ENDING = ".weights.h5"


class WeightsError(ValueError):
    """A weight file cannot be used; the text says which and why."""


def _paths(path):
    """The weight file and the card of ``path``, given with or without the ending."""
    path = Path(path)
    stem = path.name.removesuffix(ENDING).removesuffix(".json")
    return path.with_name(stem + ENDING), path.with_name(stem + ".json")


def save_generator(model, path, **card):
    """Write ``path.weights.h5`` and ``path.json``; what else is to stand in the card comes as keywords (JSON values).

    Each file is written aside and moved into place. Returns the path of the weights.
    """
    weights, text = _paths(path)
    with files.aside(weights) as place:
        model.save_weights(str(place))
        card = {"spec": model.spec, **card, "sha256": hashlib.sha256(place.read_bytes()).hexdigest()}
    files.write(text, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return weights


def shipped():
    """The names of the generators in ``pretrained/``."""
    return sorted(path.name.removesuffix(ENDING) for path in home("pretrained").glob(f"*{ENDING}"))


def find(name):
    """The path of the generator ``name``: a path, or the name of a shipped one. ``WeightsError`` if there is none."""
    for path in (Path(name), home("pretrained") / Path(name).name):
        if _paths(path)[0].is_file():
            return path
    near = difflib.get_close_matches(Path(name).name, shipped(), n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise WeightsError(f"There is no generator {str(name)!r}. Shipped with the course: {', '.join(shipped())}.{hint}")


def load_generator(path):
    """The generator kept at ``path`` (with or without the ending), ready to translate; its card is ``model.card``.

    The card's ``spec`` builds the network, the file only fills in numbers, and its SHA-256 must be the card's.
    Raises ``WeightsError`` (a ``ValueError``) that says what is wrong with the files.
    """
    from labutils import models

    weights, text = _paths(path)
    for file in (weights, text):
        if not file.is_file():
            raise WeightsError(f"{file} does not exist: a generator is {weights.name} and {text.name} together.")
    try:
        card = json.loads(text.read_text(encoding="utf-8"))
        spec, sha256 = card["spec"], card["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{text} is no card of a generator ({error!r}).") from None
    data = weights.read_bytes()
    if data[:8] != b"\x89HDF\r\n\x1a\n":
        raise WeightsError(f"{weights} is no HDF5 file of weights but {_kind(data)}; it was not opened.")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{weights} is damaged, or not the file its card describes: the SHA-256 differs.")
    model = models.build(spec)
    try:
        _compare(weights, model)
        model.load_weights(str(weights))
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{weights} does not fit the network in its card: {str(error)[:300]}") from None
    object.__setattr__(model, "card", {"name": _paths(path)[1].stem, **card})
    return model


def _kind(data):
    """What a file that is no HDF5 file seems to be, by its first bytes."""
    heads = {
        b"\x80": "a pickle, which can run code",
        b"PK": "an archive (.npz, .keras, .zip)",
        b"\x93NUMPY": "an array",
    }
    return next((kind for head, kind in heads.items() if data.startswith(head)), "something else")


def _compare(weights, model):
    """Raise ``ValueError`` unless the file holds arrays of numbers of just the shapes that the network has.

    Keras alone lets a file pass that holds more layers than the network.
    """
    import h5py

    found = Counter()

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            if item.dtype.kind != "f":
                raise ValueError(f"{name} holds {item.dtype}, not numbers.")
            found[item.shape] += 1

    with h5py.File(weights, "r") as file:
        file.visititems(visit)
    wanted = Counter(tuple(weight.shape) for weight in model.weights)
    if found != wanted:
        shapes = [f"{name} {[*(these - those)][:3]}" for name, these, those in
        (("only the file has", found, wanted), ("only the network has", wanted, found)) if these - those]  # fmt: skip
        raise ValueError(f"another architecture; arrays by shape: {'; '.join(shapes)}.")


def any_size(generator):
    """The same generator for pictures of any size; itself if it already is."""
    from labutils import models

    if generator.spec.get("image_size") is None:
        return generator
    wide = models.build({**generator.spec, "image_size": None})
    wide.set_weights(generator.get_weights())
    object.__setattr__(wide, "card", getattr(generator, "card", {}))
    return wide
