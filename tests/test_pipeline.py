"""The training pipeline: the batch of a step depends only on (seed, step)."""

import itertools
import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import data

from labutils.base import decoding
from labutils.datasets import folder, pipeline


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Five and three pictures; each a grey of its own, left half darker, so that order and flips can be read."""
    root = tmp_path_factory.mktemp("greys")
    for name, count in (("trainA", 5), ("trainB", 3), ("testA", 2), ("testB", 2)):
        (root / name).mkdir()
        for i in range(count):
            picture = np.full((16, 16, 3), 30 + 40 * i, np.uint8)
            picture[:, :8] -= 20
            Image.fromarray(picture).save(root / name / f"{i}.png")
    return root


def taken(dataset, count):
    return [(a.numpy(), b.numpy()) for a, b in itertools.islice(dataset, count)]


def which(picture):
    """The number of the fixture's picture that ``picture`` is a view of."""
    return round((picture.max() + 1) * 127.5 - 30) // 40


def test_shapes_and_range(root):
    dataset = pipeline.unpaired(root, 12, batch_size=2)
    for spec in dataset.element_spec:
        assert spec.shape == (2, 12, 12, 3) and spec.dtype == tf.float32
    assert dataset.cardinality().numpy() == tf.data.INFINITE_CARDINALITY
    for batch in taken(dataset, 4)[-1]:
        assert batch.shape == (2, 12, 12, 3) and -1 <= batch.min() < batch.max() <= 1


