"""The panel of lesson 4 without a browser."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from labutils import models, translate
from labutils.dashboard import TranslatePanel, parts
from labutils.dashboard.translate import wiped

RED = np.full((30, 50, 3), (255, 0, 0), np.uint8)
BLUE = np.full((20, 20, 3), (0, 0, 255), np.uint8)


@pytest.fixture(scope="module")
def generator():
    return models.unet_generator(None, filters=2, levels=1)


@pytest.fixture
def negative(monkeypatch):
    """Translation as the negative of the picture: quick, and plain to see."""
    monkeypatch.setattr(translate, "apply", lambda generator, image, tile=None: 255 - image)


@pytest.fixture
def panel(generator, negative, tmp_path):
    generators = {"apples to oranges": generator, "oranges to apples": generator}
    return TranslatePanel(generators, {"red": RED, "blue": BLUE}, tmp_path / "kept").wait(60)


def shown(panel):
    return np.asarray(Image.open(io.BytesIO(panel.image.value)).convert("RGB")).astype(int)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_picture_is_the_generators(generator):
    panel = TranslatePanel({"any": generator}, {"red": RED}).wait(60)
    np.testing.assert_array_equal(panel.after, translate.apply(generator, RED))
    assert panel.status.value == "ready: red, any" and not panel.save.disabled


def test_the_wipe_uncovers_the_translation_and_says_so(panel):
    for percent, left, right in ((50, RED[0, 0], 255 - RED[0, 0]), (0, 255 - RED[0, 0], 255 - RED[0, 0])):
        panel.wipe.value = percent
        picture = shown(panel)
        assert picture.shape == RED.shape
        assert (
            abs(picture[:, :4].mean((0, 1)) - left).max() < 12 and abs(picture[:, -4:].mean((0, 1)) - right).max() < 12
        )
        assert panel.caption.value.startswith(f"Left {percent} % of the width: red; right {100 - percent} %: apples")
    assert "50 × 30 pixels, changed by 255.0 of 255 levels" in panel.caption.value


@pytest.mark.parametrize("percent", [0, 1, 33, 50, 100])
def test_wiped_is_before_left_and_after_right(percent):
    before, after = np.zeros((4, 100, 3), np.uint8), np.full((4, 100, 3), 100, np.uint8)
    both = wiped(before, after, percent)
    line = both == 255
    assert line.any() == (percent not in (0, 100)) and both.shape == before.shape
    assert (both[:, :percent][~line[:, :percent]] == 0).all() and (both[:, percent:][~line[:, percent:]] == 100).all()


def test_another_picture_or_generator_is_translated(panel):
    panel.picture.value = "blue"
    panel.wait(60)
    np.testing.assert_array_equal(panel.after, 255 - BLUE)
    panel.generator.value = "oranges to apples"
    panel.wait(60)
    assert panel.status.value == "ready: blue, oranges to apples"


def test_an_uploaded_picture_is_taken_and_a_bad_one_named(panel, monkeypatch):
    own = np.full((40, 24, 3), 7, np.uint8)
    panel._take(({"name": "<mine>.png", "content": memoryview(png(own))},))
    panel.wait(60)
    np.testing.assert_array_equal(panel.after, 255 - own)
    assert panel.picture.options == ("red", "blue", "<mine>.png") and "&lt;mine&gt;.png" in panel.status.value
    panel._take(({"name": "page.jpg", "content": b"<html>not a picture</html>"},))
    assert "page.jpg is a web page, not a picture" in panel.status.value
    assert panel.picture.value == "<mine>.png" and not panel.save.disabled
    monkeypatch.setattr(parts, "MOST", 20)
    panel._take(({"name": "<huge>.png", "content": memoryview(png(own))},))
    assert "&lt;huge&gt;.png has 0 MB; the limit is 0 MB. Save it smaller" in panel.status.value
    assert panel.picture.value == "<mine>.png" and panel.upload.value == ()
    panel.picture.value = "red"  # the choices still work
    panel.wait(60)
    np.testing.assert_array_equal(panel.after, 255 - RED)


def test_save_writes_the_translation_with_its_settings(panel, tmp_path):
    panel.save.click()
    assert panel.status.value == f"saved as {tmp_path}/kept/red-apples-to-oranges.png"
    with Image.open(tmp_path / "kept" / "red-apples-to-oranges.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), 255 - RED)
        assert picture.text["source"] == "red" and picture.text["tile"] == "512"
    panel.folder = tmp_path / "kept" / "red-apples-to-oranges.png"  # a file, where no folder can be made
    panel.save.click()
    assert "Not saved" in panel.status.value


def test_it_does_not_block_and_the_last_choice_wins(generator, monkeypatch, tmp_path):
    go_on, begun = threading.Event(), threading.Event()

    def slow(generator, image):
        begun.set()
        assert go_on.wait(60)
        return 255 - image

    monkeypatch.setattr(translate, "apply", slow)
    panel = TranslatePanel({"any": generator}, {"red": RED, "blue": BLUE}, tmp_path)
    first = panel._done
    assert (
        begun.wait(60)
        and panel.save.disabled
        and "translating red, 50 × 30 pixels …; then you can" in panel.status.value
    )
    panel.picture.value = "blue"
    panel.wipe.value = 20  # shows the unchanged picture while it waits
    assert "not translated" in panel.caption.value and panel.after is None
    go_on.set()
    panel.wait(60)
    assert first.wait(60)
    np.testing.assert_array_equal(panel.after, 255 - BLUE)
    assert panel.status.value == "ready: blue, any"


def test_an_error_of_the_translation_is_shown(generator, monkeypatch):
    def fails(generator, image):
        raise MemoryError("no room for <this>")

    monkeypatch.setattr(translate, "apply", fails)
    panel = TranslatePanel({"any": generator}, {"red": RED}).wait(60)
    assert panel.status.value == "<b>Not translated: no room for &lt;this&gt;</b>" and panel.save.disabled


def test_what_is_saved_in_the_course_is_told_from_its_folder(panel, monkeypatch, tmp_path):
    monkeypatch.setattr("labutils.dashboard.translate.home", lambda: tmp_path)
    panel.save.click()
    assert panel.status.value == "saved as kept/red-apples-to-oranges.png"


def test_every_control_has_a_description(panel):
    for control in (panel.upload, panel.picture, panel.generator, panel.wipe, panel.save):
        assert control.description
    assert panel.wipe.description.endswith("(%)") and panel.save.tooltip
