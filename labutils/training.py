"""Training in a background thread: a run can be paused, steered, stopped, killed and resumed exactly."""

import contextlib
import datetime
import os
import time
import traceback
from collections import deque

import numpy as np
import tensorflow as tf

from labutils import generators, layers, samples
from labutils.base import files
from labutils.base.background import Background
from labutils.checkpoints import CheckpointError, Checkpoints, Controls
from labutils.datasets import folder, pipeline

NETWORKS = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")


class LinearDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Keep the rate at ``base`` for ``constant`` steps, then lower it linearly to zero at step ``total``.

    The rate is multiplied by ``pace``. ``base`` and ``total`` are ``tf.Variable``s, read at every step: changing
    them recompiles nothing.
    """

    def __init__(self, base, total, constant, pace=1.0):
        self.base, self.total, self.constant, self.pace = base, total, constant, pace

    def __call__(self, step):
        left = (self.total - tf.cast(step, tf.float32)) / tf.maximum(self.total - self.constant, 1.0)
        return self.pace * self.base * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self):
        return {"base": float(self.base), "total": float(self.total), "constant": self.constant, "pace": self.pace}


class Run(Background):
    """Train ``gan`` in a background thread; resume the run in ``directory`` if it holds one.

    gan: a ``CycleGAN``; this compiles it.
    root: the dataset's folder.
    profile: a ``Profile``: picture size, batch, steps, rate, how often to save.
    directory: the run's folder: ``checkpoints/``, ``samples/`` (PNG, at most 200), ``generators/`` (at most
        ``kept_generators`` pairs of the plan, and one pair for each stop), ``log.txt`` (the ``remarks``).
    seed: fixes the order of the pictures; default 0.
    callbacks: more Keras callbacks, run in the training thread; an exception in one of them ends the training.
    keep: how many of the newest checkpoints to keep, 2 or more; default 2.
    jit_compile: whether XLA compiles the step; default False.

    On a CPU with the same number of threads, a resumed run gives the same bits, even after a kill. ``controls`` are
    the variables that ``set`` changes during training: "adversarial", "cycle", "identity" and "learning_rate". An
    exception in a watcher (see ``Background``) becomes a remark and ends nothing.

    Raises ``CheckpointError`` if no checkpoint is whole, or if the folder holds a run's other files but no checkpoint;
    ``ValueError`` if the folder holds another kind of run or one on other pictures; ``RuntimeError`` while another
    ``Run`` trains in ``directory``.

    Example::

        run = Run(gan, root, profile.load(), "runs/first")
        run.start()           # returns at once
        run.set("cycle", 5)   # acts on the next step
        run.wait()            # until it ends
    """

    WORK, BUSY = "training", "training"

    def __init__(self, gan, root, profile, directory, seed=0, callbacks=(), keep=2, jit_compile=False):
        super().__init__()
        self.gan, self.root, self.profile, self.seed = gan, folder.place(root), profile, seed
        self.directory, self.callbacks = folder.place(directory), list(callbacks)
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
        self.samples = None  # the newest (step, {name: uint8 pictures})
        self._times = deque(maxlen=50)
        pictures = {domain: folder.files(self.root, domain) for domain in ("trainA", "trainB")}
        for paths in pictures.values():
            pipeline.refuse_unfit(paths)  # raise now, not later in the thread
        self._pictures = {
            domain: {p.name: f"{p.stat().st_size} bytes" for p in paths} for domain, paths in pictures.items()
        }
        self._tests = [pipeline.pictures(self.root, f"test{domain}", profile.size, limit=6) for domain in "AB"]
        self._tests = [pictures[: min(map(len, self._tests))] for pictures in self._tests]
        place, identity = self.directory / "checkpoints", self._identity()
        self._checkpoints = Checkpoints(place, self._tracked(), identity, keep, self._circumstances())
        with self._alone():
            self._continue()

    # What a user calls, from the main thread

    @property
    def step(self):
        """The number of steps trained so far."""
        return int(self.gan.step.numpy())

    @property
    def learning_rate(self):
        """The generators' learning rate at the next step, by the schedule."""
        return float(self._schedule(self.step))

    @property
    def events(self):
        """The changes of controls so far: (step, name, value); ``step`` counts the steps trained before the change."""
        return self.controls.events

    @property
    def steps_per_second(self):
        """The training speed over the last 50 steps; 0 before there are two."""
        times = list(self._times)  # the other thread may empty it
        if len(times) < 2 or times[-1] == times[0]:
            return 0.0
        return (len(times) - 1) / (times[-1] - times[0])

    @property
    def seconds_left(self):
        pace = self.steps_per_second
        return (self.target - self.step) / pace if pace else float("nan")

    def start(self, steps=None):
        """Train ``steps`` more steps, or to the end of the profile's plan; returns at once.

        After a NaN loss, training resumes from the last good checkpoint with the current controls. Raises
        ``RuntimeError`` if this or another run is training in the folder, or if another has trained there meanwhile.
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
            if isinstance(self.error, FloatingPointError):
                self._go_back()
            self.target = self.step + steps if steps else max(self.step, int(self.controls["total_steps"].numpy()))
            if self.target > self.controls["total_steps"].numpy():
                self.controls.ask("total_steps", self.target)  # past the plan: the rate falls to zero at the new end
                self._serve()
            self._times.clear()
            self._begin(self._train, held.pop_all())

    def resume(self):
        """Resume after ``pause``."""
        self._times.clear()  # the pause must not count as the time of a step
        super().resume()

    def set(self, name, value):
        """Change a control: before the next step during training, otherwise at once (watchers run in this thread)."""
        with self._news:
            if self.running:
                self.controls.ask(name, value)
                self._news.notify_all()
                return
        self._settle()
        with self._alone():
            self.controls.ask(name, value)
            if not self._checkpoints.steps():
                self._save()  # events.log without a checkpoint would look like a damaged run
            self._serve()
        self._tell()

    def sample(self):
        """Translate test pictures both ways: ``{name: uint8 (n, height, width, 3)}``; see ``samples.make``."""
        return samples.make(self.gan, *self._tests)

    def remark(self, text, error=None):
        """Add ``text`` once, with the step, to ``remarks`` and, with the error's traceback, to ``log.txt``."""
        if super().remark(text, error):
            when = datetime.datetime.now().isoformat(" ", "seconds")
            lines = [f"{when} step {self.step}: {text}\n", *(traceback.format_exception(error) if error else ())]
            with contextlib.suppress(OSError):
                self.directory.mkdir(parents=True, exist_ok=True)
                with open(self.directory / "log.txt", "a", encoding="utf-8", errors="backslashreplace") as log:
                    log.writelines(lines)

    # What the training thread does

    def _train(self):
        self._tell()
        if self.step == 0 and not self._checkpoints.steps():
            self._save()  # then a run that is killed early resumes from the same networks
        if self.step < self.target:
            lab = self.profile
            data = pipeline.unpaired(self.root, lab.size, lab.batch_size, self.seed, start_step=self.step)
            self._fit(data, self.target - self.step)
        self._serve()  # a slider may have moved after the last step
        if self.step not in files.by_step(self.directory / "samples", ".png"):
            self._keep_sample()
        self._save()
        return "finished" if self.step >= self.target else "stopped"

    def _fit(self, data, steps):
        try:
            self.gan.fit(data, steps_per_epoch=steps, verbose=0, callbacks=[_Worker(self), *self.callbacks])
        except tf.errors.InvalidArgumentError:
            for domain in ("trainA", "trainB"):  # TensorFlow does not name a file that it cannot decode
                pipeline.refuse_unfit(folder.files(self.root, domain), thorough=True)
            raise

    def _asked(self):
        return self.controls.pending

    def _serve(self):
        """Set the controls to the values that are due at this step, and record them."""
        with self._writing():
            self.controls.apply(self.step)

    def _after_step(self, logs):
        step = self.step
        self._refuse_broken("loss", [name for name, value in logs.items() if not np.isfinite(value)])
        self._times.append(time.perf_counter())
        for name, value in {"step": step, **logs}.items():
            self.history.setdefault(name, []).append(float(value))
        if step % self.profile.sample_every == 0 or step == self.target:
            self._keep_sample()
        if step % self.profile.checkpoint_every == 0:
            self._save()
        self._pass()
        self.gan.stop_training = self._stopping

    def _keep_sample(self):
        self._refuse_broken_networks()
        self.attempt(self._draw_sample)

    def _draw_sample(self):
        pictures = self.sample()
        pictures |= samples.judge(self.gan, pictures)
        self.samples = (self.step, pictures)
        samples.keep(self.directory / "samples", self.step, pictures)

    def _refuse_broken(self, what, broken):
        if broken:
            kept = self._checkpoints.steps()
            back = f"then call start: it resumes from the last good checkpoint, step {kept[-1]}" if kept else ""
            raise FloatingPointError(
                f"The {what} became NaN or infinite at step {self.step} ({', '.join(broken)}). Choose a lower learning "
                f"rate or smaller loss weights, {back or 'and build the run anew: no checkpoint is left'}."
            )

    def _refuse_broken_networks(self):
        """Raise ``FloatingPointError`` if an output is not finite; a step's losses only tell of the old weights."""
        a, b = (pictures[:1] for pictures in self._tests)
        outputs = {name: getattr(self.gan, name)(real) for name, real in zip(NETWORKS, (a, b, a, b), strict=True)}
        self._refuse_broken("output", [name for name in NETWORKS if not np.isfinite(outputs[name]).all()])

    def _save(self):
        self._refuse_broken_networks()
        self._checkpoints.save(self.step, self.history)
        lab = self.profile
        every = -(-lab.steps // lab.kept_generators // lab.checkpoint_every) * lab.checkpoint_every
        ended = self.step == self.target or self._stopping
        if self.step == 0 or (self.step % every and not ended):
            return
        for direction, network in (("ab", self.gan.generator_ab), ("ba", self.gan.generator_ba)):
            path = self.directory / "generators" / files.named(self.step, f"-{direction}")
            card = {"data": self.root.name, "direction": direction, "steps": self.step, "seed": self.seed}
            with self._writing():
                generators.save_generator(network, path, **card)

    @contextlib.contextmanager
    def _writing(self):
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{self.directory} could not be written to ({error}). Is the disk full? Checkpoints are untouched: "
                f"{self._checkpoints.steps() or 'none'}. Make room, then call start to resume."
            ) from error

    # Resuming

    def _tracked(self):
        parts = (*NETWORKS, "generator_optimizer", "discriminator_optimizer", "pool_a", "pool_b", "step")
        return {name: getattr(self.gan, name) for name in parts} | self.controls

    def _identity(self):
        """The settings that a checkpoint must share to be resumed here."""
        lab, specs = self.profile, {name: getattr(getattr(self.gan, name), "spec", None) for name in NETWORKS}
        return {
            "networks": specs,
            "data": self.root.name,
            "pictures": self._pictures,
            "seed": self.seed,
            "size": lab.size,
            "batch_size": lab.batch_size,
            "pool_size": self.gan.pool_a.size,
            "pool_seed": self.gan.pool_a.seed,
            "constant_steps": lab.constant_steps,
            "discriminator_pace": lab.discriminator_pace,
            "Keras": layers.KERAS,
        }

    def _circumstances(self):
        """The settings that change the last bits of a resumed run, but not the experiment."""
        threads, cores = tf.config.threading, os.cpu_count()
        return {
            "TensorFlow": tf.__version__,
            "threads in an operation": threads.get_intra_op_parallelism_threads() or cores,
            "operations at a time": threads.get_inter_op_parallelism_threads() or cores,
            "jit_compile": self.gan.jit_compile,
        }

    @contextlib.contextmanager
    def _alone(self):
        """Hold the folder's lock, so that one ``Run`` at a time works in it; the lock file lies beside the folder."""
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
        """Restore the last good checkpoint, but keep the current finite values of the controls."""
        if not self._checkpoints.steps():
            raise CheckpointError(f"{self.directory} has no checkpoint to go back to: build the run anew.")
        now = self.controls.values_now()
        self._continue()
        with self._writing():
            self.controls.decide(self.step, now)

    def _continue(self):
        code = {name: float(control.numpy()) for name, control in self.controls.items()}
        kept = self._checkpoints.restore()
        if kept:
            self.history, circumstances = kept
        else:
            self._refuse_rest()
        self.controls.restore(self.step)
        self.target = max(self.step, int(self.controls["total_steps"].numpy()))
        if kept:
            self._remark_differences(code, circumstances)

    def _refuse_rest(self):
        """Raise ``CheckpointError`` if the folder has parts of a run, but no checkpoint."""
        rest = [name for name in ("samples", "generators", "events.log") if os.path.lexists(self.directory / name)]
        if rest:
            raise CheckpointError(
                f"{self.directory} has {', '.join(rest)} of an earlier run, but no checkpoint to resume from. Choose "
                "another directory or put its folder checkpoints back; to begin anew, delete all of it."
            )

    def _remark_differences(self, code, circumstances):
        """Remark which settings of the code the resumed run overrides, and what changes its last bits."""
        holds = self.controls.values_now()
        differ = [f"{name} {holds[name]:g} (code: {code[name]:g})" for name in code if holds[name] != code[name]]
        if differ:
            self.remark(
                f"Resumes the run in {self.directory.name} from step {self.step}, with that run's settings, not the "
                f"code's: {', '.join(differ)}. To change one, move its slider or call run.set(name, value). For a new "
                "experiment choose another directory."
            )
        changed = [
            f"{name} {value} (before: {circumstances[name]})"
            for name, value in self._circumstances().items()
            if circumstances.get(name, value) != value
        ]
        if changed:
            self.remark(
                f"The last bits of this run will differ from an uninterrupted run's: {', '.join(changed)}. For the "
                "same bits, resume it with the old settings. The experiment is the same."
            )


class _Worker(tf.keras.callbacks.Callback):
    """Call a ``Run`` before and after each step of ``fit``."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_train_batch_begin(self, batch, logs=None):
        self.run.attempt(self.run._serve)

    def on_train_batch_end(self, batch, logs=None):
        self.run._after_step(logs)
