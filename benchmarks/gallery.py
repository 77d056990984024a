"""Paint the gallery: six of scikit-image's photographs in six styles painted by code, into docs/ and the README.

python benchmarks/gallery.py            # all six, about 5 minutes on two idle cores
python benchmarks/gallery.py coffee     # one of them; the page keeps the other entries
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import tables
from PIL import Image
from skimage import data

from labutils import features, pictures, style
from labutils.base import console
from labutils.scenes import styles

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAIRS = {  # name: photograph, style, settings that differ from the defaults
    "cat": (data.chelsea, "brush_strokes", {}),
    "coffee": (data.coffee, "tiles", {}),
    "astronaut": (data.astronaut, "glass", {}),
    "rocket": (data.rocket, "dots", {}),
    "motorcycle": (lambda: data.stereo_motorcycle()[0], "waves", {}),
    "cameraman": (data.camera, "hatching", {}),
}
WEIGHTS = {"content_weight": 1.0, "style_weight": 10.0, "variation_weight": 0.5}


def paint(name, size, steps, vgg):
    """Paint one picture of the gallery beside its photograph and style; return it and its card."""
    photograph, manner, settings = PAIRS[name]
    content, brush = pictures.resize(photograph(), size), styles.paint(manner, size)
    settings = {**WEIGHTS, **settings}
    began = time.process_time()  # summed over all cores; excludes other programs
    transfer = style.StyleTransfer(content, brush, vgg, **settings)
    before = transfer.losses()["style"]
    result = transfer.run(steps)
    seconds = time.process_time() - began
    half = size // 2
    small = [pictures.resize(_square(picture), (half, half)) for picture in (content, brush)]
    left = np.concatenate([small[0], small[1]])[:size]
    sheet = np.concatenate([left, np.full((size, 4, 3), 255, np.uint8), result], axis=1)
    card = {
        "style": manner,
        "features": vgg.source,
        "pooling": vgg.pooling,
        "size": f"{result.shape[1]} x {result.shape[0]}",
        "iterations": steps,
        **settings,
        "style_loss": [round(before, 3), round(transfer.losses()["style"], 3)],
        "cpu_seconds": round(seconds),
    }
    return sheet, card


def _square(image):
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def short(cards):
    """Return the gallery as a Markdown table for the README: the pictures, and the settings that differ."""
    cells = [
        f"![The photograph and the style, and the {name} in that style](docs/images/style_{name}.jpg)<br>"
        f"{name.capitalize()}, {card['style'].replace('_', ' ')}: {card['cpu_seconds']} CPU seconds"
        for name, card in cards.items()
    ]
    (features,) = {
        f"{card['features']}; content {card['content_weight']:g}, style {card['style_weight']:g}, variation "
        f"{card['variation_weight']:g}; {card['iterations']} L-BFGS iterations"
        for card in cards.values()
    }
    rows = [cells[i : i + 2] for i in range(0, len(cells), 2)]
    return f"{tables.markdown(['', ''], rows)}\n\n*All six: {features}.*"


def page(cards):
    """Return the gallery page as Markdown."""
    lines = ["# Gallery of lesson 5", ""]
    lines += [
        "`python benchmarks/gallery.py` makes this page. Photographs are from scikit-image, styles are painted by",
        "`labutils.scenes.styles`. Seconds are CPU time, summed over all cores. Style loss is given before → after.",
        "",
    ]
    for name, card in cards.items():
        lines += [
            f"## {name.capitalize()}, {card['style'].replace('_', ' ')}",
            "",
            f"![The photograph and the style, and the {name} in that style](images/style_{name}.jpg)",
            "",
            f"{card['features']}, {card['pooling']} pooling; content {card['content_weight']:g}, style "
            f"{card['style_weight']:g}, variation {card['variation_weight']:g}; {card['size']} pixels, "
            f"{card['iterations']} L-BFGS iterations, {card['cpu_seconds']} CPU seconds; style loss "
            f"{card['style_loss'][0]} → {card['style_loss'][1]}.",
            "",
        ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PAIRS)}; all if none is given")
    parser.add_argument("--size", type=int, default=224, help="shorter side in pixels (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="L-BFGS iterations (default: %(default)s)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(PAIRS):
        parser.error(f"unknown: {', '.join(unknown)}; choose of {', '.join(PAIRS)}")
    record = DOCS / "images" / "style_gallery.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    cards = json.loads(record.read_text()) if record.exists() else {}
    vgg = features.vgg()
    for name in options.names or PAIRS:
        sheet, cards[name] = paint(name, options.size, options.steps, vgg)
        Image.fromarray(sheet).save(DOCS / "images" / f"style_{name}.jpg", quality=88)
        print(name, cards[name], flush=True)
        cards = {known: cards[known] for known in PAIRS if known in cards}
        record.write_text(json.dumps(cards, indent=2) + "\n")
        (DOCS / "style_gallery.md").write_text(page(cards), encoding="utf-8")
        tables.write("gallery", short(cards), DOCS.parent / "README.md")


if __name__ == "__main__":
    console.escape()
    main()
