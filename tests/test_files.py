import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labutils import files
from labutils.datasets import orchard
from labutils.profile import home


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


LOCKED = """
import sys, time
from labutils import files
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


@pytest.mark.skipif(not files.fcntl, reason="there are no locks")
def test_a_drive_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with files.lock(tmp_path / "lock"):
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


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("part, told", [("data", True), ("runs/a", True), ("docs", False)])
def test_where_the_course_may_not_write_lab_home_is_named(monkeypatch, code, part, told):
    def mkdir(path, **_):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.delenv("LAB_HOME", raising=False)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    for write in (lambda path: files.write(path, b""), lambda path: files.lock(path).__enter__()):
        with pytest.raises(OSError, match=os.strerror(code)) as caught:
            write(home(*part.split("/")) / "new" / "notes.txt")
        assert ("set the variable LAB_HOME to a folder" in str(caught.value)) == told


def test_a_rendered_dataset_names_lab_home_too(monkeypatch):
    def mkdir(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(PermissionError, match="LAB_HOME"):
        orchard.write(home("data", "new"), 1, 1, 16)


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "雨" * 80 + ".png", "\U0001f98b" * 62 + ".jpg"])
def test_a_name_may_be_as_long_as_the_system_takes(tmp_path, name):
    files.write(tmp_path / name, b"all of it")
    assert os.listdir(tmp_path) == [name]
