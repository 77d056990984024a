"""The training panel without a browser: set values and click buttons of its widgets."""

import ast
import dataclasses
import io
import json
import re
import shutil
import threading
import time
from pathlib import Path

import ipywidgets as widgets
import matplotlib
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from labutils import datasets, metrics, samples
from labutils.base import files
from labutils.dashboard import TrainingPanel, parts
from labutils.dashboard import training as dashboard
from labutils.figures import drawing
from labutils.training import Run


@pytest.fixture
def panel(make_gan, orchard_root, tiny, tmp_path):
    return TrainingPanel(Run(make_gan(), orchard_root, tiny, tmp_path / "run"))


def pause_at(run, step):
    """Pause ``run`` once, after ``step`` steps."""
    left = [step]
    run.watchers.append(lambda: run.step in left and run.state == "training" and (left.clear(), run.pause()))


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def test_start_trains_and_shows_it(panel):
    panel.start.click()
    assert panel.run.running
    panel.run.wait(600)
    assert panel.progress.value == panel.progress.max == 12
    assert panel.status.value == "finished: step 12 of 12"
    assert panel.samples.value[:3] == b"\xff\xd8\xff" and len(panel.samples.value) < 100_000
    assert "data:image/png;base64,iVBOR" in panel.curves.value and len(panel.curves.value) < 100_000
    assert "cycle 0." in panel.losses.value and "Step 12" in panel.caption.value


def test_progress_pace_and_time_left_are_said(panel):
    said = []

    def look():
        if panel.run.step == 8 and panel.run.state == "training":
            panel._show_state()
            said.append((panel.progress.value, panel.progress.max, panel.status.value))

    panel.run.watchers.append(look)
    panel.start.click()
    panel.run.wait(600)
    done, of, words = said[0]
    pace, left = re.fullmatch(r"training: step 8 of 12 · ([\d.]+) steps a second · (\d+) s left", words).groups()
    assert (done, of) == (8, 12) and float(left) == pytest.approx(4 / float(pace), abs=1)


def test_a_slider_moved_during_training_changes_the_loss_at_the_next_step(panel):
    run = panel.run
    pause_at(run, 4)
    panel.start.click()
    wait_for(lambda: run.state == "paused")
    panel.sliders["cycle"].value = 0
    panel.pause.click()
    run.wait(600)
    h = {name: np.array(values) for name, values in run.history.items()}
    rest = h["generators"] - h["adversarial_ab"] - h["adversarial_ba"] - 5 * (h["identity_a"] + h["identity_b"])
    weight = rest / (h["cycle_a"] + h["cycle_b"])
    np.testing.assert_allclose(weight, np.where(h["step"] <= 4, 10, 0), atol=1e-3)
    assert "step 4: cycle = 0" in panel.moves.value


def test_many_moves_the_last_one_wins(panel):
    panel.start.click()
    for value in np.linspace(0.5, 20, 40):
        panel.sliders["cycle"].value = value
    panel.run.wait(600)
    assert float(panel.run.gan.loss_weights.cycle) == 20 and panel.sliders["cycle"].value == 20


def test_pause_resume_stop_and_more_steps(panel):
    run = panel.run
    pause_at(run, 3)
    panel.start.click()
    wait_for(lambda: run.state == "paused")
    panel.stop.click()
    run.wait(600)
    assert run.step <= 5 and panel.status.value.startswith("stopped: step")
    panel.steps.value = 2
    before = run.step
    panel.more.click()
    run.wait(600)
    assert run.step == before + 2


def test_a_panel_made_while_a_finished_run_ends_again_says_that_it_is_finished(panel, monkeypatch):
    run = panel.run
    panel.start.click()
    run.wait(600)
    drawn = TrainingPanel._show_curves

    def ends_meanwhile(self):  # as with "Run all": the run ends while the panel is drawn
        drawn(self)
        run.state = "finished"

    monkeypatch.setattr(TrainingPanel, "_show_curves", ends_meanwhile)
    run.state = "building the graph"
    again = TrainingPanel(run)
    assert again.status.value.startswith("finished: step 12 of 12")
    again.start.click()
    assert "More steps" in again.status.value and run.state == "finished"


