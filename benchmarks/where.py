"""Measure where the time of a training step goes, with TensorFlow's profiler on some steps of ``fit``.

python benchmarks/where.py            # two networks, two minutes on two idle cores; results in benchmarks/results
python benchmarks/where.py --write    # only put the table of all stored rows into benchmarks/README.md
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import step
import tables

from labutils import speed
from labutils.base import console

ROWS = {"class": ("class", 50), "resnet-256": ("torch-256", 2)}  # a row of step.py, and how many steps
KINDS = {  # of TensorFlow's kernels, by their names
    "convolutions": r"Conv2D",
    "products in ours": r"MatMul|Transpose$",
    "normalisation": r"FusedBatchNorm",
    "padding": r"MirrorPad|^Pad",
    "upsampling": r"Resize",
    "Adam": r"ApplyAdam",
}


def kind(kernel):
    return next((name for name, pattern in KINDS.items() if re.search(pattern, kernel)), "the rest")


def kernels(folder):
    """Read ``{kernel: seconds}`` from a profile in ``folder``, over all threads."""
    try:
        from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace
    except ImportError:  # TensorFlow 2.16 and later
        from tensorflow.core.profiler.protobuf.xplane_pb2 import XSpace
    space, seconds = XSpace(), {}
    space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            # a kernel is "unet_generator/conv2d/Conv2D:Conv2D"; "ExecutorState::Process" is none
            if found := re.fullmatch(r"[^:]+:(\w+)", plane.event_metadata[event.metadata_id].name):
                kernel = found[1]
                seconds[kernel] = seconds.get(kernel, 0.0) + event.duration_ps / 1e12
    return seconds


def measure(name):
    """Measure seconds to the end of the first step, seconds a step, and the share of each kind of kernel."""
    import tensorflow as tf

    row, steps = step.ROWS[ROWS[name][0]], ROWS[name][1]
    speed.share_cores()
    pictures = tuple(
        np.random.default_rng(0).uniform(-1, 1, (1, row.size, row.size, 3)).astype("float32") for _ in "ab"
    )
    run, times = step.fused(row.build(row.size), pictures), []
    for count in (1, steps):
        began = time.perf_counter()
        run(count)
        times.append((time.perf_counter() - began) / count)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        run(steps)
        tf.profiler.experimental.stop()
        found = kernels(folder)
    shares = {}
    for kernel, seconds in found.items():
        shares[kind(kernel)] = shares.get(kind(kernel), 0.0) + seconds / sum(found.values())
    return {"first": times[0], "step": times[1], "shares": shares, "machine": tables.machine()}


def table():
    """Return all measured rows in Markdown, machine by machine."""
    rows, machines, kinds = [], {}, [*KINDS, "the rest"]
    for name in ROWS:
        if result := tables.kept(f"where-{name}"):
            row = step.ROWS[ROWS[name][0]]
            number = machines.setdefault(result["machine"], len(machines) + 1)
            shares = [f"{result['shares'].get(kind, 0):.0%}" for kind in kinds]
            rows.append(
                [
                    f"{row.networks}, {row.size} px [{number}]",
                    f"{result['first']:.1f}",
                    f"{result['step']:.3f}",
                    *shares,
                ]
            )
    notes = [f"[{number}] {machine}" for machine, number in machines.items()]
    return "\n\n".join([tables.markdown(["networks", "first step, s", "a step, s", *kinds], rows), *notes])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none is given")
    parser.add_argument("--write", action="store_true", help="write the table; measure only the rows named")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"unknown: {', '.join(unknown)}; choose of {', '.join(ROWS)}")
    wanted = options.rows or ([] if options.write else [*ROWS])
    if len(wanted) > 1:  # each in its own process, because TensorFlow initialises only once
        for name in wanted:
            subprocess.run([sys.executable, __file__, name], check=True)
    for name in wanted[:1] if len(wanted) == 1 else []:
        tables.keep(f"where-{name}", result := measure(name))
        print(name, {key: round(share, 2) for key, share in result["shares"].items()}, flush=True)
    if options.write:
        tables.write("where", table())


if __name__ == "__main__":
    console.escape()
    main()
