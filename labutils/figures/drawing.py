"""Draw the training panel's pictures: samples with discriminator scores, losses and measured quality."""

import base64
import io

import matplotlib
import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont

from labutils.figures import plots

DIRECTIONS = {"ab": "A to B", "ba": "B to A"}
SHEET = {  # each direction of the sheet: its columns, from left to right
    "from A to B and back": ("real_a", "fake_b", "scores_b", "cycled_a", "same_a"),
    "from B to A and back": ("real_b", "fake_a", "scores_a", "cycled_b", "same_b"),
}
ROWS = 4  # test pictures on a sheet
BYTES = 100_000  # each new sheet is sent to the browser
BAR = Markup(
    '<span aria-hidden="true" style="display:inline-block; width:5em; height:0.7em; '
    'background:linear-gradient(90deg, #440154, #31688e, #35b779, #fde725)"></span>'
)


def heat_map(picture, scores):
    """Draw patch scores over their picture, both uint8 (height, width, 3): 0 dark (fake), 255 bright (real)."""
    colours = matplotlib.colormaps["viridis"](scores[..., 0])[..., :3]
    return np.uint8(255 * (0.65 * colours + 0.35 * picture.mean(-1, keepdims=True) / 255))


def sheet(pictures):
    """Draw ``{name: uint8 (n, height, width, 3)}`` as one JPEG below 100 kB, a row for each test picture."""
    side = 96 if pictures["real_a"].shape[2] < 128 else 144
    rows, block, font = min(ROWS, len(pictures["real_a"])), 5 * (side + 4) + 20, ImageFont.load_default(13)
    page = Image.new("RGB", (2 * block - 24, 40 + rows * (side + 4)), "white")
    draw = ImageDraw.Draw(page)
    for i, (title, names) in enumerate(SHEET.items()):
        draw.text((i * block, 1), title, fill="black", font=font)
        for j, name in enumerate(names):
            left = i * block + j * (side + 4)
            draw.text((left, 20), name, fill="black", font=font)
            for k in range(rows):
                picture = pictures[name][k]
                if name.startswith("scores"):
                    picture = heat_map(pictures[names[1]][k], picture)
                tile = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
                page.paste(tile, (left, 38 + k * (side + 4)))
    for quality in (90, 80, 65, 50, 30, 10):
        buffer = io.BytesIO()
        page.save(buffer, format="JPEG", quality=quality)
        if buffer.tell() < BYTES:
            break
    return buffer.getvalue()


def caption(step, pictures):
    """Describe the sheet in words and numbers (HTML)."""
    means = {domain: pictures[f"scores_{domain}"].mean() / 255 for domain in "ba"}
    return words(
        "<b>Step {}.</b> A row for each test picture: <b>real</b>, its translation (<b>fake</b>), the discriminator's "
        "score of each patch of the fake (<b>scores</b>: dark = called fake {} bright = called real), the fake "
        "translated back (<b>cycled</b>), and the real picture after the generator that should not change it "
        "(<b>same</b>). Mean score of fake_b {:.2f}, of fake_a {:.2f}; 0 is fake, 1 is real.",
        *(step, BAR, means["b"], means["a"]),
    )


def measured(step, reports, inside):
    """Describe one step's ``{direction: metrics.report}`` (HTML); ``inside`` names what differs between the domains."""
    parts = []
    for direction, title in DIRECTIONS.items():
        report, said = reports[direction], []
        if "gain" in report:
            said.append(f"{inside} {report['fruit_psnr']:.1f} ({report['gain']:+.1f} over the unchanged input)")
        said.append(f"background {report['background_psnr']:.1f}" if "background_psnr" in report else "no background")
        parts.append(f"{title}: {', '.join(said)}")
    pairs = reports["ab"]["pictures"]
    text = "<b>Measured</b> at step {} on {} held-out pairs, in decibels: {}."
    return words(text, step, pairs, "; ".join(parts))


def words(text, *values):
    """Fill ``values``, escaped, into the HTML template ``text``."""
    return Markup('<div style="line-height: 1.4">{}</div>').format(Markup(text).format(*values))


def losses(history, events):
    """Draw the curves of ``Run.history`` with a mark for each of ``events`` (step, name, value).

    Returns the figure and the latest values in words, both HTML.
    """
    count = min(map(len, history.values()))
    every = -(-count // 400)
    sampled = {name: np.array(values[:count:every]) for name, values in history.items()}
    curves = plots.loss_series(sampled)
    marks = {}  # changes close together share a mark
    for step, name, value in settled(events, count // 50):
        place = max((s for s in marks if step - s <= count // 50), default=step)
        marks[place] = ", ".join(filter(None, (marks.get(place), f"{name} {value:.3g}")))
    latest = ", ".join(f"{name} {line[-1]:.3f}" for name, (_, line) in curves.items())
    text = f"Losses by step. Marks: {'; '.join(f'{text} at step {step}' for step, text in marks.items()) or 'none'}."
    smooth = max(1, len(sampled["step"]) // 20)
    figure = plots.curves(curves, marks=marks.items(), smooth=smooth, size=(7, 3.2), alt=text)
    return _img(figure), words("<b>Latest losses</b>, the mean of both directions: {}.", latest)


def settled(events, gap):
    """Keep the last value of each slider movement: changes within ``gap`` steps count as one. Returns the last 20."""
    kept = []
    for event in events:
        if kept and kept[-1][1] == event[1] and event[0] - kept[-1][0] <= gap:
            kept.pop()
        kept.append(event)
    return kept[-20:]


def gains(quality, inside):
    """Draw the curves of ``{step: {direction: metrics.report}}`` as HTML; ``inside``: see ``measured``."""
    steps, known = sorted(quality), {name for reports in quality.values() for name in reports["ab"]}
    titles = {"gain": (inside, "dB over the input"), "background_psnr": ("background", "dB")}
    titles = {key: title for key, title in titles.items() if key in known}
    what = " and ".join(name for name, _ in titles.values())
    figure = plots.Plot(figsize=(4.3, 3.2), alt=f"PSNR of {what} by step, in both directions.")
    axes = figure.subplots(len(titles), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        for number, (direction, words) in enumerate(DIRECTIONS.items()):
            values = [quality[step][direction].get(key, np.nan) for step in steps]
            style = {"color": plots.COLOURS[number], "linestyle": plots.LINES[number], "marker": "."}
            axis.plot(steps, values, label=words, **style)
        axis.set_title(": ".join(title), fontsize=9, loc="left")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel("step")
    return _img(figure)


def _img(figure):
    figure.set_layout_engine("tight")  # takes half as long as the constrained layout
    data, (width, height) = base64.b64encode(figure.png(dpi=80)).decode(), figure.get_size_inches() * 80
    return Markup(
        '<img alt="{}" width="{:.0f}" height="{:.0f}" style="max-width:100%; height:auto" '
        'src="data:image/png;base64,{}">'
    ).format(figure.alt, width, height, data)
