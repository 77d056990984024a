"""Pictures from cameras, scanners, laboratories and the web: read as a person sees them, or refused in words."""

import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from labutils.base.opening import MEMORY, ImageError
from labutils.base.reading import read_image
from labutils.base.words import shown

PHOTO = data.coffee()[100:196, 200:328]  # 96 × 128
GREY = PHOTO[..., 1].astype(np.uint16) * 257


# Paths that are no files


def special(folder, kind):
    path = folder / "x.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dangling link":
        path.symlink_to(folder / "nowhere")
    else:
        path = {"long": folder / ("x" * 300), "deep": folder / ("x/" * 3000), "NUL": f"{folder}/a\0b.jpg"}[kind]
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize(
    "kind, reason",
    [
        ("pipe", "is a pipe or a device"),
        ("socket", "is a pipe or a device"),
        ("device", "is a pipe or a device"),
        ("folder", "is a directory"),
        ("loop", "symbolic links"),
        ("dangling link", "is a link to a file that does not exist"),
        ("long", "name too long"),
        ("deep", "name too long"),
        ("NUL", "holds a NUL character"),
    ],
)
def test_a_path_that_is_no_file_is_refused_in_words(tmp_path, monkeypatch, kind, reason):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with pytest.raises(ImageError, match=reason):
        read_image(special(Path(), kind))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_what_the_system_forbids_is_an_image_error(tmp_path, monkeypatch, error):
    def opened(*_, **__):
        raise error

    (tmp_path / "x.jpg").touch()
    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(ImageError, match=f"x.jpg: {error.strerror.lower()}"):
        read_image(tmp_path / "x.jpg")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    assert read_image("~/x.png").shape == (4, 4, 3)


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path):
    error = ImageError(tmp_path / "caf\udce9.jpg", "is empty")
    assert str(error).encode("utf-8").endswith(rb"caf\udce9.jpg: is empty")


# Files that are something else, or less


ISO = {"heix": "HEIC", "hevc": "HEIC", "heim": "HEIC", "mif1": "HEIC", "msf1": "HEIC", "avis": "HEIC", "avif": "HEIC",
       "crx ": "raw picture", "qt  ": "a video", "isom": "a video"}  # fmt: skip
OTHERS = {
    b'<?xml version="1.0"?>\n<!-- drawn by hand -->\n<svg width="9">': "SVG drawing: export it as PNG",
    b"<svg xmlns='http://www.w3.org/2000/svg'>": "SVG drawing",
    b"\xef\xbb\xbf<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg>": "SVG drawing",
    b"<!doctype html><svg>": "web page",
    b"<?xml version='1.0'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0'><html>": "web page",
    b"<?xml version='1.0'?><kml>": "an XML file",
    b"%PDF-1.7 ...": "not a picture in a known format",
    **{b"\0\0\0\x18ftyp" + brand.encode() + bytes(40): reason for brand, reason in ISO.items()},
}


@pytest.mark.parametrize("content", OTHERS, ids=lambda content: ascii(content[:30]))
def test_what_it_is_instead_of_a_picture(tmp_path, content):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=OTHERS[content]):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("size", ["64", 0, -3, 2.5, (64, 64), 10**6])
def test_a_wrong_size_is_not_the_pictures_fault(tmp_path, size):
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="give the side in pixels") as caught:
        read_image(tmp_path / "x.png", size)
    assert not isinstance(caught.value, ImageError)


