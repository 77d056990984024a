"""Read any picture, make datasets of folders, pack archives."""

import json
import os
import re
import shlex
import struct
import subprocess
import sys
import tracemalloc
import unicodedata
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from skimage import data

from labutils.base import paths
from labutils.base.paths import look
from labutils.base.words import shown
from labutils.datasets import __main__ as shell
from labutils.datasets import folder
from labutils.datasets.folder import ImageError, read_image
from labutils.extras import archive

PHOTO = data.coffee()[100:196, 200:328]  # 96 × 128


def same(found, expected, tolerance=6):
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations(tmp_path, orientation):
    # How a camera stores the upright picture, by the EXIF standard's table.
    stored = {
        1: PHOTO,
        2: PHOTO[:, ::-1],
        3: PHOTO[::-1, ::-1],
        4: PHOTO[::-1],
        5: PHOTO.transpose(1, 0, 2),
        6: np.rot90(PHOTO, 1),
        7: PHOTO.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(PHOTO, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "x.jpg", exif=exif, quality=95)
    same(read_image(tmp_path / "x.jpg"), PHOTO)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.arange(256, dtype=np.uint16).repeat(8).reshape(32, 64)
    Image.fromarray(ramp * 257).save(tmp_path / "ramp.png")
    np.testing.assert_array_equal(read_image(tmp_path / "ramp.png"), ramp.astype(np.uint8)[..., None].repeat(3, -1))


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, depth, kind, rows):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_sixteen_bit_colour(tmp_path):
    wide = PHOTO.astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    (tmp_path / "x.png").write_bytes(png(128, 96, 16, 2, zlib.compress(rows)))
    same(read_image(tmp_path / "x.png"), PHOTO, 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_over_white(tmp_path, mode):
    picture = Image.fromarray(PHOTO).convert("RGBA")
    picture.putalpha(Image.fromarray(np.where(np.arange(128) < 64, 0, 255).astype(np.uint8)[None].repeat(96, 0)))
    if mode == "P":
        picture = Image.fromarray(np.where(np.arange(128) < 64, 0, 1).astype(np.uint8)[None].repeat(96, 0), "P")
        picture.putpalette([255, 0, 0, 0, 0, 255])
        picture.save(tmp_path / "x.png", transparency=0)
    else:
        picture.convert(mode).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png")
    assert (found[:, :64] == 255).all() and not (found[:, 64:] == 255).all()


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (8, 8), (100, 0, 0, 128)).save(tmp_path / "x.png")
    assert np.abs(read_image(tmp_path / "x.png")[0, 0].astype(int) - [177, 127, 127]).max() <= 1


@pytest.mark.parametrize(
    "mode, name", [("CMYK", "x.jpg"), ("L", "x.jpg"), ("L", "x.png"), ("1", "x.png"), ("RGB", "x.webp"),
                   ("RGB", "x.bmp"), ("RGB", "x.tif"), ("P", "x.gif")]
)  # fmt: skip
def test_other_modes_and_formats(tmp_path, mode, name):
    picture = Image.fromarray(PHOTO).convert(mode)
    picture.save(tmp_path / name)
    expected = np.array(Image.fromarray(PHOTO).convert("L" if mode in "L1" else "RGB").convert("RGB"))
    found = read_image(tmp_path / name)
    if mode == "1":
        assert set(np.unique(found)) == {0, 255}
    else:
        same(found, expected, 20 if mode == "P" else 12)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("P", (9, 7), 0), Image.new("P", (9, 7), 1)]
    for frame in frames:
        frame.putpalette([200, 10, 10, 10, 200, 10])
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "x.gif") == [200, 10, 10]).all()


def test_size_takes_the_central_square(tmp_path):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    Image.fromarray(wide).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", 16)
    assert found.shape == (16, 16, 3) and found[:, 2:-2].min() > 250


def test_odd_exif_does_not_matter(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "x.jpg", exif=b"Exif\0\0" + b"\xff" * 40)
    same(read_image(tmp_path / "x.jpg"), np.array(Image.open(tmp_path / "x.jpg")), 1)


