"""Diagrams of networks, drawn from the shapes of the network's own layers."""

import math

import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

from labutils.figures.plots import COLOURS, Plot, as_uint8

KINDS = {"halves": COLOURS[0], "keeps": "0.6", "doubles": COLOURS[1]}
AXES = {  # number of the statistics that each (picture, channel) uses; equal numbers share them
    "batch": lambda picture, channel, channels: channel,
    "layer": lambda picture, channel, channels: picture,
    "instance": lambda picture, channel, channels: picture * channels + channel,
    "group": lambda picture, channel, channels: picture * 2 + channel // (channels // 2),
}


def stages(model):
    """List the stages of a functional model in order: ``(boxes, skips)``.

    A box for the input and for each convolution: ``(height, width, channels, "halves" | "keeps" |
    "doubles")``. A skip for each concatenation or addition: ``(from_box, to_box, "concatenate" | "add")``.
    """
    boxes, skips, box_of = [], [], {}
    for layer in model.layers:
        kind = type(layer).__name__
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        sources = [box_of.get(id(tensor), 0) for tensor in inputs]
        if kind == "InputLayer" or kind.startswith("Conv2D"):
            _, height, width, channels = layer.output.shape
            change = height / boxes[max(sources)][0] if boxes else 1
            boxes.append((height, width, channels, "keeps" if change == 1 else "halves" if change < 1 else "doubles"))
        elif kind in ("Concatenate", "Add"):
            skips.append((min(sources), max(sources), kind.lower()))
        box_of[id(layer.output)] = len(boxes) - 1 if kind.startswith(("Conv2D", "Input")) else max(sources)
    return boxes, skips


def network(model, title=None):
    """Draw a model built with ``image_size``.

    Each convolution is a box as high as its output; arcs are skips. Returns a ``Plot``.
    Raises ``ValueError`` for a model without a size.
    """
    if None in model.input_shape[1:]:
        raise ValueError("Build the network with image_size: a diagram shows sizes.")
    boxes, skips = stages(model)
    title = title or getattr(model, "spec", {}).get("kind", model.name)
    alt = f"{title}: " + ", then ".join(f"{h} by {w} by {c}" for h, w, c, _ in boxes) + _skips_in_words(skips)
    plot = Plot(figsize=(10, 3.4), alt=alt)
    axis = plot.subplots()
    tallest = max(box[0] for box in boxes)
    centres, x = [], 0.0
    for height, _, channels, kind in boxes:
        width, tall = 0.25 + 0.09 * np.log2(channels), height / tallest
        axis.add_patch(Rectangle((x, -tall / 2), width, tall, facecolor=KINDS[kind], edgecolor="black", linewidth=0.6))
        axis.text(x + width / 2, tall / 2 + 0.03, channels, ha="center", va="bottom", fontsize=9)
        centres.append(x + width / 2)
        x += width + 0.35
    _write_sizes(axis, boxes, centres)
    for start, end, kind in skips:
        _arc(axis, centres[start], centres[end], boxes[start][0] / tallest / 2, kind)
    for kind, colour in KINDS.items():
        axis.scatter([], [], marker="s", color=colour, edgecolor="black", label=f"{kind} the size")
    axis.plot([], [], color=COLOURS[2], label="skip: concatenate")
    axis.plot([], [], color=COLOURS[3], linestyle="--", label="skip: add")
    axis.legend(loc="upper center", ncol=5, fontsize=9, frameon=False, bbox_to_anchor=(0.5, 0.02))
    top = 1.25 if any(kind == "concatenate" for *_, kind in skips) else 0.9
    axis.set(xlim=(-0.2, x), ylim=(-0.85, top), title=title)
    axis.axis("off")
    return plot


def _write_sizes(axis, boxes, centres):
    """Write height × width under each group of boxes of the same size."""
    start = 0
    for number in range(1, len(boxes) + 1):
        if number == len(boxes) or boxes[number][:2] != boxes[start][:2]:
            middle = (centres[start] + centres[number - 1]) / 2
            axis.text(middle, -0.56, f"{boxes[start][0]}\n×{boxes[start][1]}", ha="center", va="top", fontsize=9)
            start = number


def _arc(axis, start, end, tall, kind):
    bend = -min(0.5, 1.6 / (end - start))
    style = (
        {"color": COLOURS[2], "linestyle": "-"} if kind == "concatenate" else {"color": COLOURS[3], "linestyle": "--"}
    )
    arrow = FancyArrowPatch(
        (start, tall + 0.12),
        (end, tall + 0.12),
        connectionstyle=f"arc3,rad={bend}",
        arrowstyle="->",
        mutation_scale=8,
        **style,
    )
    axis.add_patch(arrow)


