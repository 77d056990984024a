"""What may be changed while a run trains, and the record of every change."""

import json
import threading

import numpy as np

from labutils import files
from labutils.checkpoints import CheckpointError, sealed, unsealed
from labutils.losses import weight


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
