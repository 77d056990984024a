"""The panel of lesson 3: watch a training run, change its settings, pause or stop it, and browse its samples."""

import contextlib
import json
import time

import ipywidgets as widgets
import numpy as np
from markupsafe import Markup

from labutils import datasets, metrics, samples
from labutils.base import files
from labutils.checkpoints import CheckpointError
from labutils.dashboard import parts
from labutils.figures import drawing

SLIDERS = {  # control: (description with its unit, the unit, highest value and step in units)
    "adversarial": ("adversarial weight (×)", 1.0, 5.0, 0.1),
    "cycle": ("cycle weight (×)", 1.0, 20.0, 0.5),
    "identity": ("identity weight (×)", 1.0, 20.0, 0.5),
    "learning_rate": ("learning rate (× 0.0001)", 1e-4, 10.0, 0.1),
}
SECONDS = 2.0  # minimum time between two drawings
SHARE = 0.05  # of the training time for drawing, and as much again for measuring
PAIRS = 16  # held-out pairs measured with each sample
WIDE = {"description_width": "160px"}


class TrainingPanel(parts.Watching):
    """Control a ``training.Run`` and show its pictures; display it in a cell.

    The sliders act from the next training step. If the dataset has ground truth, each new sample is measured.
    ``quality`` holds the results, ``{step: {direction: metrics.report}}``. Drawing and measuring are done in the
    training thread, which only sets the values of widgets created here.

    Example::

        panel = TrainingPanel(run)
        panel
    """

    def __init__(self, run):
        self.run = run
        truth = datasets.truth_of(run.root)
        self._measures = truth and json.loads(truth.read_text())["size"] == run.profile.size
        self._inside = "fruit" if truth and truth.stem == "orchard" else "changed part"
        self.quality = {step: found for step, path in self._kept(".json").items() if (found := _reports(path))}
        self.start = parts.button("Start", "play", "Train to the planned end", lambda _: self._train())
        self.pause = parts.button("Pause", "pause", "Pause after this step; press again to resume", self._pause)
        self.stop = parts.button("Stop", "stop", "Stop after this step and save a checkpoint", lambda _: run.stop())
        self.more = parts.button(
            "More steps",
            "forward",
            "Train this many more steps; the learning rate falls to zero at their end",
            self._more,
        )
        self.steps = widgets.BoundedIntText(
            500, min=1, max=1_000_000, description="steps", layout={"width": "150px"},
            style={"description_width": "40px"},
        )  # fmt: skip
        self.sliders = {name: self._slider(name, *form) for name, form in SLIDERS.items()}
        self.browser = widgets.SelectionSlider(
            options=[("none yet", 0)], description="sample of step", continuous_update=False,
            style=WIDE, layout={"width": "98%"},
        )  # fmt: skip
        self.browser.observe(lambda _: self._listing or self._show_sample(), "value")
        self.progress = widgets.IntProgress(max=max(run.target, 1), layout={"width": "98%"})
        self.status, self.remarks, self.controls, self.caption, self.kept = (parts.Words() for _ in range(5))
        self.losses, self.measured, self.moves = (parts.Words() for _ in range(3))
        self.samples = parts.Picture(
            format="jpeg", layout={"max_width": "100%", "display": "none"},
            tooltip="Test pictures of both domains: real, fake, cycled, same; and the scores of the fakes",
        )  # fmt: skip
        self.curves, self.gains = (parts.Words(layout={"max_width": width}) for width in ("61%", "37%"))
        self._due = self._measure_due = self._said = 0.0
        self._state = self._measured = self._shown = self._plotted = None
        self._listing = False
        rows = {"flex_flow": "row wrap"}
        super().__init__(
            [
                widgets.HBox([self.start, self.pause, self.stop, self.steps, self.more], layout=rows),
                self.progress, self.status, self.remarks,
                widgets.HBox(list(self.sliders.values()), layout=rows), self.controls,
                self.samples, self.browser, self.caption, self.measured, self.kept,
                widgets.HBox([self.curves, self.gains]), self.losses, self.moves,
            ]
        )  # fmt: skip
        self.refresh(everything=True)
        self.watch()
        if run.state != self._state:  # the run ended before this panel watched it
            self.refresh(everything=True)

    # What a user does, in the main thread

    def _slider(self, name, description, unit, highest, step):
        slider = widgets.FloatSlider(
            value=self._shown_as(name), max=highest, step=step, description=description,
            style=WIDE, layout={"width": "400px"},
        )  # fmt: skip
        slider.observe(lambda change: self._move(name, change["new"] * unit), "value")
        return slider

    def _move(self, name, value):
        same = name not in self.run.controls.pending and round(value / SLIDERS[name][1], 4) == self._shown_as(name)
        if not (same or self.follows):
            with self._refusals():
                self.run.set(name, value)
            self._show_controls()

    def _shown_as(self, name):
        """Return a control in the units of its slider, rounded and within the slider's range."""
        _, unit, highest, _ = SLIDERS[name]
        return min(round(float(self.run.controls[name].numpy()) / unit, 4), highest)

    def _train(self, steps=None):
        run = self.run
        if not steps and not run.running and run.step >= run.controls["total_steps"].numpy():
            self.status.value = f"The planned {run.step} steps are done. Press More steps to train further."
            return
        with self._refusals():
            run.start(steps)

    @contextlib.contextmanager
    def _refusals(self):
        """Show the run's errors on the panel, because nobody sees exceptions of a button's callback."""
        try:
            yield
        except (RuntimeError, CheckpointError) as error:
            self.status.value = str(error)

    def _more(self, _):
        self._train(self.steps.value)

    def _pause(self, _):
        if self.run.state == "paused":
            self.run.resume()
        else:
            self.run.pause()
        self._show_state()

    # What the training thread does

    def refresh(self, everything=False):
        """Update the widgets: text at most twice a second, pictures at most every two seconds."""
        run, now = self.run, time.monotonic()
        everything = everything or run.state != self._state
        self._state = run.state
        if run.samples and run.samples[0] == run.step != self._measured:
            run.attempt(self._measure, everything)
        if everything or run.state != "training" or now >= self._said + 0.5:
            self._said = now
            self._show_state()
            self._show_controls()
        if everything or now >= self._due:
            for show in (self._list_samples, self._show_sample, self._show_curves):
                run.attempt(show)
            if run.remarks:
                self._show_remarks()
            self._due = time.monotonic() + max(SECONDS, (time.monotonic() - now) / SHARE)

    def _measure(self, everything):
        start, run = time.monotonic(), self.run
        if not self._measures or not (everything or start >= self._measure_due or run.step == run.target):
            return
        first, self._measured = self._measured is None, run.step
        generators = {"ab": run.gan.generator_ab, "ba": run.gan.generator_ba}
        reports = {name: metrics.report(g, run.root, name, limit=PAIRS) for name, g in generators.items()}
        self.quality[run.step] = reports
        with contextlib.suppress(OSError):  # the run itself reports a full disk
            files.write(self._samples() / files.named(run.step, ".json"), json.dumps(reports).encode())
        if not first:  # the first measurement also renders the truth
            self._measure_due = time.monotonic() + (time.monotonic() - start) / SHARE

    def _show_state(self):
        with self.following():
            self._write_state()

    def _write_state(self):
        run = self.run
        self.progress.max, self.progress.value = max(run.target, 1), run.step
        text = f"{run.state}: step {run.step} of {run.target}"
        if run.state == "building the graph":
            text += " (a few seconds at 64 px, up to half a minute at 256)"
        if run.state == "training":
            pace = run.steps_per_second
            left = _minutes((run.target - run.step) / pace if pace else float("nan"))
            text += f" · {pace:.1f} steps a second · {left} left"
        if run.state == "failed":
            text += f" · {run.error}"
        self.status.value = text
        self.pause.description = "Resume" if run.state == "paused" else "Pause"

    def _show_remarks(self):
        lines = Markup("").join(Markup("<li>step {}: {}</li>").format(*remark) for remark in list(self.run.remarks))
        self.remarks.value = drawing.words("<b>Please note</b> (also in log.txt):<ul>{}</ul>", lines)

    def _show_controls(self):
        with self.following():
            self._write_controls()

    def _write_controls(self):
        run, pending, words = self.run, self.run.controls.pending, []
        for name, slider in self.sliders.items():
            words.append(f"{name} {float(run.controls[name].numpy()):.3g}")
            if name in pending:
                words[-1] += f" ({pending[name]:.3g} from the next step)"
            elif np.isfinite(self._shown_as(name)):
                slider.value = self._shown_as(name)  # changed by run.set, or by a resumed run
        rate = f"by the schedule the rate is now {float(run.schedule(run.step)):.2g}"
        self.controls.value = Markup("<b>Current values:</b> {}; {}.").format(", ".join(words), rate)
        events = self._events()
        lines = Markup("").join(Markup("<li>step {}: {} = {:.3g}</li>").format(*event) for event in events[-8:])
        if lines:
            title = "<b>Changes</b>, marked on the curves (the last {} of {}):<ul>{}</ul>"
            self.moves.value = drawing.words(title, min(8, len(events)), len(events), lines)

    def _events(self):
        return [event for event in self.run.events if event[1] in SLIDERS]

    def _kept(self, ending):
        """Return samples by step, oldest first, without those that an interrupted run left at later steps."""
        return {step: path for step, path in files.by_step(self._samples(), ending).items() if step <= self.run.step}

    def _samples(self):
        return self.run.directory / "samples"

    def _list_samples(self):
        """List the samples. If the newest one was selected, select the new newest one."""
        browser, steps = self.browser, list(self._kept(".png"))
        if steps and steps != [step for _, step in browser.options]:
            follow = browser.value == browser.options[-1][1] or browser.value not in steps
            value, self._listing = steps[-1] if follow else browser.value, True
            with browser.hold_sync():  # setting options briefly selects the first one
                browser.options = [(str(step), step) for step in steps]
                browser.value = value
            self._listing = False
            self.quality = {step: reports for step, reports in self.quality.items() if step in steps}

    def _show_sample(self):
        step, run = self.browser.value, self.run
        if step and step != self._shown:
            self._shown = step
            try:
                pictures = samples.read(self._samples() / files.named(step, ".png"))
                self.samples.value, self.samples.layout.display = drawing.sheet(pictures), None
                self.caption.value = drawing.caption(step, pictures)
            except (OSError, ValueError, KeyError) as error:
                self.caption.value = f"The sample of step {step} cannot be shown: {error}"
        at = max((s for s in self.quality if s <= step), default=None)
        if at is not None:
            self.measured.value = drawing.measured(at, self.quality[at], self._inside)
        steps = files.by_step(run.directory / "generators", "-ab.json")
        if steps:
            near = min(steps, key=lambda s: abs(s - step))
            self.kept.value = drawing.words(
                "<b>Generators</b> saved at steps {}. Nearest to this sample: <code>generators/{}-ab</code> and "
                "<code>-ba</code> in the folder <code>{}</code>. Load them with <code>translate.load_generator</code>.",
                *(", ".join(map(str, steps)), files.named(near), run.directory.name),
            )

    def _show_curves(self):
        run = self.run
        if self.quality and max(self.quality) != self._plotted:
            self._plotted = max(self.quality)
            self.gains.value = drawing.gains(self.quality, self._inside)
        if len(run.history["step"]) > 1:
            self.curves.value, self.losses.value = drawing.losses(run.history, self._events())


def _reports(path):
    """Read the measurements of a sample, ``{direction: metrics.report}``; None if the file is invalid."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        drawing.measured(0, found, "")  # raises if a shown value is missing
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _minutes(seconds):
    if not seconds < float("inf"):
        return "some time"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
