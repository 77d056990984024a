"""Lesson 3 as a student has it: JupyterLab in a headless browser, a slider moved while it trains."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium (Debian: chromium, chromium-driver)")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --window-size=1300,1600 --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)

LESSON = """
from labutils import cyclegan, models, profile, training
from labutils.dashboard import TrainingPanel
from labutils.datasets import orchard
lab = profile.load("smoke")
root = orchard.write("orchard", train=6, test=4, size=32, progress=False)
networks = [models.build({**s, "image_size": 32}) for s in [lab.generator] * 2 + [lab.discriminator] * 2]
run = training.Run(cyclegan.CycleGAN(*networks), root, lab, "run")
panel = TrainingPanel(run)
panel.steps.value = 100_000
panel
"""


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a notebook with a panel, on a free port of this machine."""
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LESSON.strip())])
    book.cells.append(nbformat.v4.new_code_cell("print('cell two at step', 'some' if run.step else 'zero', run.state)"))
    book.cells.append(nbformat.v4.new_code_cell("run.wait(60)\nprint('ended', run.running, run.events)"))
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(book, tmp_path / "panel.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "settings"
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_DATA_DIR": str(settings)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=secret", f"--ServerApp.root_dir={tmp_path}"]
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/api?token=secret"), 120)
        yield f"http://127.0.0.1:{port}/lab/tree/panel.ipynb?token=secret"
    finally:
        server.terminate()
        server.wait(30)


def answers(address):
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except Exception as error:  # the page is still being built: an element may be gone again
            result, last = None, error
        else:
            last = None
        if result:
            return result
        assert time.monotonic() < end, f"not within {seconds} s: {last or 'still false'}"
        time.sleep(0.1)


@pytest.fixture
def browser(tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path / 'browser'}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.save_screenshot(str(tmp_path / "page.png"))
    driver.quit()


def test_a_slider_dragged_while_it_trains_acts_and_stop_stops(lab, browser):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def text():
        return browser.find_element(By.TAG_NAME, "body").text

    def button(name):
        return next(b for b in browser.find_elements(By.CSS_SELECTOR, "button.jupyter-button") if name in b.text)

    def step():
        found = re.search(r"training: step (\d+)", text())
        return int(found.group(1)) if found else 0

    def run_cell(number):
        cell = browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell .cm-content")[number]
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        ActionChains(browser).click(cell).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()

    browser.get(lab)
    wait_until(lambda: "Python 3 (ipykernel) | Idle" in text(), 180)
    run_cell(0)
    wait_until(lambda: "ready: step 0" in text(), 300)
    button("More steps").click()
    wait_until(lambda: step() >= 2, 300)

    handle = browser.find_elements(By.CSS_SELECTOR, ".widget-slider .noUi-handle")[1]
    browser.execute_script("arguments[0].focus()", handle)
    browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT)  # the cycle weight, one notch by keyboard
    wait_until(lambda: "cycle = 9.5" in text(), 120)

    run_cell(1)
    wait_until(lambda: "cell two at step some training" in text(), 60)  # the kernel is free while it trains

    button("Stop").click()
    wait_until(lambda: "stopped: step" in text(), 120)
    run_cell(2)
    wait_until(lambda: "ended False" in text(), 60)