def test_black_is_minus_one_and_white_is_one(tmp_path):
    for name, value in (("trainA", 0), ("trainB", 255)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), (value,) * 3).save(tmp_path / name / "0.png")
    [(a, b)] = taken(pipeline.unpaired(tmp_path, 16), 1)
    assert (a == -1).all() and b.max() <= 1
    np.testing.assert_allclose(b, 1, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("start", [1, 4, 7])
def test_continuing_equals_skipping(root, start, batch_size):
    continued = taken(pipeline.unpaired(root, 12, batch_size, seed=5, start_step=start), 6)
    skipped = taken(pipeline.unpaired(root, 12, batch_size, seed=5).skip(start), 6)
    for (a, b), (other_a, other_b) in zip(continued, skipped, strict=True):
        np.testing.assert_array_equal(a, other_a)
        np.testing.assert_array_equal(b, other_b)


def test_batches_hold_the_pictures_of_single_steps(root):
    ones, threes = taken(pipeline.unpaired(root, 12), 6), taken(pipeline.unpaired(root, 12, batch_size=3), 2)
    for domain in (0, 1):
        np.testing.assert_array_equal(
            np.concatenate([pair[domain] for pair in ones]), np.concatenate([pair[domain] for pair in threes])
        )


def test_every_epoch_passes_each_picture_once_in_a_new_order(root):
    pairs = taken(pipeline.unpaired(root, 16, augment=False), 150)
    for domain, count in ((0, 5), (1, 3)):
        order = [which(pair[domain]) for pair in pairs]
        epochs = [tuple(order[i : i + count]) for i in range(0, 150, count)]
        assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
        assert len(set(epochs)) > 2
    a, b = zip(*[(which(a), which(b)) for a, b in pairs], strict=True)
    assert len(set(zip(a, b, strict=True))) == 15  # in time every A is paired with every B


def test_seeds_differ_and_repeat(root):
    first, again, other = (taken(pipeline.unpaired(root, 12, seed=seed), 10) for seed in (0, 0, 1))
    assert all((x[0] == y[0]).all() for x, y in zip(first, again, strict=True))
    assert not all((x[0] == y[0]).all() for x, y in zip(first, other, strict=True))


def test_order_does_not_depend_on_the_global_seed(root):
    tf.random.set_seed(1)
    first = taken(pipeline.unpaired(root, 12), 5)
    tf.random.set_seed(2)
    assert all((x[1] == y[1]).all() for x, y in zip(first, taken(pipeline.unpaired(root, 12), 5), strict=True))


def test_augmentation_is_new_each_epoch_and_independent_for_a_and_b(root):
    pairs = taken(pipeline.unpaired(root, 12), 150)
    views = {pair[0].tobytes() for pair in pairs}
    assert len(views) > 30  # of five pictures: four crops and a mirror make 40
    flipped = np.array([[x[0, 6, 0, 0] > x[0, 6, -1, 0] for x in pair] for pair in pairs])
    assert 0.35 < flipped[:, 0].mean() < 0.65 and 0.35 < flipped[:, 1].mean() < 0.65
    assert 0.35 < (flipped[:, 0] == flipped[:, 1]).mean() < 0.65


def test_views_of_one_photograph():
    photo = tf.constant(data.coffee()[:100, :100])
    views = [pipeline.random_view(photo, 50, [0, i]).numpy() for i in range(30)]
    plain = pipeline.crop(pipeline.fit(photo, 50), 50).numpy()
    assert all(view.shape == (50, 50, 3) and view.min() >= -1 and view.max() <= 1 for view in views)
    assert all(np.abs(view - plain).max() > 0 for view in views)
    same = pipeline.random_view(photo, 50, [0, 1], jitter=1, flip=0).numpy()
    np.testing.assert_array_equal(same, plain)
    np.testing.assert_array_equal(pipeline.random_view(photo, 50, [0, 1], jitter=1, flip=1), plain[:, ::-1])
    np.testing.assert_array_equal(views[3], pipeline.random_view(photo, 50, [0, 3]))


def test_crops_reach_every_border():
    ramp = np.arange(20, dtype=np.uint8)[:, None, None].repeat(20, 1).repeat(3, 2)
    tops = {round(float(pipeline.random_view(ramp, 18, [0, i], 20 / 18)[0, 0, 0] + 1) * 127.5) for i in range(60)}
    assert tops == {0, 1, 2}


def test_pictures_of_any_shape_keep_their_proportions(tmp_path):
    tall = np.zeros((90, 30, 3), np.uint8)
    tall[30:60] = 255
    for name in ("trainA", "trainB", "testA"):
        (tmp_path / name).mkdir()
        Image.fromarray(tall).save(tmp_path / name / "0.png")
    found = pipeline.pictures(tmp_path, "testA", 10)
    assert found.shape == (1, 10, 10, 3) and found.dtype == np.float32 and found.min() > 0.7
    assert len({a.tobytes() for a, _ in taken(pipeline.unpaired(tmp_path, 10), 20)}) > 10


def test_pictures_come_in_the_order_of_their_names(root):
    assert [which(picture) for picture in pipeline.pictures(root, "trainA", 16)] == [0, 1, 2, 3, 4]
    assert pipeline.pictures(root, "trainA", 8, limit=2).shape == (2, 8, 8, 3)


def test_greyscale_and_16_bit_files_come_as_rgb(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
    Image.new("L", (20, 20), 51).save(tmp_path / "trainA" / "0.jpg")
    Image.fromarray(np.full((20, 20), 51 * 257, np.uint16)).save(tmp_path / "trainB" / "0.png")
    for batch in taken(pipeline.unpaired(tmp_path, 16), 1)[0]:
        np.testing.assert_allclose(batch, 51 / 127.5 - 1, atol=0.01)


def test_missing_and_empty_folders(root, tmp_path):
    with pytest.raises(ValueError, match=f"Did you mean '{root.name}'"):
        pipeline.unpaired(root.with_name(root.name[:-1]), 16)
    with pytest.raises(ValueError, match="Did you mean 'testB'"):
        pipeline.pictures(root, "test_b", 16)
    (tmp_path / "trainA").mkdir()
    with pytest.raises(ValueError, match="should hold JPEG or PNG pictures and holds nothing"):
        pipeline.unpaired(tmp_path, 16)


def test_damaged_files_are_named_before_training(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name / "0.jpg")
    (tmp_path / "trainB" / "page.jpg").write_text("<html>")
    with pytest.raises(ValueError, match="page.jpg: is a web page"):
        pipeline.unpaired(tmp_path, 16)


@pytest.fixture
def by_hand(tmp_path):
    """A dataset put together by hand: a whole JPEG and a whole PNG in trainA and in trainB."""
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
        Image.fromarray(data.coffee()[:48, :64]).save(tmp_path / name / "whole.jpg")
        Image.fromarray(data.coffee()[:48, :64]).save(tmp_path / name / "whole.png")
        (tmp_path / name / "trailer.jpg").write_bytes((tmp_path / name / "whole.jpg").read_bytes() + b"a camera's own")
    return tmp_path


def half_seethrough():
    picture = Image.fromarray(data.coffee()[:48, :64]).convert("RGBA")
    picture.putalpha(Image.fromarray(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[None].repeat(48, 0)))
    return picture


def deep(values):
    return Image.fromarray(np.full((9, 9), values, np.uint16))


TURNED = Image.Exif()
TURNED[0x0112] = 6
COFFEE = Image.fromarray(data.coffee()[:48, :64])
ODD = {  # how to make a file with the suffix of a JPEG, and what its error says
    "webp": (lambda path: half_seethrough().save(path, "WEBP"), "cannot decode|looks different"),
    "tiff": (lambda path: COFFEE.save(path, "TIFF"), r"TensorFlow cannot decode \(TIFF\)"),
    "ppm": (lambda path: COFFEE.save(path, "PPM"), r"TensorFlow cannot decode \(PPM\)"),
    "bmp, 1 bit": (lambda path: COFFEE.convert("1").save(path, "BMP"), r"TensorFlow cannot decode \(BMP"),
    "bmp, palette": (lambda path: COFFEE.convert("P").save(path, "BMP"), r"looks different in TensorFlow .*\(BMP"),
    "avif": (lambda path: path.write_bytes(b"\0\0\0\x1cftypavif" + bytes(99)), "is a HEIC or AVIF picture"),
    "turned": (lambda path: COFFEE.save(path, "JPEG", exif=TURNED), "is turned by its EXIF data"),
    "turned png": (lambda path: COFFEE.save(path, "PNG", exif=TURNED), "is turned by its EXIF data"),
    "transparent": (lambda path: half_seethrough().save(path, "PNG"), "looks different in TensorFlow than to a person"),
    "palette": (lambda path: half_seethrough().quantize().save(path, "PNG"), "looks different in TensorFlow"),
    "12 bits": (lambda path: deep(4000).save(path, "PNG"), "12-bit data"),
    "folder": (lambda path: path.mkdir(), "is a directory"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "is a link to a file that does not exist"),
    "bomb": (lambda path: Image.new("1", (16_000, 11_000)).save(path, "PNG"), "16000×11000 pixels: too large"),
    "thin": (lambda path: Image.new("RGB", (1, 50)).save(path, "PNG"), "1×50 pixels: too thin"),
    "strip": (lambda path: Image.new("RGB", (3000, 2)).save(path, "PNG"), "3000×2 pixels: too long"),
    "cut": (lambda path: path.write_bytes(path.with_name("whole.jpg").read_bytes()[:-300]), "is damaged or cut short"),
    "cut png": (lambda path: path.write_bytes(path.with_name("whole.png").read_bytes()[:-12]), "cannot decode"),
    "empty": (lambda path: path.touch(), "is empty"),
    "page": (lambda path: path.write_text("<html>"), "is a web page"),
    "pipe": (lambda path: os.mkfifo(path), "is a pipe or a device"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_trained_on_is_named_before(by_hand, kind):
    make, reason = ODD[kind]
    if sys.platform == "win32" and kind in ("dangling", "pipe"):
        pytest.skip("Windows has no such files")
    make(by_hand / "trainB" / "odd.jpg")
    with pytest.raises(ValueError, match=rf"1 of 4 files(.|\n)* prepare \S+ --root(.|\n)*odd.jpg: .*({reason})"):
        pipeline.unpaired(by_hand, 16)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: COFFEE.convert("RGBA").save(path, "PNG"),  # a screenshot: transparent nowhere
        lambda path: COFFEE.convert("LA").save(path, "PNG"),
        lambda path: deep(20_000).save(path, "PNG"),
        lambda path: COFFEE.convert("CMYK").save(path, "JPEG"),
        lambda path: COFFEE.save(path, "JPEG", progressive=True),
        lambda path: COFFEE.save(path, "BMP"),
        lambda path: COFFEE.quantize().save(path, "GIF"),
        lambda path: COFFEE.quantize().save(path, "PNG"),
    ],
)
def test_what_the_decoder_reads_as_a_person_sees_it_is_trained_on(by_hand, save):
    save(by_hand / "trainA" / "good.jpg")
    assert len(taken(pipeline.unpaired(by_hand, 16), 4)) == 4


def test_damage_inside_is_found_by_a_thorough_look(by_hand):
    content = bytearray((by_hand / "trainA" / "whole.png").read_bytes())
    content[len(content) // 2] ^= 1
    (by_hand / "trainA" / "inside.png").write_bytes(content)
    paths = folder.files(by_hand, "trainA")
    pipeline.refuse_unfit(paths)
    with pytest.raises(ValueError, match=r"1 of 4 files(.|\n)*inside.png: is damaged"):
        pipeline.refuse_unfit(paths, thorough=True)


@pytest.mark.parametrize("damage", ["a bit", "a hole", "the middle"])
def test_test_pictures_that_cannot_be_decoded_are_named(by_hand, damage):
    content = bytearray((by_hand / "trainA" / "whole.png").read_bytes())
    middle = len(content) // 2
    damages = {"a bit": bytes([content[middle] ^ 1]), "a hole": bytes(99), "the middle": b""}
    content[middle : middle + (len(damages[damage]) or 99)] = damages[damage]
    (by_hand / "trainA" / "inside.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"trainA cannot be trained on(.|\n)* prepare (.|\n)*inside.png: is damaged"):
        pipeline.pictures(by_hand, "trainA", 16)


def test_whole_files_are_not_decoded(by_hand, monkeypatch):
    """The look at every file before a training must stay cheap: thousands in a second or two."""
    monkeypatch.setattr(decoding, "decode", None)
    monkeypatch.setattr(decoding, "read_image", None)
    (by_hand / "trainA" / "trailer.jpg").unlink()
    pipeline.refuse_unfit(folder.files(by_hand, "trainA"))


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"\xff.jpg", "雨.jpg".encode()])
def test_a_name_need_not_be_utf8(by_hand, name):
    for path in (by_hand / "trainA").iterdir():
        path.unlink()
    COFFEE.save(by_hand / "trainA" / os.fsdecode(name))
    assert len(taken(pipeline.unpaired(by_hand, 16), 2)) == 2
    assert pipeline.pictures(by_hand, "trainA", 16).shape == (1, 16, 16, 3)


def test_one_picture_a_side(by_hand):
    for path in by_hand.glob("*/*.png"):
        path.unlink()
    for path in by_hand.glob("*/trailer.jpg"):
        path.unlink()
    assert len(taken(pipeline.unpaired(by_hand, 16), 3)) == 3


def test_two_folders_of_any_photographs(tmp_path):
    random = np.random.default_rng(0)
    for name, photo in (("fur", data.cat()), ("coffee", data.coffee())):
        (tmp_path / name).mkdir()
        for i in range(6):
            y, x = random.integers(0, 150, 2)
            Image.fromarray(photo[y : y + 100, x : x + 140]).save(tmp_path / name / f"{i}.webp")
    report = folder.prepare((tmp_path / "fur", tmp_path / "coffee"), tmp_path / "own", 32)
    for a, b in taken(pipeline.unpaired(report.root, 32), 3):
        assert a.shape == b.shape == (1, 32, 32, 3)
