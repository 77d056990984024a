"""How many pictures does it take? Train with 25, 50, 100, 200 and 400 pictures of each domain, and measure.

Two datasets, each with its recipe of the class profile, and the same number of steps for every count:

- the orchard: the gain inside the fruit over the unchanged input, on the 200 held-out pairs;
- daisies and sunflowers: the share of translations of the 51 + 50 test photographs that a classifier takes for the
  other flower, and the KID to the real ones. The pictures come from all 463 + 452 training photographs of
  daisy2sunflower, because the close-ups alone are fewer than 400. Give ``--flowers``: TensorFlow's archive
  ``flower_photos.tgz``, or a folder with trainA, trainB, testA and testB. Without it, only the orchard is measured.

The classifier trains once, on all training photographs. The seed also chooses the pictures; those of a smaller count
are among those of a larger one. An interrupted run resumes; stored results are not repeated. There are thirty runs of
about two minutes on two idle cores.

python benchmarks/how_many.py --flowers ~/flower_photos.tgz   # both datasets, seeds 0, 1 and 2
python benchmarks/how_many.py --counts 25 400 --seeds 0       # a part, the orchard only
python benchmarks/how_many.py --write                         # table and curve of stored runs: benchmarks/README.md
"""

import argparse
import dataclasses
import functools
import io
import shutil
import sys

import numpy as np
import recipe
import tables
import tensorflow as tf
from PIL import Image

from labutils import cyclegan, measure, metrics, models, profile, published, speed, training
from labutils.base import console, files
from labutils.base.archives import ArchiveError
from labutils.base.paths import place
from labutils.datasets import folder, pipeline
from labutils.figures import plots
from labutils.published import flowers

COUNTS, SEEDS = (25, 50, 100, 200, 400), (0, 1, 2)
PICTURE = profile.home("docs", "images", "how_many.png")
DATA = {"orchard": "orchard", "flowers": "daisy2sunflower"}  # the dataset's name chooses the recipe
CURVES = {  # figure: {line: (data, how to read the value from a result)}
    "gain, dB": {
        "apples → oranges": ("orchard", lambda result: result["ab"]["gain"]),
        "oranges → apples": ("orchard", lambda result: result["ba"]["gain"]),
    },
    "taken for the other flower, %": {
        "daisies → sunflowers": ("flowers", lambda result: 100 * result["ab"]["accepted"]),
        "sunflowers → daisies": ("flowers", lambda result: 100 * result["ba"]["accepted"]),
    },
}
COLUMNS = [  # of the table: heading, data, how to read the value, how it is written
    ("gain A → B, dB", "orchard", lambda result: result["ab"]["gain"], "+.2f"),
    ("gain B → A, dB", "orchard", lambda result: result["ba"]["gain"], "+.2f"),
    ("daisies taken", "flowers", lambda result: result["ab"]["accepted"], ".0%"),
    ("sunflowers taken", "flowers", lambda result: result["ba"]["accepted"], ".0%"),
    ("KID A → B", "flowers", lambda result: result["ab"]["kid"], ".3f"),
    ("KID B → A", "flowers", lambda result: result["ba"]["kid"], ".3f"),
]


def all_flowers(source):
    """Copy all photographs of daisy2sunflower from ``source``, an archive or a folder, unless they are there."""
    target = profile.home("data", "daisy2sunflower-everything")
    if not target.is_dir():
        with files.aside(target) as new:
            flowers.pick(source, new, everything=True)
    return target


def part(root, count, seed):
    """Return a dataset with ``count`` of the training pictures of each domain of ``root``, and all its test pictures.

    The seed chooses the pictures. With one seed, those of a smaller count are among those of a larger one. Raises
    ``ValueError`` if ``root`` has fewer.
    """
    target = profile.home("data", f"{root.name}-{count}-of-seed-{seed}")
    if target.is_dir():
        return target
    with files.aside(target) as new:
        for name in folder.FOLDERS:
            (new / name).mkdir(parents=True)
            paths = folder.files(root, name)
            if name in training.TRAIN:
                if len(paths) < count:
                    raise ValueError(f"{root / name} has {len(paths)} pictures, fewer than {count}.")
                paths = [paths[i] for i in np.random.default_rng(seed).permutation(len(paths))[:count]]
            for path in paths:
                shutil.copyfile(path, new / name / path.name)
    return target


def judge_truth(gan, root, size):
    """Score both generators on the held-out pairs of a rendered dataset."""
    return {way: metrics.report(getattr(gan, f"generator_{way}"), root, way) for way in ("ab", "ba")}


def judge_flowers(gan, root, size):
    """Score both generators without a truth: the share that a classifier accepts, and KID, each also when unchanged."""
    classifier, accuracy = classifier_of(root, size)
    real = {domain: pipeline.pictures(root, f"test{domain.upper()}", size) / 2 + 0.5 for domain in "ab"}
    result = {"classifier_accuracy": accuracy}
    for way in ("ab", "ba"):
        scores, target = {}, measure.features_of(real[way[1]])
        for what, generator in (("", getattr(gan, f"generator_{way}")), ("unchanged_", measure.unchanged)):
            fake = metrics.translated(generator, real[way[0]])
            kid, error = measure.kid(measure.features_of(fake), target)
            accepted = classifier.accepts(fake, way[1])
            scores |= {f"{what}accepted": accepted, f"{what}kid": kid, f"{what}kid_error": error}
        result[way] = scores
    return result


@functools.cache
def classifier_of(root, size):
    """Train the classifier on all training pictures of ``root``; return it and its accuracy on the test pictures."""
    classifier = measure.DomainClassifier(size).fit(root)
    return classifier, classifier.accuracy(root)


JUDGES = {"orchard": judge_truth, "flowers": judge_flowers}


