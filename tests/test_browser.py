"""Lesson 3 in JupyterLab in a headless browser: a slider is moved during training."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium (Debian: chromium, chromium-driver)")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --window-size=1300,1600 --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)

LESSONS = Path(__file__).parents[1] / "notebooks"
LESSON = LESSONS / "03_train.ipynb"
CELLS = json.loads(LESSON.read_text())["cells"]
TO_PANEL = 1 + next(number for number, cell in enumerate(CELLS) if "TrainingPanel(run)" in "".join(cell["source"]))


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a copy of lesson 3, on a free port of this machine; its data and runs are in ``tmp_path`` too."""
    shutil.copy(LESSON, tmp_path / "lesson.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "settings"
    settings.mkdir()
    shutil.copy(LESSONS / "server-settings.json", settings / "jupyter_server_config.json")  # as `make setup` does
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_DATA_DIR": str(settings)}
    environment |= {"LAB_PROFILE": "smoke", "LAB_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=secret", f"--ServerApp.root_dir={tmp_path}"]
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/api?token=secret"), 120)
        yield f"http://127.0.0.1:{port}/lab/tree/lesson.ipynb?token=secret"
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


def test_a_slider_dragged_while_it_trains_acts_and_stop_stops(lab, browser, tmp_path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def text():
        return browser.find_element(By.TAG_NAME, "body").text

    def find(path):
        element = browser.find_element(By.XPATH, path)
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def press(name):
        find(f"//button[contains(@class, 'jupyter-button')][contains(., '{name}')]").click()

    def handle(label):
        slider = f"//div[contains(@class, 'widget-slider')][label[contains(., '{label}')]]"
        return find(slider + "//div[contains(@class, 'noUi-handle')]")

    def run_cells(count):
        keys = ActionChains(browser)
        for _ in range(count):
            keys.key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT)
        keys.perform()

    def run_new_cell(code):
        """Typed above the selected cell, as a student would, and run."""
        find("//div[contains(@class, 'jp-Notebook')]//div[contains(@class, 'jp-mod-active')]").click()
        ActionChains(browser).send_keys(Keys.ESCAPE).send_keys("a").send_keys(Keys.ENTER).send_keys(code).perform()
        run_cells(1)

    def step():
        found = re.search(r"training: step (\d+)", text())
        return int(found.group(1)) if found else 0

    browser.get(lab)
    wait_until(lambda: "Python 3 (ipykernel) | Idle" in text(), 300)
    find("//div[contains(@class, 'jp-Notebook')]//h1").click()
    run_cells(TO_PANEL)
    wait_until(lambda: "finished: step 12 of 12" in text(), 600)
    run_cells(len(CELLS) - TO_PANEL)  # the rest of the lesson
    wait_until(lambda: "3-mistakes: not yet" in text() and "Lesson 3: 0 of 6 done" in text(), 300)
    steps = find("//div[contains(@class, 'widget-text')][label[contains(., 'steps')]]//input")
    steps.send_keys(Keys.CONTROL, "a")
    steps.send_keys("100000", Keys.ENTER)
    press("More steps")
    wait_until(lambda: step() > 14, 300)

    ActionChains(browser).drag_and_drop_by_offset(handle("cycle weight"), -40, 0).perform()
    moved = wait_until(lambda: re.search(r"step (\d+): cycle = (\d+\.?\d*)", text()), 300)
    assert int(moved.group(1)) > 12 and float(moved.group(2)) < 10
    handle("learning rate").send_keys(Keys.ARROW_RIGHT)  # one step by keyboard
    wait_until(lambda: "learning_rate = 0.00021" in text() and "learning_rate 0.00021" in text(), 300)
    changes = re.findall(r"step (\d+): (cycle|learning_rate) = ([\d.]+)", text())  # of a drag, only the end is marked
    step_of_last, _, value = [change for change in changes if change[1] == "cycle"][-1]
    mark = rf"cycle {float(value):.3g}(, [^;]*)? at step (\d+)"
    marked = wait_until(
        lambda: re.search(mark, find("//img[contains(@alt, 'Marks')]").get_attribute("alt")), 300
    )  # moves close together share one mark, at the first
    assert int(moved.group(1)) <= int(marked.group(2)) <= int(step_of_last)
    assert find("//img[starts-with(@title, 'Test pictures of both domains')]").is_displayed()
    assert "javascript error" not in text()
    assert re.search(r"Measured at step \d+ on \d+ held-out pairs", text()) and "dark = called fake" in text()

    run_new_cell("print('a cell at step', 'some' if run.step else 'zero', run.state)")
    wait_until(lambda: "a cell at step some training" in text(), 300)  # the kernel is free while it trains

    press("Stop")
    wait_until(lambda: "stopped: step" in text(), 300)
    run_new_cell("run.wait(60)")  # "stopped" is said by the training thread, just before it ends
    run_new_cell("print('ended', not run.running)")
    wait_until(lambda: "ended True" in text() and "Python 3 (ipykernel) | Idle" in text(), 300)
    assert list((tmp_path / "runs").glob("lesson3-smoke/samples/*.png"))
