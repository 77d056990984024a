"""The panel without a browser: widgets are values and clicks."""

import time

import numpy as np
import pytest

from labutils.dashboard import TrainingPanel
from labutils.dashboard.training import sheet
from labutils.training import Run


@pytest.fixture
def panel(make_gan, orchard_root, tiny, tmp_path):
    return TrainingPanel(Run(make_gan(), orchard_root, tiny, tmp_path / "run"))


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def test_start_trains_and_shows_it(panel):
    panel.start.click()
    assert panel.run.running
    panel.run.wait(120)
    assert panel.progress.value == panel.progress.max == 12
    assert panel.status.value == "finished: step 12 of 12"
    assert panel.samples.value[:3] == b"\xff\xd8\xff" and len(panel.samples.value) < 100_000
    assert panel.curves.value[:4] == b"\x89PNG" and len(panel.curves.value) < 100_000
    assert "cycle 0." in panel.losses.value and "Step 12" in panel.caption.value


def test_a_slider_moved_during_training_changes_the_loss_at_the_next_step(panel):
    run = panel.run
    run.watchers.append(lambda: run.step == 4 and run.state == "training" and run.pause())
    panel.start.click()
    wait_for(lambda: run.state == "paused")
    panel.sliders["cycle"].value = 0
    panel.pause.click()
    run.wait(120)
    h = {name: np.array(values) for name, values in run.history.items()}
    rest = h["generators"] - h["adversarial_ab"] - h["adversarial_ba"] - 5 * (h["identity_a"] + h["identity_b"])
    weight = rest / (h["cycle_a"] + h["cycle_b"])
    np.testing.assert_allclose(weight, np.where(h["step"] <= 4, 10, 0), atol=1e-3)
    assert "step 4: cycle = 0" in panel.moves.value


def test_many_moves_the_last_one_wins(panel):
    panel.start.click()
    for value in np.linspace(0.5, 20, 40):
        panel.sliders["cycle"].value = value
    panel.run.wait(120)
    assert float(panel.run.gan.loss_weights.cycle) == 20 and panel.sliders["cycle"].value == 20


def test_pause_resume_stop_and_more_steps(panel):
    run = panel.run
    run.watchers.append(lambda: run.step == 3 and run.state == "training" and run.pause())
    panel.start.click()
    wait_for(lambda: run.state == "paused")
    panel.stop.click()
    run.wait(120)
    assert run.step <= 5 and panel.status.value.startswith("stopped: step")
    panel.steps.value = 2
    before = run.step
    panel.more.click()
    run.wait(120)
    assert run.step == before + 2


def test_a_second_start_is_refused_in_words_on_the_panel(panel):
    panel.start.click()
    panel.start.click()
    assert "already training" in panel.status.value
    panel.stop.click()
    panel.run.wait(120)


def test_a_failure_is_shown(panel):
    panel.run.watchers.append(lambda: panel.run.step == 2 and panel.run.gan.loss_weights.cycle.assign(float("nan")))
    panel.start.click()
    with pytest.raises(FloatingPointError):
        panel.run.wait(120)
    assert "failed" in panel.status.value and "learning rate" in panel.status.value


def test_every_control_says_what_it_is(panel):
    for slider in panel.sliders.values():
        assert "(" in slider.description
    for button in (panel.start, panel.pause, panel.stop, panel.more):
        assert button.description and button.tooltip


def test_the_sheet_has_a_row_for_each_name():
    import io

    from PIL import Image

    pictures = {name: np.zeros((3, 64, 64, 3), np.uint8) for name in ("real_a", "fake_b")}
    assert Image.open(io.BytesIO(sheet(pictures))).size == (80 + 3 * 132, 2 * 132)