def jpeg(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


WAYS = {
    "baseline": ("RGB", {}),
    "every colour sampled": ("RGB", {"subsampling": 0}),
    "with restarts": ("RGB", {"restart_marker_blocks": 4}),
    "grey": ("L", {}),
    "for print": ("CMYK", {}),
    "progressive": ("RGB", {"progressive": True}),
    "with a thumbnail": ("RGB", {"exif": b"Exif\0\0" + jpeg(Image.new("RGB", (8, 8)))}),
}


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_half_a_jpeg_with_an_end_marker(tmp_path, way, rest):
    mode, options = WAYS[way]
    whole = jpeg(Image.fromarray(PHOTO).convert(mode), **options)
    place = len(whole) // 2
    if "progressive" in options:  # cut in its first scan; from the second on the whole picture is there, blurred
        place = whole.index(b"\xff\xda") + 60
    (tmp_path / "x.jpg").write_bytes(whole[:place] + b"\xff\xd9" + whole[place:] * rest)
    for size in (None, 16):
        with pytest.raises(ImageError, match="its lower part is missing"):
            read_image(tmp_path / "x.jpg", size)


@pytest.mark.parametrize("way", WAYS)
def test_a_mid_grey_border_is_no_missing_part(tmp_path, way):
    mode, options = WAYS[way]
    picture = PHOTO.copy()
    picture[48:] = 128
    (tmp_path / "x.jpg").write_bytes(jpeg(Image.fromarray(picture).convert(mode), **options) + b"a camera's own data")
    assert np.abs(read_image(tmp_path / "x.jpg")[60:].astype(int) - 128).max() < 4


# Large pictures


@pytest.mark.parametrize("pixels", [(12_000, 9_000), (16_320, 12_240)])
def test_a_telephones_largest_jpegs_are_read_small(tmp_path, pixels):
    picture = Image.new("L", pixels, 90)
    picture.paste(200, (0, 0, pixels[0] // 2, pixels[1]))
    picture.save(tmp_path / "x.jpg", quality=50)
    found = read_image(tmp_path / "x.jpg", 32)
    assert found.shape == (32, 32, 3) and found[:, :12].min() > 195 and found[:, 20:].max() < 95
    if pixels[0] * pixels[1] * 4 > MEMORY:
        with pytest.raises(ImageError, match="too large, export it smaller"):
            read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("name", ["scan.png", "scan.tif", "smooth.webp", "empty.png"])
def test_a_small_file_may_hold_a_large_picture(tmp_path, name):
    if name.startswith("scan"):  # A4 at 600 dots per inch
        Image.new("1", (4960, 7016), 1).save(tmp_path / name, **{"compression": "group4"} if "tif" in name else {})
    else:
        Image.new("RGB", (5000, 4000), "white").save(tmp_path / name)
    assert os.path.getsize(tmp_path / name) < 200_000
    assert (read_image(tmp_path / name, 16) == 255).all()


def big(path):
    """Write a large picture of the kind that the name says: an odd mode, a turn, another decoder."""
    side = {"padded.png": 9400, "smooth.webp": 4800}.get(path.name, 5000)
    mode = {"padded.png": "RGB", "seethrough.png": "RGBA", "palette.png": "P", "deep.png": "I;16"}.get(path.name, "RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new(mode, (side, side), 60_000 if mode == "I;16" else None)
    picture.save(path, **{"exif": exif} if path.name == "turned.jpg" else {})
    return side**2


PEAK = """
import json, re, sys
from pathlib import Path
from labutils.base.reading import ImageError, read_image
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
read_image(sys.argv[2])
before = peak()
try:
    read_image(sys.argv[1], int(sys.argv[3]) or None)
except ImageError as error:
    assert "too large" in str(error), error
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
@pytest.mark.parametrize(
    "name, size, bytes_per_pixel",
    [
        ("padded.png", 0, 0),
        ("padded.png", 64, 4),
        ("seethrough.png", 0, 7),
        ("turned.jpg", 0, 7),
        ("palette.png", 64, 1),
        ("deep.png", 64, 4),
        ("smooth.webp", 64, 16),
    ],
)
def test_memory_is_bounded(tmp_path, name, size, bytes_per_pixel):
    Image.new("RGB", (9, 9)).save(tmp_path / "small.png")
    pixels = big(tmp_path / name)
    assert pixels * bytes_per_pixel <= MEMORY
    command = [sys.executable, "-c", PEAK, tmp_path / name, tmp_path / "small.png", str(size)]
    taken = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert taken < pixels * bytes_per_pixel + 50e6


# Colour

SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])  # to XYZ, D50
SPACES = {
    "Display P3": np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]),
    "Adobe RGB": np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]),
    "sRGB, turned": SRGB[:, [1, 2, 0]],
}


def icc(space, tags):
    """An ICC profile, version 2, of a ``space`` of colours, with these ``tags``."""
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, b"mntr", space, b"XYZ ")
    return (head + bytes(12) + b"acsp" + bytes(28) + white).ljust(128, b"\0") + table + body


def curve(gamma):
    return struct.pack(">4sIIHH", b"curv", 0, 1, round(gamma * 256), 0)


def profile(matrix, gamma=2.2):
    columns = {name: struct.pack(">4s4x3i", b"XYZ ", *np.round(xyz * 65536).astype(int))
               for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)}  # fmt: skip
    return icc(b"RGB ", columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma)))


def srgb(linear):
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "seethrough.png", "palette.png"])
def test_colour_profiles_are_converted(tmp_path, name, space):
    colours = np.uint8([[200, 60, 60], [60, 160, 90], [90, 90, 200], [128, 128, 128]])
    picture = Image.fromarray(colours.repeat(16, 0).reshape(4, 16, 3).repeat(16, 0))
    mode = {"seethrough.png": "RGBA", "palette.png": "P"}.get(name, "RGB")
    picture = picture.convert(mode, palette=Image.Palette.ADAPTIVE)
    picture.save(tmp_path / name, icc_profile=profile(SPACES[space]), **{"quality": 100} if "png" not in name else {})
    expected = srgb((colours / 255) ** 2.2 @ SPACES[space].T @ np.linalg.inv(SRGB).T)
    found = read_image(tmp_path / name)[8::16, 8]
    assert np.abs(found - expected).max() < 8 and np.abs(colours - expected).max() > 20


@pytest.mark.parametrize("mode, name", [("L", "x.jpg"), ("L", "x.png"), ("LA", "x.png")])
def test_a_grey_profile_is_converted(tmp_path, mode, name):
    picture = Image.new("L", (8, 8), 55).convert(mode)
    picture.save(tmp_path / name, icc_profile=icc(b"GRAY", {b"kTRC": curve(1.0)}))
    assert np.abs(read_image(tmp_path / name).astype(int) - srgb(55 / 255)).max() < 3


@pytest.mark.parametrize("broken", [b"no profile", profile(SRGB)[:200], icc(b"GRAY", {b"kTRC": curve(1.0)})])
def test_a_profile_that_is_broken_or_for_other_channels_is_ignored(tmp_path, broken):
    Image.fromarray(PHOTO).save(tmp_path / "x.png", icc_profile=broken)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), PHOTO)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(path, values, *chunks):
    """Write ``values``, uint8 or uint16, grey (h, w) or RGB, as a PNG with these ``chunks`` before its pixels."""
    depth, kind = 8 * values.itemsize, 2 if values.ndim == 3 else 0
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("values", [PHOTO, PHOTO[..., 0], GREY, PHOTO.astype(np.uint16) * 257])
@pytest.mark.parametrize(
    "gamma, chunks, power", [(100_000, [], 1 / 2.2), (55_556, [], 1 / 1.22), (45_455, [], 1), (0, [], 1),
                             (100_000, [chunk(b"sRGB", b"\0")], 1)]
)  # fmt: skip
def test_the_gamma_of_a_png(tmp_path, values, gamma, chunks, power):
    png(tmp_path / "x.png", values, chunk(b"gAMA", struct.pack(">I", gamma)), *chunks)
    plain = values / (257 if values.dtype == np.uint16 else 1)
    plain = plain if plain.ndim == 3 else plain[..., None].repeat(3, -1)
    assert np.abs(read_image(tmp_path / "x.png") - 255 * (plain / 255) ** power).max() < 2


# 16 bits and more


def tiff(path, values, white=False, bits=None):
    """Write ``values``, any whole or floating-point numbers (h, w), as a TIFF; ``white``: the smallest is white."""
    content = values.tobytes() if bits is None else packed(values)
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {256: values.shape[1], 257: values.shape[0], 258: bits or 8 * values.itemsize, 259: 1,
            262: 0 if white else 1, 273: 8, 277: 1, 278: values.shape[0], 279: len(content), 339: kind}  # fmt: skip
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(content))
    path.write_bytes(head + content + struct.pack("<H", len(tags)) + table + bytes(4))


def packed(values):
    """12-bit numbers, two in three bytes."""
    first, second = values.reshape(-1, 2).astype(int).T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize("values", [GREY, GREY >> 8 << 4], ids=["16 bits", "12 bits"])
def test_deep_scans(tmp_path, values, white):
    bits = None if values is GREY else 12
    if white and bits:
        pytest.skip("Pillow reads no such file")
    tiff(tmp_path / "x.tif", 65535 - values if white else values, white, bits)
    assert np.abs(read_image(tmp_path / "x.tif").astype(int) - PHOTO[..., 1:2]).max() <= 1


@pytest.mark.parametrize("most", [4095, 65535])
def test_a_graymap_says_which_value_is_white(tmp_path, most):
    values = (GREY.astype(int) * most // 65535).astype(">u2")
    (tmp_path / "x.pgm").write_bytes(b"P5 128 96 %d\n" % most + values.tobytes())
    assert np.abs(read_image(tmp_path / "x.pgm").astype(int) - PHOTO[..., 1:2]).max() <= 1


@pytest.mark.parametrize("values, key", [(GREY, (300,)), (PHOTO.astype(np.uint16) * 257, (5000, 300, 65535)),
                                         (PHOTO.astype(np.uint16) * 257, (1, 2, 3))])  # fmt: skip
def test_the_transparent_colour_of_16_bits_is_white(tmp_path, values, key):
    values = values.copy()
    values[:, :64] = key if values.ndim == 3 else key[0]
    png(tmp_path / "x.png", values, chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))
    found = read_image(tmp_path / "x.png")
    assert (found[:, :64] == 255).all() and np.abs(found[:, 64:].astype(int) - PHOTO[:, 64:]).mean() < 60


MEASURED = {
    "int32.tif": GREY.astype(np.int32) - 1000,
    "uint32.tif": GREY.astype(np.uint32),
    "int16.tif": GREY.astype(np.int32).clip(0, 32767).astype(np.int16) - 1000,
    "int8.tif": (GREY >> 8).astype(np.int8) - 100,
    "float.tif": GREY.astype(np.float32),
    "float of 64 bits.tif": GREY.astype(np.float64),
    "float of 16 bits.tif": (GREY >> 8).astype(np.float16),
    "12 bits.png": GREY >> 4,
    "12 bits.tif": GREY >> 4,
    "8 bits in 16.png": GREY >> 8,
    "12 bits in colour.png": PHOTO.astype(np.uint16) * 16,
}


@pytest.mark.parametrize("name", MEASURED)
def test_measured_values_are_refused_not_black(tmp_path, name):
    (png if name.endswith("png") else tiff)(tmp_path / name, MEASURED[name])
    with pytest.raises(ImageError, match="save it with 8"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("brightest", [0, 5000, 16383])
@pytest.mark.parametrize("colour", [False, True])
def test_a_dark_photograph_stays_dark(tmp_path, brightest, colour):
    values = (np.linspace(0, brightest, 64)[None].repeat(9, 0)).astype(np.uint16)
    png(tmp_path / "x.png", values[..., None].repeat(3, -1) if colour else values)
    assert np.abs(read_image(tmp_path / "x.png") - values[..., None] / 257).max() <= 1


@pytest.mark.parametrize(
    "name, text",
    [
        ("a\nb.jpg", r"a\nb.jpg"),
        ("a\x1b[2Jb.jpg", r"a\x1b[2Jb.jpg"),
        ("a\tb", r"a\tb"),
        ("雨 é.jpg", "雨 é.jpg"),
        ("\udce9", r"\udce9"),
    ],
)
def test_a_name_is_one_line_of_text(name, text):
    assert shown(name) == text
