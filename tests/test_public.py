"""Downloads from a server on 127.0.0.1, unpacking of hostile archives, the command line."""

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from labutils import datasets, published
from labutils.base import archives, files
from labutils.datasets import __main__ as shell
from labutils.datasets import folder
from labutils.figures import plots
from labutils.profile import PROFILES
from labutils.published import flowers
from labutils.scenes import orchard


def whole_archive(name="pairs"):
    random, content = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for place in folder.FOLDERS:
            picture = io.BytesIO()
            Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(picture, "JPEG")
            file.writestr(f"{name}/{place}/0.jpg", picture.getvalue())
    return content.getvalue()


ARCHIVE = whole_archive()


class Server:
    """Answers each request with the next of ``answers``, functions of the handler; the last one stays."""

    def __init__(self):
        self.answers, self.paths, outer = [], [], self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                with contextlib.suppress(ConnectionError):
                    answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


def sends(content, declared=None, status=200):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if declared is None else declared))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def drips(start, drop):
    """Sends the bytes ``start``, and then ``drop`` again and again for as long as anybody listens."""

    def answer(handler):
        handler.wfile.write(start)
        while True:
            handler.wfile.write(drop)
            time.sleep(0.02)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "the body": drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "the status": drips(b"HTTP/1.1 200 ", b"O"),
    "a header": drips(b"HTTP/1.1 200 OK\r\nServer: ", b"x"),
    "interim answers": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a redirection": drips(b"HTTP/1.1 302 Found\r\nLocation: /", b"x"),
    "the size of a chunk": drips(CHUNKED + b"1;", b"x"),
    "trailers": drips(CHUNKED + b"%x\r\n%b\r\n0\r\n" % (len(ARCHIVE), ARCHIVE), b"a: b\r\n"),
}
right = sends(ARCHIVE)
wrong_hash = sends(ARCHIVE[:-1] + bytes([ARCHIVE[-1] ^ 1]))
longer = sends(ARCHIVE + b"x")
half = sends(ARCHIVE[: len(ARCHIVE) // 2], declared=len(ARCHIVE))
missing = sends(b"no such file", status=404)
busy = sends(b"later", status=503)


def flood(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(bytes(100_000))


@pytest.fixture
def server(monkeypatch):
    server = Server()
    facts = published.Published(
        "a", "b", len(ARCHIVE), hashlib.sha256(ARCHIVE).hexdigest(), urls=(f"{server.url}/pairs.zip",)
    )
    monkeypatch.setitem(published.DATASETS, "pairs", facts)
    monkeypatch.setattr(published, "PAUSE", 0)
    monkeypatch.delenv("LAB_MIRROR", raising=False)
    yield server
    server.http.shutdown()
    server.http.server_close()


def visible(root):
    return sorted(path.name for path in root.iterdir() if not path.name.endswith(".lock"))


def assert_whole(place):
    for name in folder.FOLDERS:
        assert [path.name for path in folder.files(place, name)] == ["0.jpg"]


@pytest.mark.parametrize(
    "answers, requests",
    [
        ([right], 1),
        ([wrong_hash, right], 2),
        ([half, right], 2),
        ([busy, busy, right], 3),
        ([flood, right], 2),
    ],
)
def test_ends_with_one_whole_dataset(server, tmp_path, answers, requests):
    server.answers = answers
    assert published.download("pairs", tmp_path) == tmp_path / "pairs"
    assert_whole(tmp_path / "pairs")
    assert visible(tmp_path) == ["pairs"] and len(server.paths) == requests
    published.download("pairs", tmp_path)  # already there: no request is sent
    assert len(server.paths) == requests


@pytest.mark.parametrize(
    "answer, requests, reason",
    [
        (missing, 1, "404"),
        (busy, 3, "503"),
        (wrong_hash, 3, "(?i)sha256|hash"),
        (longer, 3, "more than the expected"),
        (half, 3, "Incomplete|bytes came instead"),
        (flood, 3, "more than the expected"),
    ],
)
def test_otherwise_nothing_is_left_and_the_error_says_what_to_do(server, tmp_path, answer, requests, reason):
    server.answers = [answer]
    with pytest.raises(published.DownloadError, match=reason) as caught:
        published.download("pairs", tmp_path)
    assert visible(tmp_path) == [] and len(server.paths) == requests
    assert f"curl -L -O {server.url}/pairs.zip" in str(caught.value)
    assert f"download pairs --root {tmp_path} --mirror pairs.zip" in str(caught.value)


@pytest.mark.parametrize("what", DRIPS)
def test_a_drip_is_given_up(server, tmp_path, monkeypatch, what):
    server.answers = [DRIPS[what], right]
    monkeypatch.setattr(published.transfer, "TIMEOUT", 0.3)
    download = threading.Thread(target=published.download, args=("pairs", tmp_path), daemon=True)
    download.start()
    download.join(20)
    assert not download.is_alive() and len(server.paths) == 2
    assert_whole(tmp_path / "pairs")


def test_silence_is_given_up(server, tmp_path, monkeypatch):
    answered = threading.Event()
    server.answers = [lambda handler: answered.wait(20), right]
    monkeypatch.setattr(published.transfer, "TIMEOUT", 0.3)
    published.download("pairs", tmp_path)
    answered.set()
    assert_whole(tmp_path / "pairs")


def test_mirrors_in_their_order(server, tmp_path, monkeypatch):
    server.answers = [missing, missing, right]
    monkeypatch.setenv("LAB_MIRROR", f"{server.url}/room")
    published.download("pairs", tmp_path, mirrors=[f"{server.url}/other.zip"])
    assert server.paths == ["/other.zip", "/room/pairs.zip", "/pairs.zip"]


@pytest.mark.parametrize("form", ["folder", "file", "file://", "variable"])
def test_a_local_mirror(server, tmp_path, monkeypatch, form):
    place = tmp_path / "class room"
    place.mkdir()
    (place / "pairs.zip").write_bytes(ARCHIVE)
    mirrors = {"folder": [place], "file": [place / "pairs.zip"], "file://": [place.as_uri()], "variable": []}[form]
    if form == "variable":
        monkeypatch.setenv("LAB_MIRROR", str(place))
    published.download("pairs", tmp_path / "data", mirrors)
    assert_whole(tmp_path / "data" / "pairs")
    assert server.paths == [] and (place / "pairs.zip").exists()


def test_a_tilde_is_the_home_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.zip").write_bytes(ARCHIVE)
    assert published.download("pairs", "~/data", ["~/pairs.zip"]) == tmp_path / "data" / "pairs" and not server.paths
    assert datasets.rendered("orchard").write("~/orchard", 1, 1, 8, progress=False) == tmp_path / "orchard"
    assert not (tmp_path / "~").exists()


def test_a_wrong_local_mirror_is_passed_over(server, tmp_path):
    server.answers = [right]
    (tmp_path / "pairs.zip").write_bytes(b"x" * len(ARCHIVE))
    published.download("pairs", tmp_path / "data", [tmp_path, tmp_path / "nowhere"])
    assert_whole(tmp_path / "data" / "pairs")


DOWNLOAD = """
import sys
from labutils import published
published.DATASETS["pairs"] = published.Published("a", "b", int(sys.argv[3]), sys.argv[4], urls=(sys.argv[2],))
published.download("pairs", sys.argv[1])
"""


def facts_of(name, root):
    facts = published.DATASETS[name]
    return str(root), facts.urls[0], str(facts.bytes), facts.sha256


def test_two_at_once_end_with_one_whole_copy(server, tmp_path):
    server.answers = [right]
    command = [sys.executable, "-c", DOWNLOAD, *facts_of("pairs", tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.communicate(timeout=60), process.returncode)[1] for process in processes] == [0, 0]
    assert_whole(tmp_path / "pairs")
    assert visible(tmp_path) == ["pairs"] and len(server.paths) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_what_a_killed_download_leaves_is_deleted_by_the_next(server, tmp_path):
    asked = threading.Event()
    server.answers = [lambda handler: (sends(ARCHIVE[:9], len(ARCHIVE))(handler), asked.set(), time.sleep(20)), right]
    with subprocess.Popen([sys.executable, "-c", DOWNLOAD, *facts_of("pairs", tmp_path)]) as process:
        assert asked.wait(60)
        process.send_signal(signal.SIGKILL)
    assert len(visible(tmp_path)) == 1
    published.download("pairs", tmp_path)
    assert_whole(tmp_path / "pairs")
    assert visible(tmp_path) == ["pairs"]


def test_without_locks_there_is_still_one_whole_copy(server, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    both = threading.Barrier(2)

    def together(handler):
        both.wait(20)
        right(handler)

    server.answers = [together]
    threads = [threading.Thread(target=published.download, args=("pairs", tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert_whole(tmp_path / "pairs")
    assert visible(tmp_path) == ["pairs"]


RENDER = """
import os, signal, sys
from labutils.scenes import render
render.write("orchard", 1, lambda *_: os.kill(os.getpid(), signal.SIGKILL), sys.argv[1], 1, 1, 16, 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_what_a_killed_renderer_leaves_is_deleted_by_the_next(tmp_path):
    assert subprocess.run([sys.executable, "-c", RENDER, tmp_path / "o"], capture_output=True).returncode < 0
    assert len(visible(tmp_path)) == 1
    orchard.write(tmp_path / "o", 1, 1, 16, seed=0, progress=False)
    assert visible(tmp_path) == ["o"]


def test_a_dataset_that_a_killed_process_moved_away_is_read_all_the_same(tmp_path):
    own = tmp_path / "own"
    orchard.write(own, 1, 1, 16, seed=0, progress=False)
    own.rename(tmp_path / f".replaced-{files.HOST}-{2**30}-0123abcd-own")
    assert len(folder.files(own, "trainA")) == 1 and visible(tmp_path) == ["own"]


class Full(io.FileIO):
    """A file on a full disk."""

    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("module", [published.transfer, archives])
def test_a_full_disk_is_told_at_once_with_the_remedy(server, tmp_path, monkeypatch, module):
    server.answers = [right]
    monkeypatch.setattr(module, "open", Full, raising=False)
    with pytest.raises(files.DiskError, match="is full: make room, or set the variable LAB_HOME"):
        published.download("pairs", tmp_path)
    assert visible(tmp_path) == [] and len(server.paths) == 1  # no second request: it would not help


def test_a_read_only_folder_is_told_with_the_remedy_unless_the_dataset_is_there(server, tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    server.answers = [right]
    published.download("pairs", tmp_path)
    for module, name in ((files.Path, "mkdir"), (files, "open"), (os, "replace")):
        monkeypatch.setattr(module, name, refuse, raising=False)
    assert published.download("pairs", tmp_path) == tmp_path / "pairs"
    with pytest.raises(files.DiskError, match=f"{tmp_path / 'data'} is on a read-only disk.*LAB_HOME"):
        published.download("pairs", tmp_path / "data")


def test_an_incomplete_archive_is_not_put_in_place(server, tmp_path, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("pairs/trainA/0.jpg", b"x")
    content = content.getvalue()
    facts = published.Published("a", "b", len(content), hashlib.sha256(content).hexdigest(), urls=(server.url,))
    monkeypatch.setitem(published.DATASETS, "pairs", facts)
    server.answers = [sends(content)]
    with pytest.raises(ValueError, match="'trainB'"):
        published.download("pairs", tmp_path)
    assert visible(tmp_path) == []


def test_unknown_name():
    with pytest.raises(ValueError, match="apple2orange, horse2zebra.*Did you mean 'apple2orange'"):
        published.download("apples2oranges")


def test_facts_are_complete():
    assert len(published.DATASETS) == 9
    for name, facts in published.DATASETS.items():
        assert len(bytes.fromhex(facts.sha256)) == 32 and facts.bytes > 30e6
        assert all(url.startswith("http") and url.endswith(f"/{facts.archive}") for url in facts.urls)
        assert facts.archive == ("flower_photos.tgz" if name == "daisy2sunflower" else f"{name}.zip")


def hostile(path, **members):
    """A zip with members whose names and modes the zipfile module would write as they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("pairs/trainA/0.jpg", b"fine")
        for name, mode in members.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.external_attr = name, mode << 16
            file.writestr(info, b"/etc/passwd")
    return path


@pytest.mark.parametrize(
    "name, mode, reason",
    [
        ("../outside.jpg", 0o100644, "leads elsewhere"),
        ("pairs/../../outside.jpg", 0o100644, "leads elsewhere"),
        ("..\\outside.jpg", 0o100644, "leads elsewhere"),
        ("C:/outside.jpg", 0o100644, "leads elsewhere"),
        ("/tmp/outside.jpg", 0o100644, "absolute name"),
        ("pairs/link.jpg", 0o120777, "link or a device"),
        ("pairs/fifo.jpg", 0o010644, "link or a device"),
    ],
)
def test_hostile_members_are_refused_before_anything_is_written(tmp_path, name, mode, reason):
    (tmp_path / "box").mkdir()
    path = hostile(tmp_path / "x.zip", **{name: mode})
    before = set(tmp_path.parent.rglob("*"))
    with pytest.raises(archives.ArchiveError, match=reason) as caught:
        archives.unpack(path, tmp_path / "box" / "target")
    assert "x.zip" in str(caught.value)
    assert set(tmp_path.parent.rglob("*")) == before


def zipped(path, method=zipfile.ZIP_DEFLATED, members=(("pairs/trainA/0.jpg", bytes(40_000_000)),)):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def with_size(path, size):
    """The zip, whose members' declared size is ``size``."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = data.find(signature)
        while at >= 0:
            struct.pack_into("<I", data, at + offset, size)
            at = data.find(signature, at + 1)
    path.write_bytes(data)
    return path


def listing_only(path):
    """A zip that says its list of members has 20 MB."""
    size = 20_000_000
    path.write_bytes(bytes(size) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0))
    return path


DEEP = "/".join("abcdefghijklmnopq")  # 16 folders and a file
BOMBS = {
    "honest": (zipped, "bomb"),
    "twenty members": (lambda path: zipped(path, members=[(f"{i}.jpg", bytes(2_000_000)) for i in range(20)]), "bomb"),
    "bzip2": (lambda path: zipped(path, zipfile.ZIP_BZIP2), "a method other than"),
    "lzma": (lambda path: zipped(path, zipfile.ZIP_LZMA), "a method other than"),
    "says it is small": (lambda path: with_size(zipped(path), 1000), "not a complete zip"),
    "says it is large": (lambda path: with_size(zipped(path, members=[("a", b"a")]), 4 * 10**9), "bomb"),
    "deep": (lambda path: zipped(path, members=[(f"x/{DEEP}", b"")]), "16 folders deep"),
    "many folders": (lambda path: zipped(path, members=[(f"{i}/{DEEP[2:]}", b"") for i in range(100)]), "1,700 files"),
    "a long list": (listing_only, "its list of members has 20,000,000 bytes"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_without_unfolding(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 1000)
    make, reason = BOMBS[kind]
    path = make(tmp_path / "x.zip")
    tracemalloc.start()
    try:
        with pytest.raises(archives.ArchiveError, match=reason):
            archives.unpack(path, tmp_path / "target")
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert sum(path.stat().st_size for path in (tmp_path / "target").rglob("*")) < 10_000


def test_real_bytes_are_counted_not_the_declared_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "sum", lambda _: 0, raising=False)  # what was declared seems harmless
    path = zipped(tmp_path / "x.zip")
    with pytest.raises(archives.ArchiveError, match="bomb"):
        archives.unpack(path, tmp_path / "target")
    size = path.stat().st_size
    assert sum(path.stat().st_size for path in (tmp_path / "target").rglob("*.jpg")) < 21 * size + 2_000_000


def test_16_folders_in_each_other_are_fine(tmp_path):
    archives.unpack(zipped(tmp_path / "x.zip", members=[(DEEP, b"deep")]), tmp_path / "target")
    assert (tmp_path / "target" / DEEP).read_bytes() == b"deep"


@pytest.mark.parametrize("number, reason", [(errno.ENOSPC, "LAB_HOME"), (errno.EACCES, "LAB_HOME"), (errno.EIO, "EIO")])
def test_the_disk_is_not_blamed_on_the_archive(tmp_path, monkeypatch, number, reason):
    def refuse(path, _):
        raise OSError(number, errno.errorcode[number], str(path))

    monkeypatch.setattr(archives, "open", refuse, raising=False)
    with pytest.raises(OSError, match=reason):
        archives.unpack(zipped(tmp_path / "x.zip", members=[("a", b"a")]), tmp_path / "target")


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = hostile(tmp_path / "x.zip", one=0o100644, two=0o100644)
    with pytest.raises(archives.ArchiveError, match="5 files and folders"):
        archives.unpack(path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_the_same_name_twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = hostile(tmp_path / "x.zip", **{"pairs/trainA/0.jpg": 0o100644})
    with pytest.raises(archives.ArchiveError, match="FileExistsError"):
        archives.unpack(path, tmp_path / "target")


@pytest.mark.parametrize("kind", ["links", "text", "half", "changed"])
def test_what_is_no_whole_zip(tmp_path, kind):
    path = tmp_path / "x.zip"
    if kind == "links":  # hard links exist in tar files only
        with tarfile.open(path, "w") as file:
            for link, name in ((tarfile.LNKTYPE, "hard"), (tarfile.SYMTYPE, "soft")):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = link, "../outside"
                file.addfile(info)
    else:
        changed = ARCHIVE.replace(b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1")
        path.write_bytes({"text": b"hello", "half": ARCHIVE[:-500], "changed": changed}[kind])
    with pytest.raises(archives.ArchiveError, match="not a complete zip"):
        archives.unpack(path, tmp_path / "target")


def test_ensure_renders_once(tmp_path):
    place = published.ensure(PROFILES["smoke"], tmp_path)
    assert place == tmp_path / f"orchard-32-16-v{orchard.VERSION}" and len(folder.files(place, "trainA")) == 16
    first = os.stat(place / "orchard.json").st_mtime_ns
    assert published.ensure(PROFILES["smoke"], tmp_path) == place
    assert os.stat(place / "orchard.json").st_mtime_ns == first


def test_validation_scenes_are_no_others_and_photographs_have_none(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    lab = PROFILES["smoke"]
    place = published.validation(lab)
    record, other = (json.loads((root / "orchard.json").read_text()) for root in (place, published.ensure(lab)))
    assert record["test"] == 4 and record["size"] == 32  # half of the profile's 8
    assert not set(record["scenes"].values()) & set(other["scenes"].values())
    assert published.validation(dataclasses.replace(lab, dataset="apple2orange")) is None


def test_shell_renders_and_prepares(tmp_path, capsys):
    root = tmp_path / "o"
    assert shell.main(["orchard", "--train", "3", "--test", "2", "--size", "16", "--root", str(root)]) == 0
    a, b, own = root / "trainA", root / "testB", tmp_path / "own"
    assert shell.main(["prepare", str(a), str(b), "--root", str(own), "--size", "8"]) == 0
    assert "trainA 2, trainB 1, testA 1, testB 1; skipped 0" in capsys.readouterr().out


def test_shell_downloads_and_fails_with_a_reason(server, tmp_path, capsys):
    server.answers = [right]
    assert shell.main(["download", "pairs", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "pairs")
    assert shell.main(["download", "apple2oranges", "--root", str(tmp_path)]) == 1
    assert "Did you mean 'apple2orange'" in capsys.readouterr().err
    assert shell.main(["prepare", str(tmp_path), str(tmp_path / "no"), "--root", str(tmp_path / "x")]) == 1


@pytest.mark.parametrize("command", [[], ["download"], *([name] for name in datasets.RENDERED), ["prepare"]])
def test_shell_helps(command, capsys):
    with pytest.raises(SystemExit) as end:
        shell.main([*command, "--help"])
    assert end.value.code == 0 and "usage: python -m labutils.datasets" in capsys.readouterr().out


def test_wrong_commands_end_with_2():
    with pytest.raises(SystemExit) as end:
        shell.main(["dowload"])
    assert end.value.code == 2


def test_no_tensorflow():
    code = "import sys, labutils.datasets.__main__; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# The photographs of flowers


def flower_archive(tmp_path, leave_out=(), extra=()):
    """A stand-in for TensorFlow's archive: a small picture for each listed name, and others that are not listed."""
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "gold").save(picture, "JPEG")
    names = [flowers._inside(row[0]) for row in flowers.listed()]
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in [*names, "flower_photos/daisy/unlisted.jpg", "flower_photos/roses/1.jpg", *extra]:
            if name not in leave_out:
                member = tarfile.TarInfo(name)
                member.size = len(picture.getvalue())
                tar.addfile(member, io.BytesIO(picture.getvalue()))
    path = tmp_path / "flower_photos.tgz"
    path.write_bytes(content.getvalue())
    facts = published.DATASETS["daisy2sunflower"]
    data = path.read_bytes()
    return path, dataclasses.replace(facts, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def test_flowers_are_picked_by_name_and_keep_their_credits(tmp_path, monkeypatch):
    archive, facts = flower_archive(tmp_path, extra=["../outside.jpg"])
    monkeypatch.setitem(published.DATASETS, "daisy2sunflower", facts)
    monkeypatch.setenv("LAB_MIRROR", str(tmp_path))
    root = published.download("daisy2sunflower", tmp_path / "data")
    counts = tuple(len(folder.files(root, name)) for name in folder.FOLDERS)
    assert counts == facts.counts
    assert not list(tmp_path.rglob("unlisted.jpg")) and not list(tmp_path.rglob("outside.jpg"))
    assert (root / "CREDITS.tsv").read_bytes() == flowers.LIST.read_bytes()
    caption = plots.credits(root, "testA", "testB", limit=2)
    first = [name.name for part in ("testA", "testB") for name in folder.files(root, part)[:2]]
    wanted = [row[1] for row in flowers.listed() if row[0].split("/")[1] in first]
    assert caption.startswith("Photographs (CC BY 2.0): ") and all(name in caption for name in wanted)

    (tmp_path / "stick").mkdir()  # another room gets the unpacked folder
    (root).rename(tmp_path / "stick" / "daisy2sunflower")
    again = published.download("daisy2sunflower", tmp_path / "other", mirrors=[tmp_path / "stick"])
    assert len(folder.files(again, "trainA")) == facts.counts[0] and (again / "CREDITS.tsv").exists()
    assert plots.credits(tmp_path, "testA") == ""  # a dataset without credits


def test_an_archive_without_a_listed_flower_is_refused(tmp_path, monkeypatch):
    gone = flowers._inside(next(row[0] for row in flowers.listed() if row[0].startswith("trainB") and row[3]))
    archive, facts = flower_archive(tmp_path, leave_out=[gone])
    monkeypatch.setitem(published.DATASETS, "daisy2sunflower", facts)
    with pytest.raises(ValueError, match="lacks 1 of the listed"):
        published.download("daisy2sunflower", tmp_path / "data", mirrors=[archive])
    assert not (tmp_path / "data" / "daisy2sunflower").exists()
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(ValueError, match="not a complete tar"):
        flowers.pick(archive, tmp_path / "picked")


def test_every_listed_flower_has_its_photographer_and_page():
    rows = flowers.listed()
    parts = [row[0].split("/")[0] for row in rows if row[3] or row[0].startswith("test")]
    assert len({row[0] for row in rows}) == len(rows) == 463 + 452 + 51 + 50
    assert tuple(map(parts.count, folder.FOLDERS)) == published.DATASETS["daisy2sunflower"].counts
    for name, photographer, page, close in rows:
        assert name.split("/")[0] in folder.FOLDERS and photographer.strip() and close in ("", "yes")
        assert page.startswith("https://www.flickr.com/photos/")
