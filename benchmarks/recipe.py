"""Search for lesson 3's recipe: train variations of the class profile like the lesson, and score them on ground truth.

A recipe is chosen by its scores on 100 *validation* scenes. The lessons' 200 held-out pairs are scored only for the
profile itself, ``class``, and its variants in ``JUDGED``: at the last step, and at the kept steps that are best on the
validation scenes. Results are stored in benchmarks/results. An interrupted training resumes.

python benchmarks/recipe.py class --seeds 0 1 2   # the profile that the README reports
python benchmarks/recipe.py wide-field small-cycle
python benchmarks/recipe.py --write               # put the tables of stored runs into benchmarks/README.md
"""

import argparse
import dataclasses
import json
import re

import numpy as np
import tables
import tensorflow as tf

from labutils import cyclegan, measure, metrics, models, profile, published, speed, training, translate
from labutils.base import console

CLASS = profile.load("class")
PAPER_WEIGHTS = {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
PLAIN = {"loss_weights": PAPER_WEIGHTS, "discriminator_pace": 1.0}


def generator(**changes):
    return {"generator": {**CLASS.generator, **changes}}


def discriminator(**changes):
    return {"discriminator": {**CLASS.discriminator, **changes}}


def weights(adversarial, cycle, identity):
    return {"loss_weights": {"adversarial": adversarial, "cycle": cycle, "identity": identity}}


SEARCH = {  # the paper's pool, and what else differs from the class profile
    "pool of 50": {},
    "paper's weights": PLAIN,
    "paper's weights, double rate": {**PLAIN, "learning_rate": 4e-4},
    "paper's weights, field 46": {**PLAIN, **discriminator(strides=(2, 2, 2))},
    "paper's weights, field 46, pace 2": {"loss_weights": PAPER_WEIGHTS, **discriminator(strides=(2, 2, 2))},
    "weights 1 / 5 / 2.5": {"discriminator_pace": 1.0, **weights(2, 10, 5)},
    "weights 1 / 5 / 2": {"discriminator_pace": 1.0},
    "weights 1 / 5 / 2, field 46, 48 filters": {
        "discriminator_pace": 1.0,
        **discriminator(strides=(2, 2, 2), filters=48),
    },
    "weights 1 / 3 / 1": {"discriminator_pace": 1.0, **weights(1, 3, 1)},
    "weights 1 / 2 / 0.5, pace 2": weights(1, 2, 0.5),
    "no identity loss": weights(1, 5, 0),
    "pace 4, 3 × 3 convolutions": {"discriminator_pace": 4.0, **generator(kernel=3)},
    "field 22, 48 filters, 3 × 3 convolutions": {**discriminator(strides=(2, 2), filters=48), **generator(kernel=3)},
    "later decay": {"constant_steps": 2000},
    "4,000 steps": {"steps": 4000, "constant_steps": 2000, "kept_generators": 40},
}
RECIPES = {"class": {}, **{name: {"pool_size": 50, **changes} for name, changes in SEARCH.items()}}

JUDGED = ("class", "pool of 50", "4,000 steps")  # also scored on the held-out pairs
SCORES = ["A → B", "B → A", "background A → B", "background B → A"]


def settings(lab):
    """Return the settings of the profile ``lab`` that a training depends on, as stored in JSON."""
    kept = {key: value for key, value in dataclasses.asdict(lab).items() if key[:5] not in ("cost", "style")}
    return json.loads(json.dumps(kept))


def train(name, seed):
    """Train one recipe with one seed, unless a result is stored; store and return its scores."""
    key = f"recipe-{re.sub('[^a-z0-9]+', '-', name)}-{seed}"
    if result := tables.kept(key):
        return result
    lab = dataclasses.replace(CLASS, sample_every=CLASS.steps, **RECIPES[name])
    root = published.ensure(lab)
    tf.keras.utils.set_random_seed(seed)
    gan = cyclegan.CycleGAN(
        *models.networks(lab),
        loss_weights=cyclegan.LossWeights(**lab.loss_weights),
        pool_size=lab.pool_size,
    )
    run = training.Run(gan, root, lab, profile.home("runs", key), seed=seed)
    run.start()
    run.wait()
    result = {"recipe": name, "seed": seed, "profile": settings(lab), "machine": tables.machine()}
    if name in JUDGED:
        measure.choose(run.directory / "generators", published.validation(lab))
    for direction, network in (("ab", gan.generator_ab), ("ba", gan.generator_ba)):
        result[f"validation {direction}"] = metrics.report(network, published.validation(lab), direction)
        if name in JUDGED:
            result[f"held-out {direction}"] = metrics.report(network, root, direction)
            chosen = translate.load_generator(run.directory / "generators" / f"chosen-{direction}")
            result[f"chosen {direction}"] = {"step": chosen.card["steps"], **metrics.report(chosen, root, direction)}
    tables.keep(key, result)
    return result


def kept(recipe=None):
    """Return all stored results, or those of one recipe."""
    results = [tables.kept(path.stem) for path in sorted(tables.RESULTS.glob("recipe-*.json"))]
    return [result for result in results if recipe in (None, result["recipe"])]


def recipes():
    """Make the table of all recipes: validation scenes, last step."""
    rows = [[result["recipe"], str(result["seed"]), *scores([result], "validation")] for result in kept()]
    return tables.markdown(["recipe", "seed", *SCORES], rows)


def seeds():
    """Make the table of the profile's seeds: held-out pairs, last step and chosen steps."""
    rows = []
    for result in kept("class"):
        steps = [result[f"chosen {direction}"]["step"] for direction in ("ab", "ba")]
        rows.append([str(result["seed"]), "the last", *scores([result], "held-out")])
        rows.append([str(result["seed"]), "{}, back {}".format(*steps), *scores([result], "chosen")])
    for name in JUDGED:
        for step, place in (("the last", "held-out"), ("chosen", "chosen")):
            rows.append([f"mean, {name}", step, *scores(kept(name), place)])
    return tables.markdown(["seed", "step", *SCORES], rows)


def scores(results, place):
    """Return the cells of a row: mean gains and backgrounds of ``results``."""

    def mean(direction, key, form):
        known = [result[f"{place} {direction}"].get(key) for result in results]
        return "none" if None in known else format(np.mean(known), form)

    gains = [mean(direction, "gain", "+.2f") for direction in ("ab", "ba")]
    return gains + [mean(direction, "background_psnr", ".0f") for direction in ("ab", "ba")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="recipes: " + "; ".join(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--write", action="store_true", help="write the tables into benchmarks/README.md")
    options = parser.parse_args()
    if unknown := set(options.names) - set(RECIPES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    speed.share_cores()
    for name in options.names:
        for seed in options.seeds:
            result = train(name, seed)
            print(name, seed, {key: round(result[key]["gain"], 2) for key in result if key[-2:] in ("ab", "ba")})
    if options.write:
        tables.write("recipes", recipes())
        tables.write("seeds", seeds())


if __name__ == "__main__":
    console.escape()
    main()
