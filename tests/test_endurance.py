"""Two thousand steps with the panel attached: memory, threads, figures and traces do not grow.

These numbers belong to the process, so ``make test`` runs this file in a separate one, without other tests.
"""

import contextlib
import ctypes
import dataclasses
import gc
import sys
import threading
import time
import traceback

import psutil
import pytest
from matplotlib.figure import Figure

from labutils.dashboard import TrainingPanel
from labutils.training import Run

STEPS, EVERY = 2000, 500


class Meter:
    """Watches a run from its training thread."""

    def __init__(self, run):
        self.run, self.process = run, psutil.Process()
        self.memory, self.figures, self.moving, self.seen = {}, [], threading.Event(), set()

    def __call__(self):
        step = self.run.step
        if step == EVERY:
            self.moving.set()
        self.seen.add(float(self.run.controls["cycle"].numpy()))
        if step % EVERY == 0 and step not in self.memory:
            give_back()
            self.memory[step] = self.process.memory_info().rss
            self.figures.append(sum(isinstance(thing, Figure) for thing in gc.get_objects()))


def give_back():
    """What only waits to be collected, or freed, is not alive; how much waits depends on the tests before this one."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # the C library is not glibc
            ctypes.CDLL(None).malloc_trim(0)


def wait(run, seconds):
    """``run.wait``; if it takes too long, say what every thread is doing."""
    try:
        run.wait(seconds)
    except TimeoutError:
        for frame in sys._current_frames().values():
            print("".join(traceback.format_stack(frame)), "\n")
        raise


def threads():
    """Python's threads, and all threads of the process."""
    gc.collect()
    return threading.active_count(), psutil.Process().num_threads()


@pytest.fixture(scope="module")
def panel(make_gan, orchard_root, tiny, tmp_path_factory):
    """A panel whose run has been trained for a few steps, so that all that is built once is there."""
    gan, traces = make_gan(), []
    step = gan.train_step
    gan.train_step = lambda data: traces.append(1) or step(data)
    profile = dataclasses.replace(tiny, steps=STEPS + 10, sample_every=100, checkpoint_every=100)
    panel = TrainingPanel(Run(gan, orchard_root, profile, tmp_path_factory.mktemp("endurance") / "run"))
    panel.steps.value = 10
    panel.more.click()
    panel.run.wait(120)
    panel.traces, panel.threads = traces, threads()
    return panel


def test_two_thousand_steps_and_five_hundred_moves(panel):
    run = panel.run
    meter = Meter(run)
    run.watchers.append(meter)
    panel.start.click()
    assert meter.moving.wait(300)
    began = time.monotonic()
    for number in range(1, 501):
        panel.sliders["cycle"].value = number / 25
        time.sleep(max(0, began + number / 100 - time.monotonic()))  # 500 moves in 5 s, like a person dragging
    assert run.running
    print(f"{number} moves in {time.monotonic() - began:.1f} s")
    wait(run, 600)
    run.watchers.remove(meter)
    assert run.step == STEPS + 10 and len(panel.traces) == 1
    assert float(run.controls["cycle"].numpy()) == 20 and len(meter.seen) > 20
    growth = [(meter.memory[step + EVERY] - meter.memory[step]) / 1e6 for step in range(EVERY, STEPS, EVERY)]
    print("MB:", {step: round(size / 1e6, 1) for step, size in meter.memory.items()}, "figures:", meter.figures)
    print("threads:", panel.threads, threads(), "cycle weights seen:", len(meter.seen))
    assert max(growth) < 5
    assert max(meter.figures) <= 3
    assert threads() <= panel.threads


def test_twenty_starts_and_stops_leave_no_thread(panel):
    run = panel.run
    run.set("total_steps", run.step + 1000)
    for number in range(20):
        at = run.step
        panel.start.click()
        assert run.running
        if number % 2:  # after some steps, not only before the first
            after_two_steps = threading.Event()
            run.watchers.append(lambda: run.step >= at + 2 and after_two_steps.set())  # noqa: B023
            assert after_two_steps.wait(120)
            run.watchers.pop()
            at = run.step
        panel.stop.click()
        wait(run, 120)
        assert run.step - at <= 2
    assert not any(thread.name == "training" for thread in threading.enumerate())
    print("threads:", panel.threads, threads())
    assert threads() <= panel.threads
    assert len(panel.traces) == 1
