"""Training in the background: a run that can be paused, steered, stopped, killed and continued exactly."""

import contextlib
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
import tensorflow as tf

from labutils import files, layers, samples, translate
from labutils.checkpoints import CheckpointError, Checkpoints
from labutils.controls import Controls
from labutils.datasets import folder, pipeline

NETWORKS = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")


class LinearDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A rate that stays at ``base`` for ``constant`` steps and then falls in a line to zero at ``total``.

    All of it times ``pace``. ``base`` and ``total`` are ``tf.Variable``s, read at every step: changing them
    recompiles nothing.
    """

    def __init__(self, base, total, constant, pace=1.0):
        self.base, self.total, self.constant, self.pace = base, total, constant, pace

    def __call__(self, step):
        left = (self.total - tf.cast(step, tf.float32)) / tf.maximum(self.total - self.constant, 1.0)
        return self.pace * self.base * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self):
        return {"base": float(self.base), "total": float(self.total), "constant": self.constant, "pace": self.pace}


class Run:
    """One training of ``gan`` on the pictures in ``root``, in a thread of its own, with its state in ``directory``.

    ``profile`` (a ``Profile``) gives picture size, batch, steps, rate and how often to keep things. If ``directory``
    already holds a run, this one continues it: on a CPU, with as many threads, bit for bit, even after a kill.
    Kept there, by step: ``checkpoints/`` (the newest ``keep``), ``samples/`` (PNG, at most 200), ``generators/`` (up
    to ``kept_generators`` pairs in the plan's steps, and those it was stopped with).

    ``controls`` are the variables that may be changed while it trains, with ``set``: the loss weights "adversarial",
    "cycle" and "identity", and "learning_rate". ``callbacks`` are more Keras callbacks; ``watchers`` are functions
    without arguments, called after every step and every change of ``state``. Both run in the training thread; after a
    ``set`` while nothing trains, watchers run in the caller's.

    ``jit_compile``: whether XLA compiles the step.

    Raises ``CheckpointError`` if checkpoints exist but none is whole, ``ValueError`` if they belong to another kind of
    run, ``RuntimeError`` while another ``Run`` trains in ``directory``.

    Example::

        run = Run(gan, root, profile.load(), "runs/first")
        run.start()           # returns at once
        run.set("cycle", 5)   # acts on the next step
        run.wait()            # until it ends
    """

    def __init__(self, gan, root, profile, directory, seed=0, callbacks=(), keep=2, jit_compile=False):
        self.gan, self.root, self.profile, self.seed = gan, Path(root), profile, seed
        self.directory = Path(directory)
        self.callbacks, self.watchers = list(callbacks), []
        rate = tf.Variable(float(profile.learning_rate), name="learning_rate")
        total = tf.Variable(float(profile.steps), name="total_steps")
        weights = gan.loss_weights
        controls = {name: getattr(weights, name) for name in ("adversarial", "cycle", "identity")}
        controls |= {"learning_rate": rate, "total_steps": total}
        self.controls = Controls(self.directory / "events.log", controls)
        schedules = [
            LinearDecay(rate, total, float(profile.constant_steps), x) for x in (1, profile.discriminator_pace)
        ]
        self._schedule = schedules[0]
        gan.compile(*(layers.Adam(schedule, beta_1=0.5) for schedule in schedules), jit_compile=jit_compile)
        self.history = {"step": []}
        self.state = "ready"
        self.samples = None  # the newest (step, {name: uint8 pictures})
        self._go, self._stop = threading.Event(), threading.Event()
        self._thread, self._error, self._working = None, None, False
        self._change = threading.Lock()  # of ``state``, by either thread
        self._times = deque(maxlen=50)
        for domain in ("trainA", "trainB"):
            folder.files(self.root, domain)  # raises in words now, not in the thread later
        self._tests = [pipeline.pictures(self.root, f"test{domain}", profile.size, limit=6) for domain in "AB"]
        self._tests = [pictures[: min(map(len, self._tests))] for pictures in self._tests]
        self._checkpoints = Checkpoints(self.directory / "checkpoints", self._tracked(), self._identity(), keep)
        with self._alone():
            self._continue()

    # What a user calls, from the main thread

    @property
    def step(self):
        """How many steps have been trained."""
        return int(self.gan.step.numpy())

    @property
    def learning_rate(self):
        """The generators', by the schedule, at the next step."""
        return float(self._schedule(self.step))

    @property
    def events(self):
        """The changes of controls: (step, name, value), each made when so many steps had been trained."""
        return self.controls.events

    @property
    def running(self):
        return self._working

    @property
    def steps_per_second(self):
        """Over the last 50 steps; 0 before there are two."""
        if len(self._times) < 2 or self._times[-1] == self._times[0]:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    @property
    def seconds_left(self):
        return (self.target - self.step) / self.steps_per_second if self.steps_per_second else float("nan")

    def start(self, steps=None):
        """Train ``steps`` more steps, or to the end of the profile's plan; returns at once.

        After a loss became NaN it goes on from the last good checkpoint, with the controls as they are now. Raises
        ``RuntimeError`` if this run or another in its folder is training, or has gone on since this one was built.
        """
        if self.running:
            raise RuntimeError(f"This run is already training (step {self.step}): pause or stop it first.")
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be 1 or more, not {steps}.")
        self._settle()
        with contextlib.ExitStack() as held:
            held.enter_context(self._alone())
            if any(step > self.step and self._checkpoints.whole(step) for step in self._checkpoints.steps()):
                raise RuntimeError(
                    f"{self.directory} has gone on to step {self._checkpoints.steps()[-1]} since this Run was built "
                    f"(step {self.step}): build it anew."
                )
            if isinstance(self._error, FloatingPointError):
                self._go_back()
            self.target = self.step + steps if steps else max(self.step, int(self.controls["total_steps"].numpy()))
            if self.target > self.controls["total_steps"].numpy():
                self.controls.ask("total_steps", self.target)  # past the plan: the rate falls to zero at the new end
                self._apply_controls()
            self._held = held.pop_all()
        self._error, self._working, self.state = None, True, "building the graph"
        self._times.clear()
        self._stop.clear()
        self._go.set()
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)
        self._thread.start()

    def pause(self):
        """Hold after the current step, until ``resume``."""
        with self._change:
            if self.running and not self._stop.is_set():
                self._go.clear()
                self.state = "paused"

    def resume(self):
        """Go on after ``pause``."""
        with self._change:
            if self.running and self.state == "paused":
                self.state = "training"
                self._go.set()

    def stop(self):
        """End after the current step and keep a checkpoint; ``start`` goes on from there."""
        self._stop.set()
        self._go.set()

    def wait(self, timeout=None):
        """Return when training has ended; raise what it raised, or ``TimeoutError`` after ``timeout`` seconds.

        Without ``timeout``, raises ``RuntimeError`` while it is paused: who waits in a notebook cannot press Resume.
        """
        if timeout is None and self.state == "paused" and not self._stop.is_set():
            raise RuntimeError(f"The training is paused at step {self.step}: press Resume, or run.resume(), first.")
        if self._thread:
            self._thread.join(timeout)
        if self._thread and self._thread.is_alive():
            raise TimeoutError(f"Still {self.state} after {timeout} s, at step {self.step}.")
        if self._error:
            raise self._error

    def set(self, name, value):
        """Change a control: at the next step while training, at once otherwise."""
        if self.running:
            self.controls.ask(name, value)
            return
        self._settle()
        with self._alone():
            self.controls.ask(name, value)
            self._apply_controls()
        self._tell()

    def sample(self):
        """The first test pictures, both ways: ``{name: uint8 (n, height, width, 3)}``; see ``samples.make``."""
        return samples.make(self.gan, *self._tests)

    def _settle(self):
        """When training has ended, its thread still lets the watchers look: wait for that."""
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()

    # What the training thread does

    def _work(self):
        with self._held:
            try:
                self._train()
                ended = "finished" if self.step >= self.target else "stopped"
            except Exception as error:  # handed to the main thread by wait()
                self._error, ended = error, "failed"
        with self._change:
            self._working, self.state = False, ended
        self._tell()

    def _train(self):
        self._tell()
        if self.step == 0 and not self._checkpoints.steps():
            self._save()  # so that a run killed early starts from the same networks
        if self.step < self.target:
            lab = self.profile
            data = pipeline.unpaired(self.root, lab.size, lab.batch_size, self.seed, start_step=self.step)
            self._fit(data, self.target - self.step)
        self._apply_controls()  # a slider moved after the last step
        self._save()

    def _fit(self, data, steps):
        try:
            self.gan.fit(data, steps_per_epoch=steps, verbose=0, callbacks=[_Worker(self), *self.callbacks])
        except tf.errors.InvalidArgumentError:
            for domain in ("trainA", "trainB"):  # a picture that cannot be decoded? Then say which
                folder.refuse_broken(folder.files(self.root, domain), thorough=True)
            raise

    def _tell(self):
        for watcher in self.watchers:
            watcher()

    def _apply_controls(self):
        with self._writing():
            self.controls.apply(self.step)

    def _after_step(self, logs):
        step = self.step
        self._refuse_broken("loss", [name for name, value in logs.items() if not np.isfinite(value)])
        self._times.append(time.perf_counter())
        for name, value in {"step": step, **logs}.items():
            self.history.setdefault(name, []).append(float(value))
        with self._change:
            if self.state == "building the graph":
                self.state = "training"
        if step % self.profile.sample_every == 0 or step == self.target:
            self._keep_sample()
        if step % self.profile.checkpoint_every == 0:
            self._save()
        self._tell()
        self._go.wait()
        self.gan.stop_training = self._stop.is_set()

    def _keep_sample(self):
        self._refuse_broken_networks()
        pictures = self.sample()
        pictures |= samples.judge(self.gan, pictures)
        with self._writing():
            samples.keep(self.directory / "samples", self.step, pictures)
        self.samples = (self.step, pictures)

    def _refuse_broken(self, what, broken):
        if broken:
            kept = self._checkpoints.steps()
            back = f"then start: it goes on from the last good checkpoint, of step {kept[-1]}" if kept else ""
            raise FloatingPointError(
                f"The {what} became NaN or infinite at step {self.step} ({', '.join(broken)}). Choose a lower learning "
                f"rate or smaller loss weights, {back or 'and build the run anew: no checkpoint is left'}."
            )

    def _refuse_broken_networks(self):
        """A step's losses are of the weights before it: after it a picture tells whether they are worth keeping."""
        a, b = (pictures[:1] for pictures in self._tests)
        outputs = {name: getattr(self.gan, name)(real) for name, real in zip(NETWORKS, (a, b, a, b), strict=True)}
        self._refuse_broken("output", [name for name in NETWORKS if not np.isfinite(outputs[name]).all()])

    def _save(self):
        self._refuse_broken_networks()
        self._checkpoints.save(self.step, self.history)
        lab = self.profile
        every = -(-lab.steps // lab.kept_generators // lab.checkpoint_every) * lab.checkpoint_every
        ended = self.step == self.target or self._stop.is_set()
        if self.step == 0 or (self.step % every and not ended):
            return
        for direction, generator in (("ab", self.gan.generator_ab), ("ba", self.gan.generator_ba)):
            path = self.directory / "generators" / f"step-{self.step:08d}-{direction}"
            card = {"data": self.root.name, "direction": direction, "steps": self.step, "seed": self.seed}
            with self._writing():
                translate.save_generator(generator, path, **card)

    @contextlib.contextmanager
    def _writing(self):
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{self.directory} could not be written to ({error}). Is the disk full? Checkpoints are untouched: "
                f"{self._checkpoints.steps() or 'none'}; once there is room, start goes on."
            ) from error

    # Continuing

    def _tracked(self):
        parts = (*NETWORKS, "generator_optimizer", "discriminator_optimizer", "pool_a", "pool_b", "step")
        return {name: getattr(self.gan, name) for name in parts} | self.controls

    def _identity(self):
        """What a checkpoint must have been made with to be continued here."""
        lab, specs = self.profile, {name: getattr(getattr(self.gan, name), "spec", None) for name in NETWORKS}
        return {
            "networks": specs,
            "data": self.root.name,
            "seed": self.seed,
            "batch_size": lab.batch_size,
            "pool_size": self.gan.pool_a.size,
            "pool_seed": self.gan.pool_a.seed,
            "constant_steps": lab.constant_steps,
            "discriminator_pace": lab.discriminator_pace,
            "Keras": layers.KERAS,
        }

    @contextlib.contextmanager
    def _alone(self):
        """One ``Run`` at a time works in the folder; the lock lies beside it, and outlives it."""
        place = self.directory.resolve()
        with contextlib.ExitStack() as held:
            with self._writing():
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(files.lock(place.with_name(f".{place.name}.lock"), wait=False))
                except BlockingIOError:
                    raise RuntimeError(
                        f"Another Run trains in {self.directory}, in this notebook or another program. Wait for it "
                        "(run.wait()) or stop it (run.stop(); TrainingPanel(run) shows its panel), or choose another "
                        "directory."
                    ) from None
            yield

    def _go_back(self):
        """To the last good checkpoint; what was decided after it counts as decided now."""
        if not self._checkpoints.steps():
            raise CheckpointError(f"{self.directory} has no checkpoint to go back to: build the run anew.")
        now = self.controls.values_now()
        self._continue()
        with self._writing():
            self.controls.decide(self.step, now)

    def _continue(self):
        self.history = self._checkpoints.restore() or self.history
        self.controls.restore(self.step)
        self.target = max(self.step, int(self.controls["total_steps"].numpy()))


class _Worker(tf.keras.callbacks.Callback):
    """Lets a ``Run`` act between the steps of ``fit``."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_train_batch_begin(self, batch, logs=None):
        self.run._apply_controls()

    def on_train_batch_end(self, batch, logs=None):
        self.run._after_step(logs)