def test_a_second_start_is_refused_in_words_on_the_panel(panel):
    panel.start.click()
    panel.start.click()
    assert "already training" in panel.status.value
    panel.stop.click()
    panel.run.wait(600)


def test_a_failure_is_shown(panel):
    panel.run.watchers.append(lambda: panel.run.step == 2 and panel.run.gan.loss_weights.cycle.assign(float("nan")))
    panel.start.click()
    with pytest.raises(FloatingPointError):
        panel.run.wait(600)
    assert "failed" in panel.status.value and "learning rate" in panel.status.value


def test_every_control_says_what_it_is_and_is_reached_by_keyboard(panel):
    for slider in panel.sliders.values():
        assert re.search(r"\(.+\)", slider.description) and not slider.disabled and slider.tabbable is not False
    assert list(panel.sliders) == ["adversarial", "cycle", "identity", "learning_rate"]
    for button in (panel.start, panel.pause, panel.stop, panel.more):
        assert button.description and button.tooltip and not button.disabled
    assert "step" in panel.browser.description and "steps" in panel.steps.description


# One training of 12 steps with samples at 4, 8 and 12, for the tests that only look


@pytest.fixture(scope="module")
def seen(orchard_root, tiny, tmp_path_factory):
    """A finished panel, and the changes that a test may look for: the learning rate at step 6."""
    import tensorflow as tf

    from labutils import cyclegan, models

    lab = dataclasses.replace(tiny, sample_every=4)
    tf.keras.utils.set_random_seed(0)
    specs = [{**spec, "image_size": 32} for spec in [tiny.generator] * 2 + [tiny.discriminator] * 2]
    gan = cyclegan.CycleGAN(*map(models.build, specs), pool_size=4)
    run = Run(gan, orchard_root, lab, tmp_path_factory.mktemp("seen") / "run")
    panel = TrainingPanel(run)

    def move():
        if run.step == 6 and run.state == "training":
            panel.sliders["learning_rate"].value = 8
        if run.step == 9:
            panel._show_controls()
            panel.at_step_9 = panel.controls.value

    run.watchers.append(move)
    panel.start.click()
    run.wait(600)
    return panel


def test_a_sample_has_both_directions_and_what_should_be_left_alone(seen):
    run = seen.run
    step, pictures = run.samples
    names = [f"{kind}_{d}" for d in "ab" for kind in ("real", "cycled", "same", "fake", "scores")]
    assert step == 12 and sorted(pictures) == sorted(names)
    real_a, real_b = run._tests
    ab, ba = run.gan.generator_ab, run.gan.generator_ba
    expected = {"same_a": ba(real_a), "same_b": ab(real_b), "fake_b": ab(real_a), "cycled_b": ab(ba(real_b))}
    for name, value in expected.items():
        assert np.abs(pictures[name] - (np.asarray(value) * 127.5 + 127.5)).max() <= 1, name


def test_the_scores_are_what_the_discriminators_say_of_the_fakes(seen):
    pictures = seen.run.samples[1]
    judges = {
        "scores_b": ("fake_b", seen.run.gan.discriminator_b),
        "scores_a": ("fake_a", seen.run.gan.discriminator_a),
    }
    for name, (fake, judge) in judges.items():
        scores = np.clip(judge(np.float32(pictures[fake] / 127.5 - 1)), 0, 1)
        assert pictures[name].shape == (4, 32, 32, 3) and (pictures[name] == pictures[name][..., :1]).all()
        np.testing.assert_allclose(pictures[name].mean() / 255, scores.mean(), atol=0.02)
        side = 32 // scores.shape[1]
        corners = pictures[name][:, ::31, ::31, 0] / 255  # upsampling leaves the corners as they are
        assert side > 1 and np.abs(corners - scores[:, :: scores.shape[1] - 1, :: scores.shape[2] - 1, 0]).max() < 0.01


def test_the_heat_map_is_viridis_over_the_picture():
    white, black = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    dark, bright = drawing.heat_map(white, black), drawing.heat_map(white, white)
    assert bright.mean() > dark.mean() + 30
    viridis = np.array(matplotlib.colormaps["viridis"](1.0)[:3])
    np.testing.assert_allclose(drawing.heat_map(black, white)[0, 0] / 255, 0.65 * viridis, atol=0.01)