def _skips_in_words(skips):
    if not skips:
        return "."
    return "; skips: " + ", ".join(f"box {start} to box {end} ({kind})" for start, end, kind in skips) + "."


def normalization_axes(pictures=3, channels=4):
    """Draw which planes (one picture, one channel) share statistics in the four normalisations.

    Planes with the same number and colour share mean and standard deviation. Returns a ``Plot``.
    """
    alt = "Four tables of pictures by channels. Batch: one statistic a column. Layer: one a row. Instance: one a cell. "
    plot = Plot(figsize=(10, 2.6), alt=alt + "Group: one for each half of a row.")
    for axis, (name, shared) in zip(plot.subplots(1, 4), AXES.items(), strict=True):
        table = np.array([[shared(n, c, channels) for c in range(channels)] for n in range(pictures)])
        axis.imshow(table, cmap="viridis", vmin=-3, vmax=table.max() + 1, alpha=0.6)
        for (n, c), number in np.ndenumerate(table):
            axis.text(c, n, number + 1, ha="center", va="center", fontsize=10)
        axis.set(title=f"{name}: {table.max() + 1} means", xlabel="channel", xticks=range(channels))
        axis.set(ylabel="picture" if axis.get_subplotspec().is_first_col() else "", yticks=range(pictures))
        axis.set_xticks(np.arange(channels + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(pictures + 1) - 0.5, minor=True)
        axis.grid(which="minor", color="white", linewidth=3)
        axis.tick_params(which="both", length=0, labelsize=10)
        axis.spines[:].set_visible(False)
    return plot


def seen_by(discriminator, row, column):
    """Return the pixels that a score sees: ``(top, left, bottom, right)``, the last two excluded.

    Numbers below 0 or above the picture's size lie in the padding. Raises ``ValueError`` for a ``row`` or ``column``
    outside the grid, or a discriminator built without ``image_size``.
    """
    rows, columns = discriminator.output_shape[1:3]
    if rows is None:
        raise ValueError("Build the discriminator with image_size: where its scores lie depends on the size.")
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(f"There is no score at ({row}, {column}): the grid is {rows} by {columns}.")
    first, last = [row, column], [row, column]
    for layer in reversed(discriminator.layers):
        if type(layer).__name__ == "Conv2D":
            size, kernel, stride = layer.input.shape[1], layer.kernel_size[0], layer.strides[0]
            before = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) // 2  # what "same" padding adds
            first = [place * stride - before for place in first]
            last = [place * stride - before + kernel - 1 for place in last]
    return (*first, *(place + 1 for place in last))


def patch(picture, seen, title="", grid=None):
    """Draw a picture (height, width, 3), uint8 or in [0, 1], with the square that one discriminator score sees.

    ``seen``: ``(top, left, bottom, right)`` as ``seen_by`` returns it. The part outside the picture is
    padding, drawn dashed. ``grid``: (rows, columns) of scores, drawn as dots. Returns a ``Plot``.
    """
    picture = as_uint8(picture)
    height, width = picture.shape[:2]
    top, left, bottom, right = seen
    alt = f"A picture of {height} by {width} pixels; one score sees rows {top} to {bottom - 1} and columns {left} to "
    plot = Plot(figsize=(4, 4), alt=alt + f"{right - 1}.")
    axis = plot.subplots()
    axis.imshow(picture, extent=(0, width, height, 0), interpolation="nearest")
    shade = {"facecolor": "black", "alpha": 0.45, "linewidth": 0}
    y0, y1 = np.clip([top, bottom], 0, height)
    x0, x1 = np.clip([left, right], 0, width)
    for corner, w, h in [
        ((0, 0), width, y0),
        ((0, y1), width, height - y1),
        ((0, y0), x0, y1 - y0),
        ((x1, y0), width - x1, y1 - y0),
    ]:
        axis.add_patch(Rectangle(corner, w, h, **shade))
    outline = {"fill": False, "edgecolor": COLOURS[4], "linewidth": 2}
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, linestyle="--", **outline))
    axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, **outline))
    if grid:
        ys = (np.arange(grid[0]) + 0.5) * height / grid[0]
        xs = (np.arange(grid[1]) + 0.5) * width / grid[1]
        axis.scatter(*np.meshgrid(xs, ys), s=4, color="white", edgecolor="black", linewidth=0.3)
    margin = max(0, -top, -left, bottom - height, right - width) + 2
    axis.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin), xticks=[], yticks=[], title=title)
    axis.spines[:].set_visible(False)
    return plot
