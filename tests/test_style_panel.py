import datetime
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from labutils import features, pictures, profile
from labutils.dashboard import StylePanel, parts
from labutils.dashboard import style as dashboard
from labutils.dashboard.style_run import StyleRun
from labutils.scenes import styles

SMALL = {"layer_weights": {"block1_conv1": 1.0, "block1_conv2": 1.0}, "content_layer": "block1_conv2"}


@pytest.fixture(scope="module")
def vgg():
    return features.vgg(weights="packed")


@pytest.fixture
def run(vgg):
    run = StyleRun(styles.paint("dots", 24), styles.paint("tiles", 20), vgg, steps=200, **SMALL)
    yield run
    run.stop()
    run.wait(60)
    assert not run.running


class At:
    """Hold the run at an iteration (its ``reached``) until ``go_on``."""

    def __init__(self, run, step):
        self.run, self.step = run, step
        self.reached, self.go_on = threading.Event(), threading.Event()
        run.watchers.append(self)

    def __call__(self):
        if self.run.step == self.step and not self.reached.is_set():
            self.reached.set()
            self.go_on.wait(60)

    def __enter__(self):
        assert self.reached.wait(120)

    def __exit__(self, *_):
        self.go_on.set()


def test_start_returns_at_once_and_the_run_ends(vgg):
    run = StyleRun(styles.paint("dots", 24), styles.paint("tiles", 20), vgg, steps=3, **SMALL)
    panel = StylePanel(run=run)
    panel.start.click()
    panel.wait(120)
    assert run.state == "finished" and run.step == 3 and len(run.history) == 3
    assert "iteration 3 of 3" in panel.status.value and "8-bit" in panel.status.value
    shown = np.asarray(Image.open(io.BytesIO(panel.picture.value)).convert("RGB"), float)
    assert shown.shape == run.image.shape and abs(shown - run.image).mean() < 20
    assert Image.open(io.BytesIO(panel.curves.value)).format == "PNG"
    panel.start.click()
    panel.wait(120)
    assert run.step == 6


def test_stop_acts_within_two_iterations(run):
    panel, at = StylePanel(run=run), At(run, 4)
    panel.start.click()
    with at:
        panel.stop.click()
    run.wait(60)
    assert run.step <= 6 and run.state == "stopped" and not run.running


def test_pause_acts_within_two_iterations_and_start_resumes(run):
    panel, at, later = StylePanel(run=run), At(run, 3), At(run, 6)
    panel.start.click()
    with at:
        panel.pause.click()
        assert run.state == "paused" and "paused" in panel.status.value
    with pytest.raises(RuntimeError, match="paused at iteration 3: press Resume"):
        run.wait()
    with pytest.raises(TimeoutError, match="iteration 3"):
        run.wait(0.5)
    assert run.step == 3 and run.running
    panel.start.click()
    with later:
        assert run.running


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_slider_acts_within_two_iterations_without_retracing(run, optimizer):
    run.change(optimizer=optimizer)
    panel, at, later = StylePanel(run=run), At(run, 3), At(run, 6)
    panel.start.click()
    with at:
        panel.sliders["style"].value = 12.0
        panel.sliders["block1_conv1"].value = 0.0
    with later:
        panel.stop.click()
    run.wait(60)
    for step, losses in run.history:
        if step <= 3 or step >= 5:
            weight = 10 if step <= 3 else 12
            total = losses["content"] + weight * losses["style"] + 0.5 * losses["variation"]
            assert losses["total"] == pytest.approx(total, rel=1e-4)
    assert run.transfer.evaluate.experimental_get_tracing_count() == 1
    said = run.notes[-2][1]
    assert said.startswith("style weight 10 → 12")
    assert ("L-BFGS restarts" in said) == (optimizer == "lbfgs")
    assert run.transfer.restarts == ([3] if optimizer == "lbfgs" else [])


def test_form_changes_act_on_the_running_picture(run, vgg):
    panel, at, later = StylePanel(run=run), At(run, 3), At(run, 5)
    panel.start.click()
    with at:
        painted = run.transfer.image
        panel.sliders["content"].value = 2.0
        panel.choices["content_layer"].value = "block1_conv1"
        panel.choices["pooling"].value = "avg"
        panel.choices["size"].value = 32
    with later:
        panel.stop.click()
    run.wait(60)
    assert run.transfer.shape == (32, 32) and run.features.pooling == "avg"
    assert run.transfer.content_layer == "block1_conv1" and run.weights["content"] == 2.0
    assert float(run.transfer.weights.content.numpy()) == 2.0
    enlarged = pictures.resize(painted, (32, 32)).astype(float)
    assert abs(run.transfer.image - enlarged).mean() < 25  # went on from what there was
    assert vgg.pooling == "max"


