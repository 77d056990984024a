"""Download published datasets, most of them the CycleGAN paper's; ``ensure`` finds or makes a profile's data."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from labutils import datasets
from labutils.base import files, paths
from labutils.base.archives import unpack
from labutils.base.words import choices
from labutils.datasets import folder
from labutils.profile import home
from labutils.published import flowers
from labutils.published.transfer import copy, local

BERKELEY = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
GITHUB = "https://github.com/akanametov/cyclegan/releases/download/1.0"
TENSORFLOW = "http://download.tensorflow.org/example_images"
TRIES = 3  # per address, for temporary failures: a timeout, a server error, a wrong or incomplete file
PAUSE = 1.0  # seconds before the first retry; doubled before the second


class DownloadError(Exception):
    """No address gave the right file. The text lists each answer and how to download by hand."""


@dataclass(frozen=True)
class Published:
    """One published dataset: its contents, and the size and checksum of its archive."""

    domain_a: str
    domain_b: str
    bytes: int
    sha256: str
    counts: tuple | None = None  # pictures in trainA, trainB, testA, testB, where known
    urls: tuple = ()

    @property
    def archive(self):
        """The archive's file name."""
        return self.urls[0].rpartition("/")[2]


def _published(name, domain_a, domain_b, size, sha256, counts=None, more=()):
    urls = (f"{BERKELEY}/{name}.zip", *more)
    return Published(domain_a, domain_b, size, sha256, counts, urls)


# Bytes, SHA-256 and counts as recorded by TensorFlow Datasets 4.9.9 (cycle_gan) and by the paper.
DATASETS = {
    name: _published(name, *facts)
    for name, *facts in [
        (
            "apple2orange", "apples", "oranges", 78_456_409,
            "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
            (995, 1019, 266, 248), (f"{GITHUB}/apple2orange.zip",),
        ),
        (
            "horse2zebra", "horses", "zebras", 116_867_962,
            "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
            (1067, 1334, 120, 140), (f"{GITHUB}/horse2zebra.zip",),
        ),
        (
            "monet2photo", "paintings by Monet", "photographs", 305_231_073,
            "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
            (1072, 6287, 121, 751),
        ),
        (
            "summer2winter_yosemite", "Yosemite in summer", "Yosemite in winter", 132_640_856,
            "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
        ),
        (
            "facades", "facades", "their labels", 35_135_868,
            "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
        ),
        (
            "vangogh2photo", "paintings by Van Gogh", "photographs", 306_590_349,
            "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
        ),
        (
            "cezanne2photo", "paintings by Cézanne", "photographs", 279_885_071,
            "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
        ),
        (
            "ukiyoe2photo", "woodblock prints", "photographs", 292_946_532,
            "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
        ),
    ]
}  # fmt: skip
DATASETS["daisy2sunflower"] = Published(
    "daisies", "sunflowers", 228_813_984, "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    (224, 252, 51, 50), (f"{TENSORFLOW}/flower_photos.tgz",),
)  # fmt: skip


def domains(name):
    """Return what the two domains of a dataset show, in words; ("A", "B") for one's own pictures."""
    if name in DATASETS:
        return DATASETS[name].domain_a, DATASETS[name].domain_b
    known = {"orchard": "apples oranges", "paddock": "horses zebras", "meadow": "photographs paintings"}
    return tuple(known.get(name, "A B").split())


def ensure(lab, root=None):
    """Return the folder of the profile ``lab``'s dataset, as a ``Path``; render or download it if missing.

    ``lab.dataset``: the name of a rendered or published dataset, or a folder, here, in the course or in ``root``.
    ``root``: where datasets are kept, by default ``data`` at the top of the course.
    Raises ``ValueError`` for an unknown dataset or an unfit folder, ``DownloadError`` if a published one cannot be
    downloaded.
    """
    root = paths.place(root or home("data"))
    if lab.dataset in datasets.RENDERED:
        place = rendered_place(lab.dataset, lab.size, lab.train, root)
        return datasets.rendered(lab.dataset).write(place, lab.train, lab.test, lab.size, seed=0)
    if lab.dataset not in DATASETS:
        named = Path(lab.dataset)
        own = next(filter(Path.is_dir, (paths.place(named), home(*named.parts), root / named)), named)
        if own.is_dir() or len(own.parts) > 1:
            return _whole(own)
        known, four = choices(lab.dataset, [*datasets.RENDERED, *DATASETS]), ", ".join(folder.FOLDERS)
        raise ValueError(f"No dataset is called {lab.dataset!r}: there are {known} Or give a folder with {four}.")
    return download(lab.dataset, root)


