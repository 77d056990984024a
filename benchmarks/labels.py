"""Train photographs ⇄ labels, and score photograph → labels as the paper does on Cityscapes.

You bring the data, because Cityscapes may not be passed on. Get it from https://www.cityscapes-dataset.com and run
``prepare_cityscapes_dataset.py`` of junyanz/pytorch-CycleGAN-and-pix2pix. Then trainA and testA hold the photographs
(``0_A.jpg``), trainB and testB the colours of their labels (``0_B.jpg``). Test pictures of the same name, without _A
and _B, are pairs. Training ignores pairs. For labels with other colours, put a file ``classes.json`` beside them:
``{"classes": {"fruit": [220, 20, 60], …}, "void": [[0, 0, 0]]}``.

A pixel belongs to the class whose colour is nearest. Pixels that are void in the truth are not scored. Elsewhere void
is a wrong answer. The pixels of all test pictures are counted together.

- Per-pixel accuracy: the share of right pixels.
- Per-class accuracy: the share of right pixels among those of a class in the truth; the mean over the classes.
- Class IoU: the right pixels of a class, divided by those that are of it in the truth, the translation or both; the
  mean over the classes.

Labels → photograph is not scored, because the paper needs a trained network for it.

python benchmarks/labels.py --data data/cityscapes --profile full   # a GPU: the paper's networks, 128 px, 200 epochs
python benchmarks/labels.py --data data/cityscapes                  # the class profile: 64 px, minutes on two cores
python benchmarks/labels.py --stand-in                              # rendered fruit with known labels, no data needed
python benchmarks/labels.py --write                                 # put the table into benchmarks/README.md
"""

import argparse
import dataclasses
import json
import re
import sys

import numpy as np
import tables
import tensorflow as tf
from PIL import Image

from labutils import cyclegan, metrics, models, profile, published, speed, training
from labutils.base import console, files
from labutils.base.paths import place
from labutils.base.words import listed, shown
from labutils.checkpoints import CheckpointError
from labutils.datasets import folder, pipeline
from labutils.pictures import to_uint8
from labutils.scenes import orchard, render
from labutils.train import __main__ as command

# Colours of cityscapesScripts' labels.py. "license plate" has the colour of cars, "polegroup" that of poles.
CITYSCAPES = {
    "classes": {
        "road": (128, 64, 128), "sidewalk": (244, 35, 232), "building": (70, 70, 70), "wall": (102, 102, 156),
        "fence": (190, 153, 153), "pole": (153, 153, 153), "traffic light": (250, 170, 30),
        "traffic sign": (220, 220, 0), "vegetation": (107, 142, 35), "terrain": (152, 251, 152),
        "sky": (70, 130, 180), "person": (220, 20, 60), "rider": (255, 0, 0), "car": (0, 0, 142),
        "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100), "motorcycle": (0, 0, 230),
        "bicycle": (119, 11, 32),
    },
    "void": [  # unlabeled, dynamic, ground, parking, rail track, guard rail, bridge, tunnel, caravan, trailer
        (0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100),
        (150, 120, 90), (0, 0, 90), (0, 0, 110),
    ],
}  # fmt: skip
FRUIT = {
    "classes": {"background": (70, 130, 180), "apple": (220, 20, 60), "orange": (250, 170, 30)},
    "void": [(0, 0, 0)],  # half covered pixels, at outlines and in contact shadows
}
NEAR, ENOUGH = 12, 0.5  # at least half of a label picture is this near (levels of 255) to known colours
SCORES = ("per-pixel accuracy", "per-class accuracy", "class IoU")
PAPER = {  # Zhu et al. 2017, table 3: photo → labels, Cityscapes, 128 px
    "CoGAN": (0.45, 0.11, 0.08),
    "BiGAN/ALI": (0.41, 0.13, 0.07),
    "SimGAN": (0.47, 0.11, 0.07),
    "CycleGAN": (0.58, 0.22, 0.16),
    "pix2pix (trained on pairs)": (0.85, 0.40, 0.32),
}


