"""Translate pictures with a generator: one of any shape, a file, a folder (``python -m labutils.translate --help``)."""

import argparse
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin

from labutils import console, files, tiles
from labutils.datasets import folder
from labutils.generators import WeightsError as WeightsError
from labutils.generators import any_size as any_size
from labutils.generators import find as find
from labutils.generators import load_generator as load_generator
from labutils.generators import save_generator as save_generator
from labutils.generators import shipped as shipped
from labutils.pictures import to_uint8

TILE = 512  # pixels; a side longer than this is translated in tiles
SHEET = "contact-sheet"


def apply(generator, image, tile=TILE):
    """Translate one picture: uint8 (height, width, 3), any height and width, to uint8 of the same size.

    The picture is continued by reflection to the multiple of 4, 16 or so that the network can halve, and cropped back.
    If a side is longer than ``tile`` pixels it is translated in overlapping tiles, blended where each is right
    (``tiling``); ``None``: always whole. Without normalisation the result is the same; instance normalisation
    takes its statistics from each tile. A generator built for one size is rebuilt for any size first.
    Raises ``ValueError`` for anything but such a picture, and if the generator's values are not finite.
    """
    import tensorflow as tf

    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 1:
        raise ValueError(f"A picture is uint8 (height, width, 3); this is {image.dtype} {image.shape}.")
    network, (height, width) = any_size(generator), image.shape[:2]
    factor = _factor(network)
    # Reflection padding inside a ResNet needs two rows at a quarter of the size.
    ends = [(0, max(-side % factor, 2 * factor - side)) for side in (height, width)]
    picture = np.pad(image, (*ends, (0, 0)), mode="symmetric") / np.float32(127.5) - 1
    if tile is None or max(height, width) <= tile:
        fake = np.asarray(network(picture[None], training=False))[0]
    else:
        # As a graph it gives memory back as it goes along; one graph does for every size of tile.
        anything = [tf.TensorSpec((1, None, None, 3))]
        graph = tf.function(lambda part: network(part, training=False), input_signature=anything)
        fake = tiles.apply(graph, picture, *tiling(network, tile))
    if not np.isfinite(fake).all():
        raise ValueError(f"The generator {_name(generator)} makes values that are not finite (NaN or infinite) of it.")
    return to_uint8(fake[:height, :width], -1, 1)


def tiling(generator, tile=TILE):
    """What ``tiles.apply`` needs: the tile's side, the margin that is not used, the multiple that starts lie on.

    The margin is how far the network looks, so the tile grows to four margins, up to 1,024 pixels; a network that looks
    further than 256 pixels is cut short there.
    """
    from labutils import models

    factor = _factor(generator)
    margin = models.receptive_field(generator) // 2 + 2 * factor
    tile = max(tile, min(4 * margin, 1024), 4 * factor)
    tile += -tile % factor
    return tile, min(margin, tile // 4), factor


def _factor(generator):
    """What height and width must be multiples of: the strides of its convolutions, multiplied."""
    import tensorflow as tf

    down, up = tf.keras.layers.Conv2D, tf.keras.layers.Conv2DTranspose
    return math.prod(x.strides[0] for x in generator.layers if isinstance(x, down) and not isinstance(x, up))


def _name(generator):
    return getattr(generator, "card", {}).get("name", generator.name)


def settings(generator, tile=TILE, **more):
    """What made a translation, as ``{name: text}`` for the picture file: the generator, its hash, the tile, ..."""
    card = getattr(generator, "card", {})
    known = {key: card[key] for key in ("direction", "data", "size", "steps", "sha256") if key in card}
    made = {"generator": _name(generator), **known, "tile": tile or "whole", **more}
    return {"software": "cyclegan-lab, labutils.translate", **{key: folder.shown(value) for key, value in made.items()}}


def save_png(path, image, settings=None):
    """Write ``image``, uint8 (height, width, 3), as a PNG whose text fields are ``settings``; returns the path.

    Written aside and moved into place. ``PIL.Image.open(path).text`` reads the fields back.
    """
    path, fields = folder.place(path), PngImagePlugin.PngInfo()
    for key, value in (settings or {}).items():
        fields.add_text(key, value)
    with files.aside(path) as place:
        Image.fromarray(image).save(place, format="PNG", pnginfo=fields)
    return path


def apply_file(generator, source, target, tile=TILE):
    """Translate the picture file ``source`` into the PNG file ``target``; returns uint8 (height, width, 3)."""
    result = apply(generator, folder.read_image(source), tile)
    save_png(target, result, settings(generator, tile, source=folder.shown(Path(source).name)))
    return result


@dataclass
class Outcome:
    """What became of the files of a folder: ``{path: reason}`` for those that are no pictures, and for failures."""

    written: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)


def apply_folder(generator, source, target, tile=TILE, progress=False):
    """Translate every picture in the folder ``source`` into PNG files of the same names in ``target``.

    A name that some system could not hold is changed. Hidden files and the system's own are left out (``folder.look``).

    Returns ``(written, skipped)``: the paths written, no two alike, and ``{path: reason}`` for the other files, which
    are no pictures or could not be translated.
    Raises ``ValueError`` if there is no such folder, if nothing could be translated, or if both folders are the same.
    """
    outcome = Outcome()
    _translate(generator, source, target, tile, progress, outcome)
    if not outcome.written:
        reasons = [f" {path.name}: {reason}" for path, reason in outcome.failed.items()]
        what = "no picture could be translated" if reasons else "holds no picture that can be read"
        count = len(outcome.skipped) + len(reasons)
        raise ValueError(f"{source}: {what}. {count} files were tried.{''.join(reasons[:1])}")
    return outcome.written, outcome.skipped | outcome.failed


