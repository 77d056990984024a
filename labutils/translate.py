"""Translate arrays, picture files and folders with a generator (``python -m labutils.translate --help``)."""

import argparse
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin

from labutils import tiles
from labutils.base import console, files
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

    The picture is padded by reflection to a multiple of the network's strides (4 or 16, for example), and cropped back.
    If a side is longer than ``tile`` pixels, it is translated in overlapping tiles (``tiling``); ``None``: always
    whole. Without normalisation the result is the same; instance normalisation takes its statistics from each tile.
    A generator built for one size is rebuilt for any size first.
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
        # A graph frees memory while it runs; one graph serves every size of tile.
        anything = [tf.TensorSpec((1, None, None, 3))]
        graph = tf.function(lambda part: network(part, training=False), input_signature=anything)
        fake = tiles.apply(graph, picture, *tiling(network, tile))
    if not np.isfinite(fake).all():
        raise ValueError(f"The generator {_name(generator)} turns it into values that are not finite (NaN, infinite).")
    return to_uint8(fake[:height, :width], -1, 1)


def tiling(generator, tile=TILE):
    """Return the arguments of ``tiles.apply``: the tile's side, the unused margin, the multiple for tile starts.

    The margin is how far the network looks, at most a quarter of the tile. The tile grows to four margins, up to 1,024
    pixels, so what a network sees beyond 256 pixels is left out.
    """
    from labutils import models

    factor = _factor(generator)
    margin = models.receptive_field(generator) // 2 + 2 * factor
    tile = max(tile, min(4 * margin, 1024), 4 * factor)
    tile += -tile % factor
    return tile, min(margin, tile // 4), factor


def _factor(generator):
    """Return the number that height and width must be multiples of: the product of all strides."""
    import tensorflow as tf

    down, up = tf.keras.layers.Conv2D, tf.keras.layers.Conv2DTranspose
    return math.prod(x.strides[0] for x in generator.layers if isinstance(x, down) and not isinstance(x, up))


def _name(generator):
    return getattr(generator, "card", {}).get("name", generator.name)


def settings(generator, tile=TILE, **more):
    """Return the text fields of a translation, ``{name: text}``: the generator, its hash, the tile, and ``more``."""
    card = getattr(generator, "card", {})
    known = {key: card[key] for key in ("direction", "data", "size", "steps", "sha256") if key in card}
    made = {"generator": _name(generator), **known, "tile": tile or "whole", **more}
    return {"software": "cyclegan-lab, labutils.translate", **{key: folder.shown(value) for key, value in made.items()}}


def save_png(path, image, settings=None):
    """Write ``image``, uint8 (height, width, 3), atomically as a PNG; return the path.

    ``settings``: text fields, ``{name: text}``; ``PIL.Image.open(path).text`` reads them back.
    """
    path, fields = folder.place(path), PngImagePlugin.PngInfo()
    for key, value in (settings or {}).items():
        fields.add_text(key, value)
    with files.aside(path) as place:
        Image.fromarray(image).save(place, format="PNG", pnginfo=fields)
    return path


def apply_file(generator, source, target, tile=TILE):
    """Translate the picture file ``source`` into the PNG file ``target``; return it, uint8 (height, width, 3)."""
    result = apply(generator, folder.read_image(source), tile)
    save_png(target, result, settings(generator, tile, source=folder.shown(Path(source).name)))
    return result


@dataclass
class Outcome:
    """Record the paths written, and ``{path: reason}`` for files skipped (not pictures) and for failures."""

    written: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)


def apply_folder(generator, source, target, tile=TILE, progress=False):
    """Translate every picture in the folder ``source`` into PNG files of the same names in ``target``.

    generator: from ``load_generator``, for example.
    source, target: two different folders; hidden files and system files are left out (``folder.look``).
    tile: as for ``apply``; default 512 pixels.
    progress: whether to show a progress bar; default False.

    Names that are not valid on every system are changed. Returns ``(written, skipped)``: the paths written, no two
    alike, and ``{path: reason}`` for files that are not pictures or could not be translated.
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
    """Translate the folder, and record each file in ``outcome``; continue after a file that fails."""
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
            damaged = Image.registered_extensions().get(path.suffix.lower()) in Image.OPEN  # named like a picture
            (outcome.failed if damaged else outcome.skipped)[path] = error.reason
        except Exception as error:  # a name too long, a full disk, too little memory, NaN from the generator, ...
            outcome.failed[path] = str(error)


def _names(paths):
    """Choose a name without suffix for the translation of each path: ``{path: name}``, no two alike."""
    stems, taken, names = Counter(path.stem.casefold() for path in paths), {SHEET}, {}
    for path in sorted(paths, key=lambda path: stems[path.stem.casefold()] > 1):  # unique stems keep their names
        alone = stems[path.stem.casefold()] == 1
        names[path] = folder.output_name((path.stem if alone else path.name,), taken)  # a.jpg and a.png share a stem
    return {path: names[path] for path in paths}


def contact_sheet(source, written, path, side=160, columns=3):
    """Write one picture of all translations, each beside its original; return its path.

    source: the folder of the originals.
    written: the files that ``apply_folder`` wrote.
    path: where to write the PNG.
    side: every picture is fitted into this many pixels squared; default 160.
    columns: pairs in a row; default 3.
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
        epilog=f"Shipped generators: {', '.join(shipped())}. Files that are not pictures are listed and skipped. "
        "Exit code: 0 if all worked, 1 if anything failed (the reason is printed), 2 for a wrong command.",
    )
    main.add_argument(
        "folder", metavar="FOLDER", type=folder.place, help="where the pictures are (JPEG, PNG, WebP, TIFF, ...)"
    )
    main.add_argument(
        "--generator", metavar="NAME", required=True, help="a shipped generator, or the path of NAME.weights.h5"
    )
    main.add_argument("--out", metavar="DIR", type=folder.place, required=True, help="where the translations go")
    main.add_argument(
        "--contact-sheet",
        "--sheet",
        action="store_true",
        help="also write DIR/contact-sheet.png: originals beside translations",
    )
    main.add_argument(
        "--tile", type=int, default=TILE, help="longer sides are translated in tiles of this many pixels (%(default)s)"
    )
    return main


def main(argv=None):
    """Run the command; return the exit code: 0, 1 if anything failed, 130 after Ctrl+C (argparse: 2, wrong command)."""
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
        print("Stopped; the pictures written so far are complete.", file=sys.stderr)
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
