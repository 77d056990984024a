"""Keep, load and apply generators.

A generator travels as two files: ``NAME.weights.h5``, numbers only, and ``NAME.json``, its card, which says how to
build the network that they fill. Neither runs code when it is read.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from labutils import models
from labutils.datasets import folder

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
    weights.parent.mkdir(parents=True, exist_ok=True)
    aside = weights.with_name(f".writing-{os.getpid()}-{weights.name}")
    try:
        model.save_weights(str(aside))
        card = {"spec": model.spec, **card, "sha256": hashlib.sha256(aside.read_bytes()).hexdigest()}
        os.replace(aside, weights)
    finally:
        aside.unlink(missing_ok=True)
    aside = text.with_name(f".writing-{os.getpid()}-{text.name}")
    aside.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(aside, text)
    return weights


def load_generator(path):
    """The generator kept at ``path`` (with or without the ending), ready to translate; its card is ``model.card``.

    The card's ``spec`` builds the network, the file only fills in numbers, and its SHA-256 must be the card's.
    Raises ``WeightsError`` (a ``ValueError``) that says what is wrong with the files.
    """
    weights, text = _paths(path)
    for file in (weights, text):
        if not file.is_file():
            raise WeightsError(f"{file} does not exist: a generator is {weights.name} and {text.name} together.")
    try:
        card = json.loads(text.read_text(encoding="utf-8"))
        spec, sha256 = card["spec"], card["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{text} is no card of a generator ({error!r}).") from None
    if hashlib.sha256(weights.read_bytes()).hexdigest() != sha256:
        raise WeightsError(f"{weights} is damaged, or not the file its card describes: the SHA-256 differs.")
    model = models.build(spec)
    try:
        model.load_weights(str(weights))
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{weights} does not fit the network in its card: {str(error)[:300]}") from None
    object.__setattr__(model, "card", card)
    return model


def to_uint8(pictures):
    """Pictures in [-1, 1] as uint8."""
    return np.clip(np.asarray(pictures) * 127.5 + 128, 0, 255).astype(np.uint8)


def apply(generator, image):
    """Translate one picture: uint8 (height, width, 3), any height and width, to uint8 of the same size.

    The picture is continued by reflection to the multiple of 4, 16 or so that the network can halve, and cropped back.
    A generator built for one size is rebuilt for any size first. Raises ``ValueError`` for anything but such a picture.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 1:
        raise ValueError(f"A picture is uint8 (height, width, 3); this is {image.dtype} {image.shape}.")
    height, width = image.shape[:2]
    factor = 2 ** generator.spec.get("levels", 2)
    padded = np.pad(image, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="symmetric")
    fake = any_size(generator)(padded[None] / np.float32(127.5) - 1, training=False)
    return to_uint8(fake[0, :height, :width])


def any_size(generator):
    """The same generator for pictures of any size; itself if it already is."""
    if generator.spec.get("image_size") is None:
        return generator
    wide = models.build({**generator.spec, "image_size": None})
    wide.set_weights(generator.get_weights())
    return wide


def apply_file(generator, source, target):
    """Translate the picture file ``source`` into the PNG file ``target``; returns uint8 (height, width, 3)."""
    result = apply(generator, folder.read_image(source))
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".writing-{os.getpid()}-{target.name}")
    Image.fromarray(result).save(aside, format="PNG")
    os.replace(aside, target)
    return result


def apply_folder(generator, source, target):
    """Translate every picture in the folder ``source`` into PNG files of the same names in ``target``.

    Returns ``(written, skipped)``: the paths written, and ``{path: reason}`` for files that are no pictures.
    Raises ``ValueError`` if no file could be read.
    """
    generator = any_size(generator)
    written, skipped = [], {}
    for path in sorted(p for p in Path(source).iterdir() if p.is_file() and not p.name.startswith(".")):
        try:
            apply_file(generator, path, Path(target) / f"{path.stem}.png")
            written.append(Path(target) / f"{path.stem}.png")
        except folder.ImageError as error:
            skipped[path] = error.reason
    if not written:
        raise ValueError(f"{source} holds no picture that can be read. {len(skipped)} files were tried.")
    return written, skipped
