"""Samples of a run: test pictures, translated both ways, scored by the discriminators, and saved by step."""

import numpy as np
import tensorflow as tf
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from labutils.base import files
from labutils.pictures import to_uint8

LIMIT = 200  # maximum number of samples in a folder


def make(gan, real_a, real_b):
    """Translate n pictures of each domain, both (n, height, width, 3) in [-1, 1], with ``gan``.

    Returns ``{name: uint8 (n, height, width, 3)}``: ``real_a``, its translation ``fake_b``, the round trip
    ``cycled_a``, and ``same_a`` from the generator to A, which should not change it; and the same for B.
    """
    ab, ba = gan.generator_ab, gan.generator_ba
    fake_b, same_b = tf.split(ab(tf.concat([real_a, real_b], 0), training=False), 2)
    fake_a, same_a = tf.split(ba(tf.concat([real_b, real_a], 0), training=False), 2)
    pictures = {"real_a": real_a, "fake_b": fake_b, "cycled_a": ba(fake_b, training=False), "same_a": same_a}
    pictures |= {"real_b": real_b, "fake_a": fake_a, "cycled_b": ab(fake_a, training=False), "same_b": same_b}
    return {name: to_uint8(images, -1, 1) for name, images in pictures.items()}


def judge(gan, pictures):
    """Draw the discriminators' patch scores of ``fake_a`` and ``fake_b``: ``{"scores_a", "scores_b"}``.

    Each is a grey picture of the fakes' size. Scores are clipped to 0 (judged fake, black) … 1 (judged real, white).
    """
    judged = {}
    for domain, discriminator in (("b", gan.discriminator_b), ("a", gan.discriminator_a)):
        fakes = pictures[f"fake_{domain}"]
        scores = tf.image.resize(discriminator(np.float32(fakes / 127.5 - 1), training=False), fakes.shape[1:3])
        judged[f"scores_{domain}"] = to_uint8(scores, 0, 1).repeat(3, axis=-1)
    return judged


def keep(folder, step, pictures):
    """Write ``folder/step-*.png``, a row for each name; above ``LIMIT`` files, delete every second older one."""
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in pictures.values()], axis=0)
    names = PngInfo()
    names.add_text("rows", " ".join(pictures))
    with files.aside(folder / files.named(step, ".png")) as place:
        Image.fromarray(sheet).save(place, format="PNG", pnginfo=names)
    kept = list(files.by_step(folder, ".png").values())
    for path in kept[1:-1:2] if len(kept) > LIMIT else ():
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)  # its scores


def read(path):
    """Read the pictures in a file that ``keep`` wrote: ``{name: uint8 (n, height, width, 3)}``.

    Raises ``OSError`` if the file is damaged, ``ValueError`` if it does not name its rows.
    """
    with Image.open(path) as image:
        names, pixels = image.info.get("rows", "").split(), np.asarray(image.convert("RGB"))
    if not names:
        raise ValueError(f"{path.name} does not name its rows: an older version of the course wrote it.")
    rows = pixels.reshape(len(names), -1, *pixels.shape[1:])
    count = rows.shape[2] // rows.shape[1]  # pictures are square
    return {name: np.stack(np.split(row, count, axis=1)) for name, row in zip(names, rows, strict=True)}