BAD = {
    "empty.jpg": (b"", "empty"),
    "page.jpg": (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
    "text.png": (b"my holiday", "not a picture in a known format"),
    "phone.jpg": (b"\0\0\0\x18ftypheic" + b"\0" * 99, "HEIC"),
    "header.png": (b"\x89PNG\r\n\x1a\n", "not a picture|damaged|cut short"),
    "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in a known format"),
    "thin.png": (png(1, 500, 8, 2, zlib.compress(b"\0\0\0\0" * 500)), "1×500"),
    "bomb.png": (png(60_000, 60_000, 8, 2, zlib.compress(b"\0" * 10_000)), "too many pixels"),
    "small bomb.png": (
        png(9_400, 9_400, 8, 2, zlib.compress(b"\0" * 10_000)),
        "9400×9400 pixels: too large",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_with_path_and_reason(tmp_path, name):
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        read_image(tmp_path / name)
    assert caught.value.path == tmp_path / name and caught.value.reason and name in str(caught.value)


def test_missing_and_folder(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        read_image(tmp_path / "x.jpg")
    with pytest.raises(ImageError, match="directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("part", [0.3, 0.9])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_cut_short(tmp_path, ending, part):
    path = tmp_path / f"x.{ending}"
    Image.fromarray(PHOTO).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(ImageError, match="cut short|not a picture"):
        read_image(path)


def test_bombs_are_refused_before_memory_is_taken(tmp_path):
    import tracemalloc

    (tmp_path / "bomb.png").write_bytes(BAD["bomb.png"][0])
    tracemalloc.start()
    with pytest.raises(ImageError):
        read_image(tmp_path / "bomb.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_200_damaged_jpegs_are_read_or_refused_by_name(tmp_path):
    """In a process of its own, so that the memory measured is its own."""
    code = """
import io, json, re, sys
from pathlib import Path
import numpy as np
from PIL import Image
from skimage import data
from labutils.datasets.folder import ImageError, read_image
def peak():  # of this process in bytes, where the system tells; ru_maxrss may be the parent's
    status = Path("/proc/self/status")
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) if status.exists() else 0
folder, random = sys.argv[1], np.random.default_rng(0)
buffer = io.BytesIO()
Image.fromarray(data.coffee()[:256, :256]).save(buffer, "JPEG")
paths = []
for i in range(200):
    content = bytearray(buffer.getvalue())
    for place in random.integers(0, len(content), random.integers(1, 65)):
        content[place] ^= random.integers(1, 256)
    paths.append(f"{folder}/{i}.jpg")
    open(paths[-1], "wb").write(content)
open(f"{folder}/good.jpg", "wb").write(buffer.getvalue())
read_image(f"{folder}/good.jpg")
before = peak()
read, refused = 0, 0
for path in paths:
    try:
        image = read_image(path)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        read += 1
    except ImageError as error:
        assert path in str(error)
        refused += 1
print(json.dumps({"read": read, "refused": refused, "grown": peak() - before}))
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    report = json.loads(run.stdout)
    assert report["read"] + report["refused"] == 200 and report["refused"] > 10
    assert report["grown"] < 200e6


def photographs(root, count=12):
    """Two folders of any photographs: crops of a cat's fur and of a cup of coffee."""
    random = np.random.default_rng(0)
    for name, photo in (("fur", data.cat()), ("coffee", data.coffee())):
        (root / name).mkdir(parents=True)
        for i in range(count):
            y, x = random.integers(0, 150, 2)
            Image.fromarray(photo[y : y + 100, x : x + 140]).save(root / name / f"{i:02}.jpg")
    return root / "fur", root / "coffee"


def test_prepare_two_folders(tmp_path):
    a, b = photographs(tmp_path)
    (a / "note.jpg").write_text("not a picture")
    (b / "album").mkdir()
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(b / "album" / "00.png")
    report = folder.prepare((a, b), tmp_path / "own", 32)
    assert report.counts == {"trainA": 10, "trainB": 11, "testA": 2, "testB": 2}
    assert [error.path.name for error in report.skipped] == ["note.jpg"]
    assert "note.jpg: is not a picture" in str(report)
    for name in folder.FOLDERS:
        for path in folder.files(tmp_path / "own", name):
            image = Image.open(path)
            assert image.size == (32, 32) and image.mode == "RGB" and image.format == "JPEG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coffee", "fur", "own"]
    again = folder.prepare({"A": b, "B": a}, tmp_path / "own", 16)  # overwrites its own earlier dataset
    assert again.counts["trainA"] == 11 and Image.open(folder.files(again.root, "testB")[0]).size == (16, 16)


def test_prepare_keeps_pictures_of_one_name(tmp_path):
    a, b = photographs(tmp_path, 3)
    Image.new("RGB", (20, 20)).save(a / "00.png")
    assert folder.prepare((a, b), tmp_path / "own", 16).counts == {"trainA": 3, "trainB": 2, "testA": 1, "testB": 1}


def test_prepare_a_dataset_keeps_its_split(tmp_path):
    a, b = photographs(tmp_path, 4)
    for name, source in (("trainA", a), ("trainB", b), ("testA", b)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for path in source.iterdir():
            (tmp_path / "set" / name / path.name).write_bytes(path.read_bytes())
    report = folder.prepare(tmp_path / "set", tmp_path / "own", 16)
    assert report.counts == {"trainA": 4, "trainB": 3, "testA": 4, "testB": 1}


def test_prepare_refuses(tmp_path):
    a, b = photographs(tmp_path, 3)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"broken holds no readable picture for trainB(.|\n)*x.jpg: is empty"):
        folder.prepare((a, tmp_path / "broken"), tmp_path / "own", 16)
    with pytest.raises(ValueError, match="Did you mean 'coffee'"):
        folder.prepare((a, tmp_path / "cofee"), tmp_path / "own", 16)
    with pytest.raises(ValueError, match="other files"):
        folder.prepare((a, b), a, 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "coffee", "fur"]


def test_files_says_what_is_there_and_the_nearest_name(tmp_path):
    (tmp_path / "orchard" / "trainA").mkdir(parents=True)
    (tmp_path / "orchard" / "trainC").mkdir()
    with pytest.raises(ValueError, match="no dataset.*expected a folder with trainA.*Did you mean 'orchard'"):
        folder.files(tmp_path / "orchrd", "trainA")
    with pytest.raises(ValueError, match="there is: trainA, trainC. Did you mean 'trainA'"):
        folder.files(tmp_path / "orchard", "TrainA ")
    with pytest.raises(ValueError, match="holds nothing.*datasets prepare"):
        folder.files(tmp_path / "orchard", "trainA")
    (tmp_path / "orchard" / "trainA" / "x.webp").write_bytes(b"x")
    with pytest.raises(ValueError, match="holds x.webp"):
        folder.files(tmp_path / "orchard", "trainA")
    with pytest.raises(ValueError, match="no folder 'far' in .* Beside it there is: orchard"):
        folder.files(tmp_path / "far" / "away", "trainA")


@pytest.mark.parametrize("others", [["a.webp", "b.heic"], ["c.tif"], ["album/"], ["notes.txt"]])
def test_files_says_what_it_leaves_out(tmp_path, others):
    a, _ = photographs(tmp_path, 2)
    for name in others:
        (a / name).mkdir() if name.endswith("/") else (a / name).write_bytes(b"x")
    with pytest.warns(UserWarning, match=f"left out .*: {', '.join(others)}. .*datasets prepare"):
        assert len(folder.files(tmp_path, "fur")) == 2


SYSTEMS = [".Trash-1000", ".thumbnails", ".ipynb_checkpoints", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "#recycle",
           "System Volume Information", "lost+found", ".album/2023"]  # fmt: skip


def test_hidden_and_system_folders_are_left_out_wherever_they_lie(tmp_path, recwarn):
    a, b = photographs(tmp_path, 2)
    for place in (a, a / "album"):
        for name in SYSTEMS:
            (place / name / "large").mkdir(parents=True)
            (place / name / "large" / "x.jpg").write_bytes((a / "00.jpg").read_bytes())
        for name in (".x.jpg", "._00.jpg", "Thumbs.db", "THUMBS.DB", "desktop.ini", ".DS_Store"):
            (place / name).write_bytes((a / "00.jpg").read_bytes())
    report = folder.prepare((a, b), tmp_path / "own", 16)
    assert report.counts == dict.fromkeys(folder.FOLDERS, 1) and not report.skipped
    assert sum(len(folder.files(tmp_path / "own", name)) for name in folder.FOLDERS) == sum(report.counts.values())
    assert {path.suffix for path in look(a)} == {"", ".jpg"} and len(look(a)) == 3  # 00, 01 and album
    (a / "album").rename(tmp_path / "album")
    assert len(folder.files(tmp_path, "fur")) == 2 and not recwarn


def test_a_source_in_a_hidden_folder_counts(tmp_path):
    a, b = photographs(tmp_path / ".cache", 2)
    assert folder.prepare((a, b), tmp_path / "own", 16).counts["trainA"] == 1


NAMES = {
    "not UTF-8": [b"caf\xe9.jpg", b"\xff\xfe.jpg", b"\x83t\x83@.jpg"],
    "long": [b"x" * 245 + b".jpg", b"y" * 251 + b".jpg", "雨".encode() * 80 + b".jpg"],
    "deep": [b"d" * 200 + b"/" + b"e" * 200 + b"/" + b"f" * 200 + b".jpg"]
    + [b"d" * 200 + b"/" + b"e" * 200 + b"/g.jpg"],
    "case": [b"a.jpg", b"A.jpg", b"A.JPG"],
    "accents": ["\u00e9.jpg".encode(), "e\u0301.jpg".encode(), "\u00c9.jpg".encode()],
    "one name": [b"a.jpg", b"a.png", b"a.webp", b"a_2.jpg"],
    "Windows": [b"con.jpg", b"what?.jpg", b"12:30.jpg", b"a\\b.jpg", b"trailing .jpg", b"line\nbreak.jpg"],
}


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
@pytest.mark.parametrize("kind", NAMES)
def test_prepare_takes_every_name_and_makes_valid_ones(tmp_path, kind):
    photo = (photographs(tmp_path, 2)[1] / "00.jpg").read_bytes()
    (tmp_path / "odd").mkdir()
    for name in NAMES[kind]:
        path = tmp_path / "odd" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    report = folder.prepare((tmp_path / "odd", tmp_path / "coffee"), tmp_path / "own", 16)
    assert report.counts["trainA"] + report.counts["testA"] == len(NAMES[kind]) and not report.skipped
    made = [path for name in ("trainA", "testA") for path in folder.files(tmp_path / "own", name)]
    assert len({unicodedata.normalize("NFD", path.name.casefold()) for path in made}) == len(NAMES[kind])
    for path in made:
        assert len(path.name.encode("utf-8")) < 150 and not re.search(r'[<>:"/\\|?*\n]|[ .]\.jpg$|^con\.', path.name)


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_one_bad_file_costs_one_file(tmp_path):
    a, b = photographs(tmp_path, 3)
    os.mkfifo(a / "pipe.jpg")
    (a / "loop.jpg").symlink_to("loop.jpg")
    (a / "dangling.jpg").symlink_to("nowhere.jpg")
    (a / "caf\udce9.jpg").write_bytes(b"")
    (a / "round").symlink_to(a)
    (a / "album.jpg").mkdir()
    (a / "album.jpg" / "3.jpg").symlink_to(a / "00.jpg")
    report = folder.prepare((a, b), tmp_path / "own", 16)
    assert report.counts["trainA"] == 3 and report.counts["testA"] == 1
    reasons = {shown(error.path.name): error.reason for error in report.skipped}
    assert sorted(reasons) == [r"caf\udce9.jpg", "dangling.jpg", "loop.jpg", "pipe.jpg", "round"]
    assert "is a link to a folder" in reasons["round"] and "is a pipe" in reasons["pipe.jpg"]
    str(report).encode("utf-8")


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
    a, b = photographs(tmp_path, 3)
    (a / "locked").mkdir()

    def refuse(place):
        if place.name == "locked":
            raise PermissionError(13, "Permission denied")
        return look(place)

    monkeypatch.setattr(paths, "look", refuse)
    [error] = folder.prepare((a, b), tmp_path / "own", 16).skipped
    assert str(error).endswith("locked: cannot be read (permission denied)")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    photographs(tmp_path, 2)
    report = folder.prepare(("~/fur", "~/coffee"), "~/own", 16)
    assert report.root == tmp_path / "own" and len(folder.files("~/own", "testB")) == 1
    assert shell.main(["prepare", "~/own", "--root=~/again", "--size", "8"]) == 0 and (tmp_path / "again").is_dir()
    assert archive.from_npz(archive.to_npz("~/own", "~/own.npz", 8))[0].shape == (1, 8, 8, 3)


@pytest.mark.parametrize("fault", ["nested", "no test folders", "webp", "blank in the name"])
def test_the_advice_can_be_followed(tmp_path, fault):
    root = tmp_path / ("my set" if fault.startswith("blank") else "set")
    for source, name in zip(photographs(tmp_path, 3), ("trainA", "trainB"), strict=True):
        source.rename(root / name) if root.is_dir() else (root.mkdir(), source.rename(root / name))
        if fault == "nested":
            (root / name).rename(root / "images")
            (root / name).mkdir()
            (root / "images").rename(root / name / "images")
        if fault in ("webp", "blank in the name"):
            for path in (root / name).iterdir():
                path.rename(path.with_suffix(".webp"))
    with pytest.raises(ValueError, match="--root") as caught:
        folder.files(root, "testA" if fault == "no test folders" else "trainA")
    command = re.search(r"labutils.datasets (.*)", str(caught.value))[1]
    assert shell.main(shlex.split(command)) == 0
    assert len(folder.files(f"{root}-prepared", "trainA")) == 2 and len(folder.files(f"{root}-prepared", "testB")) == 1


@pytest.mark.parametrize("sources", [("far/away", "coffee"), "far", ("fur", "photos.zip")])
def test_a_missing_source_is_no_dataset(tmp_path, monkeypatch, sources):
    photographs(tmp_path, 2)
    (tmp_path / "photos.zip").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="There is no folder 'far'|photos.zip is a file, not a folder") as caught:
        folder.prepare(sources, "own", 16)
    assert "dataset" not in str(caught.value) and "trainA" not in str(caught.value)


@pytest.mark.parametrize("size", [0, -1, None, "64", 10**6])
def test_prepare_refuses_a_size_before_it_writes(tmp_path, size):
    with pytest.raises(ValueError, match="give the side in pixels"):
        folder.prepare(photographs(tmp_path, 2), tmp_path / "own", size)


def test_one_picture_is_too_few(tmp_path):
    a, b = photographs(tmp_path, 1)
    (a / "note.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match=r"fur holds one readable picture. Add more(.|\n)*note.jpg: is not a picture"):
        folder.prepare((a, b), tmp_path / "own", 16)


@pytest.mark.parametrize("root", ["fur/own", "fur/a/b", "."])
def test_prepare_does_not_write_among_its_sources(tmp_path, root):
    a, b = photographs(tmp_path, 2)
    (tmp_path / "prepared.json").touch()
    with pytest.raises(ValueError, match="overlap"):
        folder.prepare((a, b), tmp_path / root, 16)
    assert len(list(a.iterdir())) == 2


def test_npz_and_back(tmp_path):
    root = folder.prepare(photographs(tmp_path), tmp_path / "own", 24).root
    path = archive.to_npz(root, tmp_path / "own.npz", 24)
    a, b = archive.from_npz(path)
    assert a.shape == b.shape == (10, 24, 24, 3) and a.dtype == np.uint8
    np.testing.assert_array_equal(a[3], read_image(folder.files(root, "trainA")[3]))
    with np.load(path) as packed:
        assert packed.files == ["arr_0", "arr_1"]
    assert archive.from_npz(archive.to_npz(root, path, 16, merge_test=True))[1].shape == (12, 16, 16, 3)


def test_npz_is_never_executed(tmp_path):
    np.savez(tmp_path / "x.npz", np.array([print], dtype=object), np.zeros(3))
    with pytest.raises(ValueError, match="no archive"):
        archive.from_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="should be uint8.*float64"):
        archive.from_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("kind", ["deflated", "bzip2", "claims", "pipe", "missing"])
def test_npz_from_a_stranger_is_bounded(tmp_path, kind):
    """100 MB of one value in 100 kB; an array that is said to have terabytes; what is no file."""
    path, zeros = tmp_path / "x.npz", np.zeros((100, 580, 580, 3), np.uint8)
    if kind == "pipe":
        if sys.platform == "win32":
            pytest.skip("Windows has no such files")
        os.mkfifo(path)
    elif kind != "missing":
        method = zipfile.ZIP_BZIP2 if kind == "bzip2" else zipfile.ZIP_DEFLATED
        shape = (2**20, 2**10, 2**10, 3) if kind == "claims" else zeros.shape
        with zipfile.ZipFile(path, "w", method) as file:
            for name in ("arr_0", "arr_1"):
                with file.open(f"{name}.npy", "w") as part:
                    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(part, head)
                    part.write(zeros.data.cast("B")[: 10 if kind == "claims" else None])
    tracemalloc.start()
    try:
        with pytest.raises(FileNotFoundError if kind in ("pipe", "missing") else ValueError, match="x.npz"):
            archive.from_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 10e6 or kind == "claims"  # reserved, not taken
    finally:
        tracemalloc.stop()
