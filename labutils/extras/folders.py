"""Translate whole folders of pictures, and show originals beside translations.

``python -m labutils.extras.folders FOLDER --generator NAME --out DIR``
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from labutils import translate
from labutils.base import console
from labutils.base.opening import ImageError
from labutils.base.paths import existing, look, output_name, place
from labutils.base.reading import read_image
from labutils.base.words import shown

SHEET = "contact-sheet"


@dataclass
class Outcome:
    """Record the paths written, and ``{path: reason}`` for files skipped (not pictures) and for failures."""

    written: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)


def apply_folder(generator, source, target, tile=translate.TILE, progress=False):
    """Translate every picture in the folder ``source`` into PNG files of the same names in ``target``.

    generator: from ``translate.load_generator``, for example.
    source, target: two different folders; hidden files and system files are left out (``paths.look``).
    tile: as for ``translate.apply``; default 512 pixels.
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

    source, target = existing(source), place(target)
    if source.resolve() == target.resolve():
        raise ValueError(f"Translations into {target} would replace the pictures there: choose another folder.")
    generator = translate.any_size(generator)
    paths = look(source)
    if not paths:
        raise ValueError(f"{source} holds no files: put pictures there, or name another folder.")
    outcome.skipped |= {path: "is a folder: translate it on its own" for path in paths if path.is_dir()}
    names = _names([path for path in paths if not path.is_dir()])
    for path, name in tqdm(names.items(), "translating", unit=" pictures", disable=not progress):
        try:
            translate.apply_file(generator, path, target / f"{name}.png", tile)
            outcome.written.append(target / f"{name}.png")
        except ImageError as error:
            damaged = Image.registered_extensions().get(path.suffix.lower()) in Image.OPEN  # named like a picture
            (outcome.failed if damaged else outcome.skipped)[path] = error.reason
        except Exception as error:  # a name too long, a full disk, too little memory, NaN from the generator, ...
            outcome.failed[path] = str(error)


def _names(paths):
    """Choose a name without suffix for the translation of each path: ``{path: name}``, no two alike."""
    stems, taken, names = Counter(path.stem.casefold() for path in paths), {SHEET}, {}
    for path in sorted(paths, key=lambda path: stems[path.stem.casefold()] > 1):  # unique stems keep their names
        alone = stems[path.stem.casefold()] == 1
        names[path] = output_name((path.stem if alone else path.name,), taken)  # a.jpg and a.png share a stem
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
    originals = {shown(path.name): path for path in look(place(source))}
    draw = ImageDraw.Draw(page)
    for number, target in enumerate(written):
        left, top = 20 + number % columns * cell, 20 + number // columns * row
        with Image.open(target) as fake:
            name = fake.text["source"]
            original = Image.fromarray(read_image(originals[name]))
            for shift, picture in ((0, original), (side, fake)):
                page.paste(ImageOps.contain(picture, (side - 4, side - 4)), (left + shift, top))
        draw.text((left, top + side), name[:40], fill="black", font_size=12)
    return translate.save_png(path, np.asarray(page))


def parser():
    main = argparse.ArgumentParser(
        prog="python -m labutils.extras.folders",
        description="Translate every picture in a folder with a trained generator into PNG files of the same sizes.",
        epilog=f"Shipped generators: {', '.join(translate.shipped())}. Files that are not pictures are listed and "
        "skipped. Exit code: 0 if all worked, 1 if anything failed (the reason is printed), 2 for a wrong command.",
    )
    main.add_argument("folder", metavar="FOLDER", type=place, help="where the pictures are (JPEG, PNG, WebP, ...)")
    main.add_argument(
        "--generator", metavar="NAME", required=True, help="a shipped generator, or the path of NAME.weights.h5"
    )
    main.add_argument("--out", metavar="DIR", type=place, required=True, help="where the translations go")
    main.add_argument(
        "--contact-sheet",
        "--sheet",
        action="store_true",
        help="also write DIR/contact-sheet.png: originals beside translations",
    )
    main.add_argument(
        "--tile",
        type=int,
        default=translate.TILE,
        help="longer sides are translated in tiles of this many pixels (%(default)s)",
    )
    return main


def main(argv=None):
    """Run the command; return the exit code: 0, 1 if anything failed, 130 after Ctrl+C (argparse: 2, wrong command)."""
    options, outcome, code = parser().parse_args(argv), Outcome(), 0
    try:
        generator = translate.load_generator(translate.find(options.generator))
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
            print(f"  {what}: {shown(path.name)}: {reason}")
    return code or int(bool(failed) or not written)


if __name__ == "__main__":
    console.escape()
    sys.exit(main())
