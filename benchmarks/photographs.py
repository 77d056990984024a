"""Search for the recipe ``photographs``: train on two folders of real photographs, and judge without truth.

Each recipe differs from the first one, ``start``, in what ``SEARCH`` lists. The judges of the held-out translations:

* *taken*: the share that a ``measure.DomainClassifier`` takes for the other domain. It is trained on all real
  pictures of ``--judge``, and its accuracy on the held-out ones is stored beside the result.
* *in grey*: the same for a second classifier that sees brightness only. Colour alone cannot win it.
* *KID*: the distance of the translations to the held-out pictures of the other domain, with its standard error.
* *rim*, *centre*: the mean change in grey levels (of 255) outside the circle that fits into the picture, and inside a
  circle of half that radius. The flower is in the centre of a close-up, so the rim stands for the background.

Of the recipe ``photographs``, a step is chosen without truth: the kept step with the least KID of translated
*training* pictures. No test picture takes part in that choice. Its last step is judged as well.

``unchanged`` (the input itself) and ``colour matching`` (``measure.colour_matching``) are judged like recipes. Results
are stored in benchmarks/results; pictures and networks stay in the runs' folders. An interrupted training resumes.

python benchmarks/photographs.py unchanged "colour matching" start --data daisy2sunflower
python benchmarks/photographs.py photographs --data daisy2sunflower --seeds 0 1 2
python benchmarks/photographs.py photographs --time --data daisy2sunflower   # seconds of a step
python benchmarks/photographs.py --write               # put the tables of stored results into benchmarks/README.md
"""

import argparse
import dataclasses
import functools
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import tables
import tensorflow as tf
from PIL import Image

from labutils import cyclegan, measure, metrics, models, profile, speed, training, translate
from labutils.base import console
from labutils.datasets import folder, pipeline

CLASS = profile.load("class")
UNET = {"kind": "unet_generator", "filters": 16}
START = {  # the paper's weights and pace, and the class profile's small networks without the mask
    "generator": UNET,
    "discriminator": {"kind": "patch_discriminator", "filters": 32, "strides": (2, 2, 1)},
    "loss_weights": {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0},
    "discriminator_pace": 1.0,
    "pool_size": 400,
    "steps": 3000,
    "constant_steps": 1500,
}


def discriminator(**changes):
    return {"discriminator": {**START["discriminator"], **changes}}


def weights(adversarial, cycle, identity):
    return {"loss_weights": {"adversarial": adversarial, "cycle": cycle, "identity": identity}}


CHOSEN = "photographs"
SEARCH = {
    "start": {},
    "batch 2": {"batch_size": 2, "steps": 2000, "constant_steps": 1000},
    "batch 4": {"batch_size": 4, "steps": 1500, "constant_steps": 750},
    "pool of 50": {"pool_size": 50},
    "field 46": discriminator(strides=(2, 2, 2)),
    "weights 1 / 5 / 2": weights(1, 5, 2),
    "reflecting borders": {"generator": {**UNET, "padding": "reflect"}},
    "ResNet-4-16": {"generator": {"kind": "resnet_generator", "filters": 16, "blocks": 4, "upsampling": "nearest"}},
    "transposed convolutions": {"generator": {**UNET, "upsampling": "transpose"}},
    "96 px": {"size": 96},
    "96 px, field 46": {"size": 96, **discriminator(strides=(2, 2, 2))},
}
SEARCH[CHOSEN] = {**weights(1, 5, 2), **profile.PHOTOGRAPHS["class"]}
BASELINES = ("unchanged", "colour matching")
SETTINGS = ("generator", "discriminator", "loss_weights", "discriminator_pace", "learning_rate", "pool_size")
SETTINGS += ("size", "batch_size", "steps", "constant_steps")
SCORES = ("taken", "in grey", "KID", "rim", "centre")


def recipe(name):
    """Return the profile of a recipe; that of ``start`` for a baseline."""
    lab = dataclasses.replace(CLASS, **{**START, **SEARCH.get(name, {})})
    return dataclasses.replace(lab, name=name, sample_every=lab.steps, checkpoint_every=500, kept_generators=10)


