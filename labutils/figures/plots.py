"""Figures for the lessons. They are drawn on ``Figure`` objects directly: pyplot's global state is not touched."""

import base64
import io
import textwrap
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from labutils.datasets import folder
from labutils.pictures import to_uint8

# Okabe and Ito's palette: distinguishable with every common form of colour blindness. Combine with line styles.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDEST = 10  # inches; JupyterLab shrinks wider figures and their text
CURVES = {  # each curve is the mean of two of ``Run.history``
    "generators' adversarial": ("adversarial_ab", "adversarial_ba"),
    "cycle": ("cycle_a", "cycle_b"),
    "identity": ("identity_a", "identity_b"),
    "discriminators": ("discriminator_a", "discriminator_b"),
}
LINES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))


class Plot(Figure):
    """A matplotlib figure that shows itself in a notebook, with the alternative text ``alt``.

    ``caption``: a line below the figure.
    """

    def __init__(self, *args, alt, caption="", **kwargs):
        kwargs.setdefault("layout", "constrained")
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)
        self.alt, self.caption = alt, caption

    def png(self, dpi=100):
        """Return the figure as the bytes of a PNG file."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()

    def _repr_html_(self):
        data = base64.b64encode(self.png()).decode()
        image = '<img alt="{}" style="max-width:100%" src="data:image/png;base64,{}">'
        caption = "<figcaption>{}</figcaption>" if self.caption else "{}"
        return Markup(f'<figure style="margin: 0">{image}{caption}</figure>').format(self.alt, data, self.caption)

    def __repr__(self):
        return f"<figure: {self.alt}>"


def as_uint8(image, black=0):
    """Convert a picture to uint8. Floats range from ``black`` (0 or -1) to 1 (white); uint8 is returned unchanged.

    Values up to 5 % of the range outside it are clipped: rounding, or a network without tanh, may produce them. Raises
    ``ValueError`` for values further outside, which usually means the wrong ``black``.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    low, high, room = image.min(), image.max(), 0.05 * (1 - black)
    if not (low >= black - room and high <= 1 + room):
        raise ValueError(
            f"A picture must be uint8 or have values in [{black}, 1]; this one has values from {low:.3g} to "
            f"{high:.3g}. For values in [-1, 1] pass black=-1."
        )
    return to_uint8(image, black, 1)


def grid(rows, row_titles=None, column_titles=None, alt="a grid of pictures", scale=1.4, caption="", black=0):
    """Draw pictures in rows and columns.

    ``rows``: a list of lists of pictures, uint8 or floats in [``black``, 1].
    ``row_titles``, ``column_titles``: lists of texts, none by default.
    ``alt``, ``caption``: see ``Plot``.
    ``scale``: width of a cell in inches, 1.4 by default; less if the figure would be wider than ``WIDEST``.
    ``black``: 0 (default), or -1 for pictures of the networks (see ``as_uint8``).
    """
    rows = [[as_uint8(picture, black) for picture in row] for row in rows]
    columns = max(len(row) for row in rows)
    letter = 0.075  # inches
    left = letter * max((len(line) for title in row_titles or () for line in title.splitlines()), default=0)
    scale = min(scale, (WIDEST - left) / columns)
    titles = [_wrapped(title, int(scale / letter)) for title in column_titles or ()]
    heights = [scale * max(picture.shape[0] / picture.shape[1] for picture in row) for row in rows]
    top = 0.17 * max((title.count("\n") + 1 for title in titles), default=0)
    plot = Plot(figsize=(scale * columns + left, sum(heights) + top), alt=alt, caption=caption)
    axes = plot.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for i, row in enumerate(rows):
        for j, axis in enumerate(axes[i]):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color="0.8", linewidth=0.6, visible=j < len(row))  # so that white pictures have an edge
            if j < len(row):
                axis.imshow(row[j], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if i == 0 and j < len(titles):
                axis.set_title(titles[j], fontsize=9)
            if row_titles and j == 0:
                axis.set_ylabel(row_titles[i], fontsize=9, rotation=0, ha="right", va="center")
    return plot


def _wrapped(title, width):
    """Wrap a title into lines of at most ``width`` letters, so that it does not touch the next title."""
    return "\n".join(textwrap.fill(line, max(width, 1), break_long_words=False) for line in title.splitlines())


def loss_series(history):
    """Return the ``series`` of ``curves`` for a ``Run.history``: each loss, averaged over both directions."""
    steps = np.asarray(history["step"])
    return {name: (steps, (np.asarray(history[a]) + np.asarray(history[b])) / 2) for name, (a, b) in CURVES.items()}


def credits(root, *parts, limit=6):
    """Return a caption: who took the first ``limit`` photographs in each of the folders ``parts`` of a dataset.

    Empty for a dataset without ``CREDITS.tsv`` (file, photographer, page).
    """
    listed = Path(root) / "CREDITS.tsv"
    if not listed.is_file():
        return ""
    rows = [line.split("\t") for line in listed.read_text(encoding="utf-8").splitlines()[1:]]
    people = {row[0]: row[1] for row in rows}
    shown = [f"{part}/{path.name}" for part in parts for path in folder.files(root, part)[:limit]]
    names = dict.fromkeys(people[name] for name in shown if name in people)
    return f"Photographs (CC BY 2.0): {', '.join(names)}" if names else ""


def curves(series, xlabel="step", ylabel="loss", marks=(), alt="curves", smooth=1, size=(7, 3), caption=""):
    """Draw lines over steps.

    ``series``: ``{name: (x, y)}``.
    ``xlabel``, ``ylabel``: names of the axes, by default "step" and "loss".
    ``marks``: ``[(x, text)]``, drawn as vertical lines; none by default.
    ``smooth``: how many values are averaged, 1 by default.
    ``size``: inches, (7, 3) by default.
    ``alt``, ``caption``: see ``Plot``.
    """
    plot = Plot(figsize=size, alt=alt, caption=caption)
    axis = plot.subplots()
    for number, (name, (x, y)) in enumerate(series.items()):
        x, y = np.asarray(x, float), np.asarray(y, float)
        window = min(smooth, len(y))
        if window > 1:
            y = np.convolve(y, np.ones(window) / window, mode="valid")
            x = x[window - 1 :]
        axis.plot(x, y, color=COLOURS[number % 7], linestyle=LINES[number % 7], label=name, linewidth=1.4)
    for x, text in marks:
        axis.axvline(x, color="0.5", linewidth=0.8)
        axis.annotate(text, (x, 0.98), xycoords=("data", "axes fraction"), fontsize=7, rotation=90, va="top")
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.grid(alpha=0.3)
    if series:
        axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(series), frameon=False)
    return plot