def _translate(generator, source, target, tile, progress, outcome):
    """What ``apply_folder`` does, noted in ``outcome`` file by file; one file's failure does not end it."""
    from tqdm.auto import tqdm

    source, target = folder.place(source), folder.place(target)
    if not source.is_dir():
        raise ValueError(f"There is no folder {str(source)!r}.")
    if source.resolve() == target.resolve():
        raise ValueError(f"Translations into {target} would replace the pictures there: choose another folder.")
    generator = any_size(generator)
    paths = folder.look(source)
    if not paths:
        raise ValueError(f"{source} holds no files: put pictures there, or name another folder.")
    outcome.skipped |= {path: "is a folder: translate it on its own" for path in paths if path.is_dir()}
    names = _names([path for path in paths if not path.is_dir()])
    for path, name in tqdm(names.items(), "translating", unit=" pictures", disable=not progress):
        try:
            apply_file(generator, path, target / f"{name}.png", tile)
            outcome.written.append(target / f"{name}.png")
        except folder.ImageError as error:
            damaged = Image.registered_extensions().get(path.suffix.lower()) in Image.OPEN  # it is called a picture
            (outcome.failed if damaged else outcome.skipped)[path] = error.reason
        except Exception as error:  # too long a name, a full disk, too little memory, a generator of NaN, ...
            outcome.failed[path] = str(error)


def _names(paths):
    """What to call the translation of each of ``paths``, without ending: ``{path: name}``, no two alike."""
    stems, taken, names = Counter(path.stem.casefold() for path in paths), {SHEET}, {}
    for path in sorted(paths, key=lambda path: stems[path.stem.casefold()] > 1):  # those without namesakes first
        alone = stems[path.stem.casefold()] == 1
        names[path] = folder.output_name((path.stem if alone else path.name,), taken)  # a.jpg and a.png
    return {path: names[path] for path in paths}


def contact_sheet(source, written, path, side=160, columns=3):
    """One picture of all translations, each beside its original from the folder ``source``; returns its path.

    ``written``: the files that ``apply_folder`` wrote. Every picture is fitted into ``side`` by ``side`` pixels.
    """
    columns = min(columns, len(written))
    cell, row = 2 * side + 20, side + 30
    page = Image.new("RGB", (columns * cell + 20, -(-len(written) // columns) * row + 20), "white")
    originals = {folder.shown(path.name): path for path in folder.look(folder.place(source))}
    draw = ImageDraw.Draw(page)
    for number, target in enumerate(written):
        left, top = 20 + number % columns * cell, 20 + number // columns * row
        with Image.open(target) as fake:
            name = fake.text["source"]
            original = Image.fromarray(folder.read_image(originals[name]))
            for shift, picture in ((0, original), (side, fake)):
                page.paste(ImageOps.contain(picture, (side - 4, side - 4)), (left + shift, top))
        draw.text((left, top + side), name[:40], fill="black", font_size=12)
    return save_png(path, np.asarray(page))


def parser():
    main = argparse.ArgumentParser(
        prog="python -m labutils.translate",
        description="Translate every picture in a folder with a trained generator into PNG files of the same sizes.",
        epilog=f"Shipped generators: {', '.join(shipped())}. Files that are no pictures are listed and left out. "
        "Exit code: 0 done, 1 if anything failed, with the reason, 2 for a wrong command.",
    )
    main.add_argument(
        "folder", metavar="FOLDER", type=folder.place, help="where the pictures are (JPEG, PNG, WebP, TIFF, ...)"
    )
    main.add_argument(
        "--generator", metavar="NAME", required=True, help="a shipped one (below), or the path of NAME.weights.h5"
    )
    main.add_argument("--out", metavar="DIR", type=folder.place, required=True, help="where the translations go")
    main.add_argument(
        "--contact-sheet",
        "--sheet",
        action="store_true",
        help="also DIR/contact-sheet.png: originals beside translations",
    )
    main.add_argument(
        "--tile", type=int, default=TILE, help="longer sides are translated in tiles of this many pixels (%(default)s)"
    )
    return main


def main(argv=None):
    """The exit code: 0, or 1 if anything failed, with the reason (2 for a wrong command, from argparse)."""
    options, outcome, code = parser().parse_args(argv), Outcome(), 0
    try:
        generator = load_generator(find(options.generator))
        _translate(generator, options.folder, options.out, options.tile, True, outcome)
        if options.contact_sheet and outcome.written:
            print(contact_sheet(options.folder, outcome.written, options.out / f"{SHEET}.png"))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("Stopped; the pictures written so far are whole.", file=sys.stderr)
        code = 130
    written, skipped, failed = outcome.written, outcome.skipped, outcome.failed
    print(f"{len(written)} pictures written to {options.out}; {len(skipped)} files skipped, {len(failed)} failed")
    for what, reasons in (("skipped", skipped), ("failed", failed)):
        for path, reason in reasons.items():
            print(f"  {what}: {folder.shown(path.name)}: {reason}")
    return code or int(bool(failed) or not written)


if __name__ == "__main__":
    console.escape()
    sys.exit(main())
