"""The check before a class: it reports everything that is missing, and returns an exit code for scripts."""

import errno
import hashlib
import json
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest
import test_public
from test_public import server as server

from labutils import published
from labutils.published import vgg

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import class_check  # noqa: E402

NEEDED = class_check.NEEDED


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    """A small course: smoke profile, data in ``tmp_path``, one card with its weights, no mirror."""
    shipped = tmp_path / "pretrained"
    shipped.mkdir()
    (shipped / "fruit-ab.weights.h5").write_bytes(b"weights")
    card = {"data": "orchard", "size": 32, "sha256": hashlib.sha256(b"weights").hexdigest()}
    (shipped / "fruit-ab.json").write_text(json.dumps(card))
    monkeypatch.setattr(class_check, "PRETRAINED", shipped)
    monkeypatch.setattr(class_check, "NEEDED", 0)
    monkeypatch.setattr(class_check, "versions", lambda: "not looked at")
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.setenv("LAB_PROFILE", "smoke")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "nobody")
    monkeypatch.delenv("LAB_MIRROR", raising=False)
    return tmp_path


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_all_there(room, capsys):
    assert class_check.main(["--port", free_port()]) == 0
    said = capsys.readouterr().out
    assert "MISSING" not in said and said.endswith("Ready for the class.\n")
    assert len(list((room / "data").glob("orchard-32-16-*/testB/*.png"))) == 8


def test_everything_missing_is_told_at_once(room, capsys, monkeypatch):
    (room / "pretrained" / "fruit-ab.weights.h5").write_bytes(b"weighty")
    monkeypatch.setattr(class_check, "NEEDED", 1e9)
    monkeypatch.setenv("LAB_MIRROR", str(room / "no mirror"))
    monkeypatch.setattr(class_check.published, "_fetch", offline)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        assert class_check.main(["--port", str(busy.getsockname()[1])]) == 1
    said = capsys.readouterr().out
    for text in ("fruit-ab.weights.h5 does not match", "GB are free", "PORT=", "apple2orange: no", "VGG19: file:"):
        assert text in said
    assert said.endswith("5 missing.\n")


def offline(name, *_):
    raise class_check.published.DownloadError(f"no {name}")


def test_a_weight_file_without_its_file_is_named(room):
    (room / "pretrained" / "fruit-ab.weights.h5").unlink()
    with pytest.raises(class_check.Missing, match="fruit-ab.weights.h5 is not in"):
        class_check.shipped()


def test_vgg_comes_from_the_mirror_whole_or_not_at_all(room, monkeypatch):
    name, mirror = "vgg19_test.h5", room / "mirror"
    mirror.mkdir()
    (mirror / name).write_bytes(b"cut short")
    monkeypatch.setitem(vgg.CACHED, "vgg19", (name, hashlib.md5(b"the whole file").hexdigest()))
    with pytest.raises(class_check.Missing, match="another MD5"):
        class_check.vgg(str(mirror))
    assert not list((room / "keras" / "models").iterdir())
    (mirror / name).write_bytes(b"the whole file")
    class_check.vgg(str(mirror))
    assert vgg.cached("vgg19") == room / "keras" / "models" / name
    shutil.rmtree(mirror)
    assert "in Keras' cache" in class_check.vgg(str(mirror))


@pytest.mark.parametrize("what", ["a header", "the body", "flood"])
def test_a_mirror_that_drips_or_floods_is_given_up(room, monkeypatch, server, what):
    server.answers = [{**test_public.DRIPS, "flood": test_public.flood}[what]]
    monkeypatch.setattr(published.transfer, "TIMEOUT", 0.3)
    monkeypatch.setattr(class_check, "MOST", 1_000_000)
    with pytest.raises(class_check.Missing, match="only .* bytes came in|more than the expected"):
        class_check.vgg(server.url)
    assert not list((room / "keras" / "models").iterdir())


def test_a_full_disk_is_no_missing_weights(room, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(published.transfer, "copy", refuse)
    monkeypatch.setenv("LAB_MIRROR", str(room))
    assert class_check.main(["--port", free_port(), "--datasets"]) == 1
    assert re.search(
        "MISSING  VGG19: The disk of .* is full: make room, or set the variable LAB_HOME", capsys.readouterr().out
    )


def test_versions_name_what_differs(monkeypatch):
    monkeypatch.undo()
    assert "packages as in requirements" in class_check.versions()
    real = class_check.version
    monkeypatch.setattr(class_check, "version", lambda name: "0.1" if name == "pillow" else real(name))
    with pytest.raises(class_check.Missing, match=r"pillow==[\d.]+ is required, 0.1 is installed: make setup"):
        class_check.versions()


def test_the_guide_says_how_much_disk_and_how_to_fill_a_mirror():
    guide = (TOOLS.parent / "docs" / "instructor.md").read_text()
    assert f"- {NEEDED:g} GB of free disk each" in guide
    named = re.findall(r"https?://\S+/(\S+)", guide.split("curl ")[1].split("```")[0])
    weights = vgg.CACHED["vgg19"][0]
    addresses = {facts.archive: facts.urls[0] for facts in published.DATASETS.values()}
    assert named == ["flower_photos.tgz", "apple2orange.zip", "horse2zebra.zip", weights]
    assert all(addresses[name] in guide for name in named if name != weights)