def test_a_rebuilt_transfer_keeps_weights_and_scales_the_painting(run):
    run.set_weight("style", 7)
    run.set_weight("block1_conv2", 2)
    run.change(size=32)
    assert float(run.transfer.weights.style) == 7 and float(run.transfer.weights.layers["block1_conv2"]) == 2
    assert run.transfer.pictures[1][0].shape[:2] == (32, 32)
    run.change(photograph=styles.paint("waves", 32))
    np.testing.assert_array_equal(run.image, styles.paint("waves", 32))  # begins anew


def test_a_refused_change_leaves_everything_as_it_was(run):
    run.change(colours="luminance")
    before, transfer, form = run.image, run.transfer, run.form
    with pytest.raises(ValueError, match="GB"):
        run.change(size=2048, pooling="avg")
    np.testing.assert_array_equal(run.image, before)
    assert (run.transfer, run.form) == (transfer, form) and run.features.pooling == "max"


def test_a_slider_moved_while_a_change_is_made_counts(run, monkeypatch):
    build = run._build

    def slow(*arguments, **keywords):
        made = build(*arguments, **keywords)
        run.set_weight("style", 20)
        return made

    monkeypatch.setattr(run, "_build", slow)
    run.change(size=32)
    assert float(run.transfer.weights.style) == 20


def test_a_change_acts_while_paused_and_stop_ends_the_pause(run):
    panel, at, changed = StylePanel(run=run), At(run, 3), threading.Event()
    panel.start.click()
    with at:
        panel.pause.click()
        run.watchers.append(lambda: run.transfer.shape == (32, 32) and changed.set())
        panel.choices["size"].value = 32
    assert changed.wait(60) and (run.state, run.step) == ("paused", 3)
    assert "32 × 32" in panel.status.value
    panel.stop.click()
    run.wait(60)
    assert (run.state, run.step) == ("stopped", 3)


def test_a_change_just_before_stop_is_made(run):
    panel, at = StylePanel(run=run), At(run, 3)
    panel.start.click()
    with at:
        panel.stop.click()
        panel.choices["colours"].label = "the photograph's (luminance)"
    run.wait(60)
    assert run.form["colours"] == "luminance" and run.chosen("colours") == "luminance"


def test_a_choice_made_while_the_thread_shows_what_holds_is_not_lost(run, monkeypatch):
    panel, at = StylePanel(run=run), At(run, 3)
    chosen, end, persons = panel._chosen, time.monotonic() + 60, []

    def chosen_meanwhile(key):
        value = chosen(key)
        if key == "pooling" and not persons:
            persons.append(threading.Thread(target=setattr, args=(panel.choices["pooling"], "value", "avg")))
            persons[0].start()
            while run.chosen("pooling") != "avg":
                assert time.monotonic() < end
                time.sleep(0.001)
        return value

    panel.start.click()
    with at:
        monkeypatch.setattr(panel, "_chosen", chosen_meanwhile)
        panel._say()
        persons[0].join(60)
        assert run.chosen("pooling") == panel.choices["pooling"].value == "avg"


def test_choices_mean_what_they_say(run):
    panel = StylePanel(run=run)
    for box, label, key in (
        ("colours", "matched statistics", "matched"),
        ("colours", "the photograph's (luminance)", "luminance"),
        ("colours", "the painting's", "style"),
        ("optimizer", "Adam", "adam"),
        ("optimizer", "L-BFGS", "lbfgs"),
        ("pooling", "average", "avg"),
    ):
        panel.choices[box].label = label
        assert run.form[box] == key


