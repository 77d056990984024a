"""The background run: start returns at once, controls act, files are kept. Kills are in test_resume.py."""

import dataclasses
import hashlib
import json
import shutil
import threading
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from labutils import cyclegan, measure, models, profile, samples, training
from labutils.base import files
from labutils.checkpoints import CheckpointError
from labutils.training import LinearDecay, Run


def state(run):
    """Everything that training changes, as arrays."""
    variables = [v for v in run.gan.generator_variables + run.gan.discriminator_variables]
    for optimizer in (run.gan.generator_optimizer, run.gan.discriminator_optimizer):
        variables += list(optimizer.variables)
    variables += [run.gan.pool_a.images, run.gan.pool_a.count, run.gan.pool_b.images, run.gan.step]
    variables += list(run.controls.values())
    return [np.array(v) for v in variables] + [np.array(values) for values in run.history.values()]


class At(tf.keras.callbacks.Callback):
    """Does something after the given steps."""

    def __init__(self, **actions):
        super().__init__()
        self.actions = {int(name.removeprefix("step_")): action for name, action in actions.items()}

    def on_train_batch_end(self, batch, logs=None):
        action = self.actions.pop(int(self.model.step), None)
        if action:
            action()


def test_the_rate_is_constant_and_then_falls_to_zero():
    base = tf.Variable(2e-4)
    schedule = LinearDecay(base, tf.Variable(200.0), 100.0)
    rates = [float(schedule(step)) for step in (0, 99, 100, 150, 200, 300)]
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 2e-4, 1e-4, 0, 0], atol=1e-10)
    base.assign(1.0)
    assert float(schedule(150)) == pytest.approx(0.5)


