"""Background work, such as a training, in a thread that can be paused, resumed, stopped and waited for.

An interrupt ends a wait, but not the work. ``Thread.join`` cannot do that: after an interrupt, Python 3.11 counts the
living thread as dead, and Jupyter closes what it still needs (https://github.com/python/cpython/issues/90882).
"""

import contextlib
import threading
import time
import traceback
from collections import deque


def wait_for(event, timeout=None):
    """Wait for a ``threading.Event``, at most ``timeout`` seconds; returns whether it happened.

    Looks up twice a second, because Windows delivers an interrupt only between two waits.
    """
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while not event.wait(min(0.5, max(0, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
    return True


class Background:
    """A worker thread with a state in words; the base of ``training.Run`` and ``style_run.StyleRun``.

    ``state``: "ready", "building the graph", ``BUSY``, "paused", "finished", "stopped" or "failed". ``watchers``:
    functions without arguments, called by the worker after every step and every change of state. ``error``: what ended
    the work early. ``remarks``: (step, text), notes for readers of the results, such as the failure of a watcher,
    which does not end the work. A subclass has ``step``, calls ``_begin``, and calls ``_pass`` after each step.
    """

    WORK, UNIT, BUSY = "work", "step", "working"  # words for messages

    def __init__(self):
        self.state, self.error, self.watchers, self.remarks = "ready", None, [], deque(maxlen=20)
        self._working = self._paused = self._stopping = False
        self._news = threading.Condition(threading.RLock())  # held to change the line above or a request
        self._ended, self._thread = threading.Event(), None
        self._ended.set()

    @property
    def running(self):
        return self._working

    # What a user calls, from the main thread

    def pause(self):
        """Hold after the current step, until ``resume``."""
        with self._news:
            if self._working and not self._stopping:
                self._paused, self.state = True, "paused"

    def resume(self):
        """Resume after ``pause``."""
        with self._news:
            if self._working and self._paused:
                self._paused, self.state = False, self.BUSY
                self._news.notify_all()

    def stop(self):
        """End after the current step and keep the results; ``start`` continues from there."""
        with self._news:
            self._stopping, self._paused = True, False
            self._news.notify_all()

    def wait(self, timeout=None):
        """Return ``self`` when the work has ended; raise what ended it early, or ``TimeoutError`` after ``timeout`` s.

        An interrupt ends the wait, not the work. Without ``timeout``, raises ``RuntimeError`` if the work is paused: a
        cell that waits would block the Resume button. Raises it, too, if a watcher or a callback waits, in the thread.
        """
        if self._thread is threading.current_thread():
            raise RuntimeError(f"The {self.WORK} cannot wait for its own end: call wait() in a cell, not in a watcher.")
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while not wait_for(ended := self._ended, min(0.5, max(0, end - time.monotonic()))) or ended is not self._ended:
            if timeout is None and self._paused:
                raise RuntimeError(
                    f"The {self.WORK} is paused at {self.UNIT} {self.step}: press Resume, or call run.resume(), first."
                )
            if time.monotonic() >= end:
                raise TimeoutError(f"Still {self.state} after {timeout} s, at {self.UNIT} {self.step}.")
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
        """Add ``text`` with the current step to ``remarks``, once; return whether it is new."""
        new = text not in (known for _, known in list(self.remarks))  # either thread may add one
        if new:
            self.remarks.append((self.step, text))
        return new

    # What a subclass calls

    def _settle(self):
        """Wait until the worker has notified its watchers of the end."""
        if self._thread is not threading.current_thread():
            wait_for(self._ended)

    def _begin(self, work, held=None):
        """Call ``work``, which returns the state it ended in, in the thread; leave the context ``held`` after it."""
        with self._news:
            self._working, self._paused, self._stopping = True, False, False
            self.error, self.state = None, "building the graph"
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
                while self._goes_on(ended):
                    self.attempt(self._serve)  # asked for after the last step
            self._tell()
        finally:
            done.set()

    def _goes_on(self, ended):
        with self._news:
            self._working = bool(self._asked())
            if not self._working:
                self._paused, self.state = False, ended
            return self._working

    def _pass(self):
        """Between two steps: notify the watchers, serve requests, wait while paused.

        Returns whether a request was served or a stop was requested.
        """
        with self._news:
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

    def _asked(self):
        """Return the requests that wait to be served between two steps; called with ``_news`` held."""
        return None

    def _serve(self):
        """Serve the waiting requests."""
