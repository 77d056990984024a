"""Background work: an interrupt ends a wait, not the work; a failing watcher ends nothing."""

import asyncio
import gc
import signal
import threading
import weakref

import ipywidgets as widgets
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from labutils import features, translate
from labutils.base.background import Background
from labutils.dashboard import TranslatePanel
from labutils.dashboard.parts import Watching
from labutils.dashboard.style_run import StyleRun
from labutils.scenes import styles
from labutils.training import Run


class Counting(Background):
    """Counts to ``last``, but past ``held`` only when ``go_on`` is set."""

    def __init__(self, last=5, held=2):
        super().__init__()
        self.step, self.last, self.held, self.go_on, self.orders = 0, last, held, threading.Event(), []

    def start(self):
        self._begin(self._count)

    def _count(self):
        while self.step < self.last and not self._stopping:
            self.step += 1
            self._pass()
            if self.step == self.held:
                assert self.go_on.wait(60)
        return "finished"

    def ask(self, order):
        with self._news:
            self.orders.append(order)
            self._news.notify_all()

    def _asked(self):
        return self.orders

    def _serve(self):
        order = self.orders.pop(0)
        order()


class Gate:
    """A watcher that holds a run at a step until ``go_on``."""

    def __init__(self, run, step):
        self.run, self.step, self.go_on = run, step, threading.Event()
        run.watchers.append(self)

    def __call__(self):
        if self.run.step == self.step:
            assert self.go_on.wait(120)


@pytest.fixture
def counting():
    work = Counting()
    work.start()
    yield work, work.go_on
    work.go_on.set()
    work.wait(60)