class Palette:
    """The colours of classes and of void, from ``{"classes": {name: colour}, "void": [colour, …]}``.

    Raises ``ValueError`` for another form, fewer than two classes, or a colour that is given twice.
    """

    def __init__(self, spec):
        try:
            self.names = tuple(spec["classes"])
            colours = [*spec["classes"].values(), *spec.get("void", [])]
            self.colours = np.array(colours, int).reshape(len(colours), 3)
        except (TypeError, KeyError, ValueError, AttributeError):
            form = '{"classes": {"fruit": [220, 20, 60], "table": [70, 130, 180]}, "void": [[0, 0, 0]]}'
            raise ValueError(f"The classes should be given in this form, colours from 0 to 255: {form}") from None
        if len(self.names) < 2 or len(np.unique(self.colours, axis=0)) < len(colours):
            raise ValueError("The classes need at least two names, and each a colour of its own.")
        if self.colours.min() < 0 or self.colours.max() > 255:
            raise ValueError(f"Colours have values from 0 to 255, not {self.colours.min()} or {self.colours.max()}.")

    def distances(self, picture):
        """Return the squared distance of each pixel of ``picture`` (h, w, 3) to each colour: (h, w, colours)."""
        picture = np.asarray(picture, np.int32)
        return np.stack([((picture - colour) ** 2).sum(axis=-1) for colour in self.colours.astype(np.int32)], axis=-1)

    def classify(self, picture):
        """Return the number of the class with the nearest colour, -1 for void: (h, w)."""
        nearest = self.distances(picture).argmin(axis=-1)
        return np.where(nearest < len(self.names), nearest, -1)

    def known(self, picture):
        """Return the share of pixels with a colour nearer than ``NEAR`` to one of the palette."""
        return float((self.distances(picture).min(axis=-1) <= NEAR**2).mean())


def confusion(truth, found, classes):
    """Count pixels by true and found class: (classes, classes + 1); the last column counts those found void.

    ``truth`` and ``found`` are numbers of classes, of one shape. Pixels that are void (-1) in ``truth`` are left out.
    """
    truth, found = (np.asarray(numbers).ravel() for numbers in (truth, found))
    scored = truth >= 0
    column = found[scored] % (classes + 1)  # -1 becomes the last one
    counts = np.bincount(truth[scored] * (classes + 1) + column, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1)


def scores(counts):
    """Compute the three ``SCORES`` from a ``confusion`` matrix, as the paper's evaluation code does.

    A class that no test picture shows is left out of the means. (That code counts it as 0; in Cityscapes' 500 test
    pictures all 19 classes occur.) Raises ``ValueError`` if there is no pixel to score.
    """
    right, true, found = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)[:-1]
    if not true.any():
        raise ValueError("No pixel of the test labels belongs to a class: all are void.")
    there = true > 0
    right, true, found = right[there], true[there], found[there]
    values = right.sum() / true.sum(), np.mean(right / true), np.mean(right / (true + found - right))
    return dict(zip(SCORES, map(float, values), strict=True))