def key(data, count, seed):
    """Return the name of a run and of its result."""
    return f"how-many-{data}-{count}-{seed}"


def settings(data):
    """Return the class profile with the recipe of ``data``."""
    lab = profile.load("class", DATA[data])
    return dataclasses.replace(lab, sample_every=lab.steps)


def train(data, root, count, seed, lab):
    """Train with ``count`` pictures of each domain of ``root``, unless a result is stored; store and return it."""
    name = key(data, count, seed)
    if result := tables.kept(name):
        return result
    few = part(root, count, seed)
    tf.keras.utils.set_random_seed(seed)
    weights = cyclegan.LossWeights(**lab.loss_weights)
    gan = cyclegan.CycleGAN(*models.networks(lab), loss_weights=weights, pool_size=lab.pool_size)
    run = training.Run(gan, few, lab, profile.home("runs", name), seed=seed)
    run.start()
    run.wait()
    result = {"data": data, "count": count, "seed": seed, "profile": recipe.settings(lab), "machine": tables.machine()}
    tables.keep(name, result | JUDGES[data](gan, root, lab.size))
    return tables.kept(name)


def kept(data, count):
    """Return the stored results of all seeds."""
    return [result for seed in SEEDS if (result := tables.kept(key(data, count, seed)))]


def means(data, read):
    """Return the counts that have results, and the means of their values over the seeds: two lists."""
    counts = [count for count in COUNTS if kept(data, count)]
    return counts, [float(np.mean([read(result) for result in kept(data, count)])) for count in counts]


def figures():
    """Draw the curves of all data that have results, as a list of figures."""
    drawn = []
    for label, lines in CURVES.items():
        if series := {name: means(data, read) for name, (data, read) in lines.items() if any_result(data)}:
            alt = f"Curves: {label}, against the number of training pictures of each domain."
            figure = plots.curves(series, xlabel="training pictures of each domain", ylabel=label, alt=alt, size=(5, 3))
            axis = figure.axes[0]
            axis.set_xscale("log")
            axis.set_xticks(COUNTS, map(str, COUNTS))
            axis.set_xticks([], minor=True)
            axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
            for line in axis.lines:
                line.set_marker("o")
            drawn.append(figure)
    return drawn


def any_result(data):
    return any(kept(data, count) for count in COUNTS)


def draw():
    """Return the bytes of a PNG file with all figures side by side."""
    pictures = [Image.open(io.BytesIO(figure.png(dpi=100))).convert("RGB") for figure in figures()]
    page = Image.new("RGB", (sum(p.width for p in pictures), max(p.height for p in pictures)), "white")
    left = 0
    for picture in pictures:
        page.paste(picture, (left, 0))
        left += picture.width
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def alternative_text():
    """Say in words what the curves show."""
    told = []
    for label, lines in CURVES.items():
        quantity, unit = label.split(", ")
        for name, (data, read) in lines.items():
            if any_result(data):
                points = [f"{value:.1f} {unit} with {count}" for count, value in zip(*means(data, read), strict=True)]
                told.append(f"{name}, {quantity}: {', '.join(points)}")
    return f"Curves over the number of training pictures of each domain. {'. '.join(told)}."


def cell(data, count, read, form):
    """Return the mean over the seeds and, in brackets, the least and the greatest value."""
    values = [read(result) for result in kept(data, count)]
    if not values:
        return "not run"
    return f"{np.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table():
    """Make the table of the stored runs, the values of the unchanged input, and the curve's picture below."""
    rows = [[str(count), *(cell(data, count, *how) for _, data, *how in COLUMNS)] for count in COUNTS]
    flower = next((result for count in COUNTS for result in kept("flowers", count)), None)
    if flower:
        sides = [flower[way][f"unchanged_{what}"] for what in ("accepted", "kid") for way in ("ab", "ba")]
        written = [f"{value:{form}}" for value, (*_, form) in zip(sides, COLUMNS[2:], strict=True)]
        rows.append(["unchanged input", "0", "0", *written])
    text = tables.markdown(["pictures of each domain", *(heading for heading, *_ in COLUMNS)], rows)
    if flower:
        errors = [
            result[way]["kid_error"] for count in COUNTS for result in kept("flowers", count) for way in ("ab", "ba")
        ]
        accuracy = f"The classifier is right about {flower['classifier_accuracy']:.0%} of the real test photographs."
        text += f"\n\n{accuracy} The standard error of one KID is {max(errors):.3f} or less."
    if any(map(any_result, DATA)):
        text += f"\n\n![{alternative_text()}](../docs/images/{PICTURE.name})"
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flowers", metavar="PLACE", type=place, help="flower_photos.tgz, or a folder with trainA, …")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, choices=COUNTS, help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, choices=SEEDS, help="default: all")
    parser.add_argument("--write", action="store_true", help=f"only write the table and {PICTURE.name}")
    options = parser.parse_args()
    if options.write:
        if any(map(any_result, DATA)):
            files.write(PICTURE, draw())
        return tables.write("how many", table())
    roots = {"orchard": published.ensure(settings("orchard"))}
    try:
        if options.flowers:
            roots["flowers"] = all_flowers(options.flowers)
        else:
            print("The flowers are skipped: give --flowers, TensorFlow's flower_photos.tgz or a folder with trainA, …")
    except (ArchiveError, OSError) as error:
        sys.exit(str(error))
    speed.share_cores()
    for seed in options.seeds:
        for count in options.counts:
            for data, root in roots.items():
                result = train(data, root, count, seed, settings(data))
                shown = {way: result[way].get("gain", result[way].get("accepted")) for way in ("ab", "ba")}
                print(f"{data}, {count} pictures, seed {seed}: {shown}", flush=True)
    print(table())


if __name__ == "__main__":
    console.escape()
    main()
