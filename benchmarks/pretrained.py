"""Train the generators that the course ships, with lesson 3's code: ``pretrained/orchard64-ab`` and ``-ba``.

Continues if it was interrupted. The cards record settings, steps, time and scores on the 200 held-out pairs.
"""

import argparse
import dataclasses
import json
import os
import platform
import time

import tensorflow as tf

from labutils import cyclegan, metrics, models, profile, training, translate
from labutils.datasets import public

FAILURES = (
    "Fruit cut by the border or in deep shade keep some of their old colour; other sizes than 20 to 35 px do worse."
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8000, help="training steps (default 8000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation (default 0)")
    options = parser.parse_args()

    lab = dataclasses.replace(
        profile.load("class"), steps=options.steps, constant_steps=options.steps // 2, sample_every=1000
    )
    root = public.ensure(lab)
    tf.keras.utils.set_random_seed(options.seed)
    networks = [
        models.build({**spec, "image_size": lab.size}) for spec in [lab.generator] * 2 + [lab.discriminator] * 2
    ]
    gan = cyclegan.CycleGAN(*networks, pool_size=lab.pool_size)
    run = training.Run(gan, root, lab, profile.home("runs", f"pretrained-{options.seed}"), seed=options.seed)
    started = time.monotonic()
    run.start()
    run.wait()
    minutes = (time.monotonic() - started) / 60
    for direction, generator in (("ab", gan.generator_ab), ("ba", gan.generator_ba)):
        scores = {key: round(value, 2) for key, value in metrics.report(generator, root, direction).items()}
        translate.save_generator(
            translate.any_size(generator),
            profile.home("pretrained", f"orchard{lab.size}-{direction}"),
            direction={"ab": "apples to oranges", "ba": "oranges to apples"}[direction],
            data=json.loads((root / "orchard.json").read_text())["generator"],
            size=lab.size,
            steps=run.step,
            seed=options.seed,
            minutes=round(minutes, 1),
            machine=f"{os.cpu_count()} cores, {platform.machine()}, TensorFlow {tf.__version__}",
            scores=scores,
            failures=FAILURES,
            licence="MIT, as the course",
            command="make pretrained",
        )
        print(direction, scores)


if __name__ == "__main__":
    main()
