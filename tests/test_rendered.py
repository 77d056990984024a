"""What every rendered dataset in ``datasets.RENDERED`` must do."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from labutils import datasets
from labutils.base import files
from labutils.scenes import render


@pytest.fixture(params=datasets.RENDERED)
def module(request):
    return datasets.rendered(request.param)


def half(picture):
    """A picture of half the size, by averaging."""
    return (picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]) / 4


def small(module, root, **changes):
    return module.write(root, **({"train": 2, "test": 1, "size": 16, "seed": 3, "progress": False} | changes))


def test_names_lead_to_modules_and_typos_to_names():
    assert datasets.rendered("meadow").VARIETIES == ("day", "evening", "overcast")
    with pytest.raises(ValueError, match="paddock"):
        datasets.rendered("padock")


def test_importing_the_datasets_imports_no_renderer():
    code = "import sys, labutils.datasets; sys.exit('numpy' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_pair_is_what_it_says(module):
    for seed, size in ((0, 8), (1, 33), (2, 64)):
        pair = module.render_pair(seed, size)
        for picture, shape in ((pair.a, (size, size, 3)), (pair.b, (size, size, 3)), (pair.mask, (size, size))):
            assert picture.shape == shape and picture.dtype == np.float32
            assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
        assert pair.mask.max() > 0.5 and np.std(pair.a) > 0.02 and np.std(pair.b) > 0.02


def test_the_pictures_are_equal_outside_the_mask_and_differ_inside(module):
    for seed in range(12):
        a, b, mask = module.render_pair(seed, 40)
        np.testing.assert_array_equal(a[mask == 0], b[mask == 0])
        inside = mask > 0.5
        assert np.abs(a - b)[inside].mean() > 0.02
        assert inside.mean() > 0.01 and (module.__name__.endswith("meadow") or inside.mean() < 0.7)


def test_the_same_seed_is_the_same_scene_and_another_is_not(module):
    first, again, other = module.render_pair(7, 24), module.render_pair(7, 24), module.render_pair(8, 24)
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.min() == 1 or np.abs(one - three).max() > 0.1  # the meadow's mask is all ones


def test_no_two_datasets_draw_their_scenes_alike():
    """Each has a stream of random numbers of its own."""
    scenes = [datasets.rendered(name).render_pair(0, 24).a for name in datasets.RENDERED]
    for number, one in enumerate(scenes):
        assert all(np.abs(one - other).max() > 0.1 for other in scenes[:number])


def test_one_picture_is_the_same_alone(module):
    pair = module.render_pair(11, 24)
    np.testing.assert_array_equal(module.render(11, 24, "a"), pair.a)
    np.testing.assert_array_equal(module.render(11, 24, "b"), pair.b)


def test_half_the_size_is_the_picture_averaged(module):
    """Root mean square difference; grass, leaves and stripes are finer than a pixel, fruit is not."""
    allowed = {"orchard": 0.01, "paddock": 0.035}.get(module.__name__.split(".")[-1], 0.05)
    for seed in range(5):
        large, little = module.render_pair(seed, 128), module.render_pair(seed, 64)
        for one, two in zip(large, little, strict=True):
            assert np.sqrt(np.mean((half(one) - two) ** 2)) < allowed


def test_a_variety_changes_the_first_domain_only_inside_the_mask(module):
    for seed in range(3):
        own = module.render_pair(seed, 32)
        pairs = [module.render_pair(seed, 32, variety) for variety in module.VARIETIES]
        for pair in pairs:
            np.testing.assert_array_equal(pair.b, own.b)
            np.testing.assert_array_equal(pair.mask, own.mask)
            np.testing.assert_array_equal(pair.a[own.mask == 0], own.a[own.mask == 0])
        assert all(np.abs(pairs[0].a - pair.a).max() > 0.1 for pair in pairs[1:])


@pytest.mark.parametrize(
    "arguments, message", [((0, 7), "size=7"), ((0, 2.5), "size=2.5"), ((0, 32, "blue"), "'blue'")]
)
def test_bad_scenes_are_refused(module, arguments, message):
    with pytest.raises(ValueError, match=message):
        module.render_pair(*arguments)


@pytest.mark.parametrize("changes", [{"train": 0}, {"test": -1}, {"size": 4}, {"seed": -1}, {"train": 1.5}])
def test_bad_numbers_are_named_and_nothing_is_written(module, changes, tmp_path):
    with pytest.raises(ValueError, match=f"{next(iter(changes))}="):
        small(module, tmp_path / "data", **changes)
    assert list(tmp_path.iterdir()) == []


def test_no_scene_is_in_two_sets_and_test_files_are_pairs():
    table = render.scenes(train=400, test=200, seed=0)
    sets = {folder: {s for f, s in table.items() if f.startswith(folder)} for folder in render.FOLDERS}
    assert [len(s) for s in sets.values()] == [400, 400, 200, 200]
    assert not sets["trainA"] & sets["trainB"] and sets["testA"] == sets["testB"]
    assert not (sets["trainA"] | sets["trainB"]) & sets["testA"]
    assert not set(table.values()) & set(render.scenes(400, 200, seed=1).values())
    for file, scene in table.items():
        if file.startswith("testA"):
            assert table[file.replace("testA", "testB")] == scene


def test_write_makes_four_folders_and_a_record(module, tmp_path):
    root = small(module, str(tmp_path / "deep" / "data"))
    name = module.__name__.split(".")[-1]
    record = json.loads((root / f"{name}.json").read_text())
    assert (record["generator"], record["size"], record["seed"]) == (name, 16, 3)
    files = sorted(str(path.relative_to(root).as_posix()) for path in root.rglob("*.*g"))
    assert files == sorted(record["scenes"]) and len(files) == 6
    for file, scene in record["scenes"].items():
        picture = np.asarray(Image.open(root / file))
        truth = module.render(scene, 16, "a" if "A/" in file else "b")
        assert picture.shape == (16, 16, 3) and picture.dtype == np.uint8
        exact = file.startswith("test")
        assert np.abs(picture - truth * 255).mean() <= (0.5 if exact else 12)
    assert [path.name for path in root.parent.iterdir()] == ["data"]  # nothing left beside it


def test_the_same_again_returns_at_once_and_touches_nothing(tmp_path, monkeypatch):
    orchard = datasets.rendered("orchard")
    root = small(orchard, tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    monkeypatch.setattr(orchard, "render", None)
    assert small(orchard, root) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_another_dataset_in_the_way_is_named_and_kept(tmp_path):
    orchard = datasets.rendered("orchard")
    root = small(orchard, tmp_path / "data")
    with pytest.raises(ValueError, match="size 16 instead of 24.*delete"):
        small(orchard, root, size=24)
    with pytest.raises(ValueError, match="holds no meadow: found"):
        small(datasets.rendered("meadow"), root)
    (root / "testA" / "0000.png").unlink()
    with pytest.raises(ValueError, match="lacks 1 .*testA/0000.png"):
        small(orchard, root)
    (tmp_path / "file").write_text("hello")
    with pytest.raises(ValueError, match="file"):
        small(orchard, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert small(orchard, tmp_path / "empty").name == "empty"


def test_a_crash_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    orchard, rendered = datasets.rendered("orchard"), []

    def crash(*arguments):
        rendered.append(arguments)
        if len(rendered) == 4:
            raise KeyboardInterrupt
        return np.zeros((16, 16, 3), np.float32)

    monkeypatch.setattr(orchard, "render", crash)
    with pytest.raises(KeyboardInterrupt):
        small(orchard, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_whoever_comes_second_keeps_what_is_there(tmp_path, monkeypatch):
    """Two processes at once end with one whole copy."""
    orchard = datasets.rendered("orchard")
    rename = files.rename_new

    def late(aside, root):
        monkeypatch.setattr(files, "rename_new", rename)
        small(orchard, root)  # another process finishes first
        rename(aside, root)

    monkeypatch.setattr(files, "rename_new", late)
    root = small(orchard, tmp_path / "data")
    assert len(list(root.rglob("*.*g"))) == 6 and [path.name for path in tmp_path.iterdir()] == ["data"]


def test_whoever_comes_second_with_another_dataset_is_told(tmp_path, monkeypatch):
    orchard, rename = datasets.rendered("orchard"), files.rename_new

    def late(aside, root):
        monkeypatch.setattr(files, "rename_new", rename)
        small(orchard, root, size=24)
        rename(aside, root)

    monkeypatch.setattr(files, "rename_new", late)
    with pytest.raises(ValueError, match="size 24 instead of 16"):
        small(orchard, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_both_pictures_show_the_same_scene(module):
    """Seen from afar a pair is alike, and pictures of two scenes are less so."""

    def afar(picture):
        return half(half(half(picture.mean(-1)))).ravel()

    pairs = [module.render_pair(seed, 64) for seed in range(8)]
    same = [np.corrcoef(afar(pair.a), afar(pair.b))[0, 1] for pair in pairs]
    other = [
        np.corrcoef(afar(pair.a), afar(next_pair.b))[0, 1]
        for pair, next_pair in zip(pairs[:-1], pairs[1:], strict=True)
    ]
    assert np.mean(same) > 0.75 and np.mean(same) > np.mean(other) + 0.15
