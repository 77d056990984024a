"""Measure the speed of one training step as ratios in one run: the course's fused step against other methods.

Each side has its own process, and the sides take turns. Ours runs as in lesson 3, with ``speed.share_cores``. Theirs
uses the cores as TensorFlow or PyTorch does by default, except in the rows that say "shared".

python benchmarks/step.py                       # every row, about 12 minutes on two idle cores
python benchmarks/step.py unet-64 matmul        # some rows; results are stored in benchmarks/results
python benchmarks/step.py --write               # put the table of all stored rows into benchmarks/README.md
python benchmarks/step.py --tiny                # 32 px, one repetition: only to check that it runs
"""

import argparse
import contextlib
import subprocess
import sys
import time

import numpy as np
import tables
import textbook
from tables import found

from labutils import cyclegan, models, profile, speed
from labutils.base import console
from labutils.measure import cost


class Row:
    """One comparison: the networks of both sides, the other side's loop, and the ratio wanted.

    Without ``filters``: the networks of the class profile.
    """

    def __init__(self, against, wanted, size, filters=None, blocks=None):
        self.against, self.wanted, self.size, self.filters, self.blocks = against, wanted, size, filters, blocks

    @property
    def networks(self):
        if not self.filters:
            return "class profile"
        return f"ResNet-{self.blocks}-{self.filters}" if self.blocks else f"U-Net-{self.filters}"

    def build(self, size):
        """Build both generators and both discriminators, which are as wide as the generators."""
        lab, generator = profile.load("class"), {"kind": "unet_generator", "filters": self.filters}
        if self.blocks:
            generator |= {"kind": "resnet_generator", "blocks": self.blocks}
        specs = [generator] * 2 + [{"kind": "patch_discriminator", "filters": self.filters}] * 2
        if not self.filters:
            specs = [lab.generator] * 2 + [lab.discriminator] * 2
        return [models.build({**spec, "image_size": size}) for spec in specs]


ROWS = {
    # against the tutorials' loops: small and large pictures, both generators
    "unet-64": Row("combined", 4.0, 64, 32),
    "unet-128": Row("combined", 2.2, 128, 32),
    "resnet-128": Row("combined", 1.7, 128, 32, 6),
    "composite-256": Row("composite", 1.5, 256, 64, 9),
    # how much of that is the cores, and how much tf.data's tuning
    "class": Row("cores", None, 64),
    "shared-unet-64": Row("combined, shared", None, 64, 32),
    "untuned-256": Row("composite, untuned", None, 256, 64, 9),
    # against another library, and against what the processor can do
    "torch-128": Row("torch", 1.3, 128, 32, 6),
    "torch-256": Row("torch", 1.3, 256, 64, 9),
    "matmul": Row("matmul", 0.85, 256, 64, 9),
}
WORDS = {
    "combined": "combined model: `predict` ×2, `train_on_batch` ×5",
    "composite": "two composite models, as in the end-to-end tutorial",
    "combined, shared": "combined model, with `share_cores` too",
    "composite, untuned": "two composite models, without tf.data's tuning",
    "torch": "PyTorch, the paper's recipe written plainly",
    "cores": "the same step without `share_cores`",
    "matmul": "share of the float32 matrix-multiply rate",
}


SMALL, PRODUCT = 32, 4096  # the size with --tiny; the side of the matrices


def fused(networks, pictures):
    """Return the course's loop: ``fit`` for a given number of steps."""
    import tensorflow as tf

    gan = cyclegan.CycleGAN(*networks)
    gan.compile()
    data = tf.data.Dataset.from_tensors(pictures).repeat()
    return lambda steps: gan.fit(data, steps_per_epoch=steps, verbose=0)


def repeated(step, pictures):
    def run(steps):
        for _ in range(steps):
            step(*pictures)

    return run


def step_flops(generator, discriminator):
    """Count the operations of one step of batch 1, with plain convolutions and nothing computed twice.

    A multiply-add is two operations. A pass costs 1, its gradient for the weights 1, and its gradient for the layer's
    input 1. The first layer needs the last only where its input was generated.

    Each generator processes three pictures (real, real of its own target, generated), each with gradients for the
    weights. Each discriminator processes the generated picture with gradients for its input only. It then processes a
    real picture and one from the pool with gradients for its weights.
    """
    generator, discriminator = cost.multiply_adds(generator), cost.multiply_adds(discriminator)
    generators = 9 * sum(generator) - 2 * generator[0]
    discriminators = 2 * sum(discriminator) + 6 * sum(discriminator) - 2 * discriminator[0]
    return 2 * 2 * (generators + discriminators)  # two of each


def tune_nothing():
    """Switch off tf.data's tuning for ``predict`` and ``train_on_batch``, as ``CycleGAN.fit`` does."""
    import tensorflow as tf

    options, iterate = tf.data.Options(), tf.data.Dataset.__iter__
    options.autotune.enabled = False
    tf.data.Dataset.__iter__ = lambda dataset: iterate(dataset.with_options(options))


