"""Train the generators ``flowers128-ab`` and ``flowers128-ba`` on photographs; choose a step on validation pictures.

``--data`` is a folder with trainA (daisies), trainB (sunflowers), testA and testB. ``HELD_OUT`` pictures of each
training folder are kept for validation. An interrupted training resumes with the same command. ``--status`` scores the
steps kept so far and makes sheets of the best; ``--ship`` also writes the chosen generators to pretrained/.

python benchmarks/pretrained_photographs.py --data daisy2sunflower
"""

import argparse
import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import photographs
import tables
import tensorflow as tf

import pretrained
from labutils import measure, profile, speed, translate
from labutils.base import console
from labutils.datasets import folder

NAME, HELD_OUT, KEPT = "flowers128", 25, 40
UNET = {
    "kind": "unet_generator",
    "filters": 24,
    "padding": "reflect",
}  # without reflection, frames appear at the borders
BASE = {
    **photographs.START,
    **photographs.weights(1, 5, 2),
    **photographs.discriminator(strides=(2, 2, 2)),
    "generator": UNET,
    "sample_every": 1000,
    "checkpoint_every": 250,
    "kept_generators": KEPT,
}
PHASES = [  # 64 pixels first: colours are learned there at a quarter of the cost
    {"size": 64, "steps": 5000, "constant_steps": 5000},
    {"size": 128, "steps": 30000, "constant_steps": 15000},
]


def split(data, root):
    """Copy the pictures of ``data`` to ``root``, with every so-many-th of a training folder as its test; return it."""
    for domain in "AB":
        found = folder.files(data, f"train{domain}")
        held_out = {found[i] for i in np.linspace(0, len(found) - 1, HELD_OUT).round().astype(int)}
        for path in found:
            place = root / f"{'test' if path in held_out else 'train'}{domain}"
            place.mkdir(parents=True, exist_ok=True)
            if not (place / path.name).exists():
                shutil.copyfile(path, place / path.name)
    return root


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the photographs to train on")
    parser.add_argument(
        "--judge", type=Path, metavar="FOLDER", help="the photographs to judge with, by default the same"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--status", action="store_true", help="score the steps kept so far, and train no further")
    parser.add_argument("--ship", action="store_true", help="write the chosen generators into pretrained/")
    options = parser.parse_args()
    root = split(options.data, profile.home("data", f"{NAME}-{options.data.name}"))
    place = profile.home("runs", NAME)
    labs = [dataclasses.replace(photographs.CLASS, **{**BASE, **changes}) for changes in PHASES]
    folders = [place / f"phase{number}" for number in range(1, len(labs) + 1)]
    if not options.status and not options.ship:
        os.environ.setdefault("TF_SET_ONEDNN_FPMATH_MODE", "BF16")  # as in pretrained.py
        os.environ.setdefault("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
        speed.share_cores()
        run = None
        for lab, directory in zip(labs, folders, strict=True):
            run = pretrained.phase(lab, directory, options.seed, run, root)
        return
    lab, kept = labs[-1], folders[-1] / "generators"
    for direction in ("ab", "ba"):
        found = measure.distances(kept, root, direction, part="test")
        step = min(found, key=found.get)
        network = translate.load_generator(kept / f"step-{step:08}-{direction}")
        print(direction, {step: round(distance, 3) for step, distance in found.items()})
        sheet = place / f"sheet-{direction}.png"
        print(step, photographs.judged(network, direction, lab.size, options.judge or options.data, sheet), flush=True)
        if options.ship:
            ship(network, direction, lab, step, place, options)


def ship(network, direction, lab, step, place, options):
    minutes = sum(float((folder / "minutes.txt").read_text()) for folder in place.glob("phase*"))
    translate.save_generator(
        translate.any_size(network),
        profile.home("pretrained", f"{NAME}-{direction}"),
        direction={"ab": "daisies to sunflowers", "ba": "sunflowers to daisies"}[direction],
        data="daisy2sunflower (TensorFlow's flower_photos, CC BY 2.0)",
        size=lab.size,
        phases=PHASES,
        steps=step,
        chosen=f"the kept step of the last phase with the least KID of {HELD_OUT} validation pictures",
        seed=options.seed,
        hours=round(minutes / 60, 2),
        machine=f"{os.cpu_count()} cores, TensorFlow {tf.__version__}, {tables.machine()}",
        licence="MIT, as the course; trained on photographs under CC BY 2.0",
        command=f"python benchmarks/pretrained_photographs.py --data daisy2sunflower --seed {options.seed}",
    )


if __name__ == "__main__":
    console.escape()
    main()
