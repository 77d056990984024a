"""Background work, such as a training, in a thread that can be paused, resumed, stopped and waited for.

An interrupt ends a wait, but not the work. ``Thread.join`` cannot do that: after an interrupt, Python 3.11 counts the
living thread as dead, and Jupyter closes what it still needs (https://github.com/python/cpython/issues/90882).
"""

import contextlib
import datetime
import threading
import time
import traceback
from collections import deque


def wait_for(event, timeout=None):
    """Wait for a ``threading.Event``, at most ``timeout`` seconds; return whether it happened."""
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while not event.wait(max(0, min(0.5, end - time.monotonic()))):  # Windows delivers an interrupt only between waits
        if time.monotonic() >= end:
            return False
    return True


class Background:
    """A worker thread with a state in words; the base of ``training.Run`` and ``style_run.StyleRun``.

    state: "ready", "building the graph", ``BUSY``, "paused", "finished", "stopped" or "failed".
    watchers: functions without arguments, called by the worker after every step and every change of state.
    error: what ended the work early.
    remarks: the newest (step, text), such as the failure of a watcher, which does not end the work.
    log: the file to which remarks are written, too; default none.

    A subclass has ``step``, calls ``_begin``, and calls ``_pass`` after each step.
    """

    WORK, UNIT, BUSY = "work", "step", "working"  # words for messages

    def __init__(self):
        self.state, self.error, self.watchers = "ready", None, []
        self.remarks, self.log = deque(maxlen=20), None
        self._times = deque(maxlen=50)  # when the newest steps ended
        self.running = self._paused = self._stopping = False
        self._news = threading.Condition(threading.RLock())  # held to change the line above or a request
        self._ended, self._thread = threading.Event(), None
        self._ended.set()

    @property
    def steps_per_second(self):
        """The speed over the last 50 steps; 0 before there are two."""
        times = list(self._times)  # the other thread may empty it
        took = times[-1] - times[0] if times else 0.0
        return (len(times) - 1) / took if took else 0.0

    # What a user calls, from the main thread

    def pause(self):
        """Hold after the current step, until ``resume``."""
        with self._news:
            if self.running and not self._stopping:
                self._paused, self.state = True, "paused"

    def resume(self):
        """Resume after ``pause``."""
        with self._news:
            if self.running and self._paused:
                self._paused, self.state = False, self.BUSY
                self._times.clear()  # the pause must not count as the time of a step
                self._news.notify_all()

    def stop(self):
        """End after the current step and keep the results; ``start`` continues from there."""
        with self._news:
            self._stopping, self._paused = True, False
            self._news.notify_all()

    def wait(self, timeout=None):
        """Return ``self`` when the work has ended; raise what ended it early, or ``TimeoutError`` after ``timeout`` s.

        An interrupt ends the wait, not the work. Raises ``RuntimeError`` in the worker itself and, without
        ``timeout``, while the work is paused: a waiting cell would block the Resume button.
        """
        if self._thread is threading.current_thread():
            raise RuntimeError(f"The {self.WORK} cannot wait for its own end: call wait() in a cell, not in a watcher.")
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while not wait_for(ended := self._ended, min(0.5, end - time.monotonic())) or ended is not self._ended:
            at = f"at {self.UNIT} {self.step}"
            if timeout is None and self._paused:
                raise RuntimeError(f"The {self.WORK} is paused {at}: press Resume, or call run.resume(), first.")
            if time.monotonic() >= end:
                raise TimeoutError(f"Still {self.state} after {timeout} s, {at}.")
        if self.error:
            raise self.error
        return self

    def attempt(self, function, *arguments):
        """Call ``function``; an exception other than an interrupt becomes a remark and does not end the work."""
        try:
            function(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, too
            name = getattr(function, "__qualname__", type(function).__qualname__)
            reason = "".join(traceback.format_exception_only(error)).strip()
            self.remark(f"{name} failed ({reason}); the {self.WORK} is not affected.", error)

    def remark(self, text, error=None):
        """Add ``text`` with the current step to ``remarks``, once; write it and the error's traceback to ``log``."""
        if text in (known for _, known in list(self.remarks)):  # either thread may add one
            return
        self.remarks.append((self.step, text))
        if self.log:
            when = datetime.datetime.now().isoformat(" ", "seconds")
            trace = traceback.format_exception(error) if error else []
            with contextlib.suppress(OSError):
                self.log.parent.mkdir(parents=True, exist_ok=True)
                with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as log:
                    log.writelines([f"{when} {self.UNIT} {self.step}: {text}\n", *trace])

    # What a subclass calls

    def _begin(self, work, held=None):
        """Call ``work``, which returns the state it ended in, in the thread; leave the context ``held`` after it."""
        with self._news:
            self.running, self._paused, self._stopping = True, False, False
            self.error, self.state = None, "building the graph"
            self._times.clear()
        self._ended = threading.Event()  # of this work: a watcher may start the next before the thread of the last ends
        arguments = (work, held or contextlib.nullcontext(), self._ended)
        self._thread = threading.Thread(target=self._work, args=arguments, name=self.WORK, daemon=True)
        self._thread.start()

    def _work(self, work, held, done):
        try:
            with held:
                try:
                    ended = work()
                except BaseException as error:  # handed to the main thread by wait()
                    self.error, ended = error, "failed"
                while not self._end(ended):
                    self.attempt(self._serve)  # asked for after the last step
            self._tell()
        finally:
            done.set()

    def _end(self, state):
        """End in ``state``, unless a request waits; return whether this was the end."""
        with self._news:
            if not self._asked():
                self.running, self._paused, self.state = False, False, state
            return not self.running

    def _pass(self):
        """Between two steps: notify the watchers, serve requests, wait while paused.

        Returns whether a request was served or a stop was requested.
        """
        with self._news:
            self._times.append(time.perf_counter())
            if not self._paused:
                self.state = self.BUSY
        self._tell()
        served = False
        while True:
            with self._news:
                self._news.wait_for(lambda: self._stopping or self._asked() or not self._paused)
                if self._stopping or not self._asked():
                    return served or self._stopping
            self.attempt(self._serve)
            served = True
            if self._paused:
                self._tell()

    def _tell(self):
        for watcher in list(self.watchers):
            self.attempt(watcher)

    def _settle(self):
        """Wait until the worker has notified its watchers of the end."""
        if self._thread is not threading.current_thread():
            wait_for(self._ended)

    # What a subclass may have, to be asked for something between two steps

    def _asked(self):
        """Return the waiting requests; called with ``_news`` held."""

    def _serve(self):
        """Serve the waiting requests."""
