"""A run resumes exactly after a kill at any step or during a save, and after damage to its files.

The killed runs are separate processes: this file, run as a program, imports TensorFlow once and forks a child for
each of them before TensorFlow has started any thread.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from labutils import checkpoints, cyclegan, layers, models, profile, speed
from labutils.base import files
from labutils.checkpoints import CheckpointError, Checkpoints
from labutils.training import Run

PROFILE = dataclasses.replace(  # as small as possible: most of a killed run's time is spent on building its graph
    profile.load("smoke"), size=16, checkpoint_every=3, sample_every=6, pool_size=4
)
GENERATOR = {"kind": "unet_generator", "image_size": 16, "filters": 2}
DISCRIMINATOR = {"kind": "patch_discriminator", "image_size": 16, "filters": 2, "strides": [2]}
PLAIN = {"generator": {"levels": 1}}
JOBS = {
    "plain": PLAIN,
    "averages": {"generator": {"levels": 2, "normalization": "batch"}, "shared": True},  # weights without a gradient
    "steered": {  # sliders moved after these steps, each between two checkpoints
        **PLAIN,
        "shared": True,
        "moves": {1: ("cycle", 8.0), 4: ("identity", 2.0), 7: ("learning_rate", 1e-4), 10: ("cycle", 3.0)},
    },
}
KILLS = range(1, PROFILE.steps)  # after every step but the last
SAVES = 50
FORK = multiprocessing.get_context("fork")


def make_run(root, directory, generator, seed=0):
    tf.keras.utils.set_random_seed(seed)
    generator = {**GENERATOR, **generator}
    networks = [models.build(spec) for spec in (generator, generator, DISCRIMINATOR, DISCRIMINATOR)]
    return Run(cyclegan.CycleGAN(*networks, pool_size=PROFILE.pool_size), root, PROFILE, directory)


def fingerprint(run):
    """The whole state to the last bit, part by part."""
    gan = run.gan
    networks = (gan.generator_ab, gan.generator_ba, gan.discriminator_a, gan.discriminator_b)
    parts = {
        "networks": [weight for network in networks for weight in network.weights],
        "optimizers": [*gan.generator_optimizer.variables, *gan.discriminator_optimizer.variables],
        "pools": [gan.pool_a.images, gan.pool_a.count, gan.pool_b.images, gan.pool_b.count],
        "controls": list(run.controls.values()),
        "losses": [run.history[name] for name in sorted(run.history)],
    }
    joined = {name: b"".join(np.array(value).tobytes() for value in values) for name, values in parts.items()}
    return {name: hashlib.sha256(data).hexdigest() for name, data in joined.items()}


# --- the program that runs in separate processes ---


def note(folder, **line):
    with (folder / "notes").open("a") as file:
        file.write(json.dumps(line) + "\n")


def read_notes(folder):
    return [json.loads(line) for line in (folder / "notes").open()]


class Watch(tf.keras.callbacks.Callback):
    """Notes the state after every step, moves sliders, and kills the process after step ``kill``."""

    def __init__(self, run, folder, kill, moves):
        super().__init__()
        self.run, self.folder, self.kill, self.moves = run, folder, kill, moves

    def on_train_batch_end(self, batch, logs=None):
        step = self.run.step
        note(self.folder, step=step, **fingerprint(self.run))
        if step in self.moves and (step, *self.moves[step]) not in self.run.events:
            note(self.folder, moved_after=step)
            self.run.set(*self.moves[step])
        if step == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)


def train(root, folder, kill, number, generator, moves=(), shared=False):
    """Start or continue the run in ``folder``; what is not restored differs from process to process."""
    if shared:
        speed.share_cores()  # as the lesson does
    run = make_run(root, folder / "run", generator, seed=number)
    note(folder, start=run.step)
    run.callbacks.append(Watch(run, folder, kill, moves))
    run.start()
    run.wait()


def chain(root, folder, kills, **options):
    """One run in as many processes as there are ``kills``: each goes on from what the one before left."""
    folder.mkdir()
    for number, kill in enumerate(kills):
        in_a_child(-signal.SIGKILL if kill else 0, train, root, folder, kill, number, **options)


def kept(folder):
    """A state in which every number is the step, and its checkpoints."""
    state = {"step": tf.Variable(0), **{f"layer_{i}": tf.Variable(tf.zeros(50_000)) for i in range(4)}}
    return state, Checkpoints(folder / "checkpoints", state, {})


def save_until_killed(folder, line=0, delay=0):
    """Restore, check and go on saving; die at a line of what saving executes, or after ``delay`` seconds."""
    state, place = kept(folder)
    leftovers = len(list(place.place.glob(".writing-*")))
    warnings.simplefilter("error", UserWarning)
    history = place.restore()[0]
    found = int(state["step"])
    whole = len(history["step"]) == found and all(np.all(v.numpy() == found) for v in state.values())
    note(folder, found=found, whole=whole, leftovers=leftovers)
    if delay:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
    for step in itertools.count(found + 1):
        for variable in state.values():
            variable.assign(tf.fill(variable.shape, tf.cast(step, variable.dtype)))
        history["step"].append(step)
        left = die_at(line) if line and step > found + 1 else [line]  # the first save repairs what the last kill left
        place.save(step, history)
        sys.settrace(None)
        note(folder, saved=step, lines=line - left[0])
        if line and step > found + 2:
            return


def die_at(line):
    """Let this process kill itself before the given line, counted from here, of what saving executes."""
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename not in (checkpoints.__file__, files.__file__, shutil.__file__):
            return None
        left[0] -= event == "line"
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    return left


def kill_while_saving(folder):
    """Every second kill is at a line of what saving executes, from the first to the last; the others fall anywhere."""
    folder.mkdir()
    in_a_child(0, save_until_killed, folder, line=10**9)
    lines = max(line["lines"] for line in read_notes(folder) if "lines" in line)
    draw = random.Random(0)
    for number in range(SAVES // 2):
        in_a_child(-signal.SIGKILL, save_until_killed, folder, line=1 + number * lines // (SAVES // 2))
        in_a_child(-signal.SIGKILL, save_until_killed, folder, delay=draw.uniform(0.01, 0.1))
    in_a_child(0, save_until_killed, folder, line=10**9)


def in_a_child(expected, function, *arguments, **options):
    """Call ``function`` in a forked process and wait; it must end with the ``expected`` status."""
    child = FORK.Process(target=function, args=arguments, kwargs=options)
    child.start()
    child.join()
    if child.exitcode != expected:
        raise RuntimeError(f"{function.__name__}{arguments} {options}: {child.exitcode} instead of {expected}")


def main(root, folder):
    beside = [
        FORK.Process(target=chain, args=(root, folder / f"{name}_killed", [*KILLS, None]), kwargs=options)
        for name, options in JOBS.items()
    ]
    for process in beside:
        process.start()
    for name, options in JOBS.items():
        chain(root, folder / name, [None], **options)
    kill_while_saving(folder / "saves")
    for process in beside:
        process.join()
    sys.exit(any(process.exitcode for process in beside))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))


# --- killed after a step ---


@pytest.fixture(scope="module")
def notes(orchard_root, tmp_path_factory):
    """What the program noted: ``{name of the job: [line, …]}``; and ``notes["folder"]``."""
    folder = tmp_path_factory.mktemp("resume")
    result = subprocess.run([sys.executable, __file__, orchard_root, folder], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return {"folder": folder, **{job.name: read_notes(job) for job in folder.iterdir()}}


def steps(lines):
    return [line for line in lines if "step" in line]


@pytest.mark.parametrize("job", JOBS)
def test_every_step_of_a_killed_run_is_the_unbroken_runs(notes, job):
    reference = steps(notes[job])
    assert [line["step"] for line in reference] == list(range(1, 13))
    starts = [line["start"] for line in notes[f"{job}_killed"] if "start" in line]
    assert starts == [0] + [kill // 3 * 3 for kill in KILLS]  # from the newest checkpoint, never from nothing
    done = steps(notes[f"{job}_killed"])
    ends = [step for start, end in zip(starts, [*KILLS, 12], strict=True) for step in range(start + 1, end + 1)]
    assert [line["step"] for line in done] == ends
    for line in done:
        assert line == reference[line["step"] - 1]


def test_moves_after_the_last_checkpoint_were_replayed_not_made_again(notes):
    moved = [line["moved_after"] for line in notes["steered_killed"] if "moved_after" in line]
    # Each move was made twice: a kill at its step came before it was applied. Then no process made it again.
    assert moved == [1, 1, 4, 4, 7, 7, 10, 10]


def test_the_averages_of_batch_normalisation_had_moved(notes, orchard_root):
    run = make_run(orchard_root, notes["folder"] / "averages" / "run", JOBS["averages"]["generator"])
    averages = [weight.numpy() for weight in run.gan.generator_ab.non_trainable_weights]
    assert len(averages) == 2 * 3  # a mean and a variance for each layer; they begin at 0 and 1
    assert all(np.abs(average - start).max() > 0.01 for average, start in zip(averages, [0, 1] * 3, strict=True))


# --- killed while saving ---


def test_fifty_kills_while_saving_leave_fifty_whole_states(notes):
    lines = notes["saves"]
    found = [line for line in lines if "found" in line]
    assert len(found) == SAVES + 2 and all(line["whole"] for line in found)
    saved = 0
    for line in lines:
        if "found" in line:
            assert saved <= line["found"] <= saved + 1  # the last one saved, or the one that was being saved
        saved = line.get("saved", line.get("found"))
    assert sum(line["leftovers"] for line in found) > SAVES // 4  # enough kills came in the middle of a save


# --- damage ---


@pytest.fixture
def finished(notes, tmp_path):
    """The folder of a run of 12 steps, with its checkpoints of steps 9 and 12."""
    return shutil.copytree(notes["folder"] / "plain" / "run", tmp_path / "run")


@pytest.fixture
def two(tmp_path):
    """A state and its checkpoints of steps 1 and 2, which hold 1 and 2."""
    value = tf.Variable(0)
    place = Checkpoints(tmp_path / "checkpoints", {"value": value}, {"seed": 0})
    for step in (1, 2):
        value.assign(step)
        place.save(step, {"step": [*range(step)]})
    return value, place


FILES = ("card", "history.npz", "state.data-00000-of-00001", "state.index")
DAMAGES = {
    "emptied": lambda data: [b""],
    "truncated": lambda data: [data[:-1], data[: len(data) // 2]],
    "flipped": lambda data: [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(0, len(data), 5)],
    "deleted": lambda data: [None],
}


def write(path, data):
    path.unlink() if data is None else path.write_bytes(data)


def test_these_are_all_the_files_of_a_checkpoint(two):
    assert sorted(path.name for path in two[1].place.glob("step-00000002/*")) == sorted(FILES)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_means_the_checkpoint_before_and_then_an_error(two, file, how):
    value, place = two
    newest, older = (place.place / f"step-{step:08d}" / file for step in (2, 1))
    before, first = newest.read_bytes(), older.read_bytes()
    for harm in DAMAGES[how](before):
        value.assign(-1)
        write(newest, harm)
        with pytest.warns(UserWarning, match="step 2.*damaged"):
            assert place.restore() == ({"step": [0]}, [])
        assert int(value) == 1
        newest.write_bytes(before)
    value.assign(-1)
    write(newest, DAMAGES[how](before)[0])
    write(older, DAMAGES[how](first)[-1])
    for _ in range(2):  # the second time, too
        with pytest.warns(UserWarning), pytest.raises(CheckpointError, match="None of the checkpoints"):
            place.restore()
    assert int(value) == -1


def test_a_run_with_no_whole_checkpoint_is_refused(finished, orchard_root):
    for card in finished.glob("checkpoints/*/card"):
        card.unlink()
    with pytest.warns(UserWarning), pytest.raises(CheckpointError, match=r"steps \[9, 12\].*another directory"):
        make_run(orchard_root, finished, **PLAIN)


def test_other_networks_in_the_directory_are_refused(finished, orchard_root):
    with pytest.raises(ValueError, match="other networks"):
        make_run(orchard_root, finished, JOBS["averages"]["generator"])


@pytest.mark.parametrize(
    "name, value",
    [
        ("data", "pears"),
        ("seed", 1),
        ("batch_size", 2),
        ("pool_size", 5),
        ("pool_seed", 1),
        ("constant_steps", 7),
        ("discriminator_pace", 2.0),
        ("Keras", 9),
    ],
)
def test_another_kind_of_run_in_the_directory_is_refused(finished, orchard_root, monkeypatch, name, value):
    """Whatever the same steps depend on, one thing at a time: all that ``identity`` has is here."""
    lab, seed, root = PROFILE, 0, orchard_root
    tf.keras.utils.set_random_seed(0)
    generator = {**GENERATOR, **PLAIN["generator"]}
    networks = [models.build(spec) for spec in (generator, generator, DISCRIMINATOR, DISCRIMINATOR)]
    pool = {"pool_size": PROFILE.pool_size, "seed": 0}
    if name in ("pool_size", "pool_seed"):
        pool[name.replace("pool_seed", "seed")] = value
    elif name == "data":
        root = shutil.copytree(orchard_root, finished.parent / value)
    elif name == "seed":
        seed = value
    elif name == "Keras":
        monkeypatch.setattr(layers, "KERAS", value)
    else:
        lab = dataclasses.replace(PROFILE, **{name: value})
    with pytest.raises(ValueError, match=f"other {name}: .* instead of {value}"):
        Run(cyclegan.CycleGAN(*networks, **pool), root, lab, finished, seed=seed)


def test_a_state_of_other_shapes_is_refused_even_if_its_card_does_not_tell(two):
    place = Checkpoints(two[1].place, {"value": tf.Variable([0, 0])}, {"pool_size": 2})
    with pytest.raises(ValueError, match="holds a run with other states: .*shape.* Choose another directory"):
        place.restore()


@pytest.mark.parametrize("how", ["emptied", "truncated", "flipped"])
def test_a_damaged_record_of_the_sliders_is_said(notes, orchard_root, tmp_path, how):
    run = make_run(orchard_root, shutil.copytree(notes["folder"] / "steered" / "run", tmp_path / "run"), **PLAIN)
    log = run.directory / "events.log"
    whole, events = log.read_bytes(), list(run.events)
    assert [name for _, name, _ in events] == ["cycle", "identity", "learning_rate", "cycle"]
    for harm in DAMAGES[how](whole):
        log.write_bytes(harm)
        with pytest.raises(CheckpointError, match="events.log.*damaged.*Delete it to resume"):
            run._continue()
    log.write_bytes(whole)
    run._continue()
    assert run.events == events


@pytest.mark.parametrize("keep", [2, 4])
def test_the_newest_checkpoints_are_kept(tmp_path, monkeypatch, keep):
    monkeypatch.setattr(checkpoints, "KEEP", keep)
    place = Checkpoints(tmp_path / "checkpoints", {"value": tf.Variable(0)}, {})
    for step in range(6):
        place.save(step, {})
    assert place.steps() == [0, 1, 2, 3, 4, 5][-keep:] and checkpoints.KEEP >= 2  # one may be damaged


# --- a full disk ---


@contextlib.contextmanager
def room_for(size):
    """No file may grow beyond ``size`` bytes: to a program that writes, it is as if the disk were full."""
    _, most = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("largest", ["state.data-00000-of-00001", "history.npz", "card"])
def test_a_full_disk_is_an_error_in_words_and_leaves_the_rest(largest, tmp_path):
    count = 3000
    value = tf.Variable(tf.ones(count if largest.startswith("state") else 1))
    history = {"step": [0.0] * (count if largest == "history.npz" else 1)}
    about = "x" * (count if largest == "card" else 1)
    place = Checkpoints(tmp_path / "run", {"value": value}, {"about": about})
    place.save(1, history)
    sizes = {path.stat().st_size: path.name for path in place.place.glob("step-00000001/*")}
    *others, size = sorted(sizes)
    assert sizes[size] == largest
    with (
        room_for((size + others[-1]) // 2),
        pytest.raises(CheckpointError, match=r"step 2 .*untouched: \[1\].*disk full"),
    ):
        place.save(2, history)
    assert [path.name for path in place.place.iterdir()] == ["step-00000001"]
    assert place.restore()[0] == history
    place.save(2, history)  # there is room again
    assert place.steps() == [1, 2]


def test_a_damaged_run_on_a_full_disk_still_comes_to_the_same_end(finished, notes, orchard_root):
    newest = finished / "checkpoints" / "step-00000012" / "state.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="step 12.*damaged"):
        run = make_run(orchard_root, finished, **PLAIN, seed=9)
    assert run.step == 9
    with room_for(1000), pytest.raises(CheckpointError, match=r"untouched: \[9, 12\].*disk full"):
        run.start()
        run.wait(120)
    run.start()  # there is room again
    run.wait(120)
    expected = steps(notes["plain"])[-1]
    assert {"step": 12, **fingerprint(run)} == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # the damaged checkpoint has been replaced
        again = make_run(orchard_root, finished, **PLAIN, seed=9)
    assert {"step": again.step, **fingerprint(again)} == expected