def stored(name, seed, data):
    return "photographs-" + re.sub("[^a-z0-9]+", "-", f"{data.name} {name}".lower()) + f"-{seed}"


def train(name, seed, data, judge):
    """Train one recipe with one seed, unless a result is stored; store and return its scores."""
    key = stored(name, seed, data)
    if result := tables.kept(key):
        return result
    lab = recipe(name)
    result = {"recipe": name, "seed": seed, "data": data.name, "machine": tables.machine()}
    result["pictures"] = {part: len(folder.files(data, part)) for part in folder.FOLDERS}
    place = profile.home("runs", key)
    if name in BASELINES:
        made = {
            "unchanged": lambda _: measure.unchanged,
            "colour matching": lambda way: measure.colour_matching(data, way),
        }
        generators = {direction: made[name](direction) for direction in ("ab", "ba")}
    else:
        result["profile"] = json.loads(json.dumps({key: getattr(lab, key) for key in SETTINGS}))
        tf.keras.utils.set_random_seed(seed)
        loss_weights = cyclegan.LossWeights(**lab.loss_weights)
        gan = cyclegan.CycleGAN(*models.networks(lab), loss_weights=loss_weights, pool_size=lab.pool_size)
        run = training.Run(gan, data, lab, place, seed=seed)
        run.start()
        run.wait()
        generators = {"ab": gan.generator_ab, "ba": gan.generator_ba}
    for direction, generator in generators.items():
        result[direction] = judged(generator, direction, lab.size, judge, place / f"sheet-{direction}.png")
        if name == CHOSEN:
            found = measure.distances(place / "generators", data, direction)
            step = min(found, key=found.get)
            network = translate.load_generator(place / "generators" / f"step-{step:08}-{direction}")
            scores = judged(network, direction, lab.size, judge, place / f"sheet-chosen-{direction}.png")
            result[f"chosen {direction}"] = {"step": step, "KID of training pictures": found, **scores}
    tables.keep(key, result)
    return result


def judged(generator, direction, size, judge, path):
    """Return the scores of ``generator`` on the test pictures of ``judge``; write a sheet of them to ``path``."""
    source, target = direction.upper()
    real, others = (pipeline.pictures(judge, f"test{domain}", size) / 2 + 0.5 for domain in (source, target))
    fake = metrics.translated(generator, real)
    sheet(real, fake, path)
    colour, grey = classifiers(judge, size)
    away = np.hypot(*np.meshgrid(*[np.arange(size) - (size - 1) / 2] * 2)) / (size / 2)
    change = 255 * np.abs(fake - real).mean(axis=(0, 3))
    kid, error = measure.kid(measure.features_of(fake), measure.features_of(others))
    return {
        "taken": colour.accepts(fake, direction[1]),
        "in grey": grey.accepts(in_grey(fake), direction[1]),
        "KID": [kid, error],
        "rim": float(change[away > 1].mean()),
        "centre": float(change[away < 0.5].mean()),
        "pictures": len(real),
        "accuracy": [colour.accuracy(judge), grey.right],
    }


@functools.cache
def classifiers(judge, size):
    """Train both classifiers on the pictures of ``judge``; ``grey.right`` is the accuracy of the second one."""
    colour, grey = measure.DomainClassifier(size).fit(judge), measure.DomainClassifier(size)
    with tempfile.TemporaryDirectory() as place:
        for part in folder.FOLDERS:
            (Path(place) / part).mkdir()
            for path in folder.files(judge, part):
                Image.open(path).convert("L").convert("RGB").save(Path(place) / part / f"{path.stem}.png")
        grey.fit(place)
        grey.right = grey.accuracy(place)
    return colour, grey


def in_grey(pictures):
    """Replace each pixel by its brightness, as Pillow's ``convert("L")`` does."""
    return np.repeat(pictures @ np.float32([[0.299], [0.587], [0.114]]), 3, axis=-1)


