"""Train lesson 3's five mistakes and draw the sheets that the course ships: ``docs/mistakes/1.jpg`` … ``5.jpg``.

Each run is the class profile without the attention mask and with one thing changed; ``healthy.jpg`` has none.
Interrupted runs resume. The sheets' names are neutral, because an exercise asks which mistake each one shows;
``docs/mistakes/sheets.json`` records how they were made. Six runs of about three minutes on two idle cores.
"""

import argparse
import dataclasses
import io
import json

import numpy as np
from PIL import Image, ImageDraw

from labutils import profile, published
from labutils.base import console
from labutils.extras import mistakes
from labutils.figures import plots

SHEETS = {
    "1": "batch norm",
    "2": "no cycle loss",
    "3": "strong discriminators",
    "4": "no identity loss",
    "5": "no pool",
    "healthy": None,
}
SIDES = (("real_a", "fake_b", "cycled_a", "same_a"), ("real_b", "fake_a", "cycled_b", "same_b"))
COLUMNS, TILE, LABEL = 4, 96, 74  # pictures a side; pixels


def sheet(pictures, history):
    """Draw test pictures of both directions, with the losses below them, as one picture."""
    width = 2 * (LABEL + COLUMNS * (TILE + 2))
    curves = plots.curves(
        plots.loss_series(history),
        smooth=50,
        size=(width / 100, 2.3),
    )
    curves.axes[0].set_ylim(0, 1.05)
    curves = Image.open(io.BytesIO(curves.png(dpi=100)))
    page = Image.new("RGB", (width, 4 * (TILE + 2) + curves.height), "white")
    draw = ImageDraw.Draw(page)
    for side, rows in enumerate(SIDES):
        left = side * width // 2
        for row, name in enumerate(rows):
            top = row * (TILE + 2)
            draw.text((left + 8, top + TILE // 2 - 6), name, fill="black", font_size=13)
            for column in range(COLUMNS):
                tile = Image.fromarray(pictures[name][column]).resize((TILE, TILE), Image.Resampling.BICUBIC)
                page.paste(tile, (left + LABEL + column * (TILE + 2), top))
    page.paste(curves, (0, 4 * (TILE + 2)))
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheets", nargs="*", metavar="SHEET", help=f"{', '.join(SHEETS)} (default: all)")
    parser.add_argument("--steps", type=int, default=1500, help="training steps (default 1500)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation (default 0)")
    options = parser.parse_args()
    steps = options.steps
    lab = dataclasses.replace(profile.load("class"), steps=steps, constant_steps=steps // 2)
    root = published.ensure(lab)
    place = profile.home("docs", "mistakes")
    place.mkdir(parents=True, exist_ok=True)
    for name in options.sheets or SHEETS:
        directory = profile.home("runs", f"{SHEETS[name] or 'healthy'}-sheet".replace(" ", "-"))
        run = mistakes.run(SHEETS[name], lab, root, directory, options.seed)
        run.start()
        run.wait()
        sheet(run.sample(), run.history).save(place / f"{name}.jpg", quality=80)
        last = {key: round(float(np.mean(values[-200:])), 3) for key, values in run.history.items() if key != "step"}
        print(name, last, flush=True)
    how = {"steps": steps, "seed": options.seed, "data": root.name, "generator": {**lab.generator, "attention": False}}
    how |= {"discriminator": lab.discriminator, "discriminator_pace": lab.discriminator_pace}
    how |= {"loss_weights": lab.loss_weights, "command": "python benchmarks/mistakes.py"}
    (place / "sheets.json").write_text(json.dumps(how, indent=1) + "\n")


if __name__ == "__main__":
    console.escape()
    main()
