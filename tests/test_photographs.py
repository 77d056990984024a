"""Two folders of any photographs go the same way as the orchard, from the first lesson to the fourth."""

import numpy as np
import skimage.data
from PIL import Image

from labutils import training, translate
from labutils.datasets import folder


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