def test_the_picture_is_live(run, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(dashboard.time, "monotonic", lambda: next(clock))
    panel, at = StylePanel(run=run), At(run, 4)
    before = panel.picture.value
    panel.start.click()
    with at:
        shown = np.asarray(Image.open(io.BytesIO(panel.picture.value)).convert("RGB"), float)
        assert panel.picture.value != before and abs(shown - run.image).mean() < 20
    run.stop()


def test_luminance_keeps_the_photographs_colours(run):
    run.change(colours="luminance")
    colours = (run.image @ pictures.YIQ.T)[..., 1:]
    expected = (run.content @ pictures.YIQ.T)[..., 1:]
    np.testing.assert_allclose(colours, expected, atol=1.5)
    before = run.transfer.losses()["style"]
    run.change(colours="matched")
    assert run.transfer.losses()["style"] != before
    with pytest.raises(ValueError, match="style, luminance, matched"):
        run.change(colours="sepia")
    with pytest.raises(ValueError, match="Unknown setting sise"):
        run.change(sise=3)


def test_an_uploaded_picture_comes_at_the_size_chosen_and_a_bad_one_is_named(run, monkeypatch):
    panel, buffer = StylePanel(run=run), io.BytesIO()
    Image.new("RGB", (2100, 2800), "teal").save(buffer, "PNG")  # as it is, it would take 14 GB
    upload(panel.uploads["photograph"], "mine.png", buffer.getvalue())
    assert run.transfer.shape == (32, 24) and run.image[0, 0].tolist() == [0, 128, 128]
    at = At(run, 2)
    panel.start.click()
    with at:
        upload(panel.uploads["painting"], "page.jpg", b"<html>not a picture</html>")
        assert "page.jpg" in panel.message.value
        monkeypatch.setattr(parts, "MOST", 20)
        upload(panel.uploads["painting"], "huge.png", buffer.getvalue())
    run.stop()
    run.wait(60)
    assert "huge.png has 0 MB" in panel.message.value and run.transfer.shape == (32, 24)


def upload(button, name, content):
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    file = {"name": name, "type": "", "size": len(content), "last_modified": when, "content": memoryview(content)}
    button.value = (file,)


def test_pause_holds_and_pressed_again_goes_on(run):
    panel, at, later = StylePanel(run=run), At(run, 2), At(run, 3)
    panel.start.click()
    with at:
        panel.pause.click()
        assert panel.pause.description == "Resume"
    assert run.step == 2
    panel.pause.click()
    with later:
        assert panel.pause.description == "Pause"


def test_start_after_stop_ends_the_plan_and_then_adds_as_many_iterations_as_asked_for(run):
    panel, at = StylePanel(run=run), At(run, 2)
    panel.steps.value = 4
    panel.start.click()
    with at:
        panel.stop.click()
    run.wait(60)
    assert (run.state, run.step, run.target) == ("stopped", 2, 4)
    panel.start.click()
    run.wait(60)
    assert (run.state, run.step) == ("finished", 4)
    panel.steps.value = 1
    panel.start.click()
    run.wait(60)
    assert run.step == 5


def test_save_writes_the_picture_with_its_settings(run, tmp_path, monkeypatch):
    monkeypatch.setattr(profile, "home", tmp_path.joinpath)
    panel = StylePanel(run=run)
    run.change(colours="luminance")
    run.transfer.run(2)  # so that its colours are no longer the photograph's
    panel.save.click()
    (path,) = tmp_path.rglob("*.png")
    assert path.name in panel.message.value
    with Image.open(path) as saved:
        np.testing.assert_array_equal(np.asarray(saved), run.image)
        assert saved.text["style"] == "10.0" and saved.text["iterations"] == "0" and "8-bit" in saved.text["features"]


def test_a_change_that_cannot_be_is_refused_and_the_run_goes_on(run):
    panel, at, later = StylePanel(run=run), At(run, 2), At(run, 4)
    panel.start.click()
    with at:
        run.change(content_layer="block9_conv9")
    with later:
        assert "not changed: block9_conv9: not in these features" in run.notes[-1][1]
        assert "not changed" in panel.notes.value
    run.stop()
    run.wait(60)
    panel.choices["size"].value = 2048  # a resting run says it at once
    assert panel.choices["size"].value == 24  # the box goes back
    assert "Not changed" in panel.message.value and "GB" in panel.message.value


def test_an_error_in_the_thread_comes_out_of_wait(run):
    panel, at = StylePanel(run=run), At(run, 2)
    panel.start.click()
    with at:
        run.transfer.weights.style.assign(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        panel.wait(60)
    assert "failed" in panel.status.value
    run.error = None


def test_controls_have_descriptions_units_and_tooltips(run):
    panel = StylePanel(run=run)
    for slider in panel.sliders.values():
        assert slider.description.endswith("weight (×)")
    assert set(panel.sliders) == {"content", "style", "variation", "block1_conv1", "block1_conv2"}
    assert "(pixels)" in panel.choices["size"].description
    for button in (panel.start, panel.pause, panel.stop):
        assert button.description and button.tooltip


@pytest.mark.parametrize("name", ["content", "style", "variation", "block1_conv1"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_weight_that_is_no_number_from_0_up_is_refused(run, name, value):
    before = dict(run.weights)
    with pytest.raises(ValueError, match=f"The {name} weight must be a number from 0 up, not {value}"):
        run.set_weight(name, value)
    assert run.weights == before and not run.notes


def test_a_drawing_that_fails_is_said_and_the_painting_goes_on(run, monkeypatch):
    panel, at = StylePanel(run=run), At(run, 6)
    monkeypatch.setattr(dashboard.parts, "jpeg", lambda _: 1 / 0)
    panel._drawn = float("-inf")
    panel.start.click()
    with at:
        panel.stop.click()
    run.wait(60)
    assert run.state == "stopped" and run.step >= 6
    panel.refresh()
    assert "ZeroDivisionError" in panel.notes.value and "the painting is not affected" in panel.notes.value


def test_a_later_panel_takes_the_place_of_an_earlier_one(run):
    first, second = StylePanel(run=run), StylePanel(run=run)
    assert run.watchers == [second.refresh] and "replaced" in first.children[0].value
    second.close()
    assert not run.watchers
