"""The panel of lesson 5: steer a style transfer while it paints."""

import time

import ipywidgets as widgets
from markupsafe import Markup

from labutils import profile, translate
from labutils.base.reading import ImageError
from labutils.dashboard import parts
from labutils.dashboard.style_run import StyleRun
from labutils.figures import plots

SLIDERS = {"content": (10.0, 0.1), "style": (40.0, 0.1), "variation": (20.0, 0.1)}  # highest value, step
COLOURS = {"the painting's": "style", "the photograph's (luminance)": "luminance", "matched statistics": "matched"}
POOLING = {"maximum": "max", "average": "avg"}
OPTIMIZERS = {"L-BFGS": "lbfgs", "Adam": "adam"}
TERMS = ("total", "content", "style", "variation")
WIDE = {"description_width": "170px"}


class StylePanel(parts.Watching):
    """Control a ``StyleRun`` and show its picture. Takes the arguments of ``StyleRun``, or one as ``run``.

    All controls act on the running optimisation. The painting thread only sets values of widgets created here.

    Example::

        panel = StylePanel(data.coffee(), styles.paint("tiles"), steps=60, size=224)
        panel
    """

    def __init__(self, photograph=None, painting=None, features=None, run=None, **settings):
        self.run = run or StyleRun(photograph, painting, features, **settings)
        run, form = self.run, self.run.form
        self.start = parts.button(
            "Start", "play", "Run this many more iterations; after Stop, run to the planned end", lambda _: self._go()
        )
        self.pause = parts.button(
            "Pause", "pause", "Pause after this iteration; press again to resume", lambda _: self._hold()
        )
        self.stop = parts.button("Stop", "stop", "Stop after this iteration and keep the picture", lambda _: run.stop())
        self.save = parts.button("Save", "download", "Write the picture as a PNG with its settings", self._save)
        self.steps = widgets.BoundedIntText(
            run.steps, min=1, max=10_000, description="iterations", style={"description_width": "70px"},
            layout={"width": "150px"},
        )  # fmt: skip
        self.steps.observe(lambda change: setattr(run, "steps", change["new"]), "value")
        self.progress = widgets.IntProgress(max=run.steps, layout={"width": "100%"})
        self.sliders = {name: self._slider(name, *SLIDERS.get(name, (5.0, 0.1))) for name in run.weights}
        layers = run.features.output_names_by_layer
        self.choices = {
            "content_layer": self._choice("content layer", layers, "content_layer"),
            "pooling": self._choice("pooling", POOLING, "pooling"),
            "colours": self._choice("colours", COLOURS, "colours"),
            "optimizer": self._choice("optimizer", OPTIMIZERS, "optimizer"),
            "size": widgets.BoundedIntText(
                form["size"] or min(run.content.shape[:2]), min=16, max=2048, step=16,
                description="shorter side (pixels)", style=WIDE, layout={"width": "330px"},
            ),
        }  # fmt: skip
        self.choices["size"].observe(lambda change: self._choose("size", change["new"]), "value")
        self.uploads = {key: self._upload(key) for key in ("photograph", "painting")}
        self.status, self.message, self.notes = parts.Words(), parts.Words(), parts.Words()
        self.picture = parts.Picture(format="jpeg", layout={"max_width": "100%"}, tooltip="The picture painted so far")
        self.curves = parts.Picture(format="png", layout={"max_width": "100%"}, tooltip="The losses by iteration")
        self._drawn = 0.0
        rows = {"flex_flow": "row wrap"}
        super().__init__(
            [
                widgets.HBox(
                    [self.start, self.steps, self.pause, self.stop, self.save, *self.uploads.values()], layout=rows
                ),
                self.progress,
                self.status,
                self.message,
                widgets.HBox(list(self.sliders.values()), layout=rows),
                widgets.HBox(list(self.choices.values()), layout=rows),
                self.picture,
                self.curves,
                self.notes,
            ]
        )
        self.refresh(everything=True)
        self.watch()

    def wait(self, timeout=None):
        """Wait until the painting has ended. Raises the error that ended it early."""
        self.run.wait(timeout)
        return self

    def _slider(self, name, highest, step):
        value = self.run.weights[name]
        slider = widgets.FloatSlider(
            value=value, min=0, max=max(highest, value), step=step, description=f"{name} weight (×)",
            continuous_update=False, style=WIDE, layout={"width": "330px"},
        )  # fmt: skip
        slider.observe(lambda change: self._weigh(name, change["new"]), "value")
        return slider

    def _choice(self, description, options, key):
        options = options if isinstance(options, dict) else {option: option for option in options}
        box = widgets.Dropdown(options=list(options.items()), value=self.run.form[key],
        description=description, style=WIDE, layout={"width": "390px"})  # fmt: skip
        box.observe(lambda change: self._choose(key, change["new"]), "value")
        return box

    def _upload(self, key):
        upload = widgets.FileUpload(accept="image/*", description=f"Own {key}", layout={"width": "170px"})
        upload.observe(lambda change: self._take(key, change["new"]), "value")
        return upload

    def _go(self):
        self.run.start()
        self.progress.max = self.run.target
        self._say()

    def _hold(self):
        if self.run.state == "paused":
            self.run.start()
        else:
            self.run.pause()
        self._say()

    def _save(self, _):
        run, folder = self.run, profile.home("runs", "styled")
        form = {name: run.form[name] for name in ("content_layer", "pooling", "colours", "optimizer")}
        settings = {"features": run.features.source, "iterations": run.step, **run.weights, **form}
        path = folder / f"{time.strftime('%Y-%m-%d-%H%M%S')}-iteration-{run.step}.png"
        try:
            translate.save_png(path, run.image, {name: str(value) for name, value in settings.items()})
        except OSError as error:
            self.message.value = parts.bold(f"Not saved: {error}")
        else:
            self.message.value = f"Saved as {'/'.join(path.parts[-3:])}."

    def _weigh(self, name, value):
        self.run.set_weight(name, value)
        self._say()

    def _take(self, key, files):
        if files:
            try:
                # both pictures at the size chosen below: a phone photograph would not fit into memory
                self._change(**{key: parts.uploaded(files[-1]["content"]), "size": self.choices["size"].value})
            except ImageError as error:
                self.message.value = parts.bold(f"{files[-1]['name']} {error.reason}")
            self.uploads[key].value = ()

    def _choose(self, key, value):
        if value != self._chosen(key) and not self.follows:
            self._change(**{key: value})

    def _chosen(self, key):
        return self.run.chosen(key) or min(self.run.content.shape[:2])  # without a size: the photograph's own

    def _change(self, **form):
        self.message.value = ""
        try:
            self.run.change(**form)
        except ValueError as error:
            self.message.value = parts.bold(f"Not changed: {error}")
        self.refresh(everything=True)

    def refresh(self, everything=False):
        """Update the panel: the text now, the picture at most twice a second and when the run is not running."""
        self._say()
        now, run = time.monotonic(), self.run
        if everything or now - self._drawn > 0.5 or run.state != "running":
            self._drawn = now
            run.attempt(self._draw)

    def _draw(self):
        self.picture.value = parts.jpeg(self.run.image)
        if self.run.history:
            self.curves.value = _curves(
                list(self.run.history), list(self.run.notes)
            )  # copies, because the thread continues

    def _say(self):
        with self.following():
            self._write()

    def _write(self):
        run = self.run
        height, width = run.transfer.shape
        self.pause.description = "Resume" if run.state == "paused" else "Pause"
        latest = run.history[-1][1] if run.history else {}
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in latest.items()) or "none yet"
        self.progress.value = run.step
        self.status.value = (
            f"{run.state}: iteration {run.step} of {max(run.target, run.steps)}, "
            f"{height} × {width} pixels (height × width), "
            f"{run.features.source}, {run.features.pooling} pooling. Losses: {numbers}."
            f"{f' {run.error}' if run.state == 'failed' else ''}"
        )
        for key, box in self.choices.items():
            box.value = self._chosen(key)  # a rejected choice returns to its old value
        lines = sorted([*run.notes[-6:], *run.remarks], key=lambda line: line[0])
        self.notes.value = Markup("<br>").join(f"iteration {step}: {text}" for step, text in lines)


def _curves(history, notes):
    steps = [step for step, _ in history]
    series = {name: (steps, [losses[name] for _, losses in history]) for name in TERMS}
    marks = {}  # only the first change at an iteration; the notes below the picture list all
    for step, text in notes:
        if not text.startswith("not changed"):
            marks.setdefault(step, text.split(";")[0][:28])
    plot = plots.curves(series, xlabel="iteration", marks=marks.items(), alt="loss terms over iterations")
    plot.axes[0].set_yscale("symlog", linthresh=1e-3)
    plot.axes[0].set_ylim(bottom=0)
    return plot.png(dpi=80)
