"""A run's checkpoints, written atomically and checked byte for byte, and the log of its controls."""

import hashlib
import io
import json
import shutil
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from labutils.base import files
from labutils.losses import weight


class CheckpointError(Exception):
    """Raised if a run's checkpoints cannot be read or written; the text says which and what to do."""


class Checkpoints:
    """Save and restore whole states by step, each in a folder written atomically.

    place: the folder of the checkpoints.
    tracked: the parts of the state, ``{name: object}``, as ``tf.train.Checkpoint`` takes them.
    identity: JSON values; ``restore`` refuses a checkpoint with others.
    keep: how many of the newest checkpoints to keep, 2 or more, otherwise ``ValueError``; default 2.
    circumstances: JSON values to save with each checkpoint; default none.
    """

    def __init__(self, place, tracked, identity, keep=2, circumstances=None):
        if keep < 2:
            raise ValueError(f"At least two checkpoints must be kept, not {keep}: one may be damaged.")
        self.place, self.identity, self.keep = Path(place), json.loads(json.dumps(identity)), keep
        self.circumstances = circumstances or {}
        self.state = tf.train.Checkpoint(**tracked)

    def steps(self):
        """List the steps that have a checkpoint, oldest first. ``CheckpointError`` if the folder cannot be read."""
        try:
            return list(files.by_step(self.place))
        except OSError as error:  # treated as empty, the folder would silently get a new run
            raise CheckpointError(
                f"The checkpoints in {self.place} cannot be read ({error}). Make the folder readable, or choose "
                "another directory for this run."
            ) from error

    def save(self, step, history):
        """Save the current state, unless this step has a checkpoint. ``CheckpointError`` if it cannot be written."""
        if self.whole(step):
            return
        try:
            with files.aside(self._folder(step)) as aside:
                aside.mkdir()
                self.state.write(str(aside / "state"))
                losses = io.BytesIO()  # on a full disk, savez to a file would also warn from a destructor
                np.savez(losses, **{name: np.asarray(values) for name, values in history.items()})
                (aside / "history.npz").write_bytes(losses.getvalue())
                hashes = {path.name: _sha256(path.read_bytes()) for path in sorted(aside.iterdir())}
                card = {"step": step, "files": hashes, "circumstances": self.circumstances, **self.identity}
                (aside / "card").write_bytes(sealed(json.dumps(card).encode()))
        except (OSError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"The checkpoint of step {step} could not be written to {self.place} ({error}). "
                f"Earlier checkpoints are untouched: {self.steps() or 'none'}. Is the disk full?"
            ) from error
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self._folder(old), ignore_errors=True)  # what cannot be deleted now is tried again

    def restore(self):
        """Restore the newest whole checkpoint; ``None`` if there is no checkpoint.

        Returns its history and its circumstances.
        """
        files.tidy(self.place)
        for step in reversed(self.steps()):
            card = self.whole(step)
            if not card:
                warnings.warn(
                    f"The checkpoint of step {step} in {self.place} is damaged; trying an older one.", stacklevel=4
                )
                continue
            self._refuse_other_run(card)
            try:
                self.state.read(str(self._folder(step) / "state")).assert_existing_objects_matched()
            except ValueError as error:  # other shapes; the card of an older version does not record them
                raise self._another_run(f"states: {error}") from None
            with np.load(self._folder(step) / "history.npz") as history:
                return {name: history[name].tolist() for name in history.files}, card.get("circumstances", {})
        if self.steps():
            raise CheckpointError(
                f"None of the checkpoints in {self.place} is whole (steps {self.steps()}). To start afresh, choose "
                "another directory or delete this one."
            )
        return None

    def whole(self, step):
        """Return the card of this step if the hashes of all its files agree; otherwise ``None``."""
        folder = self._folder(step)
        try:
            card = json.loads(unsealed((folder / "card").read_bytes()))
            whole = all(_sha256((folder / name).read_bytes()) == sha256 for name, sha256 in card["files"].items())
        except (OSError, ValueError):
            return None
        return card if whole else None

    def _refuse_other_run(self, card):
        for key, value in self.identity.items():  # an older version of the course saved fewer keys
            if found := _differences(card.get(key, value), value):
                raise self._another_run(f"{key}: {'; '.join(found[:4])}{' …' if found[4:] else ''}.")

    def _another_run(self, difference):
        return ValueError(
            f"{self.place.parent} holds a run with other {difference} Choose another directory for this run, or "
            "build it with the settings of that run."
        )

    def _folder(self, step):
        return self.place / files.named(step)


def _differences(kept, wanted, name=""):
    """List the differences of two JSON values, each as ``name kept instead of wanted``."""
    if isinstance(kept, dict) and isinstance(wanted, dict):
        return [
            line
            for key in sorted(kept | wanted)
            for line in _differences(kept.get(key, "none"), wanted.get(key, "none"), f"{name}{key} ")
        ]
    return [] if kept == wanted else [f"{name}{textwrap.shorten(f'{kept} instead of {wanted}', 120)}"]


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
        for _, name, value in [event for event in self._recorded if event[0] <= step]:
            self[name].assign(value)
        self._recorded = [event for event in self._recorded if event[0] > step]
        if not pending:
            return
        for name, value in pending.items():
            self[name].assign(value)
        with self._lock:  # only now: a control that is not pending must have its new value
            self.pending = {name: value for name, value in self.pending.items() if value != pending.get(name)}
        # a new decision replaces what was recorded for later
        dropped = [event for event in self._recorded if event[1] in pending]
        self._recorded = [event for event in self._recorded if event not in dropped]
        self.events = [event for event in self.events if event not in dropped]
        self._record([(step, name, value) for name, value in pending.items()])

    def restore(self, step):
        """Read the log of a run that resumes after ``step``; ``CheckpointError`` if the file is damaged."""
        try:
            lines = unsealed(self.log.read_bytes()).splitlines() if self.log.exists() else []
        except ValueError as error:
            raise CheckpointError(
                f"{self.log}, the record of slider changes, is damaged ({error}). Delete it to resume from the newest "
                "checkpoint; changes after that checkpoint are then lost."
            ) from None
        self.events = [tuple(json.loads(line)) for line in lines]
        self._recorded = [event for event in self.events if event[0] >= step]
        self.apply(step)

    def values_now(self):
        """Return ``{name: value}`` of all controls; pending values replace current ones."""
        return {name: float(control.numpy()) for name, control in self.items()} | self.pending

    def decide(self, step, values):
        """Set ``values`` at ``step`` and drop all changes recorded after it."""
        self._recorded, self.events = [], [event for event in self.events if event[0] <= step]
        changed = {name: value for name, value in values.items() if np.isfinite(value) and value != self[name].numpy()}
        for name, value in changed.items():
            self[name].assign(value)
        self._record([(step, name, value) for name, value in changed.items()])

    def _record(self, events):
        self.events += events
        files.write(self.log, sealed("".join(json.dumps(event) + "\n" for event in self.events).encode()))


def sealed(data):
    """Put a line with the SHA-256 of the bytes ``data`` above them."""
    return _sha256(data).encode() + b"\n" + data


def unsealed(data):
    """Return the bytes that ``sealed`` was given; ``ValueError`` if one has changed since."""
    sha256, _, inside = data.partition(b"\n")
    if _sha256(inside).encode() != sha256:
        raise ValueError("its SHA-256 differs")
    return inside


def _sha256(data):
    return hashlib.sha256(data).hexdigest()