def sheet(real, fake, path, columns=10, count=20):
    """Write ``count`` pictures, spread over the whole test set, as rows of real ones above their translations."""
    at = np.linspace(0, len(real) - 1, count).round().astype(int)
    rows = [part[at[first : first + columns]] for first in range(0, count, columns) for part in (real, fake)]
    page = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray((page * 255 + 0.5).astype(np.uint8))
    image.resize((1600, page.shape[0] * 1600 // page.shape[1])).save(path)


def steps(names, data, rounds=7, count=20):
    """Store the seconds of a step of each recipe and of the class profile, in turns on the same pictures."""
    labs = {"class": CLASS, **{name: recipe(name) for name in names}}
    parts = {}
    for name, lab in labs.items():
        gan = cyclegan.CycleGAN(*models.networks(lab), pool_size=lab.pool_size)
        gan.compile()
        parts[name] = gan, pipeline.unpaired(data, lab.size, lab.batch_size)
        gan.fit(parts[name][1], steps_per_epoch=5, verbose=0)  # trace
    seconds = {name: [] for name in labs}
    for _ in range(rounds):
        for name, (gan, pictures) in parts.items():
            began = time.perf_counter()
            gan.fit(pictures, steps_per_epoch=count, verbose=0)
            seconds[name].append((time.perf_counter() - began) / count)
    for name in names:
        ratios = np.array(seconds[name]) / seconds["class"]
        result = {"recipe": name, "steps": labs[name].steps, "class": float(np.median(seconds["class"]))}
        result |= {"seconds": float(np.median(seconds[name])), "ratio": float(np.median(ratios))}
        result |= {"least": ratios.min(), "most": ratios.max(), "machine": tables.machine()}
        tables.keep("photographs-step-" + re.sub("[^a-z0-9]+", "-", name.lower()), result)
        print(result)


def kept(kind):
    results = [tables.kept(path.stem) for path in sorted(tables.RESULTS.glob("photographs-*.json"))]
    return [result for result in results if kind in result]


def recipes():
    """Make the table of all trainings."""
    order = [*BASELINES, *SEARCH]
    rows = []
    for result in sorted(kept("data"), key=lambda result: (result["data"], order.index(result["recipe"]))):
        name = result["recipe"]
        row = [result["data"], name, "–" if name in BASELINES else str(result["seed"])]
        rows.append([*row, "–" if name in BASELINES else "the last", *cells(result, "")])
        if "chosen ab" in result:
            steps = "{}, back {}".format(*(result[f"chosen {way}"]["step"] for way in ("ab", "ba")))
            rows.append([*row, steps, *cells(result, "chosen ")])
    header = ["pictures", "recipe", "seed", "step", "taken", "taken in grey", "KID × 1000", "rim", "centre"]
    return tables.markdown(header, rows)


def cells(result, place):
    return [" / ".join(shown(score, result[f"{place}{way}"][score]) for way in ("ab", "ba")) for score in SCORES]


def shown(score, value):
    if score == "KID":
        return "{:.0f} ± {:.0f}".format(*(1000 * part for part in value))
    return f"{value:.0%}" if score in ("taken", "in grey") else f"{value:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="recipes: " + "; ".join([*BASELINES, *SEARCH]))
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the dataset to train on, with the four folders")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="the dataset to judge with, by default the same")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--time", action="store_true", help="measure the seconds of a step instead")
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    if unknown := set(options.names) - {*BASELINES, *SEARCH}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.names and not options.data:
        parser.error("--data FOLDER is missing: the photographs to train on")
    speed.share_cores()
    if options.time:
        steps(options.names, options.data)
        return
    for name in options.names:
        for seed in options.seeds if name not in BASELINES else [0]:
            result = train(name, seed, options.data, options.judge or options.data)
            for way in [key for key in result if key[-2:] in ("ab", "ba")]:
                scores = {score: np.round(result[way][score], 3).tolist() for score in SCORES}
                print(name, seed, way, result[way].get("step", ""), scores, flush=True)
    if options.write:
        tables.write("photographs", recipes())


if __name__ == "__main__":
    console.escape()
    main()
