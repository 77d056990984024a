"""Training in a background thread: a run can be paused, steered, stopped, killed and resumed exactly."""

import contextlib

import tensorflow as tf

from labutils import generators, layers, samples
from labutils.base import files
from labutils.base.background import Background
from labutils.checkpoints import CheckpointError, Checkpoints, Controls, circumstances
from labutils.datasets import folder, pipeline

TRAIN = ("trainA", "trainB")
NETWORKS = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
STATE = (*NETWORKS, "generator_optimizer", "discriminator_optimizer", "pool_a", "pool_b", "step")


class LinearDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Keep the rate at ``base`` for ``constant`` steps, then lower it linearly to zero at step ``total``.

    The rate is multiplied by ``pace``. Changing the ``tf.Variable``s ``base`` and ``total`` recompiles nothing.
    """

    def __init__(self, base, total, constant, pace=1.0):
        self.base, self.total, self.constant, self.pace = base, total, constant, pace

    def __call__(self, step):
        left = (self.total - tf.cast(step, tf.float32)) / tf.maximum(self.total - self.constant, 1.0)
        return self.pace * self.base * tf.clip_by_value(left, 0.0, 1.0)


class Run(Background):
    """Train ``gan`` in a background thread; resume the run in ``directory`` if it holds one.

    gan: a ``CycleGAN``; this compiles it.
    root: the dataset's folder.
    profile: a ``Profile``: picture size, batch, steps, rate, how often to save.
    directory: the run's folder, for ``checkpoints/``, ``samples/``, ``generators/`` and ``log.txt`` (the ``remarks``).
    seed: fixes the order of the pictures; default 0.
    callbacks: more Keras callbacks, run in the training thread; an exception in one of them ends the training.
    jit_compile: whether XLA compiles the step; default False.

    On a CPU with the same number of threads, a resumed run gives the same bits, even after a kill. ``controls`` are
    the variables that ``set`` changes: "adversarial", "cycle", "identity" and "learning_rate". ``schedule(step)`` is
    the generators' learning rate. ``samples`` is the newest (step, {name: uint8 pictures}), None at first.

    Raises ``RuntimeError`` while another ``Run`` trains in ``directory``, and what ``Checkpoints.restore`` raises.

    Example::

        run = Run(gan, root, profile.load(), "runs/first")
        run.start()           # returns at once
        run.set("cycle", 5)   # acts on the next step
        run.wait()            # until it ends
    """

    WORK, BUSY = "training", "training"

    def __init__(self, gan, root, profile, directory, seed=0, callbacks=(), jit_compile=False):
        super().__init__()
        self.gan, self.root, self.profile, self.seed = gan, folder.place(root), profile, seed
        self.directory, self.callbacks = folder.place(directory), list(callbacks)
        self.log, self.samples = self.directory / "log.txt", None
        for domain in TRAIN:
            pipeline.refuse_unfit(folder.files(self.root, domain))  # raise now, not later in the thread
        tests = [pipeline.pictures(self.root, f"test{domain}", profile.size, limit=6) for domain in "AB"]
        self._tests = [pictures[: min(map(len, tests))] for pictures in tests]
        rate = tf.Variable(float(profile.learning_rate), name="learning_rate")
        total = tf.Variable(float(profile.steps), name="total_steps")
        plan = rate, total, float(profile.constant_steps)
        self.schedule, faster = LinearDecay(*plan), LinearDecay(*plan, profile.discriminator_pace)
        gan.compile(*(layers.Adam(x, beta_1=0.5) for x in (self.schedule, faster)), jit_compile=jit_compile)
        controls = {name: getattr(gan.loss_weights, name) for name in ("adversarial", "cycle", "identity")}
        controls |= {"learning_rate": rate, "total_steps": total}
        self.controls = Controls(self.directory / "events.log", controls)
        tracked, place = {name: getattr(gan, name) for name in STATE} | controls, self.directory / "checkpoints"
        self._checkpoints = Checkpoints(place, tracked, identity(self), circumstances(jit_compile))
        code = self.controls.values_now()
        with self._checkpoints.alone():
            remark_differences(self, code, self._continue())

    # What a user calls, from the main thread

    @property
    def step(self):
        """The number of steps trained so far."""
        return int(self.gan.step.numpy())

    @property
    def events(self):
        """The changes of controls so far: (step, name, value); ``step`` counts the steps trained before the change."""
        return self.controls.events

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
            held.enter_context(self._checkpoints.alone(self.step))
            if isinstance(self.error, FloatingPointError):
                self._go_back()
            plan = int(self.controls["total_steps"].numpy())
            self.target = self.step + steps if steps else max(self.step, plan)
            if self.target > plan:
                self.controls.ask("total_steps", self.target)  # the rate falls to zero at the new end
                self._serve()
            self._begin(self._train, held.pop_all())

    def _go_back(self):
        """Restore the last good checkpoint, but keep the current finite values of the controls."""
        if not self._checkpoints.steps():
            raise CheckpointError(f"{self.directory} has no checkpoint to go back to: build the run anew.")
        now = self.controls.values_now()
        self._continue()
        with self._checkpoints.writing("The record of the controls"):
            self.controls.decide(self.step, now)

    def _continue(self):
        """Restore the newest checkpoint, if there is one; return the circumstances that differ."""
        self.history, differ = self._checkpoints.restore()
        self.controls.restore(self.step)
        self.target = max(self.step, int(self.controls["total_steps"].numpy()))
        return differ

    def set(self, name, value):
        """Change a control: before the next step during training, otherwise at once (watchers run in this thread)."""
        with self._news:
            if self.running:
                self.controls.ask(name, value)
                self._news.notify_all()
                return
        self._settle()
        with self._checkpoints.alone(self.step):
            self.controls.ask(name, value)
            if not self._checkpoints.steps():
                self._save()  # events.log without a checkpoint would look like a damaged run
            self._serve()
        self._tell()

    def sample(self):
        """Translate test pictures both ways: ``{name: uint8 (n, height, width, 3)}``; see ``samples.make``."""
        return samples.make(self.gan, *self._tests)

    # What the training thread does

    def _train(self):
        self._tell()
        if self.step == 0 and not self._checkpoints.steps():
            self._save()  # then a run that is killed early resumes from the same networks
        if self.step < self.target:
            self._fit(self.target - self.step)
        self._serve()  # a slider may have moved after the last step
        if self.step not in files.by_step(self.directory / "samples", ".png"):
            self._keep_sample()
        self._save()
        return "finished" if self.step >= self.target else "stopped"

    def _fit(self, steps):
        lab = self.profile
        data = pipeline.unpaired(self.root, lab.size, lab.batch_size, self.seed, start_step=self.step)
        between = tf.keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: self.attempt(self._serve),
            on_train_batch_end=lambda batch, logs: self._after_step(logs),
        )
        try:
            self.gan.fit(data, steps_per_epoch=steps, verbose=0, callbacks=[between, *self.callbacks])
        except tf.errors.InvalidArgumentError:
            for domain in TRAIN:  # TensorFlow does not name a file that it cannot decode
                pipeline.refuse_unfit(folder.files(self.root, domain), thorough=True)
            raise

    def _after_step(self, losses):
        step, lab = self.step, self.profile
        self._checkpoints.refuse_broken(step, losses)
        for name, value in {"step": step, **losses}.items():
            self.history.setdefault(name, []).append(float(value))
        if step % lab.sample_every == 0 or step == self.target:
            self._keep_sample()
        if step % lab.checkpoint_every == 0:
            self._save()
        self._pass()
        self.gan.stop_training = self._stopping

    def _keep_sample(self):
        self._refuse_broken_networks()
        self.attempt(self._draw_sample)

    def _draw_sample(self):
        pictures = self.sample()
        self.samples = (self.step, pictures | samples.judge(self.gan, pictures))
        samples.keep(self.directory / "samples", *self.samples)

    def _save(self):
        """Write a checkpoint and, at the plan's steps and at the end, the two generators."""
        self._refuse_broken_networks()
        self._checkpoints.save(self.step, self.history)
        lab, ended = self.profile, self.step == self.target or self._stopping
        every = -(-lab.steps // lab.kept_generators // lab.checkpoint_every) * lab.checkpoint_every
        for direction in ("ab", "ba") if self.step and (ended or self.step % every == 0) else ():
            path = self.directory / "generators" / files.named(self.step, f"-{direction}")
            card = dict(data=self.root.name, size=lab.size, direction=direction, steps=self.step, seed=self.seed)
            with self._checkpoints.writing("A generator"):
                generators.save_generator(getattr(self.gan, f"generator_{direction}"), path, **card)

    def _refuse_broken_networks(self):
        a, b = (pictures[:1] for pictures in self._tests)  # a step's losses only tell of the old weights
        outputs = {name: getattr(self.gan, name)(x) for name, x in zip(NETWORKS, (a, b, a, b), strict=True)}
        self._checkpoints.refuse_broken(self.step, outputs)

    def _asked(self):
        return self.controls.pending

    def _serve(self):
        """Set the controls to the values that are due at this step, and record them."""
        with self._checkpoints.writing("The record of the controls"):
            self.controls.apply(self.step)


def identity(run):
    """Return the settings that a checkpoint must share to be resumed by ``run``."""
    gan, lab, root = run.gan, run.profile, run.root
    return {
        "networks": {name: getattr(getattr(gan, name), "spec", None) for name in NETWORKS},
        "data": root.name,
        "pictures": {part: {p.name: f"{p.stat().st_size} bytes" for p in folder.files(root, part)} for part in TRAIN},
        "seed": run.seed,
        "pool_size": gan.pool_a.size,
        "pool_seed": gan.pool_a.seed,
        "Keras": layers.KERAS,
        **{name: getattr(lab, name) for name in ("size", "batch_size", "constant_steps", "discriminator_pace")},
    }


def remark_differences(run, code, changed):
    """Remark which controls, as the ``code`` set them, a resumed ``run`` overrides, and what changes its last bits."""
    holds = run.controls.values_now()
    if differ := [f"{name} {holds[name]:g} (code: {code[name]:g})" for name in code if holds[name] != code[name]]:
        run.remark(
            f"Resumes from step {run.step} with the settings of {run.directory.name}: {', '.join(differ)}. To change "
            "one, move its slider or call run.set(name, value). For a new experiment choose another directory."
        )
    if changed:
        run.remark(f"The last bits will differ from an uninterrupted run's: before, it had {', '.join(changed)}.")
