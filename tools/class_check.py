"""Fetch what the lessons use, and list what is missing (``make class-check``; exit code 1 if anything is).

With the variable ``LAB_MIRROR``, the published datasets and VGG19 are fetched too, from that mirror first. A dataset
that the mirror lacks comes from its publisher.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import re
import shutil
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from labutils import profile, published
from labutils.base import console, files

MOST = 200_000_000  # limit in bytes of a weights file; VGG19 without its last layers has 80 million
NEEDED = 2.0  # GB: data, and two runs of lesson 3 with their checkpoints and samples
PRETRAINED = profile.home("pretrained")


class Missing(Exception):
    """Something is missing; the text says what, and the remedy."""


def versions():
    """Check that the installed packages match this environment's lock file."""
    try:
        lock = "requirements.lock" if version("tensorflow").startswith("2.15.") else "requirements-current.lock"
    except PackageNotFoundError:
        raise Missing("TensorFlow is not installed: make setup") from None
    wrong, lines = [], re.findall(r"^([\w.\[\]-]+==[^\\\n]+)", profile.home(lock).read_text(), re.MULTILINE)
    for pinned in map(Requirement, lines):
        if pinned.marker and not pinned.marker.evaluate():
            continue
        try:
            found = version(pinned.name)
        except PackageNotFoundError:
            found = "none"
        if found not in pinned.specifier:
            wrong.append(f"{pinned} is required, {found} is installed")
    if wrong:
        raise Missing(f"{'; '.join(wrong)}: make setup")
    return f"{len(lines)} packages as in {lock}, Python {sys.version.split()[0]}"


def disk():
    free = shutil.disk_usage(profile.home()).free / 1e9
    if free < NEEDED:
        raise Missing(f"{free:.1f} GB are free, {NEEDED:g} are needed: make room, or set LAB_HOME to another disk")
    return f"{free:.0f} GB free"


def port(number):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            raise Missing(
                f"port {number}: {error.strerror}. Stop the program that uses it, or choose another with PORT="
            ) from None
    return f"{number} is free"


def shipped():
    """Check that every weight file matches its card."""
    cards = sorted(PRETRAINED.glob("*.json"))
    for card in cards:
        facts = json.loads(card.read_text(encoding="utf-8"))
        file = PRETRAINED / facts.get("file", f"{card.stem}.weights.h5")
        if not file.is_file():
            raise Missing(f"{file.name} is not in pretrained/: download the course again")
        if files.sha256(file) != facts["sha256"]:
            raise Missing(f"{file.name} does not match its card: download the course again")
    if not cards:
        raise Missing("pretrained/ has no cards: download the course again")
    return f"{len(cards)} weight files match their cards"


def rendered():
    """Render the datasets of the profile and of the shipped generators, if missing."""
    lab = profile.load()
    cards = [json.loads(card.read_text(encoding="utf-8")) for card in PRETRAINED.glob("*-ab.json")]
    wanted = {(lab.dataset, lab.size), *((card["data"], card["size"]) for card in cards)}
    places = [published.ensure(dataclasses.replace(lab, dataset=name, size=size)) for name, size in sorted(wanted)]
    places.append(published.validation(lab))  # None without a truth
    return f"profile {lab.name}: {', '.join(place.name for place in places if place)}"


def fetched(name):
    try:
        return str(published.download(name, profile.home("data")))
    except (ValueError, published.DownloadError) as error:
        raise Missing(error) from None


def vgg(mirror, backbone="vgg19"):
    """Fetch ImageNet weights from the mirror into Keras' cache, where lesson 5 looks for them."""
    from labutils.published import vgg as weights

    if weights.cached(backbone):
        return f"{backbone.upper()} is in Keras' cache"
    name, md5 = weights.CACHED[backbone]
    address = f"{mirror.rstrip('/')}/{name}" if "://" in mirror else Path(mirror, name).resolve().as_uri()
    place = weights.cache_folders()[0] / name
    try:
        with files.aside(place) as aside:
            published.transfer.copy(address, aside, backbone.upper(), MOST)
            if hashlib.md5(aside.read_bytes()).hexdigest() != md5:
                raise Missing(f"{address} is not the {backbone.upper()} that Keras publishes (another MD5)")
    except files.DiskError:
        raise
    except (OSError, ValueError) as error:
        raise Missing(f"{address}: {error}. Lesson 5 can use the VGG16 in pretrained/ instead") from None
    return f"{backbone.upper()} fetched from the mirror"


def main(argv=None):
    """Run all checks. Returns the exit code: 0 if nothing is missing, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8888, help="where JupyterLab will answer (%(default)s)")
    parser.add_argument(
        "--datasets", nargs="*", default=["apple2orange"], metavar="NAME", help="from LAB_MIRROR (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    items = {"versions": versions, "disk": disk, "port": lambda: port(arguments.port)}
    items |= {"shipped weights": shipped, "rendered data": rendered}
    if mirror := os.environ.get("LAB_MIRROR"):
        items |= {name: lambda name=name: fetched(name) for name in arguments.datasets}
        items["VGG19"] = lambda: vgg(mirror)
    missing = 0
    for name, item in items.items():
        try:
            print(f"ok       {name}: {item()}", flush=True)
        except (Missing, files.DiskError) as error:
            print(f"MISSING  {name}: {error}", flush=True)
            missing += 1
        except Exception as error:  # report every failure, not only the first
            print(f"MISSING  {name}: {type(error).__name__}: {error}", flush=True)
            missing += 1
    print(f"{missing} missing." if missing else "Ready for the class.")
    return int(missing > 0)


if __name__ == "__main__":
    console.escape()
    sys.exit(main())
