"""Measure seconds of training until a translation is good: the tutorials' combined model and recipe, and the course.

Good means: apples to oranges at 64 px with a fruit PSNR at least 2 dB above the unchanged input, in two consecutive
evaluations. The clock runs from before the networks are built until the second of the two, without evaluations.
Each side has three seeds. A run that does not get there counts with the cap, so that the ratio is a lower bound.

python benchmarks/time_to_quality.py                            # up to 2 hours: 3 seeds, both sides
python benchmarks/time_to_quality.py --side textbook --seeds 1  # a part; stored results are not repeated
python benchmarks/time_to_quality.py --write                    # put the table of stored runs into benchmarks/README.md
"""

import argparse
import time

import numpy as np
import tables
import tensorflow as tf
import textbook

from labutils import cyclegan, layers, metrics, models, profile, published, speed, training
from labutils.base import console
from labutils.datasets import pipeline
from labutils.extras.presets import PRESETS

GAIN, IN_A_ROW, EVERY = 2.0, 2, 50  # dB, evaluations, steps between them


class Watch:
    """A clock that stops during evaluations and ends the training."""

    def __init__(self, root, cap):
        self.root, self.cap = root, cap
        metrics.report(lambda picture, training: picture, root, "ab")  # renders the ground truth and caches it
        self.began, self.away, self.points = time.perf_counter(), 0.0, []

    @property
    def seconds(self):
        return time.perf_counter() - self.began - self.away

    @property
    def reached(self):
        """The second at which the quality was reached; None before."""
        last = self.points[-IN_A_ROW:]
        return last[-1][1] if len(last) == IN_A_ROW and all(gain >= GAIN for _, _, gain in last) else None

    def done(self, step, generator):
        """Evaluate every ``EVERY`` steps; True when the quality or the cap is reached."""
        if step % EVERY == 0:
            seconds = self.seconds
            self.points.append((step, seconds, metrics.report(generator, self.root, "ab")["gain"]))
            self.away += self.seconds - seconds
        return self.reached is not None or self.seconds > self.cap


def build(specs, size):
    return [models.build({**spec, "image_size": size}) for spec in specs]


def textbook_run(lab, root, seed, cap):
    """Train the plain U-Net of 32 filters: its own discriminators and weights, constant rate, no pool, no attention."""
    preset = PRESETS["object-oriented"]
    watch = Watch(root, cap)
    networks = build([preset["generator"]] * 2 + [preset["discriminator"]] * 2, lab.size)
    loop = textbook.CombinedModel(networks, tuple(preset["loss_weights"].values()))
    for step, pictures in enumerate(pipeline.unpaired(root, lab.size, seed=seed).as_numpy_iterator(), start=1):
        loop.train_step(*pictures)
        if watch.done(step, networks[0]):
            return watch


def course_run(lab, root, seed, cap):
    """Train as lesson 3 does, with the profile's networks, pool, weights and rates."""
    watch = Watch(root, cap)
    networks = build([lab.generator] * 2 + [lab.discriminator] * 2, lab.size)
    gan = cyclegan.CycleGAN(*networks, cyclegan.LossWeights(**lab.loss_weights), lab.pool_size, seed)
    plan = tf.constant(lab.learning_rate), tf.constant(float(lab.steps)), float(lab.constant_steps)
    rates = [training.LinearDecay(*plan, pace) for pace in (1.0, lab.discriminator_pace)]
    gan.compile(*(layers.Adam(rate, beta_1=0.5) for rate in rates))

    class Stop(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            gan.stop_training = watch.done(batch + 1, networks[0])

    gan.fit(
        pipeline.unpaired(root, lab.size, lab.batch_size, seed),
        steps_per_epoch=lab.steps,
        callbacks=[Stop()],
        verbose=0,
    )
    return watch


SIDES = {"textbook": textbook_run, "course": course_run}


def run(side, seed, cap, lab):
    """Run one training; return a dict in which ``seconds`` is None if the quality was not reached."""
    root = published.ensure(lab)
    tf.keras.utils.set_random_seed(seed)
    watch = SIDES[side](lab, root, seed, cap)
    return {"seconds": watch.reached, "cap": cap, "points": watch.points, "machine": tables.machine()}


def name(side, seed):
    return f"quality-{side}-{seed}"


def _seconds(result):
    return f"{result['seconds']:.0f}" if result["seconds"] else f"over {result['cap']:.0f}"


def table(seeds):
    """Return the stored runs of ``seeds`` and the ratio of the medians, in Markdown."""
    results = {side: [tables.kept(name(side, seed)) for seed in range(seeds)] for side in SIDES}
    lines, medians, capped = [], {}, {}
    for side, runs in results.items():
        times = [r["seconds"] or r["cap"] for r in runs if r]
        shown = ["not run yet" if r is None else _seconds(r) for r in runs]
        medians[side] = np.median(times) if len(times) == seeds else None
        capped[side] = sum(r is not None and r["seconds"] is None for r in runs) > (seeds - 1) // 2
        lines.append([side, *shown, f"**{medians[side]:.0f}**" if medians[side] else "–"])
    text = tables.markdown(["seconds to 2 dB", *(f"seed {seed}" for seed in range(seeds)), "median"], lines)
    if all(medians.values()) and not capped["course"]:
        ratio = f"{'at least ' if capped['textbook'] else ''}{medians['textbook'] / medians['course']:.1f} times"
        text += f"\n\nThe course gets there **{ratio}** as fast (wanted: 8)."
    machines = {r["machine"] for runs in results.values() for r in runs if r}
    return "\n\n".join([text, *sorted(machines)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, … (default: %(default)s)")
    parser.add_argument("--cap", type=float, default=1800, help="seconds of training at most (default: %(default)s)")
    parser.add_argument("--side", choices=SIDES, help="only this side")
    parser.add_argument("--write", action="store_true", help="only write the table")
    options = parser.parse_args()
    speed.share_cores()  # for both sides, as lesson 3 does
    for seed in range(
        0 if options.write else options.seeds
    ):  # seed by seed, so that both sides run under the same conditions
        for side in [options.side] if options.side else SIDES:
            before = tables.kept(name(side, seed))
            if before is None or before["seconds"] is None and before["cap"] < options.cap:
                tables.keep(name(side, seed), run(side, seed, options.cap, profile.load("class")))
            result = tables.kept(name(side, seed))
            print(side, f"seed {seed}:", f"{result['seconds'] or float('inf'):.0f} s", flush=True)
    text = table(options.seeds)
    tables.write("quality", text) if options.write else print(text)


if __name__ == "__main__":
    console.escape()
    main()