def multiply(side):
    """Multiply two square matrices."""
    import tensorflow as tf

    left, right = (tf.random.normal((side, side)) for _ in range(2))
    return repeated(lambda: tf.matmul(left, right).numpy(), ())


def work(row, side, size, product):
    """Run a side's process: for each number received, do so many steps and send back their seconds."""
    import tensorflow as tf

    pictures = tuple(np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype("float32") for _ in "ab")
    against, _, changed = row.against.partition(", ")
    if side == "ours" or changed == "shared":
        speed.share_cores()
    tf.keras.utils.set_random_seed(0)
    if side == "ours" or against == "cores":
        run = fused(row.build(size), pictures)
    elif row.against == "matmul":
        run = multiply(product)
    elif row.against == "torch":
        run = repeated(textbook.torch_recipe(size, row.filters, row.blocks), pictures)
    else:
        if changed == "untuned":
            tune_nothing()
        loop = {"combined": textbook.CombinedModel, "composite": textbook.TwoCompositeModels}[against]
        run = repeated(loop(row.build(size)).train_step, pictures)
    for steps in map(int, sys.stdin):
        began = time.perf_counter()
        run(steps)
        print((time.perf_counter() - began) / steps, flush=True)


@contextlib.contextmanager
def process(name, side, tiny):
    """Start a process for a row's side; return a function that runs some steps there and returns seconds a step."""
    command = [sys.executable, __file__, name, "--side", side, *["--tiny"] * tiny]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:

        def seconds(steps):
            print(steps, file=worker.stdin, flush=True)
            if answer := worker.stdout.readline():
                return float(answer)
            raise RuntimeError(f"The process of {name}, {side}, has ended: see above.")

        yield seconds


def measure(name, tiny):
    """Measure a row: medians of both sides' seconds a step and of their ratio, and the extremes of the ratio."""
    row = ROWS[name]
    heavy = row.filters and row.size * row.filters > 128 * 32
    steps, repeats = (1, 1) if tiny else (1, 5) if heavy else (5, 15)
    with process(name, "ours", tiny) as ours, process(name, "theirs", tiny) as theirs:
        ours(steps), theirs(steps)  # builds graphs
        times = np.array([[ours(steps), theirs(steps)] for _ in range(repeats)])
    middle, ratios, share = np.median(times, axis=0), times[:, 1] / times[:, 0], 1.0
    if row.against == "matmul":
        generator, _, discriminator, _ = row.build(SMALL if tiny else row.size)
        share = step_flops(generator, discriminator) / (2 * (SMALL if tiny else PRODUCT) ** 3)
    return {
        "ours": middle[0],
        "theirs": middle[1],
        "ratio": float(np.median(ratios)) * share,
        "least": float(ratios.min()) * share,
        "most": float(ratios.max()) * share,
        "repeats": repeats,
        "machine": tables.machine(),
    }


def table():
    """Return all measured rows in Markdown, machine by machine."""
    lines, machines = [], {}
    for name, row in ROWS.items():
        what = [WORDS[row.against], f"{row.networks}, {row.size} px"]
        result = tables.kept(f"step-{name}")
        if not result or "skipped" in result:
            reason = f"skipped: {result['skipped']}" if result else "not measured yet"
            lines.append([*what, "–", "–", reason, f"{row.wanted or '–'}"])
            continue
        number = machines.setdefault(result["machine"], len(machines) + 1)
        extremes = f"{result['least']:.2f} to {result['most']:.2f}; {result['repeats']}×"
        ratio = f"**{result['ratio']:.2f}** ({extremes}) [{number}]"
        lines.append([*what, f"{result['theirs']:.3f}", f"{result['ours']:.3f}", ratio, f"{row.wanted or '–'}"])
    header = ["against", "networks", "theirs, s", "ours, s", "ratio (least to most)", "wanted"]
    notes = [f"[{number}] {machine}" for machine, number in machines.items()]
    return "\n\n".join([tables.markdown(header, lines), *notes])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none is given")
    parser.add_argument("--tiny", action="store_true", help="32 px, one repetition, nothing kept")
    parser.add_argument("--write", action="store_true", help="write the table; measure only the rows named")
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)  # what a row's processes get
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"unknown: {', '.join(unknown)}; choose of {', '.join(ROWS)}")
    if options.side:
        row = ROWS[options.rows[0]]
        return work(row, options.side, *((SMALL, SMALL) if options.tiny else (row.size, PRODUCT)))
    for name in options.rows or ([] if options.write else ROWS):
        row = ROWS[name]
        if row.against == "torch" and not found("torch"):
            result = {"skipped": "torch is not installed (pip install torch==2.13.0)"}
        else:
            result = measure(name, options.tiny)
        print(name, result.get("skipped") or f"{result['ratio']:.2f} (wanted: {row.wanted or '–'})", flush=True)
        if not options.tiny and not ("skipped" in result and tables.kept(f"step-{name}")):
            tables.keep(f"step-{name}", result)
    if options.write:
        tables.write("step", table())


if __name__ == "__main__":
    console.escape()
    main()