def sampled(numbers, size):
    """Take the class at the centre of each of (size, size) cells of the central square of ``numbers`` (h, w)."""
    side = min(numbers.shape)
    top, left = ((length - side) // 2 for length in numbers.shape)
    at = ((np.arange(size) + 0.5) * side / size).astype(int)
    return numbers[np.ix_(top + at, left + at)]  # interpolated colours would belong to other classes


def pairs(root, labels):
    """Return the test pictures as pairs of paths (photograph, labels), in the order of the photographs' names.

    ``labels``: the domain of the labels, "A" or "B". Raises ``ValueError`` if a picture has no partner, or two.
    """

    def by_name(domain):
        found = folder.files(root, f"test{domain}")
        named = {re.sub(f"_{domain}$", "", path.stem): path for path in found}
        if twice := [path.name for path in found if path not in named.values()]:
            raise ValueError(
                f"{shown(root / f'test{domain}')} has two pictures for one name: {listed(twice, 3)}. Keep one."
            )
        return named

    photographs, answers = by_name("AB".replace(labels, "")), by_name(labels)
    if alone := sorted(photographs.keys() ^ answers.keys()):
        path = photographs.get(alone[0]) or answers[alone[0]]
        raise ValueError(
            f"{len(alone)} test pictures in {shown(root)} have no partner, {path.parent.name}/{shown(path.name)} "
            "first. A photograph and its labels need the same name, without _A and _B: 7_A.jpg in testA and 7_B.jpg in "
            "testB, for example. Rename them, or delete those without a partner."
        )
    return [(photographs[name], answers[name]) for name in photographs]


def palette(root):
    """Return the palette of the dataset in ``root``: its ``classes.json``, if there is one, else that of Cityscapes."""
    path = root / "classes.json"
    if not path.is_file():
        return Palette(CITYSCAPES)
    try:
        return Palette(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from None


def refuse_unknown(root, labels, colours, limit=20):
    """Raise ``ValueError`` if one of the first label pictures does not consist of the palette's ``colours``."""
    for path in [path for part in ("train", "test") for path in folder.files(root, f"{part}{labels}")[:limit]]:
        if (share := colours.known(folder.read_image(path))) < ENOUGH:
            raise ValueError(
                f"Only {share:.0%} of the pixels of {shown(path)} have the colour of a class "
                f"({', '.join(colours.names[:4])}, …). If the labels are in the other two folders, add --labels "
                f"{'AB'.replace(labels, '')}. If they have other colours, write {shown(root / 'classes.json')}: "
                f"{json.dumps(FRUIT)}"
            )


def truths(root, labels, colours, size):
    """Return the true classes of the test pictures: (n, size, size)."""
    return np.stack([sampled(colours.classify(folder.read_image(path)), size) for _, path in pairs(root, labels)])


def score(generator, root, labels, size):
    """Score a generator of photograph → labels on the test pictures of ``root``; returns the ``SCORES`` in a dict."""
    colours = palette(root)
    photographs = pipeline.pictures(root, pairs(root, labels)[0][0].parent.name, size) / 2 + 0.5
    fakes = to_uint8(metrics.translated(generator, photographs), 0, 1)
    found = np.stack([colours.classify(fake) for fake in fakes])
    return scores(confusion(truths(root, labels, colours, size), found, len(colours.names)))


def constant(root, labels, size):
    """Score the baseline that gives every pixel the most frequent class of the test pictures."""
    colours = palette(root)
    truth = truths(root, labels, colours, size)
    common = np.bincount(truth[truth >= 0], minlength=1).argmax()
    return scores(confusion(truth, np.full_like(truth, common), len(colours.names)))


def stand_in(root, train=400, test=100, size=64, seed=0):
    """Render a labels dataset with the orchard's scenes into ``root``, unless it is there; return ``root``.

    Every second scene shows apples, the others oranges. The labels are the masks in the colours of ``FRUIT``.
    """
    root = place(root)
    if (root / "classes.json").is_file():
        return root
    with files.aside(root) as new:
        for name, scene in render.scenes(train, test, seed).items():
            part, number = name.split("/")[0], int(name.split("/")[1].split(".")[0])
            (new / part).mkdir(parents=True, exist_ok=True)
            pair, domain = orchard.render_pair(scene, size), part[-1]
            picture = (pair.a, pair.b)[number % 2] if domain == "A" else coloured(pair.mask, number % 2)
            Image.fromarray(to_uint8(picture, 0, 1)).save(new / part / f"{number:04}_{domain}.png")
        (new / "classes.json").write_text(json.dumps(FRUIT, indent=1))
    return root


def coloured(mask, orange):
    """Return the label picture of a scene with apples or, if ``orange``, oranges: (h, w, 3) in [0, 1]."""
    colours = np.array([*FRUIT["classes"].values(), *FRUIT["void"]]) / 255
    return colours[np.select([mask > 0.5, mask == 0], [2 if orange else 1, 0], 3)]


def settings(name, data, size=None, steps=None):
    """Return the profile ``name`` for the dataset ``data``: the recipe for photographs without identity loss.

    The paper uses that loss only for paintings. "full" becomes its recipe for Cityscapes: 128 px, ResNet-6, 200 epochs.
    """
    lab = profile.load(name, str(data))
    lab = dataclasses.replace(lab, loss_weights={**lab.loss_weights, "identity": 0.0}, size=size or lab.size)
    if lab.name == "full":
        epoch = max(len(folder.files(data, part)) for part in training.TRAIN)
        lab = dataclasses.replace(
            lab, size=size or 128, generator={**lab.generator, "blocks": 6}, checkpoint_every=epoch
        )
        steps = steps or 200 * epoch
    steps = steps or lab.steps
    return dataclasses.replace(lab, steps=steps, constant_steps=steps // 2)


def measure(root, labels, lab, seed, directory=None):
    """Train on ``root`` and score; store and return the result, or None if the training was stopped before its end."""
    key = f"labels-{re.sub('[^a-z0-9]+', '-', root.name.lower())}-{lab.name}-{lab.size}-{lab.steps}-{seed}"
    if result := tables.kept(key):
        return result
    pairs(root, labels)  # raise now, not after hours of training
    refuse_unknown(root, labels, palette(root))
    tf.keras.utils.set_random_seed(seed)
    weights = cyclegan.LossWeights(**lab.loss_weights)
    gan = cyclegan.CycleGAN(*models.networks(lab), loss_weights=weights, pool_size=lab.pool_size)
    run = training.Run(gan, root, lab, directory or profile.home("runs", key), seed=seed)
    command.train(run)
    if run.step < run.target:
        return None
    network = gan.generator_ab if labels == "B" else gan.generator_ba
    result = {"data": root.name, "profile": lab.name, "size": lab.size, "steps": run.step, "seed": seed}
    result |= {"scores": score(network, root, labels, lab.size), "constant": constant(root, labels, lab.size)}
    tables.keep(key, result | {"machine": tables.machine()})
    return result


def kept():
    """Return all stored results."""
    return [tables.kept(path.stem) for path in sorted(tables.RESULTS.glob("labels-*.json"))]


def table(results):
    """Make the table of ``results``, with the paper's values below."""
    rows = []
    for result in results:
        how = f"{result['data']}, profile {result['profile']}, {result['steps']:,} steps, seed {result['seed']}"
        rows.append([how, f"{result['size']} px", *two_places(result["scores"])])
        rows.append([f"{result['data']}: the most frequent class everywhere", "", *two_places(result["constant"])])
    rows = list(dict.fromkeys(map(tuple, rows)))  # a baseline once
    rows += [(f"the paper: {name}, Cityscapes", "128 px", *two_places(values)) for name, values in PAPER.items()]
    return tables.markdown(["photograph → labels", "size", *SCORES], rows)


def two_places(values):
    values = values.values() if isinstance(values, dict) else values
    return [f"{value:.2f}" for value in values]


def parser():
    main = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = main.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", metavar="FOLDER", type=place, help="a folder with trainA, trainB, testA and testB")
    what.add_argument("--stand-in", action="store_true", help="render data with known labels and use them")
    what.add_argument("--write", action="store_true", help="only write the table into benchmarks/README.md")
    main.add_argument("--labels", choices="AB", default="B", help="the domain of the labels (default: %(default)s)")
    main.add_argument("--profile", choices=profile.PROFILES, default="class", help="default: %(default)s")
    main.add_argument("--size", type=int, help="pixels a side (default: the profile's; full: 128)")
    main.add_argument("--steps", type=int, help="default: the profile's; full: 200 epochs")
    main.add_argument("--seed", type=int, default=0, help="of weights and order (default: %(default)s)")
    main.add_argument("--run", metavar="FOLDER", type=place, help="the run's folder (default: a new one in runs)")
    return main


def main(argv=None):
    """Run the command; return the exit code: 0 done, 3 stopped (the same command resumes), 1 failed (2: argparse)."""
    options = parser().parse_args(argv)
    if options.write:
        tables.write("labels", table(kept()))
        return command.DONE
    try:
        speed.share_cores()
        root = stand_in(profile.home("data", "fruit2labels")) if options.stand_in else options.data
        for part in folder.FOLDERS:
            folder.files(root, part)
        lab = settings(options.profile, root, options.size, options.steps)
        result = measure(root, options.labels, lab, options.seed, options.run)
    except (ValueError, RuntimeError, ArithmeticError, OSError, CheckpointError, published.DownloadError) as error:
        print(error, file=sys.stderr)
        return command.FAILED
    except KeyboardInterrupt:
        result = None
    if result is None:
        print("Stopped. The same command resumes.", file=sys.stderr)
        return command.STOPPED
    print(table([result]))
    return command.DONE


if __name__ == "__main__":
    console.escape()
    sys.exit(main())
