"""What ``cyclegan.share_cores`` gains: a training step with it and without, in processes of their own, in turns.

python benchmarks/cores.py            # about 5 minutes on two cores
python benchmarks/cores.py --write    # put the table of the kept result into benchmarks/README.md
"""

import argparse
import subprocess
import sys

import tables

NETWORKS = ("class", "unet-64", "unet-128", "resnet-64", "resnet-128")  # the profile's, and rows of step.py
TURNS, REPEATS, SECONDS = 3, 10, 0.5  # of processes; of timings in each, this long or a step


def measure(name, shared):
    """The least seconds a step takes in this process."""
    import time

    import numpy as np
    import step
    import tensorflow as tf

    from labutils import cyclegan, models, profile

    if shared:
        cyclegan.share_cores()
    lab = profile.load("class")
    size = lab.size if name == "class" else step.ROWS[name].size
    if name == "class":
        specs = [lab.generator] * 2 + [lab.discriminator] * 2
        networks = [models.build({**spec, "image_size": size}) for spec in specs]
    else:
        networks = step.ROWS[name].build(size)
    pictures = tuple(np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype("float32") for _ in "ab")
    tf.keras.utils.set_random_seed(0)
    train, steps, least = step.fused(networks, pictures), 1, float("inf")
    train(1)
    for _ in range(REPEATS):
        began = time.perf_counter()
        train(steps)
        least = min(least, (time.perf_counter() - began) / steps)
        steps = max(1, int(SECONDS / least))
    return least


def in_a_process(name, shared):
    command = [sys.executable, __file__, "--one", name, *(["--shared"] if shared else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def table():
    result = tables.kept("cores")
    rows = [
        [name, *(f"{result[name][how] * 1000:.0f}" for how in ("default", "shared"))]
        + [f"**{result[name]['default'] / result[name]['shared']:.2f}**"]
        for name in NETWORKS
    ]
    header = ["networks", "TensorFlow's default, ms", "`share_cores`, ms", "ratio"]
    return "\n\n".join([tables.markdown(header, rows), result["machine"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="only write the table")
    parser.add_argument("--one", choices=NETWORKS, help="measure these in this process and print the seconds")
    parser.add_argument("--shared", action="store_true", help="with --one: with share_cores")
    options = parser.parse_args()
    if options.one:
        print(measure(options.one, options.shared))
    elif options.write:
        tables.write("cores", table())
    else:
        result = {"machine": tables.machine()}
        for name in NETWORKS:
            turns = [[in_a_process(name, shared) for shared in (False, True)] for _ in range(TURNS)]
            result[name] = dict(zip(("default", "shared"), map(min, *turns), strict=True))
            print(name, result[name], flush=True)
        tables.keep("cores", result)


if __name__ == "__main__":
    main()
