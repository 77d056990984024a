"""Generators are saved as numbers and a card; translated pictures keep their size."""

import json
import os
import pickle
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from labutils import datasets, metrics, models, translate
from labutils.base import files
from labutils.extras import folders
from labutils.profile import home
from labutils.translate import WeightsError


@pytest.fixture
def generator():
    tf.keras.utils.set_random_seed(3)
    return models.unet_generator(32, filters=4, levels=2)


@pytest.fixture
def kept(generator, tmp_path):
    return translate.save_generator(generator, tmp_path / "apples.v1", data="orchard", steps=7)


@pytest.mark.parametrize("ending", ["", ".weights.h5", ".json"])
def test_a_generator_comes_back_as_it_was(generator, kept, tmp_path, ending):
    again = translate.load_generator(tmp_path / f"apples.v1{ending}")
    image = tf.random.uniform((1, 32, 32, 3), -1, 1)
    np.testing.assert_array_equal(again(image), generator(image))
    assert again.spec == generator.spec and again.card["steps"] == 7 and again.card["data"] == "orchard"


def test_nothing_is_left_beside_the_two_files(kept, tmp_path):
    assert sorted(path.name for path in tmp_path.iterdir()) == ["apples.v1.json", "apples.v1.weights.h5"]


def test_missing_damaged_and_foreign_files_are_refused_with_the_reason(generator, kept, tmp_path):
    card = tmp_path / "apples.v1.json"
    with pytest.raises(WeightsError, match=r"There is no file .*pears.weights.h5: a generator is .* together"):
        translate.load_generator(tmp_path / "pears")
    whole, described = kept.read_bytes(), json.loads(card.read_text())
    kept.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="damaged.*SHA-256"):
        translate.load_generator(kept)
    kept.write_bytes(whole)
    for wrong in ("not json", "{}", "[]"):
        card.write_text(wrong)
        with pytest.raises(WeightsError, match="not a generator's card"):
            translate.load_generator(kept)
    described["spec"]["filters"] = 5
    card.write_text(json.dumps(described))
    with pytest.raises(WeightsError, match="does not fit"):
        translate.load_generator(kept)
    described["spec"]["kind"] = "os.system"
    card.write_text(json.dumps(described))
    with pytest.raises(ValueError, match="Unknown network 'os.system'"):
        translate.load_generator(kept)


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (5, 64), (100, 31), (1, 1)])
def test_any_size_comes_back_in_its_own_size(generator, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    result = translate.apply(generator, image)
    assert result.shape == image.shape and result.dtype == np.uint8


@pytest.mark.parametrize("shape", [(1, 1), (4, 9), (300, 530)])
def test_a_resnet_takes_any_size_too(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    result = translate.apply(models.resnet_generator(64, filters=2, blocks=1), image)
    assert result.shape == image.shape and result.dtype == np.uint8


def test_a_translation_in_tiles_leaves_no_graph_behind(generator, graphs):
    image, counts = np.zeros((70, 90, 3), np.uint8), []
    for _ in range(3):
        translate.apply(generator, image, tile=32)
        counts.append(graphs())
    assert counts[1] == counts[2]


def test_apply_is_the_generator_where_nothing_is_padded(generator):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = (generator(image[None] / 127.5 - 1)[0].numpy() + 1) * 127.5
    assert np.abs(translate.apply(generator, image) - expected).max() <= 0.5 + 1e-3


def test_a_copying_generator_hands_every_level_back():
    inputs = tf.keras.Input((None, None, 3))
    copy = tf.keras.Model(inputs, tf.keras.layers.Activation("linear")(inputs))
    object.__setattr__(copy, "spec", {"image_size": None})
    image = np.arange(256 * 3, dtype=np.uint32).reshape(16, 16, 3).astype(np.uint8)
    np.testing.assert_array_equal(translate.apply(copy, image), image)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_what_is_no_picture_is_refused(generator, image):
    with pytest.raises(ValueError, match=r"uint8 \(height, width, 3\); this is"):
        translate.apply(generator, image)


def test_a_folder_is_translated_and_what_is_no_picture_listed(generator, tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for name, size in (("tall.jpg", (20, 50)), ("wide.png", (61, 17))):
        Image.new("RGB", size, "red").save(source / name)
    (source / "notes.txt").write_text("not a picture")
    written, skipped = folders.apply_folder(generator, source, tmp_path / "out")
    assert [path.name for path in written] == ["tall.png", "wide.png"]
    assert [Image.open(path).size for path in written] == [(20, 50), (61, 17)]
    assert [path.name for path in skipped] == ["notes.txt"]
    (source / "tall.jpg").unlink(), (source / "wide.png").unlink()
    with pytest.raises(ValueError, match="holds no picture"):
        folders.apply_folder(generator, source, tmp_path / "out")


def disguised(kind, generator, tmp_path):
    """The bytes of a file that is called ``.weights.h5`` and is something else."""
    if kind == "pickle":
        return pickle.dumps({"weights": [1, 2, 3]})
    if kind == "npz with objects":
        np.savez(tmp_path / "a.npz", np.array([{"a": 1}], dtype=object))
        return (tmp_path / "a.npz").read_bytes()
    path = tmp_path / ("a.keras" if kind == "keras" else "a.h5")
    generator.save(path)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pickle", "is not an HDF5 file"),
        ("npz with objects", "is not an HDF5 file"),
        ("keras", "is not an HDF5 file"),
        ("whole model", "does not fit its card"),
    ],
)
def test_other_content_under_a_good_hash_is_refused(kind, reason, generator, kept, tmp_path):
    kept.write_bytes(disguised(kind, generator, tmp_path))
    hashed(kept)
    with pytest.raises(WeightsError, match=reason):
        translate.load_generator(kept)


def hashed(kept):
    """Make the card agree with the file, as whoever sends a file can."""
    card = kept.with_name("apples.v1.json")
    described = {**json.loads(card.read_text()), "sha256": files.sha256(kept)}
    card.write_text(json.dumps(described))


def test_a_larger_network_of_the_same_widths_is_refused(tmp_path):
    spec = {"kind": "resnet_generator", "image_size": None, "filters": 2, "blocks": 2}
    kept = translate.save_generator(models.build(spec), tmp_path / "apples.v1")
    card = json.loads((tmp_path / "apples.v1.json").read_text())
    card["spec"]["blocks"] = 1
    (tmp_path / "apples.v1.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="another architecture.*only the file has"):
        translate.load_generator(kept)


def test_text_among_the_numbers_is_refused(kept):
    import h5py

    with h5py.File(kept, "a") as file:
        file["layers/note"] = "os.system('...')"
    hashed(kept)
    with pytest.raises(WeightsError, match="layers/note holds object, not numbers"):
        translate.load_generator(kept)


def test_no_code_of_the_package_loads_whole_models_or_pickles():
    calls = r"load_model|model_from_|pickle|allow_pickle=True|joblib|marshal|\beval\(|\bexec\(|saved_model\.load"
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(home("labutils").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(calls, line)
    ]
    allowed = ("saved_model.load(str(aside))", "pickle=False")  # the first reads a file that it has just written itself
    assert [line for line in found if not any(text in line for text in allowed)] == []
    assert len(found) >= 3


@pytest.mark.parametrize("name", translate.shipped())
def test_a_shipped_generator_does_what_its_card_says(name, tmp_path):
    generator = translate.load_generator(translate.find(name))  # checks the hash
    card = generator.card
    assert card["scores"]["pictures"] == 200 and card["failures"] and card["command"] and card["licence"]
    assert card["direction"] == {"ab": "apples to oranges", "ba": "oranges to apples"}[name[-2:]]
    root = datasets.rendered(card["data"]).write(tmp_path, train=1, test=20, size=card["size"], seed=5)
    report = metrics.report(generator, root, name[-2:])
    assert abs(report["gain"] - card["scores"]["gain"]) < 1  # on other scenes, and fewer
    assert report["background_psnr"] > 32


def test_the_four_for_larger_pictures_are_small():
    sizes = [path.stat().st_size for path in home("pretrained").glob("orchard128-*.weights.h5")]
    assert len(sizes) == 4 and sum(sizes) < 16e6


def test_names_are_paths_or_shipped_generators(kept, tmp_path, monkeypatch):
    assert translate.find(kept) == kept and translate.find(tmp_path / "apples.v1") == tmp_path / "apples.v1"
    monkeypatch.chdir(tmp_path)
    assert translate.load_generator(translate.find("orchard64-ab")).card["name"] == "orchard64-ab"
    for name in (
        "orchad64-ab",
        "/wrong/path/orchard64-ab",
        "wrong/orchard64-ab.json",
        "./orchard64-ab",
        "../orchard64-ab",
    ):
        with pytest.raises(WeightsError, match=f"no generator '{name}'.*orchard64-ba.*Did you mean 'orchard64-ab'?"):
            translate.find(name)
    (tmp_path / "orchard64-ab.weights.h5").write_bytes(b"mine")
    assert translate.find("./orchard64-ab") == translate.find("orchard64-ab") == Path("orchard64-ab")


def test_a_tilde_is_the_home_folder(kept, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mine = translate.load_generator(translate.find(f"~/{kept.name}"))
    assert translate.save_generator(mine, "~/again") == tmp_path / "again.weights.h5"
    photos.rename(tmp_path / "pictures")
    command = ["~/pictures", "--generator=~/again", "--out=~/out", "--sheet"]
    assert folders.main(command) == 0 and (tmp_path / "out" / "contact-sheet.png").is_file()
    _, place = folders.apply_folder(mine, "~/pictures", "~/more"), tmp_path / "more"
    folders.contact_sheet("~/pictures", [next(place.iterdir())], "~/sheet.png")
    assert (tmp_path / "sheet.png").is_file() and not (tmp_path / "~").exists()


def test_the_picture_file_says_what_made_it(kept, tmp_path):
    generator = translate.load_generator(kept)
    Image.new("RGB", (20, 50), "red").save(tmp_path / "täll.jpg")
    result = translate.apply_file(generator, tmp_path / "täll.jpg", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        said = picture.text
        np.testing.assert_array_equal(np.asarray(picture), result)
    assert said["generator"] == "apples.v1" and said["sha256"] == generator.card["sha256"]
    assert said["tile"] == "512" and said["source"] == "täll.jpg" and said["data"] == "orchard"
    assert not list(tmp_path.glob(".writing*"))


@pytest.fixture
def photos(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for name, size in (("tall.jpg", (20, 50)), ("tall.png", (61, 17)), ("wide.png", (64, 33))):
        Image.new("RGB", size, "red").save(place / name)
    (place / "notes.txt").write_text("not a picture")
    return place


def test_namesakes_keep_apart_and_originals_are_safe(generator, photos, tmp_path):
    written, _ = folders.apply_folder(generator, photos, tmp_path / "out")
    assert [path.name for path in written] == ["tall.jpg.png", "tall.png.png", "wide.png"]
    with pytest.raises(ValueError, match="would replace the pictures"):
        folders.apply_folder(generator, photos, tmp_path / "out" / ".." / "photos")
    with pytest.raises(ValueError, match="There is no folder"):
        folders.apply_folder(generator, tmp_path / "nowhere", tmp_path / "out")


def test_the_command_translates_a_folder_and_says_what_it_skipped(kept, photos, tmp_path, capsys):
    out = tmp_path / "out"
    command = [str(photos), "--generator", str(kept), "--out", str(out)]
    assert folders.main([*command, "--contact-sheet"]) == 0
    said = capsys.readouterr()
    assert "3 pictures written" in said.out and "notes.txt: is not a picture in a known format" in said.out
    assert "translating" in said.err  # the progress bar
    assert Image.open(out / "contact-sheet.png").size == (3 * 340 + 20, 190 + 20)
    assert folders.main([str(photos), "--generator", "orchard46-ab", "--out", str(out)]) == 1
    assert "Did you mean 'orchard64-ab'?" in capsys.readouterr().err
    assert folders.main([str(tmp_path / "nowhere"), *command[1:]]) == 1
    assert "There is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        folders.main([str(photos)])
    assert ended.value.code == 2


NAMES = [
    ("a.jpg", "a.png", "a.jpg.jpg"),
    ("A.png", "a.jpg", "b.png"),  # one name on Windows and macOS
    ("caf\u00e9.png", "cafe\u0301.png"),  # the same letters, written in two ways
    ("contact-sheet.png", "Contact-Sheet.jpg", "c.png"),
    ("contact-sheet.png", "c.png"),  # on its own, it could keep its name
    ("Contact-Sheet.webp", "c.png"),
    ("a.png", "a.png-2.png", "A.PNG", "a.PNG.png"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere some of these are one file")
@pytest.mark.parametrize("names", NAMES, ids=str)
def test_every_picture_has_an_output_of_its_own(names, kept, tmp_path, capsys):
    place, out = tmp_path / "photos", tmp_path / "out"
    place.mkdir()
    for name in names:
        Image.new("RGB", (16, 8), "red").save(place / name)
    assert folders.main([str(place), "--generator", str(kept), "--out", str(out), "--contact-sheet"]) == 0
    files = sorted(path.name for path in out.iterdir() if path.name != "contact-sheet.png")
    assert len({unicodedata.normalize("NFC", name).casefold() for name in files}) == len(names)
    assert (out / "contact-sheet.png").is_file()
    assert sorted(Image.open(out / name).text["source"] for name in files) == sorted(names)
    assert f"{len(names)} pictures written" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["folder", "called a picture", "link"])
def test_a_folder_among_the_pictures_is_listed(kind, kept, photos, tmp_path, capsys):
    place = photos / {"folder": "more", "called a picture": "more.jpg", "link": "linked"}[kind]
    place.mkdir() if kind != "link" else place.symlink_to(tmp_path, target_is_directory=True)
    assert folders.main([str(photos), "--generator", str(kept), "--out", str(tmp_path / "out")]) == 0
    assert f"skipped: {place.name}: is a folder: translate it on its own" in capsys.readouterr().out


@pytest.mark.parametrize("inside", [[], [".hidden.jpg"], ["Thumbs.db"]])
def test_an_empty_folder_is_said(inside, kept, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for name in inside:
        (tmp_path / "photos" / name).touch()
    command = [str(tmp_path / "photos"), "--generator", str(kept), "--out", str(tmp_path / "out")]
    assert folders.main(command) == 1
    assert "photos holds no files: put pictures there" in capsys.readouterr().err


def test_one_failure_does_not_end_the_rest_and_is_counted(kept, photos, tmp_path, capsys):
    Image.new("RGB", (20, 50), "red").save(photos / f"{'x' * 245}.png")  # the name is too long
    (photos / "cut.png").write_bytes((photos / "tall.png").read_bytes()[:60])
    (photos / "no.webp").write_text("not a picture")
    count = 4
    if sys.platform == "linux":
        (photos / os.fsdecode(b"caf\xe9.png")).write_bytes((photos / "tall.png").read_bytes())  # no UTF-8
        count = 5
    out = tmp_path / "out"
    assert folders.main([str(photos), "--generator", str(kept), "--out", str(out), "--contact-sheet"]) == 1
    said = capsys.readouterr().out
    assert f"{count} pictures written" in said and "1 files skipped, 2 failed" in said
    assert len(list(out.glob("*.png"))) == count + 1
    for words in ("skipped: notes.txt:", "failed: cut.png:", "failed: no.webp:"):
        assert words in said


@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_a_generator_of_nan_fails_and_writes_nothing(factor, photos, tmp_path, capsys, monkeypatch):
    inputs = tf.keras.Input((None, None, 3))
    generator = tf.keras.Model(inputs, tf.keras.layers.Rescaling(factor)(inputs))
    object.__setattr__(generator, "spec", {"image_size": None})
    with pytest.raises(ValueError, match="values that are not finite"):
        translate.apply(generator, np.full((32, 32, 3), 9, np.uint8))
    with pytest.raises(ValueError, match="no picture could be translated. 4 files were tried. tall.jpg: .*not finite"):
        folders.apply_folder(generator, photos, tmp_path / "out")
    monkeypatch.setattr(translate, "load_generator", lambda path: generator)
    monkeypatch.setattr(translate, "find", lambda name: name)
    command = [str(photos), "--generator", "mine", "--out", str(tmp_path / "out"), "--contact-sheet"]
    assert folders.main(command) == 1
    said = capsys.readouterr().out
    assert "0 pictures written" in said and "3 failed" in said and "not finite" in said
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_stopped_ends_with_its_counts(kept, photos, tmp_path, capsys, monkeypatch):
    apply = translate.apply

    def stop_at_the_third(network, image, tile):
        if image.shape[:2] == (33, 64):
            raise KeyboardInterrupt
        return apply(network, image, tile)

    monkeypatch.setattr(translate, "apply", stop_at_the_third)
    assert folders.main([str(photos), "--generator", str(kept), "--out", str(tmp_path / "out")]) == 130
    said = capsys.readouterr()
    assert "2 pictures written" in said.out and "Stopped" in said.err
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_contact_sheet_shows_original_and_translation_side_by_side(photos, tmp_path):
    target = translate.save_png(tmp_path / "a.png", np.full((20, 20, 3), (0, 0, 255), np.uint8), {"source": "wide.png"})
    sheet = np.asarray(Image.open(folders.contact_sheet(photos, [target], tmp_path / "sheet.png", side=40)))
    assert tuple(sheet[20 + 5, 20 + 5]) == (255, 0, 0) and tuple(sheet[20 + 5, 60 + 5]) == (0, 0, 255)


PHOTOGRAPHS = """
import re, skimage.data
from pathlib import Path
from labutils import translate
generator = translate.load_generator(translate.find("orchard64-ab"))
for name in ("astronaut", "coffee", "chelsea", "retina"):
    photograph = getattr(skimage.data, name)()
    result = translate.apply(generator, photograph)
    assert result.shape == photograph.shape and result.dtype == photograph.dtype, name
    print(*result.shape)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])  # ru_maxrss may be the parent's
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_photographs_keep_their_size_in_little_memory():
    run = subprocess.run(
        [sys.executable, "-c", PHOTOGRAPHS], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert run.returncode == 0, run.stderr
    *shapes, kilobytes = run.stdout.split("\n")[:-1]
    assert shapes == ["512 512 3", "400 600 3", "300 451 3", "1411 1411 3"]
    assert int(kilobytes) < 1.5e6
