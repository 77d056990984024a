"""Measure the shipped generators again on their 200 held-out pairs: ``make scores``.

Prints a row for each card in ``pretrained/``, and for the baselines: the unchanged input and matched colours.
``--check`` fails if a card differs; ``--write`` puts the scores into the cards.
"""

import argparse
import dataclasses
import functools
import json
import sys

from labutils import measure, metrics, profile, published, translate
from labutils.base import console, files

BASELINES = {"copy": lambda root, direction: measure.unchanged, "colour matching": measure.colour_matching}
TOLERANCE = {"psnr": 0.05, "gain": 0.05, "ssim": 0.005, "accuracy": 0.01, "accepted": 0.02}


@functools.cache
def judge(root, size):
    """Train the domain classifier for a dataset; return it and its accuracy on real held-out pictures."""
    classifier = measure.DomainClassifier(size).fit(root)
    return classifier, classifier.accuracy(root)


def data_of(card):
    """Return the folder of a card's data (the class profile's, at the card's size); render it if missing."""
    return published.ensure(dataclasses.replace(profile.load("class"), dataset=card["data"], size=card["size"]))


def score(generator, root, size, direction, limit=None):
    """Return ``metrics.report``, the classifier's accuracy, and the share of translations that it accepts."""
    classifier, accuracy = judge(root, size)
    fake = metrics.translated(generator, metrics.test_pairs(str(root), direction, limit)[0])
    scores = metrics.report(generator, root, direction, limit)
    scores |= {"classifier_accuracy": accuracy, "accepted": classifier.accepts(fake, direction[1])}
    return {key: round(value, 2 if "psnr" in key or key == "gain" else 4) for key, value in scores.items()}


def differences(card, scores):
    """List the values of a card that differ from ``scores`` by more than machines may differ, as texts."""
    known = card.get("scores", {})
    return [
        f"{key}: {known.get(key)} in the card, {value} measured"
        for key, value in scores.items()
        if key not in known or abs(known[key] - value) > TOLERANCE.get(key.split("_")[-1], 0)
    ]


def write(path, card, scores):
    """Write the scores into the card atomically."""
    files.write(path, (json.dumps(card | {"scores": scores}, indent=1, ensure_ascii=False) + "\n").encode())


COLUMNS = {  # of the table: heading, and how the number is written
    "fruit_psnr": ("fruit dB", ".2f"),
    "gain": ("gain", ".2f"),
    "fruit_ssim": ("SSIM", ".3f"),
    "background_psnr": ("rest dB", ".2f"),
    "background_ssim": ("SSIM", ".3f"),
    "accepted": ("accepted", ".1%"),
    "classifier_accuracy": ("judge", ".1%"),
}


def row(name, cells):
    print(f"{name:22}" + "".join(f"{cell:>10}" for cell in cells), flush=True)


def show(name, scores):
    row(name, [format(scores[key], form) if key in scores else "none" for key, (_, form) in COLUMNS.items()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if a card's scores differ from the measured ones")
    parser.add_argument("--write", action="store_true", help="put the measured scores into the cards")
    options = parser.parse_args()

    wrong, measured = [], set()
    row("", [heading for heading, _ in COLUMNS.values()])
    for path in sorted(profile.home("pretrained").glob("*-[ab][ab].json")):
        card, direction = json.loads(path.read_text(encoding="utf-8")), path.stem[-2:]
        root, size = data_of(card), card["size"]
        for name, baseline in BASELINES.items():
            if (root, direction) not in measured:
                show(f"{name} {size} {direction}", score(baseline(root, direction), root, size, direction))
        measured.add((root, direction))
        scores = score(translate.load_generator(path), root, size, direction)
        show(path.stem, scores)
        wrong += [f"{path.stem}: {text}" for text in differences(card, scores)]
        if options.write:
            write(path, card, scores)
    if options.check and wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    console.escape()
    main()
