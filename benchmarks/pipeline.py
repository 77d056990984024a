"""Measure speed and memory of the training pipeline, each number in its own process.

``python benchmarks/pipeline.py`` renders an orchard, or takes ``--root``. It shows augmented pairs per second and
the peak memory of the process, for the dataset and for ten copies of it. For comparison it shows the memory of
all pictures in one float32 array.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from labutils.base import console
from labutils.datasets import folder
from labutils.scenes import orchard


def copies(root, target, times):
    """Fill ``target/trainA`` and ``target/trainB`` with ``times`` copies of each training picture of ``root``."""
    for name in ("trainA", "trainB"):
        (target / name).mkdir(parents=True)
        for path in folder.files(root, name):
            for i in range(times):
                shutil.copyfile(path, target / name / f"{i}-{path.name}")
    return target


def peak_megabytes():
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def stream(root, size, pairs):
    """Draw ``pairs`` augmented pairs; return pairs per second."""
    from labutils.datasets import pipeline

    steps = iter(pipeline.unpaired(root, size))
    for _ in range(pairs // 5):  # tf.data tunes itself at first
        next(steps)
    start = time.perf_counter()
    for _ in range(pairs):
        next(steps)
    return pairs / (time.perf_counter() - start)


def array(root, size, pairs):
    """Hold both domains in memory, as tutorials with NumPy archives do; TensorFlow is loaded for a fair comparison."""
    import numpy as np
    import tensorflow  # noqa: F401

    held = [
        np.stack([folder.read_image(path, size).astype(np.float32) / 127.5 - 1 for path in folder.files(root, name)])
        for name in ("trainA", "trainB")
    ]
    random = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(pairs):
        [array[random.integers(len(array))].copy() for array in held]
    return pairs / (time.perf_counter() - start)


WAYS = {"stream": stream, "array": array}


def measured(how, root, size, pairs):
    """Measure one row in a new process."""
    command = [sys.executable, __file__, "--child", how, "--root", root, "--size", size, "--pairs", pairs]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, check=True, text=True, env=environment
    )
    return json.loads(run.stdout.splitlines()[-1])


def table(root, size, pairs, ways, times=10):
    """List rows of ``how``, ``pictures`` (per domain), ``pairs_per_second`` and ``megabytes``."""
    rows = []
    with tempfile.TemporaryDirectory() as aside:
        larger = copies(root, Path(aside), times)
        for how in ways:
            for place in (Path(root), larger):
                pictures = len(folder.files(place, "trainA"))
                rows.append({"how": how, "pictures": pictures, **measured(how, place, size, pairs)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="a dataset (a new orchard of 400 + 400)")
    parser.add_argument("--size", type=int, default=64, help="pixels a side (%(default)s)")
    parser.add_argument("--pairs", type=int, default=5000, help="pairs to draw (%(default)s)")
    parser.add_argument("--json", action="store_true", help="rows for programs")
    parser.add_argument("--how", nargs="+", choices=WAYS, default=WAYS, help="what to measure (both)")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        speed = WAYS[given.child](given.root, given.size, given.pairs)
        print(json.dumps({"pairs_per_second": round(speed), "megabytes": round(peak_megabytes(), 1)}))
        return
    with tempfile.TemporaryDirectory() as aside:
        root = given.root or orchard.write(Path(aside) / "orchard", train=400, test=1, size=given.size)
        rows = table(root, given.size, given.pairs, given.how)
    if given.json:
        print(json.dumps(rows))
        return
    print(f"{'':8}{'pictures':>10}{'pairs/s':>10}{'peak MB':>10}")
    for row in rows:
        print(f"{row['how']:8}{row['pictures']:>10}{row['pairs_per_second']:>10}{row['megabytes']:>10}")


if __name__ == "__main__":
    console.escape()
    main()
