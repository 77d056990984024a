"""Panels in JupyterLab in a headless browser: show pictures, upload a photograph, wipe, save."""

import base64
import io

import numpy as np
import pytest
import test_browser
from PIL import Image
from test_browser import pytestmark as pytestmark
from test_browser import wait_until

from labutils.profile import home

browser, lab = test_browser.browser, test_browser.lab  # the fixtures

CODE = """
from labutils import models
from labutils.dashboard import TranslatePanel
red = __import__("numpy").full((30, 50, 3), (255, 0, 0), "uint8")
panel = TranslatePanel({"repainted": models.unet_generator(None, filters=2, levels=1)}, {"red": red}, "kept")
panel
"""
OTHERS = """
from labutils.dashboard import AugmentationPanel, FeatureMaps, PatchMover, StylePanel
square = red[:32, :32].repeat(2, 0)[:32]
network, judge = models.unet_generator(32, 4, levels=2), models.patch_discriminator(32, 4, strides=(2, 2))
display(AugmentationPanel(square, 32), PatchMover(judge, square), FeatureMaps(network, square))
style = StylePanel(square, 255 - square, steps=1, size=32)
style.start.click()
style
"""


@pytest.fixture(autouse=True)
def lesson(tmp_path, monkeypatch):
    """A notebook of two cells in the place of lesson 3."""
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code.strip()) for code in (CODE, OTHERS)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(book, tmp_path / "panel.ipynb")
    monkeypatch.setattr(test_browser, "LESSON", tmp_path / "panel.ipynb")
    monkeypatch.setenv("PYTHONPATH", str(home()))


def test_upload_wipe_and_save(lab, browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def text():
        return browser.find_element(By.TAG_NAME, "body").text

    def press(name):
        browser.find_element(By.XPATH, f"//button[contains(., '{name}')][contains(@class, 'jupyter-button')]").click()

    def shown():
        """The picture the browser shows, whatever way it came."""
        script = """
            const image = document.querySelector("img[title^='The picture, its']");
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL("image/png");
        """
        data = base64.b64decode(browser.execute_script(script).split(",")[1])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    browser.get(lab)
    wait_until(lambda: "Python 3 (ipykernel) | Idle" in text(), 300)
    browser.find_element(By.CSS_SELECTOR, ".jp-CodeCell .cm-content").send_keys(Keys.SHIFT, Keys.ENTER)
    wait_until(lambda: "ready: red, repainted" in text(), 300)

    def choose(name, size):
        """Choose a picture whose file has ``size`` bytes, most of them behind its end."""
        Image.new("RGB", (60, 40), (0, 0, 200)).save(tmp_path / name)
        with open(tmp_path / name, "ab") as file:
            file.truncate(size)
        press("Own picture")
        browser.find_elements(By.CSS_SELECTOR, "body > input[type=file]")[-1].send_keys(str(tmp_path / name))

    # Selenium cannot use a file dialogue: put the widget's file input, which is in no page, into the page.
    browser.execute_script("HTMLInputElement.prototype.click = function () { document.body.append(this); }")
    choose("film.png", 120_000_000)
    wait_until(lambda: "film.png has 120 MB; the limit is 50 MB. Save it smaller" in text(), 120)
    choose("sky.png", 50_000_000)
    wait_until(lambda: "ready: sky.png, repainted" in text() and "60 × 40 pixels, changed by" in text(), 120)
    wait_until(lambda: abs(shown()[20, 5] - (0, 0, 200)).max() < 12 and shown().shape == (40, 60, 3), 60)
    right = shown()[5:35, 50:].mean((0, 1))
    assert abs(right - (0, 0, 200)).max() > 30

    handle = browser.find_element(By.CSS_SELECTOR, ".widget-slider .noUi-handle")
    browser.execute_script("arguments[0].focus()", handle)
    browser.switch_to.active_element.send_keys(Keys.HOME)
    wait_until(lambda: "Left 0 % of the width: sky.png; right 100 %: repainted" in text(), 60)
    wait_until(lambda: abs(shown()[5:35, :10].mean((0, 1)) - right).max() < 40, 60)
    browser.switch_to.active_element.send_keys(Keys.END)
    wait_until(lambda: abs(shown()[5:35, 50:].mean((0, 1)) - (0, 0, 200)).max() < 12, 60)

    press("Save")
    wait_until(lambda: "saved as kept/sky-repainted.png" in text(), 60)
    (kept,) = tmp_path.rglob("sky-repainted.png")
    with Image.open(kept) as picture:
        assert picture.size == (60, 40) and picture.text["source"] == "sky.png"

    browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .cm-content")[1].send_keys(Keys.SHIFT, Keys.ENTER)
    pictures = "return Array.from(document.images).filter(i => i.title && i.naturalWidth).map(i => i.title)"
    wait_until(lambda: len(set(browser.execute_script(pictures))) == 6, 120)
    assert "javascript error" not in text()
