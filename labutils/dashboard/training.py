"""The panel of lesson 3: watch a training, steer it, hold it, end it."""

import html
import io
import time

import ipywidgets as widgets
from PIL import Image, ImageDraw

from labutils import plots

SLIDERS = {  # control: (description with its unit, highest value, step)
    "adversarial": ("adversarial weight (×)", 5.0, 0.1),
    "cycle": ("cycle weight (×)", 20.0, 0.5),
    "identity": ("identity weight (×)", 20.0, 0.5),
}
CURVES = {
    "generators' adversarial": ("adversarial_ab", "adversarial_ba"),
    "cycle": ("cycle_a", "cycle_b"),
    "identity": ("identity_a", "identity_b"),
    "discriminators": ("discriminator_a", "discriminator_b"),
}
SECONDS = 2.0  # between two drawings of the curves


class TrainingPanel(widgets.VBox):
    """Controls and pictures of a ``training.Run``; display it in a cell.

    The sliders act on the running training from its next step. All drawing is done in the training thread, which only
    sets the values of widgets made here.

    Example::

        panel = TrainingPanel(run)
        panel
    """

    def __init__(self, run):
        self.run = run
        self.start = _button("Start", "play", "Train to the end of the plan", self._start)
        self.pause = _button("Pause", "pause", "Hold after this step; press again to go on", self._pause)
        self.stop = _button("Stop", "stop", "End after this step and keep a checkpoint", lambda _: run.stop())
        self.more = _button("More steps", "forward", "Train this many steps from here", self._more)
        self.steps = widgets.BoundedIntText(
            500,
            min=1,
            max=1_000_000,
            description="steps",
            layout={"width": "150px"},
            style={"description_width": "40px"},
        )
        self.sliders = {name: self._slider(name, *form) for name, form in SLIDERS.items()}
        self.progress = widgets.IntProgress(max=max(run.target, 1), layout={"width": "100%"})
        self.status, self.losses, self.moves = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.curves = widgets.Image(format="png", layout={"max_width": "100%"})
        self.samples = widgets.Image(format="jpeg", layout={"max_width": "100%"})
        self.caption = widgets.HTML()
        self._drawn, self._sampled, self._replayed = 0.0, None, run.replayed
        super().__init__(
            [
                widgets.HBox([self.start, self.pause, self.stop, self.steps, self.more]),
                self.progress,
                self.status,
                widgets.HBox(list(self.sliders.values()), layout={"flex_flow": "row wrap"}),
                self.samples,
                self.caption,
                self.curves,
                self.losses,
                self.moves,
            ]
        )
        self.refresh(everything=True)
        run.watchers.append(self.refresh)

    def _slider(self, name, description, highest, step):
        slider = widgets.FloatSlider(
            value=float(self.run.controls[name].numpy()),
            min=0,
            max=highest,
            step=step,
            description=description,
            style={"description_width": "150px"},
            layout={"width": "360px"},
        )
        slider.observe(lambda change: self.run.set(name, change["new"]), "value")
        return slider

    def _start(self, _):
        try:
            self.run.start()
        except RuntimeError as error:
            self.status.value = html.escape(str(error))

    def _more(self, _):
        try:
            self.run.start(self.steps.value)
        except RuntimeError as error:
            self.status.value = html.escape(str(error))

    def _pause(self, _):
        if self.run.state == "paused":
            self.run.resume()
        else:
            self.run.pause()
        self._show_state()

    # Drawing: called in the training thread

    def refresh(self, everything=False):
        """Bring every widget up to date; the curves at most every two seconds while training."""
        run = self.run
        now, resting = time.monotonic(), not run.state.startswith("training")
        if run.samples and run.samples[0] != self._sampled:
            self._show_samples(*run.samples)
        if run.replayed != self._replayed:
            self._replayed = run.replayed
            for name, slider in self.sliders.items():
                slider.value = float(run.controls[name].numpy())
        if everything or resting or now - self._drawn > SECONDS:
            self._drawn = now
            self._show_state()
            self._show_curves()

    def _show_state(self):
        run = self.run
        self.progress.max, self.progress.value = max(run.target, 1), run.step
        text = f"{run.state}: step {run.step} of {run.target}"
        if run.state == "building the graph":
            text += f" (5 to 15 seconds; {run.profile.size} px, pool of {run.profile.pool_size})"
        if run.state == "training":
            text += f" · {run.steps_per_second:.1f} steps a second · {_minutes(run.seconds_left)} left"
        if run.state == "failed":
            text += f" · {run._error}"
        self.status.value = html.escape(text)
        self.pause.description = "Resume" if run.state == "paused" else "Pause"

    def _show_samples(self, step, pictures):
        self._sampled = step
        self.samples.value = sheet(pictures)
        self.caption.value = (
            f"Step {step}. From the top: {', '.join(pictures)}. A fake is a translation, a cycled picture has been "
            "there and back."
        )

    def _show_curves(self):
        history = self.run.history
        steps = list(history["step"])
        if len(steps) < 2:
            return
        every = max(1, len(steps) // 1000)
        curves = {}
        for name, keys in CURVES.items():
            values = [sum(pair) / 2 for pair in zip(*(history[key] for key in keys), strict=False)]
            count = min(len(steps), len(values))
            curves[name] = (steps[:count:every], values[:count:every])
        moves = [event for event in self.run.events if event[1] in SLIDERS]
        marks = [(step, f"{name} {value:g}") for step, name, value in moves]
        figure = plots.curves(curves, marks=marks, smooth=max(1, len(steps) // every // 20), alt="loss curves")
        self.curves.value = figure.png(dpi=80)
        self.losses.value = "Latest losses: " + ", ".join(f"{name} {line[1][-1]:.3f}" for name, line in curves.items())
        lines = "".join(f"<li>step {step}: {name} = {value:g}</li>" for step, name, value in moves[-8:])
        self.moves.value = f"Changes made while training:<ul>{lines}</ul>" if lines else ""


def sheet(pictures, scale=2):
    """``{name: uint8 (n, height, width, 3)}`` as the bytes of one JPEG: a labelled row for each name."""
    height, width = next(iter(pictures.values())).shape[1:3]
    scale = max(1, round(scale * 64 / width)) if width < 128 else 1
    count = max(len(row) for row in pictures.values())
    page = Image.new("RGB", (80 + count * (width * scale + 4), len(pictures) * (height * scale + 4)), "white")
    draw = ImageDraw.Draw(page)
    for i, (name, row) in enumerate(pictures.items()):
        top = i * (height * scale + 4)
        draw.text((4, top + height * scale // 2 - 6), name, fill="black", font_size=13)
        for j, picture in enumerate(row):
            tile = Image.fromarray(picture).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
            page.paste(tile, (80 + j * (width * scale + 4), top))
    buffer = io.BytesIO()
    page.save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


def _button(description, icon, tooltip, action):
    button = widgets.Button(description=description, icon=icon, tooltip=tooltip, layout={"width": "120px"})
    button.on_click(action)
    return button


def _minutes(seconds):
    if not seconds < float("inf"):
        return "some time"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
