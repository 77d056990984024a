import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labutils.base import files
from labutils.profile import home
from labutils.scenes import orchard


def test_what_is_written_is_there_at_the_end_and_not_before(tmp_path):
    path = tmp_path / "new" / "notes.txt"
    with files.aside(path) as place:
        place.write_text("all of it")
        assert place.parent == path.parent and place.suffix == ".txt" and not path.exists()
    assert path.read_text() == "all of it" and os.listdir(path.parent) == ["notes.txt"]


def test_a_block_that_raises_leaves_all_as_it_was(tmp_path):
    files.write(tmp_path / "notes.txt", b"old")
    with pytest.raises(OSError, match="disk full"), files.aside(tmp_path / "notes.txt") as place:
        place.write_text("hal")
        raise OSError("disk full")
    assert (tmp_path / "notes.txt").read_bytes() == b"old" and os.listdir(tmp_path) == ["notes.txt"]


def test_a_folder_takes_the_place_of_a_folder_but_a_file_does_not(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old.txt").touch()
    with files.aside(tmp_path / "set") as place:
        place.mkdir()
        (place / "new.txt").touch()
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["new.txt"]
    with pytest.raises(IsADirectoryError):
        files.write(tmp_path / "set", b"")
    assert os.listdir(tmp_path) == ["set"] and os.listdir(tmp_path / "set") == ["new.txt"]


def folder_of(path, name):
    path.mkdir()
    (path / name).write_text(name)


def contents(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize("trouble", [PermissionError(errno.EACCES, "in use", "set"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", [1, 2])
def test_a_rename_that_fails_loses_nothing_and_leaves_nothing(tmp_path, monkeypatch, trouble, call):
    folder_of(tmp_path / "set", "old.txt")
    replace, calls = os.replace, []

    def fail(*names):
        calls.append(names)
        if len(calls) == call:
            raise trouble
        replace(*names)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(trouble)), files.aside(tmp_path / "set") as place:
        folder_of(place, "new.txt")
    assert contents(tmp_path) == ["set", "set/old.txt"]


KILLED = """
import os, signal, sys
from pathlib import Path
from labutils.base import files
root, where, real, calls = Path(sys.argv[1]), sys.argv[2], os.replace, []
def replace(*names):
    calls.append(names)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*names)
os.replace = replace
with files.aside(root / "set") as place, files.scratch(root / "archive.zip") as archive:
    archive.write_text("hal")
    place.mkdir()
    (place / "new.txt").touch()
    if where == "while writing":
        os.kill(os.getpid(), signal.SIGKILL)
    print(place.name, flush=True)
    if where == "it lives":
        sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="no zombies here (Windows), or no way to wait for one")
@pytest.mark.parametrize("where", ["while writing", "between the renames"])
@pytest.mark.parametrize("start", ["tidy", "aside"])
def test_the_next_start_tidies_up_after_a_killed_process(tmp_path, where, start):
    folder_of(tmp_path / "set", "old.txt")
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, where]) as other:
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but is not reaped: a zombie
        assert contents(tmp_path) != ["set", "set/old.txt"]
        start_again(tmp_path, start)
    assert other.returncode == -signal.SIGKILL
    assert contents(tmp_path) == ["set", "set/old.txt"]


def start_again(root, start):
    if start == "tidy":
        files.tidy(root)
    else:  # another write into the folder
        files.write(root / "notes.txt", b"")
        (root / "notes.txt").unlink()


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    command = [sys.executable, "-c", KILLED, tmp_path, "it lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        name = other.stdout.readline().strip()
        files.tidy(tmp_path)
        assert (tmp_path / name / "new.txt").exists()
    assert contents(tmp_path) == ["set", "set/new.txt"]


def temporary(host=files.HOST, process=None, kind="writing"):
    return f".{kind}-{host}-{process or os.getpid()}-0123abcd-set"


GONE, ELSEWHERE, OLD = 2**30, "00000000", 10**9  # no such process, another computer, in the year 2001


@pytest.mark.parametrize(
    "name, changed, left",
    [
        (temporary(process=GONE), None, False),
        (temporary(), None, True),
        (temporary(), OLD, False),  # a later process has the same number
        (temporary(ELSEWHERE, GONE), None, True),
        (temporary(ELSEWHERE), OLD, False),
        (temporary(ELSEWHERE, kind="replaced"), None, True),
        (".writing-home-1-set", OLD, True),  # made by a person
        (f"x{temporary(process=GONE)}", OLD, True),
        (temporary(process=GONE).replace("-set", ""), OLD, True),
    ],
    ids=[f"case {number}" for number in range(9)],  # names contain this process' number; workers differ
)
def test_only_what_is_ours_and_abandoned_is_deleted(tmp_path, name, changed, left):
    folder_of(tmp_path / name, "part.png")
    os.utime(tmp_path / name / "part.png", (changed or time.time(),) * 2)
    os.utime(tmp_path / name, (changed or OLD,) * 2)  # a folder's time does not change when a file in it grows
    files.tidy(tmp_path)
    assert (tmp_path / name / "part.png").exists() == left and not (tmp_path / "set").exists()


def test_tidying_puts_back_only_where_nothing_is_and_follows_no_link(tmp_path):
    for kind in ("set", temporary(process=GONE, kind="replaced"), "elsewhere"):
        folder_of(tmp_path / kind, f"{kind}.txt")
    (tmp_path / temporary(process=GONE)).symlink_to(tmp_path / "elsewhere")
    files.tidy(tmp_path)
    assert contents(tmp_path) == ["elsewhere", "elsewhere/elsewhere.txt", "set", "set/set.txt"]
    files.tidy(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "number, file, says",
    [
        (errno.ENOSPC, None, "disk of .* is full: make room, or set the variable LAB_HOME to"),
        (errno.EDQUOT, "part", "used up: make room, or set the variable LAB_HOME to"),
        (errno.EACCES, "part", "no permission to write to .*: choose another place, or set the variable LAB_HOME to"),
        (errno.EROFS, "..", "is on a read-only disk: .*LAB_HOME"),
    ],
)
def test_a_disk_that_refuses_is_told_with_the_remedy(tmp_path, number, file, says):
    with pytest.raises(files.DiskError, match=says) as caught, files.aside(tmp_path / "set" / "notes.txt") as place:
        raise OSError(number, "refused", file and str(place.parent / file))
    assert str(tmp_path / "set") in str(caught.value) and os.listdir(tmp_path / "set") == []


@pytest.mark.parametrize("number, file", [(errno.EACCES, "/elsewhere/photo.jpg"), (errno.EACCES, None), (errno.EIO, 3)])
def test_other_errors_are_not_blamed_on_the_folder(tmp_path, number, file):
    with pytest.raises(OSError) as caught, files.aside(tmp_path / "notes.txt"):
        raise OSError(number, "refused", file)
    assert not isinstance(caught.value, files.DiskError)


def without_locks(monkeypatch, number=errno.ENOLCK):
    """Make this a drive that cannot lock."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


LOCKED = """
import sys, time
from labutils.base import files
with files.lock(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_lock_keeps_others_out_until_it_is_closed_or_its_process_killed(tmp_path):
    path = tmp_path / "lock"
    with files.lock(path), pytest.raises(BlockingIOError), files.lock(path, wait=False):
        pass
    with subprocess.Popen([sys.executable, "-c", LOCKED, path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(BlockingIOError), files.lock(path, wait=False):
            pass
        other.send_signal(signal.SIGKILL)
    with files.lock(path, wait=False):
        pass
    assert os.listdir(tmp_path) == ["lock"]


def in_a_thread(function):
    """What ``function()`` returns, or raises, in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(60)


def taken(path):
    try:
        with files.lock(path, wait=False):
            return False
    except BlockingIOError:
        return True


def test_threads_of_one_process_keep_each_other_out_and_one_may_release_the_others_lock(tmp_path):
    with contextlib.ExitStack() as held:
        held.enter_context(files.lock(tmp_path / "lock"))
        assert in_a_thread(lambda: taken(tmp_path / "lock")) and not taken(tmp_path / "other")
        in_a_thread(held.close)
        assert not in_a_thread(lambda: taken(tmp_path / "lock"))
    with files.lock(tmp_path / "lock"):
        pass


def test_who_waits_for_a_lock_gets_it_when_it_is_released(tmp_path):
    inside, order = threading.Event(), []

    def second():
        inside.set()
        with files.lock(tmp_path / "lock"):
            order.append("second")

    with files.lock(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert inside.wait(60)
        time.sleep(0.2)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


@pytest.mark.parametrize("number", files.WITHOUT_LOCKS)
def test_a_drive_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch, number):
    without_locks(monkeypatch, number)
    for _ in range(2):
        with files.lock(tmp_path / "lock"), files.lock(tmp_path / "lock", wait=False):
            pass


def test_a_folder_in_the_place_of_a_lock_file_is_an_error(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(IsADirectoryError), files.lock(tmp_path / "lock"):
        pass


def test_a_lock_on_a_full_disk_is_told_with_the_remedy(tmp_path, monkeypatch):
    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(files.DiskError, match="is full: make room"), files.lock(tmp_path / "lock"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_keep_a_lock(tmp_path):
    with files.lock(tmp_path / "lock"):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with files.lock(tmp_path / "lock", wait=False):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_rendered_dataset_names_lab_home_too(monkeypatch):
    def mkdir(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(files.DiskError, match="LAB_HOME"):
        orchard.write(home("data", "new"), 1, 1, 16)


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "雨" * 80 + ".png", "\U0001f98b" * 62 + ".jpg"])
def test_a_name_may_be_as_long_as_the_system_takes(tmp_path, name):
    files.write(tmp_path / name, b"all of it")
    assert os.listdir(tmp_path) == [name]


def test_the_hash_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
