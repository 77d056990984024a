"""Measure the speed of style transfer as ratios in one run: the course's engine against other methods.

python benchmarks/style.py                # about 10 minutes on two idle cores
python benchmarks/style.py loop adam      # some rows; results are stored in benchmarks/results
python benchmarks/style.py --write        # put the table of all stored rows into benchmarks/README.md
python benchmarks/style.py --scale 0.25   # smaller pictures and fewer steps, nothing stored: only to check that it runs
"""

import argparse
import time
from functools import partial

import numpy as np
import tables
import tensorflow as tf
from skimage import data

from labutils import features, pictures, profile, style
from labutils.base import console
from labutils.extras import coarse_to_fine
from labutils.scenes import styles


def transfer(size, vgg):
    photograph = pictures.resize(data.chelsea(), (size, size))
    return style.StyleTransfer(photograph, styles.paint("brush_strokes", size), vgg)


def seconds(ways, repeats=15):
    """Measure the least seconds of each of ``ways`` ({name: function}), in turns under the same conditions."""
    times = {name: [] for name in ways}
    for way in ways.values():
        way()  # builds graphs
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
    return {name: min(values) for name, values in times.items()}


def against_loop(scale):
    """Compare with a step that processes content, style and result in one batch, like a well-known example."""
    ours = transfer(int(256 * scale), features.vgg())
    shape, layers = (1, *ours.shape, 3), list(ours.weights.layers)
    content, painting = (tf.constant(p.reshape(shape)) for p in (ours.pictures[0], ours.pictures[1][0]))

    @tf.function
    def step(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            maps = ours.network(tf.concat([content, painting, image], 0))
            here = maps[style.CONTENT_LAYER]
            loss = style.difference(here[2:], here[:1])
            for name in layers:
                one, two = style.gram_matrix(maps[name][2:]), style.gram_matrix(maps[name][1:2])
                loss += 10 * style.difference(one, two) / len(layers)
            loss += 0.5 * style.total_variation(image)
        return loss, tape.gradient(loss, image)

    image = tf.constant(ours.pixels.reshape(shape))
    np.testing.assert_allclose(step(image)[0], ours.losses()["total"], rtol=1e-3)
    times = seconds({"ours": lambda: ours.evaluate(ours.pixels), "loop": lambda: step(image)[1].numpy()})
    return times["loop"], times["ours"]


def against_torch(scale):
    """Compare with the same losses in plain PyTorch, using VGG19 with the same random weights."""
    import torch

    vgg = features.vgg("vgg19", "random")
    ours = transfer(int(256 * scale), vgg)
    weights = [vgg.get_layer(name).get_weights() for name in vgg.output_names_by_layer]
    kernels = [torch.tensor(kernel.transpose(3, 2, 0, 1)).contiguous() for kernel, _ in weights]
    mean = torch.tensor(features.MEAN_BGR).reshape(1, 3, 1, 1)

    def look(image):
        x, block, maps = image.flip(1) - mean, "1", {}
        for name, kernel in zip(vgg.output_names_by_layer, kernels, strict=True):
            if name[5] != block:
                x, block = torch.nn.functional.max_pool2d(x, 2), name[5]
            x = maps[name] = torch.relu(torch.nn.functional.conv2d(x, kernel, padding=1))
            if wanted <= set(maps):
                return maps

    wanted = {style.CONTENT_LAYER, *ours.weights.layers}

    def gram(maps):
        flat = maps.flatten(2)[0]
        return flat @ flat.T / flat.shape[1]

    def tensor(picture):
        return torch.tensor(picture.reshape(*ours.shape, 3).transpose(2, 0, 1)[None].copy())

    with torch.no_grad():
        goal = look(tensor(ours.pictures[0]))[style.CONTENT_LAYER]
        grams = {name: gram(maps) for name, maps in look(tensor(ours.pictures[1][0])).items() if name in wanted}

    def step():
        image = tensor(ours.pixels).requires_grad_(True)
        maps = look(image)
        loss = ((maps[style.CONTENT_LAYER] - goal) ** 2).sum() / (goal**2).sum()
        for name in ours.weights.layers:
            difference = ((gram(maps[name]) - grams[name]) ** 2).sum()
            loss = loss + 10 / len(ours.weights.layers) * difference / (grams[name] ** 2).sum()
        down, right = image[:, :, 1:, :-1] - image[:, :, :-1, :-1], image[:, :, :-1, 1:] - image[:, :, :-1, :-1]
        loss = loss + 0.5 * (down**2 + right**2).mean() / 255**2
        loss.backward()
        return loss.item()

    np.testing.assert_allclose(step(), ours.losses()["total"], rtol=1e-2)
    times = seconds({"ours": lambda: ours.evaluate(ours.pixels), "torch": step})
    return times["torch"], times["ours"]


def until(run, goals, steps):
    """Measure seconds until ``run`` reaches each loss of ``goals``; infinite if not within ``steps``."""
    began, curve = time.perf_counter(), []

    def watch(step, image, losses):
        curve.append((time.perf_counter() - began, losses["total"]))
        if losses["total"] <= min(goals):
            raise StopIteration

    run.run(steps, callback=watch)
    return [next((seconds for seconds, loss in curve if loss <= goal), float("inf")) for goal in goals]


def against_adam(scale):
    """Time L-BFGS to the loss that Adam reaches in 300 steps at each of four rates; the best rate counts."""
    run, steps, rates = transfer(int(128 * scale), features.vgg()), int(300 * scale), (0.3, 1, 3, 10)
    run.losses()
    ends, theirs = [], []
    for rate in rates:
        run.begin("content")
        began = time.perf_counter()
        run.run(steps, "adam", learning_rate=rate)
        theirs.append(time.perf_counter() - began)
        ends.append(run.losses()["total"])
    run.begin("content")
    ours = until(run, ends, 3 * steps)
    ratios = [f"{rate}: {there / here:.1f}" for rate, there, here in zip(rates, theirs, ours, strict=True)]
    best = int(np.argmin(ends))
    return theirs[best], ours[best], f"best rate {rates[best]}; ratios by rate {', '.join(ratios)}"


def against_straight(scale, start="content"):
    """Time coarse to fine at 512 px to the loss of 60 straight iterations, both from ``start``."""
    size, steps, vgg = int(512 * scale), max(8, int(60 * scale)), features.vgg()
    straight = transfer(size, vgg)
    straight.losses()
    straight.begin(start)
    began = time.perf_counter()
    straight.run(steps)
    goal, straight_seconds = straight.losses()["total"], time.perf_counter() - began
    began, (content, (painting,)) = time.perf_counter(), straight.pictures
    photograph, painting = pictures.to_uint8(content), pictures.to_uint8(painting)
    half = coarse_to_fine.run(photograph, painting, [size // 4, size // 2], [steps, steps // 2], vgg, start=start)
    coarse = time.perf_counter() - began
    straight.begin(pictures.resize(half, (size, size)))
    (fine,) = until(straight, [goal], steps)
    return straight_seconds, coarse + fine


def class_profile(scale):
    """Time lesson 5's size and iterations with everything a student waits for, against 90 s."""
    lab = profile.load("class")
    began = time.perf_counter()
    run = transfer(int(lab.style_size * scale), features.vgg())
    before = run.losses()["style"]
    run.run(max(2, int(lab.style_steps * scale)))
    took = time.perf_counter() - began
    return 90.0, took, f"style term lowered by {1 - run.losses()['style'] / before:.0%}"


ROWS = {  # the function, the other side, and the ratio wanted
    "loop": (against_loop, "per iteration: a loop that extracts all features each step, 256 px", 2.5),
    "torch": (against_torch, "per iteration: the same losses in plain PyTorch, VGG19, 256 px", 1.0),
    "adam": (against_adam, "L-BFGS until the loss of 300 steps of Adam at the best of four rates, 128 px", 3.0),
    "coarse": (against_straight, "coarse to fine until the loss of 60 straight iterations, 512 px", 2.0),
    "noise": (partial(against_straight, start="noise"), "the same, both from noise", 2.0),
    "class": (class_profile, "the class profile: 224 px, 60 iterations, against 90 s", 1.0),
}


def table():
    """Return all measured rows in Markdown."""
    lines, machines = [], []
    for name, (_, what, wanted) in ROWS.items():
        result = tables.kept(f"style-{name}")
        if not result or "skipped" in result:
            lines.append(
                [what, "–", "–", f"skipped: {result['skipped']}" if result else "not measured yet", f"{wanted}"]
            )
            continue
        if result["machine"] not in machines:
            machines.append(result["machine"])
        ratio = f"**{result['theirs'] / result['ours']:.2f}** [{machines.index(result['machine']) + 1}]"
        note = f"; {result['note']}" if result["note"] else ""
        lines.append([what, f"{result['theirs']:.2f}", f"{result['ours']:.2f}", ratio + note, f"{wanted}"])
    notes = [f"[{number}] {machine}" for number, machine in enumerate(machines, 1)]
    header = ["against", "theirs, s", "ours, s", "ratio", "wanted"]
    return "\n\n".join([tables.markdown(header, lines), *notes])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none is given")
    parser.add_argument("--scale", type=float, default=1.0, help="of sizes and steps (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="write the table; measure only the rows named")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"unknown: {', '.join(unknown)}; choose of {', '.join(ROWS)}")
    for name in options.rows or ([] if options.write else ROWS):
        row, what, wanted = ROWS[name]
        if name == "torch" and not tables.found("torch"):
            result = {"skipped": "torch is not installed (pip install torch==2.13.0)"}
        else:
            theirs, ours, *note = row(options.scale)
            result = {"theirs": theirs, "ours": ours, "note": "".join(note), "machine": tables.machine()}
        print(
            f"{what}:",
            result.get("skipped") or f"{result['theirs'] / result['ours']:.2f} (wanted: {wanted})",
            flush=True,
        )
        if options.scale == 1 and not ("skipped" in result and tables.kept(f"style-{name}")):
            tables.keep(f"style-{name}", result)
    if options.write:
        tables.write("style", table())


if __name__ == "__main__":
    console.escape()
    main()
