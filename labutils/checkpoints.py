"""A run's checkpoints, written atomically and checked byte for byte, and the log of its controls."""

import contextlib
import io
import json
import os
import shutil
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from labutils.base import files
from labutils.losses import weight

KEEP = 2  # newest checkpoints: the newest may be damaged


class CheckpointError(Exception):
    """Raised if a run's checkpoints cannot be read or written; the text says which and what to do."""


class Checkpoints:
    """Save and restore whole states by step, each in a folder written atomically.

    place: the folder of the checkpoints, in the run's folder.
    tracked: the parts of the state, ``{name: object}``, as ``tf.train.Checkpoint`` takes them.
    identity: JSON values; ``restore`` refuses a checkpoint with others.
    circumstances: JSON values to save with each checkpoint; default none.
    """

    def __init__(self, place, tracked, identity, circumstances=None):
        self.place, self.run = Path(place), Path(place).parent
        self.identity, self.circumstances = json.loads(json.dumps(identity)), circumstances or {}
        self.state = tf.train.Checkpoint(**tracked)

    def steps(self):
        """List the steps that have a checkpoint, oldest first. ``CheckpointError`` if the folder cannot be read."""
        try:
            return list(files.by_step(self.place))
        except OSError as error:  # treated as empty, the folder would silently get a new run
            remedy = "Make the folder readable, or choose another directory for this run."
            raise CheckpointError(f"The checkpoints in {self.place} cannot be read ({error}). {remedy}") from error

    def save(self, step, history):
        """Save the current state, unless this step has a checkpoint. ``CheckpointError`` if it cannot be written."""
        if self.whole(step):
            return
        with self.writing(f"The checkpoint of step {step}"), files.aside(self._folder(step)) as aside:
            aside.mkdir()
            self.state.write(str(aside / "state"))
            losses = io.BytesIO()  # on a full disk, savez to a file would also warn from a destructor
            np.savez(losses, **{name: np.asarray(values) for name, values in history.items()})
            (aside / "history.npz").write_bytes(losses.getvalue())
            hashes = {path.name: files.sha256(path) for path in sorted(aside.iterdir())}
            card = {"step": step, "files": hashes, "circumstances": self.circumstances, **self.identity}
            (aside / "card").write_bytes(files.sealed(json.dumps(card).encode()))
        for old in self.steps()[:-KEEP]:
            shutil.rmtree(self._folder(old), ignore_errors=True)  # what cannot be deleted now is tried again

    @contextlib.contextmanager
    def writing(self, what):
        """Raise ``CheckpointError`` if the disk refuses ``what`` the block writes."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"{what} could not be written to {self.run} ({error}). Checkpoints are untouched: "
                f"{self.steps() or 'none'}. Is the disk full? Make room, then call start to resume."
            ) from error

    @contextlib.contextmanager
    def alone(self, step=float("inf")):
        """Lock the run's folder for a ``Run`` at ``step``; the lock file lies beside the folder.

        Raises ``RuntimeError`` if another ``Run`` has locked it, or has saved a whole checkpoint after ``step``.
        """
        run = self.run.resolve()
        with contextlib.ExitStack() as held:
            with self.writing("The lock"):
                try:
                    held.enter_context(files.lock(run.with_name(f".{run.name}.lock"), wait=False))
                except BlockingIOError:
                    remedy = "Wait for it, stop it (run.stop()), or choose another directory."
                    raise RuntimeError(f"Another Run trains in {self.run}, perhaps elsewhere. {remedy}") from None
            for later in reversed(self.steps()):
                if later > step and self.whole(later):
                    told = f"has gone on to step {later} since this Run was built (step {step}): build it anew."
                    raise RuntimeError(f"{self.run} {told}")
            yield

    def restore(self):
        """Restore the newest whole checkpoint, if there is any.

        Returns its history, ``{"step": []}`` for a new run, and the list of circumstances that differ from now, each
        as ``name before instead of now``. Raises ``CheckpointError`` if no checkpoint is whole, or if the run's folder
        has only the other parts of a run; ``ValueError`` for another kind of run, or one on other pictures.
        """
        files.tidy(self.place)
        for step in reversed(self.steps()):
            card = self.whole(step)
            if not card:
                text = f"The checkpoint of step {step} in {self.place} is damaged; trying an older one."
                warnings.warn(text, stacklevel=4)
                continue
            self._refuse_other_run(card)
            try:
                self.state.read(str(self._folder(step) / "state")).assert_existing_objects_matched()
            except ValueError as error:  # other shapes; the card of an older version does not record them
                raise self._another_run(f"states: {error}") from None
            with np.load(self._folder(step) / "history.npz") as history:
                history = {name: history[name].tolist() for name in history.files}
            before = {**self.circumstances, **card.get("circumstances", {})}
            return history, _differences(before, self.circumstances)
        remedy = "Choose another directory; to begin anew in this one, delete all of it."
        if self.steps():
            raise CheckpointError(f"None of the checkpoints in {self.place} is whole (steps {self.steps()}). {remedy}")
        rest = [name for name in ("samples", "generators", "events.log") if os.path.lexists(self.run / name)]
        if rest:
            raise CheckpointError(f"{self.run} has {', '.join(rest)} of a run, but no checkpoint of it. {remedy}")
        return {"step": []}, []

    def refuse_broken(self, step, values):
        """Raise ``FloatingPointError`` that names those of ``values``, after ``step`` steps, that are not finite."""
        if broken := [name for name, value in values.items() if not np.isfinite(value).all()]:
            kept = self.steps()
            back = f"call start: it resumes from the last good checkpoint, step {kept[-1]}" if kept else ""
            raise FloatingPointError(
                f"NaN or infinite at step {step}: {', '.join(broken)}. Choose a lower learning rate or smaller loss "
                f"weights, then {back or 'build the run anew: no checkpoint is left'}."
            )

    def whole(self, step):
        """Return the card of this step if the hashes of all its files agree; otherwise ``None``."""
        folder = self._folder(step)
        try:
            card = json.loads(files.unsealed((folder / "card").read_bytes()))
            whole = all(files.sha256(folder / name) == sha256 for name, sha256 in card["files"].items())
        except (OSError, ValueError):
            return None
        return card if whole else None

    def _refuse_other_run(self, card):
        for key, value in self.identity.items():  # an older version of the course saved fewer keys
            if found := _differences(card.get(key, value), value):
                raise self._another_run(f"{key}: {'; '.join(found[:4])}{' …' if found[4:] else ''}.")

    def _another_run(self, difference):
        remedy = "Choose another directory for this run, or build it with the settings of that run."
        return ValueError(f"{self.run} holds a run with other {difference} {remedy}")

    def _folder(self, step):
        return self.place / files.named(step)


def circumstances(jit_compile):
    """Return the settings that change the last bits of a resumed run, but not the experiment."""
    threads, cores = tf.config.threading, os.cpu_count()
    return {
        "TensorFlow": tf.__version__,
        "threads in an operation": threads.get_intra_op_parallelism_threads() or cores,
        "operations at a time": threads.get_inter_op_parallelism_threads() or cores,
        "jit_compile": jit_compile,
    }


def _differences(kept, wanted, name=""):
    """List the differences of two JSON values, each as ``name kept instead of wanted``."""
    if not (isinstance(kept, dict) and isinstance(wanted, dict)):
        return [] if kept == wanted else [f"{name}{textwrap.shorten(f'{kept} instead of {wanted}', 120)}"]
    pairs = {key: (kept.get(key, "none"), wanted.get(key, "none")) for key in sorted(kept | wanted)}
    return [line for key, pair in pairs.items() for line in _differences(*pair, f"{name}{key} ")]


class Controls(dict):
    """Change ``tf.Variable``s by name between two steps; record every change in the file ``log``.

    ``events``: the changes, each (step, name, value); ``step`` counts the steps trained before the change. A resumed
    run replays later changes at their original steps. ``pending``: ``{name: value}``, set by the next ``apply``.
    ``ask`` and ``apply`` may be called in different threads.
    """

    def __init__(self, log, variables):
        super().__init__(variables)
        self.log, self.events, self.pending = log, [], {}
        self._recorded = []  # events to replay at later steps
        self._lock = threading.Lock()

    def ask(self, name, value):
        """Request ``value`` for the next ``apply``; ``ValueError`` for an unknown name, a negative value or NaN."""
        if name not in self:
            raise ValueError(f"Unknown control {name!r}: choose one of {', '.join(self)}.")
        with self._lock:
            self.pending[name] = weight(name, value)

    def apply(self, step):
        """Assign the values that are due after ``step`` steps: first recorded ones, then pending ones."""
        with self._lock:
            pending = dict(self.pending)
        due = {name: value for at, name, value in self._recorded if at <= step} | pending
        for name, value in due.items():
            self[name].assign(value)
        # a new decision replaces what was recorded for later
        self._recorded = [event for event in self._recorded if event[0] > step and event[1] not in pending]
        if pending:
            with self._lock:  # only now: a control that is not pending must have its new value
                self.pending = {name: value for name, value in self.pending.items() if value != pending.get(name)}
            self.events = [event for event in self.events if event[0] <= step or event[1] not in pending]
            self._record([(step, name, value) for name, value in pending.items()])

    def restore(self, step):
        """Read the log of a run that resumes after ``step``; ``CheckpointError`` if the file is damaged."""
        try:
            lines = files.unsealed(self.log.read_bytes()).splitlines() if self.log.exists() else []
        except ValueError as error:
            remedy = "Delete it to resume from the newest checkpoint; changes after that checkpoint are then lost."
            raise CheckpointError(f"{self.log}, the record of the controls, is damaged ({error}). {remedy}") from None
        self.events = [tuple(json.loads(line)) for line in lines]
        self._recorded = [event for event in self.events if event[0] >= step]
        self.apply(step)

    def values_now(self):
        """Return ``{name: value}`` of all controls; pending values replace current ones."""
        return {name: float(control.numpy()) for name, control in self.items()} | self.pending

    def decide(self, step, values):
        """Drop the changes recorded after ``step``; change to those of ``values`` that are finite."""
        self._recorded, self.events = [], [event for event in self.events if event[0] <= step]
        self._record([])
        self.pending |= {name: x for name, x in values.items() if np.isfinite(x) and x != self[name].numpy()}
        self.apply(step)

    def _record(self, events):
        self.events += events
        files.write(self.log, files.sealed("".join(json.dumps(event) + "\n" for event in self.events).encode()))
