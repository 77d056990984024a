"""What a run keeps: checkpoints, written atomically and checked byte for byte, and the record of its controls."""

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

from labutils import files
from labutils.losses import weight


class CheckpointError(Exception):
    """A run's checkpoints cannot be read or written; the text says which and what to do."""


class Checkpoints:
    """Whole states by step, each a folder that appears complete or not at all; the newest ``keep`` are kept.

    ``tracked``: what ``tf.train.Checkpoint`` takes. ``identity``: JSON values that a state must have been kept with to
    be restored. ``circumstances``: JSON values that are kept beside it. ``keep``: 2 or more, otherwise ``ValueError``:
    a damaged checkpoint needs one before it.
    """

    def __init__(self, place, tracked, identity, keep=2, circumstances=None):
        if keep < 2:
            raise ValueError(f"At least two checkpoints must be kept, not {keep}: one may be damaged.")
        self.place, self.identity, self.keep = Path(place), json.loads(json.dumps(identity)), keep
        self.circumstances = circumstances or {}
        self.state = tf.train.Checkpoint(**tracked)

    def steps(self):
        """The steps that have a checkpoint, oldest first. ``CheckpointError`` if the folder cannot be read."""
        try:
            return list(files.by_step(self.place))
        except OSError as error:  # not the same as an empty one: that would be a silent fresh start
            raise CheckpointError(
                f"The checkpoints in {self.place} cannot be read ({error}). Make the folder readable, or choose "
                "another directory for this run."
            ) from error

    def save(self, step, history):
        """Keep the state as it is now, unless this step is kept already. ``CheckpointError`` if the disk refuses."""
        if self.whole(step):
            return
        try:
            with files.aside(self._folder(step)) as aside:
                aside.mkdir()
                self.state.write(str(aside / "state"))
                losses = io.BytesIO()  # savez, writing to a full disk, would also complain from a destructor
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
        """Bring back the newest whole state; ``None`` if nothing was ever kept.

        Returns its history, and the circumstances it was kept in.
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
            except ValueError as error:  # other shapes, which the card of an older version did not tell
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
        """The card of this step if each of its files is, byte for byte, what was written; otherwise ``None``."""
        folder = self._folder(step)
        try:
            card = json.loads(unsealed((folder / "card").read_bytes()))
            whole = all(_sha256((folder / name).read_bytes()) == sha256 for name, sha256 in card["files"].items())
        except (OSError, ValueError):
            return None
        return card if whole else None

    def _refuse_other_run(self, card):
        for key, value in self.identity.items():  # an older version of the course kept less
            if found := _differences(card.get(key, value), value):
                raise self._another_run(f"{key}: {'; '.join(found[:4])}{' …' if found[4:] else ''}.")

    def _another_run(self, difference):
        return ValueError(
            f"{self.place.parent} holds a run with other {difference} Choose another directory for this run, or "
            "build it as that one was."
        )

    def _folder(self, step):
        return self.place / files.named(step)


def _differences(kept, wanted, name=""):
    """Where two JSON values differ, a line each: ``name kept instead of wanted``."""
    if isinstance(kept, dict) and isinstance(wanted, dict):
        return [
            line
            for key in sorted(kept | wanted)
            for line in _differences(kept.get(key, "none"), wanted.get(key, "none"), f"{name}{key} ")
        ]
    return [] if kept == wanted else [f"{name}{textwrap.shorten(f'{kept} instead of {wanted}', 120)}"]


class Controls(dict):
    """``tf.Variable``s by name, changed between two steps; every change is recorded in the file ``log``.

    ``events``: the changes, each (step, name, value), made when so many steps had been trained. A run that goes on
    from an earlier step makes those that came later again, each at its step. ``pending``: ``{name: value}`` that waits
    for the next ``apply``. A value may be asked for in one thread and applied in another.
    """

    def __init__(self, log, variables):
        super().__init__(variables)
        self.log, self.events, self.pending = log, [], {}
        self._recorded = []  # events still to come
        self._lock = threading.Lock()

    def ask(self, name, value):
        """Let ``value`` wait for the next ``apply``; ``ValueError`` for an unknown name, a negative value or NaN."""
        if name not in self:
            raise ValueError(f"Unknown control {name!r}: choose one of {', '.join(self)}.")
        with self._lock:
            self.pending[name] = weight(name, value)

    def apply(self, step):
        """Assign the values that are due after ``step`` steps: recorded ones, then what was asked for."""
        with self._lock:
            pending = dict(self.pending)
        for _, name, value in [event for event in self._recorded if event[0] <= step]:
            self[name].assign(value)
        self._recorded = [event for event in self._recorded if event[0] > step]
        if not pending:
            return
        for name, value in pending.items():
            self[name].assign(value)
        with self._lock:  # only now: a control that waits no more has its new value
            self.pending = {name: value for name, value in self.pending.items() if value != pending.get(name)}
        # a new decision replaces what was recorded for later
        dropped = [event for event in self._recorded if event[1] in pending]
        self._recorded = [event for event in self._recorded if event not in dropped]
        self.events = [event for event in self.events if event not in dropped]
        self._record([(step, name, value) for name, value in pending.items()])

    def restore(self, step):
        """Read the log of a run that goes on after ``step``; ``CheckpointError`` if the file is damaged."""
        try:
            lines = unsealed(self.log.read_bytes()).splitlines() if self.log.exists() else []
        except ValueError as error:
            raise CheckpointError(
                f"{self.log}, which keeps the changes of sliders, is damaged ({error}). Without this file the run goes "
                "on from its newest checkpoint, and changes made after that are forgotten: delete it if you agree."
            ) from None
        self.events = [tuple(json.loads(line)) for line in lines]
        self._recorded = [event for event in self.events if event[0] >= step]
        self.apply(step)

    def values_now(self):
        """``{name: value}``, with what waits."""
        return {name: float(control.numpy()) for name, control in self.items()} | self.pending

    def decide(self, step, values):
        """``values`` replace whatever was recorded after ``step``."""
        self._recorded, self.events = [], [event for event in self.events if event[0] <= step]
        changed = {name: value for name, value in values.items() if np.isfinite(value) and value != self[name].numpy()}
        for name, value in changed.items():
            self[name].assign(value)
        self._record([(step, name, value) for name, value in changed.items()])

    def _record(self, events):
        self.events += events
        files.write(self.log, sealed("".join(json.dumps(event) + "\n" for event in self.events).encode()))


def sealed(data):
    """The bytes ``data`` below a line with their SHA-256."""
    return _sha256(data).encode() + b"\n" + data


def unsealed(data):
    """What ``sealed`` was given; ``ValueError`` if a byte of it has changed since."""
    sha256, _, inside = data.partition(b"\n")
    if _sha256(inside).encode() != sha256:
        raise ValueError("its SHA-256 is another")
    return inside


def _sha256(data):
    return hashlib.sha256(data).hexdigest()
