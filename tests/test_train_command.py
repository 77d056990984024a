"""``python -m labutils.train``: resumes after any end with the same bits, and says with its exit code how it ended."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from labutils.base import files
from labutils.train import __main__ as command

STEPS = 60


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Start the command on a run's folder; ``ended(process)`` gives its exit code and what it printed."""
    home = tmp_path_factory.mktemp("home")
    running = []

    def start(run, *options):
        arguments = [sys.executable, "-m", "labutils.train", "--profile", "smoke", "--run", home / run]
        process = subprocess.Popen(
            [*arguments, "--steps", str(STEPS), "--data", "orchard", *options],
            env={**os.environ, "LAB_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        running.append(process)
        return process, home / run

    yield start
    for process in running:
        process.kill()
        process.wait()


def reach(run, count, process):
    """Wait until the log has ``count`` lines."""
    log = run / "log.jsonl"
    while not log.exists() or log.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def result(run):
    """All that a run leaves, as numbers: the log, and the last generators."""
    found = {"log": [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]}
    for direction in ("ab", "ba"):
        with h5py.File(run / "generators" / files.named(STEPS, f"-{direction}.weights.h5")) as file:
            names = []
            file.visit(names.append)
            arrays = {name: file[name][()].tobytes() for name in names if isinstance(file[name], h5py.Dataset)}
            found |= {f"{direction} {name}": array for name, array in arrays.items()}
    return found


def test_a_run_that_was_stopped_and_killed_ends_with_the_bits_of_an_unbroken_one(started):
    unbroken, whole = started("whole")
    printed, _ = unbroken.communicate()
    assert unbroken.returncode == command.DONE, printed
    assert f"step {STEPS} of {STEPS}" in printed and f"{STEPS}/{STEPS}" in printed

    draw = random.Random()
    stop, kill = sorted(draw.sample(range(2, STEPS - 10), 2))
    process, broken = started("broken")
    reach(broken, stop, process)
    process.send_signal(draw.choice([signal.SIGINT, signal.SIGTERM]))
    printed, _ = process.communicate()
    assert process.returncode == command.STOPPED, printed
    kept = max(files.by_step(broken / "checkpoints"))
    assert kept == len((broken / "log.jsonl").read_text().splitlines())  # saved where it stopped

    process, _ = started("broken")
    reach(broken, max(kill, kept + 1), process)
    process.kill()
    process.wait()
    process, _ = started("broken")
    printed, _ = process.communicate()
    assert process.returncode == command.DONE, printed

    first, second = result(whole), result(broken)
    assert [line["step"] for line in first["log"]] == list(range(1, STEPS + 1))
    assert first.keys() == second.keys() and len(first) > 10
    for part in first:
        assert first[part] == second[part], f"{part} differs after a stop near {stop} and a kill near {kill}"
    assert np.isfinite([line["generators"] for line in first["log"]]).all()

    process, _ = started("broken")  # nothing is left to do
    assert process.wait() == command.DONE
    assert result(broken) == first


@pytest.mark.parametrize(
    "options, code, words",
    [
        ([], 2, "--run"),
        (["--run", "x", "--steps", "many"], 2, "--steps"),
        (["--run", "x", "--data", "orchart"], 1, "orchard"),
        (["--run", "x", "--data", "no/such/folder"], 1, "no/such"),
        (["--run", "x", "--profile", "classes"], 1, "smoke, class, full"),
        (["--run", "x", "--steps", "0"], 1, "steps"),
        (["--help"], 0, "Exit code"),
    ],
)
def test_bad_commands_are_refused_in_words(options, code, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    if code == 1:
        found = command.main(options)
    else:
        with pytest.raises(SystemExit) as ended:
            command.main(options)
        found = ended.value.code
    printed = "".join(capsys.readouterr())
    assert found == code and words in printed and "Traceback" not in printed
    assert not (tmp_path / "x").exists()
