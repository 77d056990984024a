"""Save and load generators.

A generator is two files: ``NAME.weights.h5``, numbers only, and ``NAME.json``, its card, which describes the network.
Neither runs code when it is read.
"""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from labutils.base import files
from labutils.base.paths import place
from labutils.base.weights import WeightsError, opened
from labutils.base.words import choices
from labutils.profile import home

ENDING = ".weights.h5"
CARD = 2**20  # maximum bytes of a card


def _paths(path):
    """Return the weight file and the card of ``path``, given with or without the suffix."""
    path = place(path)
    stem = path.name.removesuffix(ENDING).removesuffix(".json")
    return path.with_name(stem + ENDING), path.with_name(stem + ".json")


def save_generator(model, path, **card):
    """Write ``path.weights.h5`` and ``path.json``, each atomically; return the path of the weights.

    ``card``: more entries for the card (JSON values).
    """
    weights, text = _paths(path)
    with files.aside(weights) as aside:
        model.save_weights(str(aside))
        card = {"spec": model.spec, **card, "sha256": files.sha256(aside)}
    files.write(text, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return weights


def shipped():
    """List the names of the generators in ``pretrained/``."""
    return sorted(path.name.removesuffix(ENDING) for path in home("pretrained").glob(f"*{ENDING}"))


def find(name):
    """Return the path of the generator ``name``, which is a path or the name of a shipped generator.

    Raises ``WeightsError`` if there is none.
    """
    paths = [place(name)]
    if Path(name).name == str(name):
        paths.append(home("pretrained") / name)
    for path in paths:
        if _paths(path)[0].is_file():
            return path
    _refuse_other(name)
    raise WeightsError(f"There is no generator {str(name)!r}. The course ships {choices(Path(name).name, shipped())}")


def _refuse_other(path):
    """Raise ``WeightsError`` if ``path`` is a file of another kind, such as a whole Keras model."""
    path = place(path)
    if path.is_file() and not path.name.endswith((ENDING, ".json")) and not _paths(path)[0].is_file():
        kind = "a whole Keras model" if path.suffix in (".h5", ".hdf5", ".keras") else "not a generator's file"
        raise WeightsError(
            f"{path} is {kind}. A generator is NAME{ENDING}, numbers only, and its card NAME.json: a whole model can "
            "run code when it is opened. Where the model was made, build its network with models.build, copy the "
            "weights with set_weights(model.get_weights()), and call save_generator."
        )


def load_generator(path):
    """Load the generator at ``path`` (with or without the suffix), ready to translate; its card is ``model.card``.

    The card's ``spec`` builds the network. The weight file must have the card's SHA-256, and finite numbers in exactly
    the network's shapes. The model is named after the files, for example ``generator_orchard64_ab``.
    Raises ``WeightsError`` (a ``ValueError``) that says what is wrong with the files.
    """
    _refuse_other(path)
    weights, text = _paths(path)
    for file in (weights, text):
        if not file.is_file():
            raise WeightsError(f"There is no file {file}: a generator is {weights.name} and {text.name} together.")
    card = _card(text)
    try:
        with open(weights, "rb") as file:
            if file.read(8) != b"\x89HDF\r\n\x1a\n":
                raise WeightsError(f"{weights} is not an HDF5 file, so it holds no weights; it was not opened.")
        if files.sha256(weights) != card["sha256"]:
            raise WeightsError(f"{weights} is damaged, or not the file its card describes: the SHA-256 differs.")
        model = _filled(weights, card["spec"], re.sub(r"\W", "_", f"generator_{text.stem}", flags=re.ASCII))
    except WeightsError:
        raise
    except Exception as error:  # for unfit numbers and arguments Keras raises all kinds of errors
        raise WeightsError(f"{weights} cannot be read, or does not fit its card: {str(error)[:300]}") from error
    object.__setattr__(model, "card", {"name": text.stem, **card})
    return model


def _card(path):
    """Read the card in the file ``path``, a dict with ``spec`` and ``sha256``."""
    try:
        if path.stat().st_size > CARD:
            raise ValueError(f"{path.stat().st_size:,} bytes are more than {CARD:,}")
        card = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(card["spec"], dict):
            raise ValueError(f"its spec is {card['spec']!r}")
        return {**card, "sha256": str(card["sha256"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path} is not a generator's card ({str(error)[:300]!r}).") from None


def _filled(path, spec, name):
    """Build the network of ``spec`` and load the file ``path``; ``ValueError`` unless the arrays are exactly its own.

    The shapes are compared while the network is built, so a card cannot make it larger than the file.
    """
    from labutils import models

    with opened(path) as arrays:
        held = Counter((x.shape, x.dtype.kind) for key, x in arrays.items() if not key.startswith("optimizer"))
    if spec.get("kind") == "patch_discriminator":
        raise ValueError("it is a discriminator.")
    model = models.build(spec, name=name, kernels=Counter(shape for shape, _ in held.elements() if len(shape) == 4))
    fresh = model.get_weights()
    wanted = Counter((x.shape, x.dtype.kind) for x in fresh)
    if held != wanted:
        extra, lacking = [*(held - wanted)][:3], [*(wanted - held)][:3]
        raise ValueError(f"another architecture; by shape, only the file has {extra}, only the network {lacking}.")
    model.set_weights([np.full_like(x, np.nan) if x.dtype.kind == "f" else x for x in fresh])
    model.load_weights(str(path))  # Keras 3 only warns of a layer that it does not find in the file: NaN stays there
    if not all(np.isfinite(x).all() for x in model.get_weights()):  # some 64-bit numbers do not fit into 32
        raise ValueError("it has values that are not finite, or layers of other names.")
    return model


def any_size(generator):
    """Return the same generator for pictures of any size; ``generator`` itself if it takes any already."""
    from labutils import models

    if generator.spec.get("image_size") is None:
        return generator
    wide = models.build({**generator.spec, "image_size": None}, name=generator.name)
    wide.set_weights(generator.get_weights())
    object.__setattr__(wide, "card", getattr(generator, "card", {}))
    return wide