def validation(lab):
    """Return the folder of the validation set, by which a recipe or a step is chosen; render it if missing.

    It has half as many scenes as the test set, all of them different. None for a dataset without ground truth.
    """
    if lab.dataset not in datasets.RENDERED:
        return None
    module = datasets.rendered(lab.dataset)
    count = lab.test // 2
    place = home("data", f"{lab.dataset}-{lab.size}-validation-{count}-v{module.VERSION}")
    return module.write(place, 1, count, lab.size, seed=777)


def rendered_place(name, size, train, root=None):
    """Return where ``ensure`` keeps the rendered dataset ``name``. Each version of its code has its own folder."""
    return Path(root or home("data")) / f"{name}-{size}-{train}-v{datasets.rendered(name).VERSION}"


def download(name, root="data", mirrors=()):
    """Download, check and unpack the published dataset ``name`` into ``root/name``, unless it is there.

    ``mirrors`` are tried first, then the environment variable ``LAB_MIRROR``, then the publishers. Each is the address
    of an archive, or an address or folder that holds the archive (``https:``, ``file:`` or a path). Size and SHA-256
    must agree. A folder may instead hold the unpacked dataset, as another computer has it in ``data/name``: it is
    copied. The folder is created atomically; a second process waits for the first.

    Returns the path. Raises ``ValueError`` for an unknown name, ``DownloadError`` if no address has the right file,
    ``files.DiskError`` for a full or read-only disk.
    """
    if name not in DATASETS:
        raise ValueError(f"No published dataset is called {name!r}. There are: {choices(name, DATASETS)}")
    place = paths.place(root) / name
    if place.exists():  # perhaps in a read-only folder
        return _whole(place)
    with files.scratch(place) as aside, files.lock(place.with_name(f".{name}.lock")):
        if not place.exists():  # without locks both download, and one complete copy remains
            aside.mkdir()
            inside = aside / "unpacked" / name
            archive = _fetch(name, aside, root, mirrors)
            if name == "daisy2sunflower":
                flowers.pick(archive, inside)
            elif archive.is_dir():
                shutil.copytree(archive, inside)
            else:
                unpack(archive, inside.parent)
            _whole(inside)
            files.rename_new(inside, place)
    return _whole(place)


def _whole(place):
    for name in folder.FOLDERS:
        folder.files(place, name)  # raises ValueError, saying what is missing
    return place


def _fetch(name, folder, root, mirrors):
    """Download the archive into ``folder`` from the first address that has the right file; return its path.

    If a local mirror has no archive but the unpacked dataset, return that folder.
    """
    facts, answers = DATASETS[name], []
    own = os.environ.get("LAB_MIRROR")
    for mirror in (*mirrors, *([own] if own else []), *facts.urls):
        url = _address(str(mirror), facts.archive)
        if url.startswith("file:") and not (there := local(url)).exists() and there.with_name(name).is_dir():
            return there.with_name(name)
        for attempt in range(TRIES):
            time.sleep(PAUSE * 2 ** (attempt - 1) if attempt else 0)
            try:
                with files.explained(folder):
                    return Path(_retrieve(url, name, folder, facts))
            except files.DiskError:
                raise
            except Exception as error:
                answers.append(f"  {url}: {error}")
                if _hopeless(error):
                    break
    raise DownloadError("\n".join([f"{name} could not be downloaded.", *answers, _by_hand(name, root)]))


def _by_hand(name, root):
    return (
        "Download by hand on any computer with a connection, then continue here:\n"
        f"  curl -L -O {DATASETS[name].urls[0]}\n"
        f"  python -m labutils.datasets download {name} --root {root} --mirror {DATASETS[name].archive}"
    )


def _address(mirror, archive):
    """Return the address of the archive: ``mirror`` itself, or ``archive`` in that folder."""
    if "://" not in mirror:
        mirror = paths.place(mirror).resolve().as_uri()
    return mirror if mirror.endswith(Path(archive).suffix) else f"{mirror.rstrip('/')}/{archive}"


def _hopeless(error):
    """Return whether a retry is pointless: an HTTP 4xx answer, or a missing local file."""
    response = getattr(error, "response", None)
    return isinstance(error, OSError) and (
        (response is not None and 400 <= response.status_code < 500) or isinstance(error, FileNotFoundError)
    )


def _retrieve(url, name, folder, facts):
    import pooch

    def fetch(url, file, _):
        copy(url, file, name, facts.bytes)
        size = os.path.getsize(file)
        if size != facts.bytes:
            raise ValueError(f"{size:,} bytes came instead of {facts.bytes:,}")

    pooch.get_logger().setLevel("WARNING")
    return pooch.retrieve(url, f"sha256:{facts.sha256}", fname=facts.archive, path=folder, downloader=fetch)
