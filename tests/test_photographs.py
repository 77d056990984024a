"""Lessons 1 to 4 also work with two folders of any photographs instead of the orchard."""

import os
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

from labutils import training, translate
from labutils.datasets import folder
from labutils.extras import folders


def crops(place, picture, count, seed):
    place.mkdir()
    random = np.random.default_rng(seed)
    for number in range(count):
        y, x = (random.integers(0, side - 48) for side in picture.shape[:2])
        Image.fromarray(picture[y : y + 40, x : x + 48]).save(place / f"{number}.jpg", quality=90)


def test_from_two_folders_to_a_translation(tmp_path, make_gan, tiny):
    crops(tmp_path / "fur", skimage.data.cat()[100:250, 150:350], 9, seed=0)
    crops(tmp_path / "coffee", skimage.data.coffee(), 8, seed=1)
    folder.prepare((tmp_path / "fur", tmp_path / "coffee"), tmp_path / "data", size=32)
    run = training.Run(make_gan(), tmp_path / "data", tiny, tmp_path / "run")
    run.start()
    run.wait(300)
    assert run.step == 12 and np.isfinite(run.history["generators"]).all()
    kept = sorted((tmp_path / "run" / "generators").glob("*-ab.json"))[-1]
    generator = translate.load_generator(kept)
    picture = skimage.data.coffee()[:90, :70]
    result = translate.apply(generator, picture)
    expected = translate.apply(run.gan.generator_ab, picture)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PPM"])
def test_a_picture_that_training_cannot_read_is_named_when_the_run_is_built(tmp_path, make_gan, tiny, kind):
    for name in folder.FOLDERS:
        crops(tmp_path / name, skimage.data.coffee(), 2, seed=1)
    Image.new("RGBA", (40, 40)).convert("RGB" if kind == "PPM" else "RGBA").save(tmp_path / "trainB" / "odd.jpg", kind)
    with pytest.raises(ValueError, match=r"1 of 3 files in \S+trainB cannot(.|\n)*prepare(.|\n)*odd.jpg: "):
        training.Run(make_gan(), tmp_path, tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a name be any bytes")
def test_one_bad_file_costs_one_translation(tmp_path):
    place = tmp_path / "mine"
    crops(place, skimage.data.coffee(), 1, seed=1)
    names = [b"x" * 250 + b".jpg", b"caf\xe9.jpg", b"A.jpg", b"a.jpg", b".hidden.jpg", b"Thumbs.db"]
    for name in map(os.fsdecode, names):
        (place / name).write_bytes((place / "0.jpg").read_bytes())
    os.mkfifo(place / "pipe.jpg")
    (place / "loop.jpg").symlink_to("loop.jpg")
    (place / "@eaDir").mkdir()
    generator = translate.load_generator(translate.find("orchard64-ab"))
    written, skipped = folders.apply_folder(generator, place, tmp_path / "out")
    assert sorted(path.name for path in skipped) == ["loop.jpg", "pipe.jpg"]
    assert len({path.name.lower() for path in written}) == 5 == len(os.listdir(tmp_path / "out"))
    assert folders.contact_sheet(place, written, tmp_path / "sheet.png").is_file()
