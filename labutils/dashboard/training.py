"""The panel of lesson 3: watch a training, steer it, hold it, end it, and look back."""

import contextlib
import json
import time

import ipywidgets as widgets
import numpy as np
from markupsafe import Markup

from labutils import datasets, files, metrics, samples
from labutils.checkpoints import CheckpointError
from labutils.dashboard import parts
from labutils.figures import drawing

SLIDERS = {  # control: (description with its unit, the unit, highest value and step in units)
    "adversarial": ("adversarial weight (×)", 1.0, 5.0, 0.1),
    "cycle": ("cycle weight (×)", 1.0, 20.0, 0.5),
    "identity": ("identity weight (×)", 1.0, 20.0, 0.5),
    "learning_rate": ("learning rate (× 0.0001)", 1e-4, 10.0, 0.1),
}
SECONDS = 2.0  # between two drawings, at least
SHARE = 0.05  # of the training's time that drawing may take, and measuring as much again
PAIRS = 16  # held-out pairs measured with each sample
WIDE = {"description_width": "160px"}


class TrainingPanel(parts.Watching):
    """Controls and pictures of a ``training.Run``; display it in a cell.

    The sliders act on the running training from its next step. Where the dataset knows the truth, each new sample is
    measured against it; ``quality`` has the results, ``{step: {direction: metrics.report}}``. Drawing and measuring
    are done in the training thread, which only sets the values of widgets made here.

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
        self.start = parts.button("Start", "play", "Train to the end of the plan", lambda _: self._train())
        self.pause = parts.button("Pause", "pause", "Hold after this step; press again to go on", self._pause)
        self.stop = parts.button("Stop", "stop", "End after this step and keep a checkpoint", lambda _: run.stop())
        self.more = parts.button(
            "More steps", "forward", "Train this many steps from here; the rate falls to zero at their end", self._more
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
        if run.state != self._state:  # it ended while this was drawn, before anyone watched
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
        """A control in the units of its slider, rounded and within its range."""
        _, unit, highest, _ = SLIDERS[name]
        return min(round(float(self.run.controls[name].numpy()) / unit, 4), highest)

    def _train(self, steps=None):
        run = self.run
        if not steps and not run.running and run.step >= run.controls["total_steps"].numpy():
            self.status.value = f"The plan of {run.step} steps is done: press More steps to go on from here."
            return
        with self._refusals():
            run.start(steps)

    @contextlib.contextmanager
    def _refusals(self):
        """What the run refuses is said on the panel: nobody sees what a button's function raises."""
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
        """Bring every widget up to date: the words twice a second, the pictures every two seconds or more rarely."""
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
        with contextlib.suppress(OSError):  # a full disk is the run's to tell, when it writes what it needs
            files.write(self._samples() / files.named(run.step, ".json"), json.dumps(reports).encode())
        if not first:  # the first also renders the truth
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
            text += f" · {run.steps_per_second:.1f} steps a second · {_minutes(run.seconds_left)} left"
        if run.state == "failed":
            text += f" · {run.error}"
        self.status.value = text
        self.pause.description = "Resume" if run.state == "paused" else "Pause"

    def _show_remarks(self):
        lines = Markup("").join(Markup("<li>step {}: {}</li>").format(*remark) for remark in self.run.remarks)
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
                slider.value = self._shown_as(name)  # if it was changed by run.set, or by a run that continues
        rate = f"by the schedule the rate is now {run.learning_rate:.2g}"
        self.controls.value = Markup("<b>In force:</b> {}; {}.").format(", ".join(words), rate)
        events = self._events()
        lines = Markup("").join(Markup("<li>step {}: {} = {:.3g}</li>").format(*event) for event in events[-8:])
        if lines:
            title = "<b>Changes</b>, marked on the curves (the last {} of {}):<ul>{}</ul>"
            self.moves.value = drawing.words(title, min(8, len(events)), len(events), lines)

    def _events(self):
        return [event for event in self.run.events if event[1] in SLIDERS]

    def _kept(self, ending):
        """Samples by step, oldest first; none of steps beyond this one, left by a run that was killed later."""
        return {step: path for step, path in files.by_step(self._samples(), ending).items() if step <= self.run.step}

    def _samples(self):
        return self.run.directory / "samples"

    def _list_samples(self):
        """Offer the samples there are; whoever looks at the newest goes on to see the newest."""
        browser, steps = self.browser, list(self._kept(".png"))
        if steps and steps != [step for _, step in browser.options]:
            follow = browser.value == browser.options[-1][1] or browser.value not in steps
            value, self._listing = steps[-1] if follow else browser.value, True
            with browser.hold_sync():  # new options select the first of them for a moment
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
                "<b>Generators</b> kept of steps {}. Nearest to this sample: <code>generators/{}-ab</code> and "
                "<code>-ba</code> in the folder <code>{}</code>, for <code>translate.load_generator</code>.",
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
    """What was measured of a sample, ``{direction: metrics.report}``; None if the file holds anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        drawing.measured(0, found, "")  # all that is shown of it is there
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _minutes(seconds):
    if not seconds < float("inf"):
        return "some time"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
