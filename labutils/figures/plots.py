"""Figures for the lessons. They are drawn on ``Figure`` objects directly: pyplot's global state is not touched."""

import base64
import io
import textwrap

import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from labutils.pictures import to_uint8

# Okabe and Ito's palette: told apart with every common form of colour blindness. Pair it with line styles.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDEST = 10  # inches: a page of JupyterLab shows wider figures smaller, and their text with them
LINES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))


class Plot(Figure):
    """A matplotlib figure that shows itself in a notebook, with ``alt``, a text for those who cannot see it.

    ``caption``: a line under it.
    """

    def __init__(self, *args, alt, caption="", **kwargs):
        kwargs.setdefault("layout", "constrained")
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)
        self.alt, self.caption = alt, caption

    def png(self, dpi=100):
        """The figure as the bytes of a PNG file."""
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
    """A picture ready to show: uint8 as it is; floats from ``black``, which is 0 or -1, to 1 (white).

    Values that lie beyond by at most 5 % of the range, as a rounding or a network without tanh may leave them, are
    clipped. Raises ``ValueError`` for any further away, which most often come from the other range.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    low, high, room = image.min(), image.max(), 0.05 * (1 - black)
    if not (low >= black - room and high <= 1 + room):
        raise ValueError(
            f"A picture to show is uint8, or has values in [{black}, 1]; this one has some from {low:.3g} to "
            f"{high:.3g}. For values in [-1, 1] pass black=-1."
        )
    return to_uint8(image, black, 1)


def grid(rows, row_titles=None, column_titles=None, alt="a grid of pictures", scale=1.4, caption="", black=0):
    """Pictures in rows and columns; ``rows`` is a list of lists of pictures, uint8 or floats in [``black``, 1].

    ``black``: 0, or -1 for pictures as the networks take and make them (see ``as_uint8``).
    A cell is ``scale`` inches wide, less if all would be wider than ``WIDEST``; rows are as high as their pictures.
    ``alt`` and ``caption``: see ``Plot``.
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
            axis.spines[:].set(color="0.8", linewidth=0.6, visible=j < len(row))  # white pictures end somewhere, too
            if j < len(row):
                axis.imshow(row[j], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if i == 0 and j < len(titles):
                axis.set_title(titles[j], fontsize=9)
            if row_titles and j == 0:
                axis.set_ylabel(row_titles[i], fontsize=9, rotation=0, ha="right", va="center")
    return plot


def _wrapped(title, width):
    """A title in lines of at most ``width`` letters, so that it does not touch its neighbour's."""
    return "\n".join(textwrap.fill(line, max(width, 1), break_long_words=False) for line in title.splitlines())


def curves(series, xlabel="step", ylabel="loss", marks=(), alt="curves", smooth=1, size=(7, 3), caption=""):
    """Lines over steps. ``series``: ``{name: (x, y)}``; ``marks``: ``[(x, text)]``, drawn as vertical lines.

    ``smooth``: how many values are averaged. ``alt`` and ``caption``: see ``Plot``.
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