def test_the_sheet_is_small_has_every_picture_and_a_legend_in_words(seen, monkeypatch):
    pictures = {
        name: np.random.default_rng(0).integers(0, 255, (6, 256, 256, 3), np.uint8) for name in seen.run.samples[1]
    }
    assert len(drawing.sheet(pictures)) < 100_000  # noise, the hardest picture to compress
    page = Image.open(io.BytesIO(drawing.sheet(seen.run.samples[1])))
    assert page.size == (2 * 520 - 24, 40 + 4 * 100)
    words = seen.caption.value
    assert "dark = called fake" in words and "bright = called real" in words
    for domain in "ab":
        mean = seen.run.samples[1][f"scores_{domain}"].mean() / 255
        assert f"fake_{domain} {mean:.2f}" in words


def test_the_learning_rate_is_a_slider_and_its_change_a_mark(seen):
    assert seen.run.events == [(6, "learning_rate", pytest.approx(8e-4))]
    assert float(seen.run.controls["learning_rate"]) == pytest.approx(8e-4)
    assert "step 6: learning_rate = 0.0008" in seen.moves.value
    assert "learning_rate 0.0008 at step 6" in seen.curves.value  # the mark as text, for screen readers
    assert "learning_rate 0.0008; by the schedule the rate is now 0." in seen.controls.value
    assert "learning_rate 0.0008; by the schedule the rate is now 0.0004." in seen.at_step_9  # halfway from 6 to 12


def test_marks_are_drawn_where_a_slider_came_to_rest(monkeypatch):
    events = [(10, "cycle", 9.0), (11, "cycle", 8.0), (12, "identity", 1.0), (13, "cycle", 7.0), (90, "cycle", 6.0)]
    assert drawing.settled(events, 5) == events[1:]
    assert len(drawing.settled([(step * 10, "cycle", step) for step in range(500)], 5)) == 20
    drawn, plot = [], drawing.plots.Plot(alt="")
    plot.subplots().plot([0], label="a line")
    monkeypatch.setattr(drawing.plots, "curves", lambda curves, marks, **_: drawn.extend(marks) or plot)
    names = [name for pair in drawing.plots.CURVES.values() for name in pair]
    moves = [(2, "cycle", 4.0), (2, "identity", 3.0)]
    drawing.losses({"step": [1, 2, 3], **dict.fromkeys(names, [1.0, 2.0, 3.0])}, moves)
    assert drawn == [(2, "cycle 4, identity 3")]


def test_quality_is_measured_with_each_sample_where_the_truth_is_known(seen, orchard_root):
    assert list(seen.quality)[-1] == 12 and 'alt="PSNR of fruit and background' in seen.gains.value
    for direction, generator in (("ab", seen.run.gan.generator_ab), ("ba", seen.run.gan.generator_ba)):
        report = metrics.report(generator, orchard_root, direction, limit=dashboard.PAIRS)
        assert seen.quality[12][direction]["fruit_psnr"] == pytest.approx(report["fruit_psnr"])
        words = f"fruit {report['fruit_psnr']:.1f} ({report['gain']:+.1f} over the unchanged input), background"
        assert words in seen.measured.value and "step 12" in seen.measured.value


@pytest.mark.parametrize("name", datasets.RENDERED)
def test_every_rendered_dataset_is_trained_and_measured_with_its_panel(name, make_gan, tiny, tmp_path):
    root = datasets.rendered(name).write(tmp_path / name, train=4, test=4, size=32, seed=3, progress=False)
    panel = TrainingPanel(Run(make_gan(), root, tiny, tmp_path / "run"))
    panel.run.start(steps=6)
    panel.run.wait(600)
    has = name != "meadow"  # where all of a picture is painted, there is no background
    assert 6 in panel.quality and ("background_psnr" in panel.quality[6]["ab"]) == has
    assert ("no background" in panel.measured.value, "and background by step" in panel.gains.value) == (not has, has)
    assert "over the unchanged input" in panel.measured.value and "nan" not in panel.measured.value
    again = TrainingPanel(Run(make_gan(), root, tiny, tmp_path / "run"))
    assert again.quality == panel.quality


