"""Train the generators that the course ships in ``pretrained/``, with lesson 3's code.

For each direction, the kept step with the largest gain on validation scenes is shipped. An interrupted training
resumes, so the longer ones may take several sessions. ``make scores`` measures the results.
"""

import argparse
import dataclasses
import os
import platform
import time

import tensorflow as tf

from labutils import cyclegan, measure, models, profile, published, training, translate
from labutils.base import console, files
from labutils.scenes import orchard

CLASS = profile.load("class")
UNET = {**CLASS.generator, "filters": 24}
RESNET = {"kind": "resnet_generator", "filters": 24, "blocks": 4, "attention": True}


def weights(adversarial, cycle, identity):
    return {"adversarial": adversarial, "cycle": cycle, "identity": identity}


PAPER = {"loss_weights": weights(1.0, 10.0, 5.0), "discriminator_pace": 1.0, "pool_size": 50}

# At 128 pixels the discriminators see 34 pixels, as at 64: only fine detail is left to learn, from peel to skin.
# Lower cycle and identity weights at the end let the pores of oranges fade and the stems of apples grow.
LARGE = [
    {"size": 64, "steps": 3000, "constant_steps": 3000},
    {"size": 128, "steps": 5000, "constant_steps": 2500},
    {"size": 128, "steps": 1500, "constant_steps": 500, "loss_weights": weights(1.0, 2.0, 1.0)},
]
FINER = [{"size": 128, "steps": 1500, "constant_steps": 500, "loss_weights": weights(1.0, 1.0, 0.5)}]

RECIPES = {  # generators, and phases as differences from lesson 3; each phase continues with the networks of the last
    "orchard64": (CLASS.generator, [{"size": 64, "steps": 6000, "constant_steps": 3000, **PAPER}]),
    "orchard128-unet": (UNET, LARGE),
    "orchard128-resnet": (RESNET, LARGE + FINER),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(RECIPES), help=f"which: {', '.join(RECIPES)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation (default 0)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(RECIPES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(RECIPES)}")
    # On processors that support it, convolutions multiply in bfloat16 (faster); weights and sums stay float32.
    os.environ.setdefault("TF_SET_ONEDNN_FPMATH_MODE", "BF16")
    os.environ.setdefault("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    for name in options.names:
        train(name, options.seed)


def train(name, seed):
    """Train all phases of one pair of generators and put both into ``pretrained/``."""
    generator, phases = RECIPES[name]
    run, minutes = None, 0.0
    for number, changes in enumerate(phases, 1):
        lab = dataclasses.replace(CLASS, **changes, generator=generator, sample_every=500, checkpoint_every=50)
        run = phase(lab, profile.home("runs", f"{name}-seed{seed}-phase{number}"), seed, run)
        minutes += minutes_of(run)
    measure.choose(run.directory / "generators", published.validation(lab))
    for direction in ("ab", "ba"):
        network = translate.load_generator(run.directory / "generators" / f"chosen-{direction}")
        translate.save_generator(
            translate.any_size(network),
            profile.home("pretrained", f"{name}-{direction}"),
            direction={"ab": "apples to oranges", "ba": "oranges to apples"}[direction],
            data="orchard",
            data_version=orchard.VERSION,
            size=lab.size,
            phases=phases,
            steps=network.card["steps"],
            chosen="the best of the last phase's kept steps on 100 validation scenes",
            seed=seed,
            hours=round(minutes / 60, 2),
            machine=f"{os.cpu_count()} cores, {platform.machine()}, TensorFlow {tf.__version__}, "
            "products in bfloat16 where the processor has them",
            licence="MIT, as the course",
            command=f"python benchmarks/pretrained.py {name} --seed {seed}",
        )


def phase(lab, directory, seed, before, root=None):
    """Train one phase to its end, starting from the networks of the phase ``before``, if any.

    ``root``: the dataset's folder, by default that of the profile ``lab``.
    """
    tf.keras.utils.set_random_seed(seed)
    root = root or published.ensure(lab)
    networks = models.networks(lab)
    if before:
        gan = before.gan
        earlier = (gan.generator_ab, gan.generator_ba, gan.discriminator_a, gan.discriminator_b)
        for network, trained in zip(networks, earlier, strict=True):
            network.set_weights(trained.get_weights())
    weights = cyclegan.LossWeights(**lab.loss_weights)
    gan = cyclegan.CycleGAN(*networks, loss_weights=weights, pool_size=lab.pool_size, seed=seed)
    run = training.Run(gan, root, lab, directory, seed=seed)
    minutes, started, trained = minutes_of(run), time.monotonic(), run.step

    def note_time():
        if run.step > trained and run.step % lab.checkpoint_every == 0:
            now = minutes + (time.monotonic() - started) / 60
            files.write(directory / "minutes.txt", f"{now:.2f}\n".encode())
            print(f"{directory.name}: step {run.step} of {run.target}, {now:.0f} minutes", flush=True)

    run.watchers.append(note_time)
    run.start()
    run.wait()
    return run


def minutes_of(run):
    """Return the minutes of training so far, over all sessions."""
    file = run.directory / "minutes.txt"
    return float(file.read_text()) if file.exists() else 0.0


if __name__ == "__main__":
    console.escape()
    main()