def test_start_returns_at_once_and_wait_ends(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start(2)
    assert run.running and run.step < 2  # two steps take longer than starting a thread: the graph is built first
    run.wait(120)
    assert not run.running and run.step == 2 and run.state == "finished"
    assert run.history["step"] == [1, 2] and len(run.history["cycle_a"]) == 2


def test_a_second_start_is_refused_in_words(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start()
    with pytest.raises(RuntimeError, match="already training"):
        run.start()
    run.stop()
    run.wait(120)


def test_another_run_in_the_folder_is_refused_until_the_first_has_ended(make_gan, orchard_root, tiny, tmp_path):
    other = Run(make_gan(), orchard_root, tiny, tmp_path / "run")  # built first: its start is refused
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start(3)
    with pytest.raises(RuntimeError, match=r"Another Run trains in .*run, .*run.stop\(\)"):
        other.start()
    with pytest.raises(RuntimeError, match="Another Run"):
        other.set("cycle", 1)
    with pytest.raises(RuntimeError, match="Another Run"):
        Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    assert not other.running and other.state == "ready" and not other.controls.pending
    run.wait(120)
    with pytest.raises(RuntimeError, match=r"has gone on to step 3 since this Run was built \(step 0\)"):
        other.start()
    with pytest.raises(RuntimeError, match="has gone on to step 3"):
        other.set("cycle", 1)  # it would write its own record of the controls over the other's
    again = Run(make_gan(), orchard_root, tiny, tmp_path / "run")  # an idle run holds no lock
    again.start(1)
    again.wait(120)
    assert again.step == 4


def test_a_folder_deleted_while_it_trains_is_still_the_first_runs(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    deleted, tried = threading.Event(), threading.Event()
    run.callbacks.append(At(step_4=lambda: (shutil.rmtree(tmp_path / "run"), deleted.set(), tried.wait(120))))
    run.start(7)
    assert deleted.wait(120)
    with pytest.raises(RuntimeError, match="Another Run"):
        Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    tried.set()
    run.wait(120)
    assert Run(make_gan(), orchard_root, tiny, tmp_path / "run").step == 7


def test_what_is_pressed_while_the_last_pictures_are_drawn(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    drawing, drawn = threading.Event(), threading.Event()
    run.watchers.append(lambda: run.state == "finished" and (drawing.set(), drawn.wait(0.3)))
    run.start(2)
    assert drawing.wait(120)
    run.pause()
    run.resume()
    assert run.state == "finished" and not run.running
    run.start(2)  # start waits for the watcher
    run.wait(120)
    assert run.step == 4 and run.state == "finished"


def test_a_pause_after_stop_does_not_hold_it(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start()
    run.stop()
    run.pause()
    run.wait(120)
    assert run.state == "stopped"


def test_who_waits_for_a_paused_run_is_told_so(make_gan, orchard_root, tiny, tmp_path):
    run, paused = Run(make_gan(), orchard_root, tiny, tmp_path / "run"), threading.Event()
    run.watchers.append(lambda: run.step == 2 and run.state == "training" and (run.pause(), paused.set()))
    run.start()
    assert paused.wait(120)
    with pytest.raises(RuntimeError, match="paused at step 2: press Resume"):
        run.wait()
    run.stop()
    run.wait()
    assert run.state == "stopped"


@pytest.mark.parametrize("when", ["building the graph", "training", "finished"])
def test_a_watcher_that_fails_is_remarked_and_logged_and_the_training_goes_on(
    make_gan, orchard_root, tiny, tmp_path, when
):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.watchers.append(lambda: run.state == when and 1 / 0)
    run.start(2)
    run.wait(120)
    ((_, text),) = run.remarks
    assert run.step == 2 and run.state == "finished" and "ZeroDivisionError: division by zero" in text
    log = (run.directory / "log.txt").read_text(encoding="utf-8")
    assert text in log and "Traceback" in log and "step " in log.splitlines()[0]


@pytest.mark.parametrize("broken", ["samples.make", "samples.judge", "samples.keep", "files.aside"])
def test_a_sample_that_cannot_be_drawn_or_written_ends_nothing(
    make_gan, orchard_root, tiny, tmp_path, monkeypatch, broken
):
    def fail(*_):
        raise OSError("No space left on device")

    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    module, name = broken.split(".")
    fake = types.SimpleNamespace(**vars(getattr(training, module, None) or samples))
    if broken == "files.aside":
        monkeypatch.setattr(samples, "files", types.SimpleNamespace(aside=fail, named=files.named))
    else:
        setattr(fake, name, fail)
        monkeypatch.setattr(training, module, fake)
    run.start()
    run.wait(120)
    assert run.step == 12 and run._checkpoints.steps() == [9, 12]
    assert any("No space left" in text for _, text in run.remarks)


def test_stop_ends_within_two_steps_and_start_goes_on(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_4=run.stop))
    threads = threading.active_count()
    run.start()
    run.wait(120)
    assert 4 <= run.step <= 6 and run.state == "stopped"
    assert (run.directory / "generators" / f"step-{run.step:08d}-ab.json").exists()  # the generator was saved
    run._thread.join(60)  # it ends a moment after wait()
    assert not any(thread.name == "training" for thread in threading.enumerate())
    assert threading.active_count() <= threads + 1  # tf.data may keep a thread pool; the training thread has ended
    run.start()
    run.wait(120)
    assert run.step == tiny.steps == 12


def test_stop_before_the_first_step(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start()
    run.stop()
    run.wait(120)
    assert run.step <= 2


def test_pause_holds_and_resume_goes_on(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    paused = threading.Event()
    run.callbacks.insert(0, At(step_5=lambda: (run.pause(), paused.set())))
    run.start()
    assert paused.wait(120)
    with pytest.raises(TimeoutError, match="step [56]"):
        run.wait(0.5)
    assert run.step in (5, 6) and run.state == "paused"
    run.resume()
    run.wait(120)
    assert run.step == 12


def test_wait_raises_what_the_worker_raised(make_gan, orchard_root, tiny, tmp_path):
    def fail():
        raise OSError("the cat pulled the plug")

    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run", callbacks=[At(step_2=fail)])
    run.start()
    with pytest.raises(OSError, match="cat"):
        run.wait(120)
    assert run.state == "failed"


def test_nan_stops_the_run_keeps_the_last_good_checkpoint_and_says_what_to_try(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_4=lambda: run.gan.loss_weights.cycle.assign(float("nan"))))
    run.start()
    with pytest.raises(FloatingPointError, match="step 5.*learning rate"):
        run.wait(120)
    again = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    assert again.step == 3 and finite(again)
    run.start()  # the invalid value is not restored
    run.wait(120)
    assert run.step == 12 and float(run.controls["cycle"]) == 10 and finite(run)


# The NaN is found in a loss, before a save with a sample, before one without, and before the last save.
@pytest.mark.parametrize("step", [4, 5, 8, 11])
def test_start_after_nan_goes_back_to_the_last_good_checkpoint_with_the_sliders_as_they_are(
    make_gan, orchard_root, tiny, tmp_path, step
):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    moves = At(step_1=lambda: run.set("cycle", 4), **{f"step_{step}": lambda: run.set("learning_rate", 1e30)})
    run.callbacks.append(moves)
    run.start()
    with pytest.raises(FloatingPointError, match=f"start: it resumes .* step {step // 3 * 3}"):
        run.wait(120)
    assert not all(np.abs(weights).max() < 1e20 for weights in run.gan.generator_ab.get_weights())
    for kept in ("checkpoints", "samples"):
        assert all(int(path.stem[5:]) <= step for path in (run.directory / kept).glob("step-*"))
    run.set("learning_rate", 2**-13)
    run.start()
    run.wait(120)
    assert run.history["step"] == [*range(1, 13)] and run.state == "finished" and finite(run)
    assert run.events == [(1, "cycle", 4.0), (step // 3 * 3, "learning_rate", 2**-13)]
    again = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    assert again.events == run.events and again.step == 12


def test_what_was_decided_around_nan_is_in_the_record(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    nan = At(step_4=lambda: (run.set("identity", 7), run.gan.loss_weights.cycle.assign(float("nan"))))
    run.callbacks.append(nan)
    run.start(3)
    run.wait(120)
    run.set("cycle", 2)  # recorded at the step of the checkpoint that start restores
    run.start()
    with pytest.raises(FloatingPointError):
        run.wait(120)
    run.callbacks[0] = At(step_6=run.stop)
    run.set("identity", 5)  # its value before the run failed
    run.start()
    run.wait(120)
    assert run.events == [(3, "cycle", 2.0)]
    again = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    assert again.events == run.events
    assert {name: float(control) for name, control in again.controls.items()} == {
        name: float(control) for name, control in run.controls.items()
    }


def test_a_move_in_the_very_step_that_breaks_is_kept(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_4=lambda: run.gan.loss_weights.cycle.assign(float("nan"))))
    run.watchers.append(lambda: run.state == "failed" and run.controls.pending.update(identity=2.0))
    run.start()
    with pytest.raises(FloatingPointError):
        run.wait(120)
    run.watchers.clear()
    run.start()
    run.wait(120)
    assert (3, "identity", 2.0) in run.events and float(run.controls["identity"]) == 2


def test_nan_without_a_checkpoint_promises_none(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    lose = At(step_1=lambda: (shutil.rmtree(run.directory), run.gan.loss_weights.cycle.assign(float("nan"))))
    run.callbacks.append(lose)
    run.start()
    with pytest.raises(FloatingPointError, match="step 2.*build the run anew: no checkpoint is left"):
        run.wait(120)
    with pytest.raises(CheckpointError, match="no checkpoint to go back to"):
        run.start()


def finite(run):
    return bool(np.isfinite(np.concatenate([values.ravel() for values in state(run)])).all())


def test_xla_trains_the_same(make_gan, orchard_root, tiny, tmp_path):
    generator = {"kind": "resnet_generator", "filters": 4, "blocks": 1, "image_size": tiny.size}  # TensorFlow 2.15, too
    losses = []
    for jit_compile in (False, True):
        tf.keras.utils.set_random_seed(0)
        gan = make_gan()
        networks = [*(models.build(generator) for _ in "ab"), gan.discriminator_a, gan.discriminator_b]
        gan = cyclegan.CycleGAN(*networks, pool_size=tiny.pool_size)
        run = Run(gan, orchard_root, tiny, tmp_path / str(jit_compile), jit_compile=jit_compile)
        run.start(3)
        run.wait(300)
        assert gan.jit_compile is jit_compile
        losses.append(run.history["generators"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("name", ["adversarial", "cycle", "identity"])
def test_a_weight_acts_on_the_next_step_and_is_recorded(make_gan, orchard_root, tiny, tmp_path, name):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_4=lambda: run.set(name, 0)))
    run.start()
    run.wait(120)
    history = {name: np.array(values) for name, values in run.history.items()}
    parts = {
        "adversarial": history["adversarial_ab"] + history["adversarial_ba"],
        "cycle": history["cycle_a"] + history["cycle_b"],
        "identity": history["identity_a"] + history["identity_b"],
    }
    weights = {"adversarial": 1, "cycle": 10, "identity": 5}
    whole = sum(weight * parts[part] for part, weight in weights.items())
    without = whole - weights[name] * parts[name]
    np.testing.assert_allclose(history["generators"], np.where(history["step"] <= 4, whole, without), rtol=1e-4)
    assert run.events == [(4, name, 0.0)]


def test_a_run_follows_its_schedule(make_gan, orchard_root, tiny, tmp_path):
    lab = dataclasses.replace(tiny, steps=8, constant_steps=4, learning_rate=2**-12, discriminator_pace=2.0)
    run, rates = Run(make_gan(), orchard_root, lab, tmp_path / "run"), []

    def note():
        optimizers = (run.gan.generator_optimizer, run.gan.discriminator_optimizer)
        rates.append([float(optimizer._learning_rate(int(optimizer.iterations))) for optimizer in optimizers])

    run.callbacks.append(At(**{f"step_{step}": note for step in range(1, 9)}))
    run.start()
    run.wait(120)
    falling = np.array([1, 1, 1, 1, 0.75, 0.5, 0.25, 0]) * 2**-12
    np.testing.assert_allclose(rates, np.stack([falling, 2 * falling], axis=1), rtol=1e-6)


def test_nonsense_for_a_control_is_refused(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    with pytest.raises(ValueError, match="Unknown control 'cylce'.*cycle"):
        run.set("cylce", 1)
    for value in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cycle must be"):
            run.set("cycle", value)


def test_no_more_generators_are_kept_than_asked(make_gan, orchard_root, tiny, tmp_path):
    lab = dataclasses.replace(tiny, kept_generators=3)  # a checkpoint every 3 of 12 steps makes 4
    run = Run(make_gan(), orchard_root, lab, tmp_path / "run")
    run.start()
    run.wait(120)
    assert sorted(int(path.name[5:13]) for path in tmp_path.glob("run/generators/*-ab.json")) == [6, 12]


def test_what_is_kept_by_step(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start()
    run.wait(120)
    kept = sorted(path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("step-*"))
    assert [k for k in kept if k.startswith("checkpoints")] == [f"checkpoints/step-{s:08d}" for s in (9, 12)]
    assert [k for k in kept if k.startswith("samples")] == [f"samples/step-{s:08d}.png" for s in (6, 12)]
    assert "generators/step-00000012-ab.weights.h5" in kept
    assert len([k for k in kept if k.endswith("-ba.weights.h5")]) == 4  # every 3 of 12 steps: below the limit of ten
    step, pictures = run.samples
    assert step == 12 and pictures["fake_b"].dtype == np.uint8 and pictures["fake_b"].shape == (4, 32, 32, 3)
    assert not list((tmp_path / "run").rglob("*.tmp")) + list((tmp_path / "run").rglob(".writing*"))


def test_a_run_ends_with_a_sample_wherever_it_ends(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start(4)  # samples are kept every 6 steps
    run.wait(120)
    assert run.samples[0] == 4 and (run.directory / "samples" / "step-00000004.png").exists()


def test_more_steps_after_the_end_still_learn(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start()
    run.wait(120)
    before = [w.copy() for w in run.gan.generator_ab.get_weights()]
    run.start(3)
    run.wait(120)
    assert run.step == 15
    assert any(not np.array_equal(b, a) for b, a in zip(before, run.gan.generator_ab.get_weights(), strict=True))


def test_a_new_move_replaces_the_recorded_ones(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_8=lambda: run.set("cycle", 1), step_9=lambda: run.set("identity", 2)))
    run.start()
    run.wait(120)
    for step in (9, 12):  # as if killed before the save of step 9: the moves will be replayed
        shutil.rmtree(tmp_path / "run" / "checkpoints" / f"step-{step:08d}")
    shutil.copytree(
        first_checkpoint(make_gan, orchard_root, tiny, tmp_path), run.directory / "checkpoints" / "step-00000003"
    )
    again = Run(make_gan(), orchard_root, tiny, run.directory)
    assert again.step == 3 and [event[0] for event in again.events] == [8, 9]
    again.set("cycle", 4)
    assert again.events == [(9, "identity", 2.0), (3, "cycle", 4.0)]
    again.start()
    again.wait(120)
    assert float(again.controls["cycle"]) == 4 and float(again.controls["identity"]) == 2


def first_checkpoint(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "other")
    run.start(3)
    run.wait(120)
    return run.directory / "checkpoints" / "step-00000003"


# Settings of the code that an older run in the folder overrides


@pytest.fixture(scope="module")
def begun_once(make_gan, orchard_root, tiny, tmp_path_factory):
    run = Run(make_gan(), orchard_root, tiny, tmp_path_factory.mktemp("begun") / "run")
    run.start(3)
    run.wait(120)
    run.set("cycle", 4)
    return run.directory


@pytest.fixture
def begun(begun_once, tmp_path):
    """The folder of a run of 3 steps whose cycle weight was moved to 4."""
    return shutil.copytree(begun_once, tmp_path / "run")


@pytest.mark.parametrize(
    "weights, lab, said",
    [
        ({"cycle": 4.0}, {}, []),
        ({}, {}, ["cycle 4 (code: 10)"]),
        ({"cycle": 4.0, "identity": 1.0}, {}, ["identity 5 (code: 1)"]),
        ({"cycle": 4.0}, {"steps": 40}, ["total_steps 12 (code: 40)"]),
        ({"cycle": 4.0}, {"learning_rate": 0.5}, ["learning_rate 0.0002 (code: 0.5)"]),
        ({"adversarial": 0.0}, {"learning_rate": 0.5}, ["adversarial 1 (code: 0), cycle 4 (code: 10), learning_rate"]),
    ],
)
def test_settings_of_the_code_that_do_not_hold_are_said(begun, make_gan, orchard_root, tiny, weights, lab, said):
    gan = make_gan(loss_weights=cyclegan.LossWeights(**weights))
    run = Run(gan, orchard_root, dataclasses.replace(tiny, **lab), begun)
    texts = [text for _, text in run.remarks]
    assert len(texts) == len(said) and all(words in text for words, text in zip(said, texts, strict=True))
    log = begun / "log.txt"
    assert log.exists() == bool(said) and all(text in log.read_text(encoding="utf-8") for text in texts)
    for text in texts:
        assert "step 3" in text and "run.set(name, value)" in text and "another directory" in text


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda root: (root / "trainA" / "0001.jpg").unlink(), "other pictures: trainA 0001.jpg .* instead of none"),
        (lambda root: shutil.copy(root / "trainB/0001.jpg", root / "trainB/new.jpg"), "trainB new.jpg none instead of"),
        (lambda root: (root / "trainA/0002.jpg").rename(root / "trainA/2.jpg"), "trainA 0002.jpg .*; trainA 2.jpg"),
        (
            lambda root: (root / "trainB/0002.jpg").open("ab").write(b"0"),
            "trainB 0002.jpg [0-9]+ bytes instead of [0-9]+ bytes",
        ),
    ],
)
def test_other_pictures_under_the_same_folder_name_are_refused_by_name(
    begun, make_gan, orchard_root, tiny, tmp_path, change, said
):
    root = shutil.copytree(orchard_root, tmp_path / "again" / orchard_root.name)
    run = Run(make_gan(), root, tiny, begun)  # the same pictures, elsewhere
    assert run.step == 3
    change(root)
    with pytest.raises(ValueError, match=f"{said}.*Choose another directory"):
        Run(make_gan(), root, tiny, begun)


def test_another_image_size_is_refused_in_few_words(begun, make_gan, orchard_root, tiny):
    lab = dataclasses.replace(tiny, size=16)
    gan = cyclegan.CycleGAN(*models.networks(lab), pool_size=tiny.pool_size)
    with pytest.raises(ValueError, match="other networks: discriminator_a image_size 32 instead of 16; ") as caught:
        Run(gan, orchard_root, lab, begun)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name, value", [("threads in an operation", 99), ("TensorFlow", "1.0"), ("jit_compile", True)])
def test_what_changes_the_last_bits_is_said(begun, make_gan, orchard_root, tiny, monkeypatch, name, value):
    kept = training.circumstances
    monkeypatch.setattr(training, "circumstances", lambda jit_compile: {**kept(jit_compile), name: value})
    run = Run(make_gan(loss_weights=cyclegan.LossWeights(cycle=4)), orchard_root, tiny, begun)
    ((_, text),) = run.remarks
    assert f"{name} {kept(False)[name]} instead of {value}" in text and "last bits" in text


def test_an_old_checkpoint_that_cannot_be_deleted_ends_nothing(begun, make_gan, orchard_root, tiny):
    shutil.rmtree(begun / "checkpoints" / "step-00000000")
    (begun / "checkpoints" / "step-00000000").write_text("a person's file")
    run = Run(make_gan(), orchard_root, tiny, begun)
    run.start()
    run.wait(120)
    assert run.state == "finished" and run._checkpoints.steps() == [0, 9, 12]


def test_words_that_no_file_can_hold_are_logged_escaped(begun, make_gan, orchard_root, tiny):
    def broken():
        raise OSError("\udce9.png")

    run = Run(make_gan(), orchard_root, tiny, begun)
    run.watchers.append(broken)
    run.start(1)
    run.wait(120)
    assert run.state == "finished" and "\\udce9.png" in (begun / "log.txt").read_text(encoding="utf-8")


# Only parts of a run


@pytest.mark.parametrize(
    "rest", [("samples", "generators", "events.log"), ("samples",), ("generators",), ("events.log",)]
)
def test_the_rest_of_a_run_without_checkpoints_is_no_fresh_start(begun, make_gan, orchard_root, tiny, rest):
    shutil.rmtree(begun / "checkpoints")
    for name in {"samples", "generators", "events.log"} - set(rest):
        path = begun / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(CheckpointError, match=f"has {', '.join(rest)} .*no checkpoint.*another directory"):
        Run(make_gan(), orchard_root, tiny, begun)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_checkpoints_that_cannot_be_read_are_not_taken_for_none(
    begun, make_gan, orchard_root, tiny, monkeypatch, error
):
    listed = files.os.listdir

    def refuse(folder):
        if str(folder).endswith("checkpoints"):
            raise error
        return listed(folder)

    monkeypatch.setattr(files.os, "listdir", refuse)
    with pytest.raises(CheckpointError, match=f"checkpoints cannot be read.*{error.strerror}"):
        Run(make_gan(), orchard_root, tiny, begun)


def test_a_file_in_the_place_of_the_checkpoints_is_not_taken_for_none(make_gan, orchard_root, tiny, tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Run(make_gan(), orchard_root, tiny, tmp_path)


def test_a_slider_moved_before_the_first_step_leaves_a_run_to_go_on_from(make_gan, orchard_root, tiny, tmp_path):
    Run(make_gan(), orchard_root, tiny, tmp_path / "run").set("cycle", 2)
    again = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    assert again.step == 0 and float(again.controls["cycle"]) == 2


# Files that people and programs put beside ours

STRANGERS = (
    "step-00000003-Copy1{}",
    "step-00000003 copy{}",
    "step-00000003 (1){}",
    "step-3{}",
    "step-000000003{}",
    "step-{}",
    "step-latest{}",
    "copy of step-00000003{}",
    ".step-00000003{}",
    "step-٣٣٣٣٣٣٣٣{}",
)


def test_files_beside_ours_are_ignored_wherever_they_are_listed(begun, make_gan, orchard_root, tiny):
    for folder, endings in (
        ("checkpoints", [""]),
        ("samples", [".png", ".json"]),
        ("generators", ["-ab.json", "-ab.weights.h5", "-ba.json"]),
    ):
        for ending in endings:
            for name in STRANGERS:
                (begun / folder / name.format(ending)).write_text("")
        assert list(files.by_step(begun / folder, endings[0])) == ([0, 3] if folder == "checkpoints" else [3])
    run = Run(make_gan(), orchard_root, tiny, begun)
    run.start()
    run.wait(120)
    assert run.step == 12 and run.state == "finished"
    assert list(measure.gains(begun / "generators", orchard_root, "ab")) == [3, 6, 9, 12]
    for folder, ending in (("checkpoints", ""), ("samples", ".png"), ("generators", "-ab.json")):
        assert all((begun / folder / name.format(ending)).exists() for name in STRANGERS)  # and none is deleted


def test_files_beside_ours_are_not_thinned(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "LIMIT", 4)
    for name in STRANGERS:
        (tmp_path / name.format(".png")).write_text("")
    for step in range(1, 20):
        samples.keep(tmp_path, step, {"real_a": np.zeros((1, 8, 8, 3), np.uint8)})
    assert all((tmp_path / name.format(".png")).exists() for name in STRANGERS)
    assert len(files.by_step(tmp_path, ".png")) <= 4


# Impossible numbers


@pytest.mark.parametrize(
    "name, value",
    [
        ("checkpoint_every", 0),
        ("sample_every", 0),
        ("kept_generators", 0),
        ("batch_size", -1),
        ("steps", 0),
        ("style_steps", 0),
        ("learning_rate", -1e-4),
        ("learning_rate", float("nan")),
        ("discriminator_pace", float("inf")),
        ("pool_size", -1),
    ],
)
def test_a_number_that_no_training_can_have_is_refused_by_name(tiny, name, value):
    with pytest.raises(ValueError, match=f"{name} of profile 'smoke' must be [01] or more, not {value}"):
        dataclasses.replace(tiny, **{name: value})
    assert dataclasses.replace(profile.load("full"), pool_size=0).pool_size == 0


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_one_rule_for_every_weight(make_gan, orchard_root, tiny, tmp_path, value):
    with pytest.raises(ValueError, match=f"identity must be a finite number of 0 or more, not {value}"):
        cyclegan.LossWeights(identity=value)
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    with pytest.raises(ValueError, match=f"learning_rate must be a finite number of 0 or more, not {value}"):
        run.set("learning_rate", value)


def test_stop_before_the_first_sample_keeps_one(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_1=run.stop))
    run.start()
    run.wait(120)
    assert run.step in (1, 2) and run.samples[0] == run.step
    assert list(files.by_step(run.directory / "samples", ".png")) == [run.step]


def test_a_pause_is_no_steps_time(make_gan, orchard_root, tiny, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock.__setitem__(0, clock[0] + 1) or clock[0])
    run, paused = Run(make_gan(), orchard_root, tiny, tmp_path / "run"), threading.Event()
    run.watchers.append(lambda: run.step == 6 and run.state == "training" and (run.pause(), paused.set()))
    run.start()
    assert paused.wait(120)
    clock[0] += 1000
    seen = []
    run.watchers.append(lambda: run.step == 9 and seen.append(run.steps_per_second))
    run.resume()
    run.wait(120)
    assert seen[0] == pytest.approx(1)  # a second a step


def test_a_slider_moved_while_paused_is_kept_at_once(make_gan, orchard_root, tiny, tmp_path):
    run, paused, recorded = Run(make_gan(), orchard_root, tiny, tmp_path / "run"), *(threading.Event() for _ in "12")
    run.watchers.append(lambda: run.step == 3 and run.state == "training" and (run.pause(), paused.set()))
    run.watchers.append(lambda: run.events and recorded.set())
    run.start()
    assert paused.wait(120)
    run.set("cycle", 2)
    assert recorded.wait(120) and run.state == "paused"
    killed = shutil.copytree(run.directory, tmp_path / "killed")  # what a kill leaves
    again = Run(make_gan(), orchard_root, tiny, killed)
    assert again.step == 3 and again.events == [(3, "cycle", 2.0)] and float(again.controls["cycle"]) == 2
    run.stop()
    run.wait(120)


def test_a_missing_dataset_is_said_before_anything_starts(make_gan, orchard_root, tiny, tmp_path):
    with pytest.raises(ValueError, match="orchrad"):
        Run(make_gan(), orchard_root.parent / "orchrad", tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_events_are_lines_of_json_below_their_hash(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.start(1)
    run.wait(120)
    run.set("identity", 3)
    sha256, *lines = (run.directory / "events.log").read_text().splitlines(keepends=True)
    assert sha256 == hashlib.sha256("".join(lines).encode()).hexdigest() + "\n"
    assert [json.loads(line) for line in lines] == [[1, "identity", 3.0]]
    assert float(Run(make_gan(), orchard_root, tiny, run.directory).controls["identity"]) == 3


def test_a_control_moved_after_the_last_step_is_kept(make_gan, orchard_root, tiny, tmp_path):
    run = Run(make_gan(), orchard_root, tiny, tmp_path / "run")
    run.callbacks.append(At(step_4=run.stop, step_5=lambda: run.set("cycle", 2)))
    run.start()
    run.wait(120)
    assert run.events == [(5, "cycle", 2.0)]
    again = Run(make_gan(), orchard_root, tiny, run.directory)
    assert again.step == 5 and float(again.controls["cycle"]) == 2