def test_without_truth_nothing_is_measured(make_gan, orchard_root, tiny, tmp_path):
    for domain in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "photographs" / domain).mkdir(parents=True)
        for path in (orchard_root / domain).iterdir():
            (tmp_path / "photographs" / domain / path.name).write_bytes(path.read_bytes())
    panel = TrainingPanel(Run(make_gan(), tmp_path / "photographs", tiny, tmp_path / "run"))
    panel.run.gan.step.assign(1)
    panel.run._keep_sample()
    panel.refresh(everything=True)
    assert panel.samples.value and not panel.quality
    assert panel.measured.value == panel.gains.value == ""


def test_samples_are_browsed_by_step(seen):
    newest = seen.samples.value
    assert [step for _, step in seen.browser.options] == [4, 8, 12] and seen.browser.value == 12
    seen.browser.value = 4
    assert seen.samples.value != newest and "Step 4." in seen.caption.value and "at step 4" in seen.measured.value
    assert seen.samples.value == drawing.sheet(samples.read(seen.run.directory / "samples" / "step-00000004.png"))
    assert "saved at steps 3, 6, 9, 12." in seen.kept.value and "step-00000003-ab" in seen.kept.value
    seen.browser.value = 12
    assert seen.samples.value == newest


def test_who_looks_at_an_old_sample_is_left_there_and_others_follow(make_gan, orchard_root, tiny, tmp_path):
    panel = TrainingPanel(Run(make_gan(), orchard_root, tiny, tmp_path / "run"))
    gan = panel.run.gan

    def keep(step):
        gan.step.assign(step)
        panel.run._keep_sample()
        panel.refresh(everything=True)

    keep(1)
    keep(2)
    assert panel.browser.value == 2 and "Step 2." in panel.caption.value
    panel.browser.value = 1
    keep(3)
    assert panel.browser.value == 1 and "Step 1." in panel.caption.value and len(panel.browser.options) == 3


def test_a_new_panel_finds_what_was_kept_but_nothing_from_the_future(seen, make_gan, orchard_root, tiny):
    again = TrainingPanel(Run(make_gan(), orchard_root, tiny, seen.run.directory))
    assert again.browser.value == 12 and again.quality == seen.quality and "Step 12." in again.caption.value
    again.run.gan.step.assign(9)  # as after a kill: the checkpoint is older than the newest sample
    again.refresh(everything=True)
    assert again.browser.value == 8


def test_a_file_that_is_no_sample_is_said_so(seen, tmp_path):
    picture = tmp_path / "step-00000001.png"
    Image.new("RGB", (64, 64)).save(picture)
    with pytest.raises(ValueError, match="step-00000001.png does not "):
        samples.read(picture)


def test_of_too_many_samples_the_older_are_thinned(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "LIMIT", 8)
    for step in range(1, 31):
        samples.keep(tmp_path, step, {"real_a": np.zeros((1, 8, 8, 3), np.uint8)})
        (tmp_path / f"step-{step:08d}.json").write_text(json.dumps({}))
    steps = [int(path.stem[5:]) for path in sorted(tmp_path.glob("*.png"))]
    assert len(steps) <= 8 and steps[0] == 1 and steps[-2:] == [29, 30]
    assert {path.stem for path in tmp_path.glob("*.json")} == {path.stem for path in tmp_path.glob("*.png")}


def test_the_sliders_follow_a_change_made_by_code_and_take_no_part_in_it(panel):
    panel.run.set("cycle", 3)
    assert panel.sliders["cycle"].value == 3 and "step 0: cycle = 3" in panel.moves.value
    panel.run.set("cycle", 50)  # more than the slider can show
    assert panel.sliders["cycle"].value == 20 and "cycle 50" in panel.controls.value
    panel.run.set("learning_rate", 0)
    assert float(panel.run.controls["learning_rate"]) == 0 and "learning_rate 0" in panel.controls.value
    assert [value for _, _, value in panel.run.events] == [3, 50, 0]


