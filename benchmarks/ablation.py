"""Repeat the paper's ablation on the orchard, which has a truth: which losses does a CycleGAN need?

Five variants are trained with three seeds each: the full loss, each of its two parts alone, and the adversarial loss
with the cycle loss of one direction only. "Forward" is the round trip apples → oranges → apples, "backward" the other.
Data, networks, pool, pace and weights are the class profile's, with two exceptions:

- The generators have no attention mask. Where a mask is closed, the unchanged input shows. So it hides what generators
  do without a loss. Lesson 3 makes its mistakes without the mask for the same reason.
- There is no identity loss. The paper uses one only for paintings → photographs, so its ablation has none.

Each run is scored on the 200 held-out pairs at its last step. An interrupted run resumes; stored results are not
repeated. Fifteen runs of 1,500 steps take about half an hour on two idle cores.

python benchmarks/ablation.py                             # all variants, seeds 0, 1 and 2
python benchmarks/ablation.py "GAN alone" --seeds 0       # a part
python benchmarks/ablation.py --write                     # put the table of stored runs into benchmarks/README.md
"""

import argparse
import dataclasses
import re
from unittest import mock

import numpy as np
import recipe
import tables
import tensorflow as tf

from labutils import cyclegan, losses, metrics, models, profile, published, speed, training
from labutils.base import console

STEPS, SEEDS = 1500, (0, 1, 2)
VARIANTS = {  # the loss weights that differ from the profile's, and the one direction of the cycle loss, if any
    "cycle alone": ({"adversarial": 0.0}, None),
    "GAN alone": ({"cycle": 0.0}, None),
    "GAN + forward cycle": ({}, "forward"),
    "GAN + backward cycle": ({}, "backward"),
    "all (CycleGAN)": ({}, None),
}
# Zhu et al. 2017, tables 4 and 5: per-pixel accuracy / per-class accuracy / class IoU. Words are from its text.
PAPER = {  # labels → photo (its forward direction), photo → labels
    "cycle alone": (".22 / .07 / .02", "fails"),
    "GAN alone": (".51 / .11 / .08", ".53 / .11 / .07"),
    "GAN + forward cycle": (".55 / .18 / .12", "collapses"),
    "GAN + backward cycle": ("fails", ".01 / .06 / .01"),
    "all (CycleGAN)": (".52 / .17 / .11", ".58 / .22 / .16"),
}
MEASURES = [  # of the table: heading, direction, key of ``metrics.report``, how the number is written
    ("gain A → B", "ab", "gain", "+.2f"),
    ("gain B → A", "ba", "gain", "+.2f"),
    ("background A → B", "ab", "background_psnr", ".1f"),
    ("background B → A", "ba", "background_psnr", ".1f"),
]


class OneCycle(cyclegan.CycleGAN):
    """A CycleGAN that trains with one direction of the cycle loss.

    ``direction``: "forward" keeps ``cycle_a`` (A → B → A), "backward" keeps ``cycle_b`` (B → A → B). The other one is
    still computed and logged, but has no gradient. Otherwise like ``CycleGAN``.
    """

    def __init__(self, direction, *networks, **settings):
        super().__init__(*networks, **settings)
        self.direction = direction

    def train_step(self, data):
        real_a, real_b = data
        dropped, cycle = {"forward": real_b, "backward": real_a}[self.direction], losses.cycle

        def one_way(real, cycled):
            return tf.stop_gradient(cycle(real, cycled)) if real is dropped else cycle(real, cycled)

        with mock.patch.object(losses, "cycle", one_way):  # while TensorFlow traces the step
            return super().train_step(data)


def settings(name, steps):
    """Return the profile of a variant, trained for ``steps`` steps."""
    changes, _ = VARIANTS[name]
    lab = recipe.CLASS
    return dataclasses.replace(
        lab,
        generator={**lab.generator, "attention": False},
        loss_weights={**lab.loss_weights, "identity": 0.0, **changes},
        steps=steps,
        constant_steps=steps // 2,
        sample_every=steps,
    )


def build(name, lab):
    """Build the networks of a variant, as one uncompiled ``CycleGAN``."""
    networks, direction = models.networks(lab), VARIANTS[name][1]
    options = {"loss_weights": cyclegan.LossWeights(**lab.loss_weights), "pool_size": lab.pool_size}
    return OneCycle(direction, *networks, **options) if direction else cyclegan.CycleGAN(*networks, **options)


def key(name, steps, seed):
    """Return the name of a run and of its result."""
    return f"ablation-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}-{steps}-{seed}"


def train(name, steps, seed):
    """Train one variant with one seed, unless a result is stored; store and return its scores."""
    if result := tables.kept(key(name, steps, seed)):
        return result
    lab = settings(name, steps)
    root = published.ensure(lab)
    tf.keras.utils.set_random_seed(seed)
    run = training.Run(build(name, lab), root, lab, profile.home("runs", key(name, steps, seed)), seed=seed)
    run.start()
    run.wait()
    result = {"variant": name, "seed": seed, "profile": recipe.settings(lab), "machine": tables.machine()}
    for direction, network in (("ab", run.gan.generator_ab), ("ba", run.gan.generator_ba)):
        result[direction] = metrics.report(network, root, direction)
    tables.keep(key(name, steps, seed), result)
    return result


def cell(results, direction, measure, form):
    """Return the mean over the seeds and, in brackets, the least and the greatest value."""
    values = [result[direction][measure] for result in results]
    if not values:
        return "not run yet"
    return f"{np.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(steps=STEPS, seeds=SEEDS):
    """Make the table of the stored runs of ``steps`` steps with ``seeds``, and the paper's values beside them."""
    rows = []
    for name in VARIANTS:
        results = [result for seed in seeds if (result := tables.kept(key(name, steps, seed)))]
        rows.append([name, *(cell(results, *measure) for _, *measure in MEASURES), *PAPER[name]])
    heading = ["loss", *(heading for heading, *_ in MEASURES), "paper: labels → photo", "paper: photo → labels"]
    return tables.markdown(heading, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="VARIANT", help=f"{'; '.join(VARIANTS)} (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: 0 1 2")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps of a run (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="only write the table into benchmarks/README.md")
    options = parser.parse_args()
    if unknown := set(options.names) - set(VARIANTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}. There are: {', '.join(VARIANTS)}")
    if options.steps < 1:
        parser.error(f"--steps must be 1 or more, not {options.steps}")
    if options.write:
        return tables.write("ablation", table(options.steps, options.seeds))
    speed.share_cores()
    for seed in options.seeds:
        for name in options.names or VARIANTS:
            result = train(name, options.steps, seed)
            gains = {direction: round(result[direction]["gain"], 2) for direction in ("ab", "ba")}
            print(f"{name}, seed {seed}: gain {gains}", flush=True)
    print(table(options.steps, options.seeds))


if __name__ == "__main__":
    console.escape()
    main()