@pytest.fixture
def training(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    gate = Gate(run, 2)
    run.start(4)
    return run, gate.go_on


@pytest.fixture
def painting():
    small = {"layer_weights": {"block1_conv1": 1.0}, "content_layer": "block1_conv1"}
    vgg = features.vgg(weights="packed")
    run = StyleRun(styles.paint("dots", 24), styles.paint("tiles", 20), vgg, steps=4, **small)
    gate = Gate(run, 2)
    run.start()
    return run, gate.go_on


@pytest.fixture
def translating(make_gan, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(translate, "apply", lambda _, image: go_on.wait(60) and 255 - image)
    picture = np.zeros((32, 32, 3), np.uint8)
    return TranslatePanel({"any": make_gan().generator_ab}, {"black": picture}), go_on


@pytest.mark.parametrize("kind", ["counting", "training", "painting", "translating"])
def test_an_interrupt_ends_the_wait_and_the_work_goes_on(kind, request):
    work, go_on = request.getfixturevalue(kind)
    before = set(threading.enumerate())
    for _ in range(2):  # a second wait can be interrupted, too
        timer = threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            work.wait()
        timer.join()
        assert before <= set(threading.enumerate())  # no living thread was dropped
    with pytest.raises(TimeoutError):
        work.wait(0.1)
    go_on.set()
    work.wait(120)
    if kind == "translating":
        assert work.after.min() == 255
    else:
        assert work.state == "finished" and work.step in (4, 5) and not work.running


def test_start_or_set_that_waits_for_the_end_can_be_interrupted(counting):
    work, _ = counting
    timer = threading.Timer(0.2, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        work._settle()
    assert work._thread.is_alive()


CELLS = """
import asyncio, threading
import ipywidgets as widgets
from labutils.base.background import Background

class Counting(Background):
    def __init__(self):
        super().__init__()
        self.step, self.go_on, self.label = 0, threading.Event(), widgets.Label()
    def count(self):
        while self.step < 5:
            self.step += 1
            self.label.value = str(self.step)  # raises if Jupyter has closed this thread's socket
            self._pass()
            self.step == 2 and self.go_on.wait(60)
        return "finished"
work = Counting()
work._begin(work.count)
---
print("waiting", flush=True)
work.wait()
---
iopub = get_ipython().kernel.iopub_thread
asyncio.run_coroutine_threadsafe(iopub._event_pipe_gc(), iopub.io_loop.asyncio_loop).result(60)
work.go_on.set()
print(work.wait(60).state, work.label.value)
"""


def test_in_a_kernel_the_interrupted_cell_ends_and_widgets_stay_alive():
    manager, client = start_new_kernel()
    try:
        start, wait, after = CELLS.split("---")
        client.execute_interactive(start, timeout=60)

        def interrupt(message):
            if "waiting" in message["content"].get("text", ""):
                manager.interrupt_kernel()

        reply = client.execute_interactive(wait, timeout=60, output_hook=interrupt)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        said = []
        reply = client.execute_interactive(after, timeout=60, output_hook=said.append)
        assert reply["content"]["status"] == "ok", reply["content"]
        assert "finished 5" in "".join(message["content"].get("text", "") for message in said)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


class Wordless(Exception):
    def __str__(self):
        raise ValueError("no words")


ERRORS = [ValueError("no"), MemoryError("full"), StopIteration(), OSError(88, "no socket")]
ERRORS += [SystemExit(1), asyncio.CancelledError(), Wordless()]


@pytest.mark.parametrize("error", ERRORS)
def test_a_watcher_that_fails_is_remarked_once_and_the_others_still_look(error):
    work, seen = Counting(held=None), []

    def fails():
        raise error

    work.watchers += [fails, lambda: seen.append(work.step)]
    work.start()
    assert work.wait(60).state == "finished"
    assert sorted(set(seen)) == [1, 2, 3, 4, 5]
    ((step, text),) = work.remarks
    assert step == 1 and "fails failed" in text and type(error).__name__ in text and "not affected" in text


@pytest.mark.parametrize("step", [2, 5])
def test_a_watcher_that_waits_for_the_end_is_refused_and_not_waited_for(step):
    work = Counting(held=None)
    work.watchers.append(lambda: work.step == step and work.wait())
    work.start()
    assert work.wait(60).state == "finished"
    assert "cannot wait for its own end" in work.remarks[0][1]


def test_an_interrupt_in_the_callers_thread_is_no_remark():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Counting().attempt(interrupted)


def test_who_waits_waits_for_the_work_that_a_watcher_starts_at_the_end():
    work, again = Counting(last=3, held=None), Gate(Counting(), 4)
    again.run = work

    def start():
        if work.state == "finished" and work.step == 3:
            work.last = 6
            work.watchers.append(again)
            work.start()

    work.watchers.append(start)
    work.start()
    with pytest.raises(TimeoutError, match="at step 4"):
        work.wait(1)
    again.go_on.set()
    assert work.wait(60).state == "finished" and work.step == 6


def test_a_panel_that_could_not_be_made_is_closed_in_silence():
    Watching.__new__(Watching).close()


def test_remarks_that_differ_every_time_do_not_pile_up():
    work = Counting(last=100, held=None)
    work.watchers.append(lambda: int(f"step {work.step}"))
    work.start()
    work.wait(60)
    assert len(work.remarks) == 20 and "'step 100'" in work.remarks[-1][1]


def test_what_the_work_raises_comes_out_of_wait_be_it_no_exception(counting):
    work = Counting(held=None)
    work.ask(lambda: None)

    def leaves():
        raise SystemExit("gone")

    work._begin(leaves)
    with pytest.raises(SystemExit, match="gone"):
        work.wait(60)
    assert work.state == "failed" and not work.running and not work.orders


def test_what_is_asked_for_is_done_between_steps_while_paused_and_after_the_last(counting):
    work, go_on = counting
    done, served = [], threading.Event()
    work.pause()
    go_on.set()
    work.ask(lambda: (done.append((work.state, work.step)), served.set()))
    assert served.wait(60) and work.running
    work.ask(lambda: 1 / 0)  # a failed request does not end the work
    with pytest.raises(RuntimeError, match="paused at step 3: press Resume"):
        work.wait()
    work.watchers.append(lambda: work.step == 5 and not done[1:] and work.ask(lambda: done.append(work.step)))
    work.resume()
    assert work.wait(60).state == "finished" and not work.orders
    assert done == [("paused", 3), 5] and "ZeroDivisionError" in work.remarks[-1][1]


class Panel(Watching):
    def __init__(self, run):
        self.run, self.drawn = run, []
        super().__init__([widgets.Label()])
        self.watch()

    def refresh(self):
        self.drawn.append(self.run.step)


class Other(Panel):
    pass


def test_of_each_kind_one_panel_watches_and_a_closed_one_does_not():
    work = Counting(held=None)
    panels = [Panel(work) for _ in range(20)]
    other, closed = Other(work), Other(Counting())
    closed.close()
    closed.close()
    assert not closed.run.watchers
    work.start()
    work.wait(60)
    assert [len(panel.drawn) for panel in panels] == [0] * 19 + [6] and len(other.drawn) == 6
    assert "replaced" in panels[0].children[0].value and isinstance(panels[-1].children[0], widgets.Label)
    panels[0].close()  # the last panel stays active
    panels[-1].close()
    assert work.watchers == [other.refresh]


def test_a_closed_panel_lets_go_of_its_run():
    button = widgets.Button()
    panel = Panel(Counting(held=None))
    panel.children = [widgets.HBox([button])]
    button.on_click(lambda _, panel=panel: panel.refresh())
    run = weakref.ref(panel.run)
    panel.close()
    del panel, button
    gc.collect()
    assert run() is None