@pytest.mark.parametrize("seen_by", ["thread", "person"])
def test_a_move_made_while_the_thread_shows_what_holds_is_not_lost(panel, monkeypatch, seen_by):
    run, shown, slider = panel.run, panel._shown_as, panel.sliders["cycle"]
    run.running = True  # as if it trained: what is set waits for the next step
    if seen_by == "person":  # the thread put the slider back before its handler was called
        panel._move("cycle", 5.0)
    else:  # a person moves it just before the thread puts it back

        def moved(name):
            value = shown(name)
            if name == "cycle" and slider.value == 10 and not run.controls.pending:
                threading.Thread(target=setattr, args=(slider, "value", 5.0)).start()
                wait_for(lambda: run.controls.pending)
            return value

        monkeypatch.setattr(panel, "_shown_as", moved)
        panel._show_controls()
    assert run.controls.pending == {"cycle": 5.0}
    run.running = False


def test_recorded_moves_are_replayed_with_a_panel_attached(make_gan, orchard_root, tiny, tmp_path):
    moves = [(1, "cycle", 4.0), (2, "cycle", 6.0)]
    Run(make_gan(), orchard_root, tiny, tmp_path / "run")._save()
    lines = "".join(json.dumps(move) + "\n" for move in moves)
    (tmp_path / "run" / "events.log").write_bytes(files.sealed(lines.encode()))
    panel = TrainingPanel(Run(make_gan(), orchard_root, tiny, tmp_path / "run"))
    panel.start.click()
    panel.run.wait(600)
    assert panel.run.events == moves and panel.sliders["cycle"].value == 6


def test_a_move_while_paused_acts_at_once(panel):
    run = panel.run
    pause_at(run, 1)
    panel.start.click()
    wait_for(lambda: run.state == "paused")
    panel.sliders["cycle"].value = 2
    wait_for(lambda: "cycle 2," in panel.controls.value and "step 1: cycle = 2" in panel.moves.value)
    assert run.state == "paused"
    panel.stop.click()
    run.wait(600)


def test_drawing_and_measuring_take_a_small_share_of_the_time(panel, monkeypatch):
    clock, drawn, run = [1000.0], [], panel.run
    monkeypatch.setattr(dashboard.time, "monotonic", lambda: clock[0])

    def draw(history, events):
        drawn.append(clock[0])
        clock[0] += 0.3  # a slow machine
        return "", ""

    monkeypatch.setattr(dashboard.drawing, "losses", draw)
    run.history = {"step": [1, 2]}
    run.state = "training"
    for _ in range(1000):  # ten steps a second
        clock[0] += 0.1
        panel.refresh()
    assert 0.03 < 0.3 * len(drawn) / (clock[0] - 1000) < 0.06
    measured = []
    monkeypatch.setattr(
        dashboard.metrics, "report", lambda *_, **__: measured.append(1) or clock.append(clock.pop() + 1) or {}
    )
    monkeypatch.setattr(dashboard.drawing, "gains", lambda *_: "")
    for step in range(1, 1000):
        clock[0] += 0.1
        run.gan.step.assign(step)
        run.samples = (step, {})
        panel._measure(False)
    assert 3 <= len(measured) // 2 <= 5  # two seconds each: every 40


def test_what_a_run_refuses_is_said_on_the_panel(make_gan, orchard_root, tiny, tmp_path, monkeypatch):
    panel = TrainingPanel(Run(make_gan(), orchard_root, tiny, tmp_path / "run"))
    other = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    other.start(3)
    panel.start.click()
    assert "Another Run trains" in panel.status.value
    panel.status.value = ""
    panel.sliders["cycle"].value = 3
    assert "Another Run trains" in panel.status.value and panel.sliders["cycle"].value == 10  # the old value
    other.wait(120)
    panel.start.click()
    assert "has gone on to step 3" in panel.status.value

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("labutils.base.files.lock", full)
    panel.start.click()
    assert "Is the disk full?" in panel.status.value


# What a panel must survive


