"""Weight files from unknown sources: only finite numbers of the right shapes, stored in the file, are read."""

import json
import os
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from labutils import models, translate
from labutils.base import files, weights
from labutils.extras import folders
from labutils.published.vgg import read_weights
from labutils.translate import WeightsError

SPEC = {"kind": "unet_generator", "filters": 2, "levels": 2, "image_size": 16}
LAYERS = {"block1_conv1": (3, 64), "block1_conv2": (64, 64)}


def described(kept, **changes):
    """Make the card agree with the file, as whoever sends a file can, and change it."""
    card = kept.with_name("a.json")
    text = {**json.loads(card.read_text()), "sha256": files.sha256(kept), **changes}
    card.write_text(json.dumps(text))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return translate.save_generator(models.build(SPEC), tmp_path_factory.mktemp("made") / "a", steps=1)


@pytest.fixture
def kept(made, tmp_path):
    for path in (made, made.with_name("a.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / made.name


@pytest.fixture
def vgg(tmp_path):
    """The first layers of a VGG, in the layout of keras.applications' files."""
    with h5py.File(tmp_path / "vgg.h5", "w") as file:
        for name, (inputs, filters) in LAYERS.items():
            file[f"{name}/{name}/kernel:0"] = np.ones((3, 3, inputs, filters), "float32")
            file[f"{name}/{name}/bias:0"] = np.ones(filters, "float32")
    return tmp_path / "vgg.h5"


def arrays(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def last(file, **settings):
    """Create the last array of ``file``, a bias, again, with other settings; what its place and shape were."""
    name = max(arrays(file), key=lambda name: file[name].ndim == 1)
    shape = file[name].shape
    del file[name]
    return name, shape, (file.create_dataset(name, shape, "float32", **settings) if settings else None)


def external(file, secret):
    last(file, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def external_link(file, secret):
    with h5py.File(secret.with_name("other.h5"), "w") as other:
        other["x"] = np.ones(2, "float32")
    name, _, _ = last(file)
    file[name] = h5py.ExternalLink("other.h5", "x")


def soft_link(file, secret):
    name, _, _ = last(file)
    file["elsewhere"] = np.ones(2, "float32")
    file[name] = h5py.SoftLink("/elsewhere")


def virtual(file, secret):
    external_link(file, secret)
    name = next(name for name in arrays_and_links(file) if isinstance(file.get(name, getlink=True), h5py.ExternalLink))
    del file[name]
    layout = h5py.VirtualLayout((2,), "float32")
    layout[:] = h5py.VirtualSource(str(secret.with_name("other.h5")), "x", (2,))
    file.create_virtual_dataset(name, layout)


def arrays_and_links(group, place=""):
    for name in group:
        link = group.get(name, getlink=True)
        yield f"{place}/{name}"
        if isinstance(link, h5py.HardLink) and isinstance(group[name], h5py.Group):
            yield from arrays_and_links(group[name], f"{place}/{name}")


def compressed(file, secret):
    _, shape, array = last(file, maxshape=(None,), chunks=(10**7,), compression="gzip")
    array[:] = 0  # a chunk of 40 MB in 40 kB


def sparse(file, secret):
    file.create_dataset("block5_conv1/bias", (2**29,), "float32", chunks=(2**20,))


def never_written(file, secret):
    name, shape, _ = last(file)
    file.create_dataset(name, shape, "float32", fillvalue=0.5)


def of(value):
    def put(file, secret):
        name = max(arrays(file), key=lambda name: file[name].ndim == 1)
        file[name][0] = value

    return put


def of_64_bits(file, secret):
    name, shape, _ = last(file)
    file[name] = np.full(shape, 1e300)  # infinite in the network


def text(file, secret):
    file["layers/note"] = "os.system('...')"


def pairs(file, secret):
    name, shape, _ = last(file)
    file[name] = np.zeros(shape, [("a", "f4"), ("b", "f4")])


def a_type(file, secret):
    file["layers/type"] = np.dtype("f4")


def circle(file, secret):
    file["again"] = file["/"]


def many(file, secret):
    for number in range(weights.ENTRIES):
        file.create_group(f"g{number}")


def shared(file, secret):
    name = max(arrays(file), key=lambda name: file[name].size)
    for number in range(1000):
        file[f"again{number}"] = file[name]


ATTACKS = [
    (external, "another file"),
    (external_link, "link to another place"),
    (soft_link, "link to another place"),
    (virtual, "another file"),
    (compressed, "is compressed"),
    (sparse, "does not hold so many values"),
    (never_written, "does not hold so many values"),
    (of(np.nan), "not finite"),
    (of(-np.inf), "not finite"),
    (of_64_bits, "not finite"),
    (text, "layers/note holds object, not numbers"),
    (pairs, "not numbers"),
    (a_type, "not numbers"),
    (circle, "groups"),
    (many, "groups"),
    (shared, "share bytes"),
]


@pytest.mark.parametrize("load", ["generator", "features"])
@pytest.mark.parametrize(
    ("attack", "reason"), ATTACKS, ids=[getattr(attack, "__name__", "") + reason[:12] for attack, reason in ATTACKS]
)
def test_what_is_no_plain_array_of_finite_numbers_is_refused(attack, reason, load, kept, vgg, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0\0\0\x40" * 2**16)
    path = kept if load == "generator" else vgg
    with h5py.File(path, "a") as file:
        attack(file, secret)
    if load == "generator":
        described(kept)
    with pytest.raises(WeightsError, match=f"(?s){path.name}.*{reason}"):
        translate.load_generator(kept) if load == "generator" else read_weights(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_waited_for_nowhere(kept, vgg, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(vgg, "a") as file:
        external(file, tmp_path / "pipe")
    with pytest.raises(WeightsError, match="another file"):
        read_weights(vgg)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        read_weights(tmp_path / "pipe.npz")
    kept.unlink()
    os.mkfifo(kept)
    with pytest.raises(WeightsError, match="There is no file .*: a generator is"):
        translate.load_generator(kept)


def test_layers_that_keras_leaves_as_they_were_are_refused(kept, monkeypatch):
    """Some versions of Keras 3 only warn of a layer that they do not find."""
    monkeypatch.setattr(tf.keras.Model, "load_weights", lambda model, path: None)
    with pytest.raises(WeightsError, match="does not fit.*layers of other names"):
        translate.load_generator(kept)


def test_layers_of_other_names_are_refused(kept):
    with h5py.File(kept, "a") as file:
        parent = next(name for name in arrays_and_links(file) if name.endswith("/conv2d")).rpartition("/")[0]
        file.move(f"{parent}/conv2d", f"{parent}/convolution")
    described(kept)
    with pytest.raises(WeightsError, match="does not fit"):
        translate.load_generator(kept)


CARDS = [
    *({"filters": filters} for filters in (10**6, 10**30, 0, -1, 2.5, "2", [2], None, True, 1e400)),
    *({"levels": levels} for levels in (40, 10**12, 0, "2", None, 3)),
    *({"kernel": kernel} for kernel in (10**6, 0, "4")),
    *({"image_size": size} for size in (2**70, 17, "16", [16], -16)),
    *({"normalization": name} for name in ([], {}, None, 3, "batch", "Lambda", "os.system", "Dense")),
    *({"dropout": rate} for rate in ("0.5", 2, [0.5])),
    *({"kind": kind} for kind in ([], {}, None, "os.system", "patch_discriminator", "build")),
    {"kind": "resnet_generator", "levels": 2},
    {"upsampling": ["nearest"]},
    {"unknown": 1},
]
SPECS = [*({**SPEC, **change} for change in CARDS), {"kind": "resnet_generator", "blocks": 10**9}, None, [], "spec", 7]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_card_that_describes_another_network_is_refused_at_once(spec, kept):
    described(kept, spec=spec)
    with pytest.raises(WeightsError, match="a.(weights.h5|json)"):
        translate.load_generator(kept)


@pytest.mark.parametrize("card", ["[" * 10**5, '{"spec":' * 10**5, "9" * 10**5, "\0", '{"spec": {}}', " " * 2**21])
def test_a_card_that_is_no_card_is_refused(card, kept):
    kept.with_name("a.json").write_text(card)
    with pytest.raises(WeightsError, match="a.json is not a generator's card"):
        translate.load_generator(kept)


def test_mutations_are_refused_with_a_reason_or_load_finite_numbers(kept):
    random, whole = np.random.default_rng(5), kept.read_bytes()
    loaded = 0
    for _ in range(100):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 9)):
            data[place] = random.choice([0, 1, 255, random.integers(256)])
        kept.write_bytes(data)
        described(kept)
        try:
            model = translate.load_generator(kept)
        except WeightsError as error:
            assert "a.weights.h5" in str(error)
        else:
            loaded += 1
            assert model.count_params() and all(np.isfinite(weight).all() for weight in model.get_weights())
    assert 10 < loaded < 90  # where only numbers were changed


def test_a_whole_model_gets_the_right_words(made, tmp_path, capsys):
    for name in ("whole.h5", "whole.keras", "notes.txt"):
        (tmp_path / name).write_bytes(b"anything")
        what = "not a generator's file" if name == "notes.txt" else "a whole Keras model"
        for call in (translate.load_generator, translate.find):
            with pytest.raises(WeightsError, match=rf"{name} is {what}.*NAME.weights.h5.*save_generator"):
                call(tmp_path / name)
    command = [str(tmp_path), "--generator", str(tmp_path / "whole.h5"), "--out", str(tmp_path / "out")]
    assert folders.main(command) == 1 and "a whole Keras model" in capsys.readouterr().err


def bomb(path, how=zipfile.ZIP_DEFLATED, count=30):
    with zipfile.ZipFile(path, "w", how) as file:
        for number in range(count):
            with file.open(f"block1_conv{number}/kernel.npy", "w") as part:
                np.lib.format.write_array_header_1_0(
                    part, {"descr": "<f4", "fortran_order": False, "shape": (2**18 * 10,)}
                )
                for _ in range(10):
                    part.write(bytes(2**20))


def claims_too_much(path):
    with zipfile.ZipFile(path, "w") as file, file.open("block1_conv1/kernel.npy", "w") as part:
        np.lib.format.write_array_header_1_0(part, {"descr": "<f4", "fortran_order": False, "shape": (2**44,)})


def words(path):
    np.savez(path, **{"block1_conv1/kernel": np.full((3, 3, 3, 64), "1"), "block1_conv1/bias": np.full(64, "1")})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bomb, "would take 314,.* bytes, more than"),
        (lambda path: bomb(path, zipfile.ZIP_BZIP2, 1), "packed by a method other"),
        (lambda path: bomb(path, zipfile.ZIP_LZMA, 1), "packed by a method other"),
        (claims_too_much, "cannot be read"),
        (words, "does not hold numbers"),
        (lambda path: np.savez(path, **{"block1_conv1/kernel": np.zeros((3, 3, 3, 64))}), "cannot be read"),
        (lambda path: path.write_bytes(b"PK\3\4"), "cannot be read"),
    ],
    ids=["deflated", "bzip2", "lzma", "claims", "words", "no bias", "cut"],
)
def test_an_npz_file_cannot_take_more_than_vgg_needs(make, reason, tmp_path):
    make(tmp_path / "vgg.npz")
    with pytest.raises(WeightsError, match=f"vgg.npz.*{reason}"):
        read_weights(tmp_path / "vgg.npz")


@pytest.mark.parametrize("normalization", ["instance", "batch", "none"])
@pytest.mark.parametrize("kind", [{"kind": "resnet_generator", "blocks": 1}, {"kind": "unet_generator", "levels": 2}])
def test_generators_with_any_normalisation_come_back(kind, normalization, tmp_path):
    spec = {**kind, "filters": 2, "normalization": normalization}
    generator = models.build({**spec, "image_size": 16})
    picture = tf.random.stateless_uniform((1, 16, 16, 3), (1, 2), -1, 1)
    for _ in range(3):
        generator(picture, training=True)  # moves the averages of batch normalisation
    again = translate.load_generator(translate.save_generator(generator, tmp_path / "a"))
    for ours, theirs in zip(again.get_weights(), generator.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(translate.any_size(again)(picture), generator(picture))