@pytest.mark.parametrize(
    "part", ["_measure", "_list_samples", "_show_sample", "_show_curves", "_show_state", "refresh"]
)
def test_a_drawing_that_fails_is_said_on_the_panel_and_the_training_goes_on(
    make_gan, orchard_root, tiny, tmp_path, monkeypatch, part
):
    broken = getattr(TrainingPanel, part)

    def fail(self, *arguments, **keywords):
        if self.run.step >= 2 and self.run.running:
            raise ValueError("no <b>ink</b>")
        return broken(self, *arguments, **keywords)

    monkeypatch.setattr(TrainingPanel, part, fail)
    monkeypatch.setattr(dashboard, "SECONDS", 0)
    monkeypatch.setattr(dashboard, "SHARE", 1e9)  # draw after every step
    panel = TrainingPanel(Run(make_gan(), orchard_root, tiny, tmp_path / "run"))
    panel.start.click()
    panel.run.wait(600)
    assert panel.run.state == "finished" and panel.run.step == 12
    assert "ValueError: no &lt;b&gt;ink&lt;/b&gt;" in panel.remarks.value and "not affected" in panel.remarks.value
    assert panel.status.value == "finished: step 12 of 12"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"ab": 1}', '{"ab": {"gain": 1}}', '{"ab": {"gain": "1"}, "ba": {}}', "NaN", "[" * 9999],
)
def test_a_foreign_measurement_is_no_measurement(seen, make_gan, orchard_root, tiny, tmp_path, text):
    folder = shutil.copytree(seen.run.directory, tmp_path / "run")
    (folder / "samples" / "step-00000004.json").write_text(text)
    again = TrainingPanel(Run(make_gan(), orchard_root, tiny, folder))
    assert list(again.quality) == [8, 12]


def test_settings_that_do_not_hold_are_said_on_the_panel(seen, make_gan, orchard_root, tiny):
    panel = TrainingPanel(Run(make_gan(), orchard_root, tiny, seen.run.directory))
    assert "learning_rate 0.0008 (code: 0.0002)" in panel.remarks.value
    assert "log.txt" in panel.remarks.value


def test_twenty_panels_of_a_run_draw_once(make_gan, orchard_root, tiny, tmp_path, monkeypatch):
    drawn, show = [], TrainingPanel._show_state
    monkeypatch.setattr(TrainingPanel, "_show_state", lambda self: drawn.append(self) or show(self))
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    panels = [TrainingPanel(run) for _ in range(20)]
    drawn.clear()
    panels[-1].start.click()
    run.wait(600)
    assert set(drawn) == {panels[-1]} and "replaced by a later one" in panels[0].children[0].value
    panels[-1].close()
    assert not run.watchers


HOSTILE = "<script>alert(1)</script>"


def test_no_text_from_a_file_or_a_name_becomes_html(seen, make_gan, orchard_root, tiny, tmp_path):
    folder = shutil.copytree(seen.run.directory, tmp_path / f"run {HOSTILE.replace('/', '')}")
    path = folder / "samples" / "step-00000012.json"
    reports = json.loads(path.read_text())
    reports["ab"]["pictures"] = reports["pictures"] = HOSTILE
    path.write_text(json.dumps(reports))
    with Image.open(folder / "samples" / "step-00000012.png") as image:
        names = PngInfo()
        names.add_text("rows", f"{HOSTILE} real_b")
        image.copy().crop((0, 0, *(image.width, 64))).save(folder / "samples" / "step-00000012.png", pnginfo=names)
    panel = TrainingPanel(Run(make_gan(), orchard_root, tiny, folder))
    panel.run.error, panel.run.state = ValueError(HOSTILE), "failed"
    panel.run.remark(HOSTILE)
    panel.run.controls.events = [(1, "cycle", 2.0)]
    panel.refresh(everything=True)
    shown = [widget.value for widget in vars(panel).values() if isinstance(widget, widgets.HTML)]
    assert "&lt;script&gt;" in panel.measured.value and "&lt;script&gt;" in panel.status.value
    assert "&lt;script&gt;" in panel.remarks.value and "&lt;script&gt;" in panel.kept.value
    assert not any("<script" in value for value in shown)


def test_text_becomes_html_in_one_place_only():
    """``parts.Words`` escapes; a plain ``widgets.HTML``, or markup made by an f-string, would bring the fault back."""
    for path in Path(dashboard.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        plain = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("HTML")
        ]
        formatted = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("Markup", "words", "drawing.words")
            and any(isinstance(part, ast.JoinedStr) for part in node.args[:1])
        ]
        assert not plain and not formatted, path.name
    words = parts.Words(HOSTILE)
    assert words.value == "&lt;script&gt;alert(1)&lt;/script&gt;"
    words.value = parts.bold(HOSTILE)
    assert words.value == "<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>"
