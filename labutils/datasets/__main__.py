"""Datasets from a shell: ``python -m labutils.datasets --help``."""

import argparse
import sys

from labutils import datasets, published
from labutils.base import console
from labutils.base.paths import place
from labutils.datasets import folder
from labutils.profile import home


def parser():
    main = argparse.ArgumentParser(
        prog="python -m labutils.datasets",
        description="Make a dataset for unpaired translation: four folders, trainA, trainB, testA and testB.",
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    download = commands.add_parser("download", help="a published dataset: " + ", ".join(published.DATASETS))
    download.add_argument("name", metavar="NAME", help="one of " + ", ".join(published.DATASETS))
    download.add_argument("--root", type=place, default=home("data"), help="where to put it (%(default)s)")
    download.add_argument(
        "--mirror",
        action="append",
        default=[],
        help="an address or folder that holds the archive, or a folder that holds NAME; tried first",
    )

    for name in datasets.RENDERED:
        rendered = commands.add_parser(name, help="rendered by code, needs no network")
        rendered.add_argument("--train", type=int, default=400, help="training pictures a domain (%(default)s)")
        rendered.add_argument("--test", type=int, default=200, help="test pairs (%(default)s)")
        rendered.add_argument("--size", type=int, default=64, help="pixels a side (%(default)s)")
        rendered.add_argument("--seed", type=int, default=0, help="each seed gives other scenes (%(default)s)")
        rendered.add_argument("--root", type=place, help=f"the dataset's folder (data/{name}-SIZE-TRAIN-VERSION)")

    own = commands.add_parser("prepare", help="two folders with pictures of any kind")
    own.add_argument(
        "a", metavar="A_FOLDER", type=place, help="pictures of domain A; without B_FOLDER, it holds trainA and trainB"
    )
    own.add_argument("b", metavar="B_FOLDER", type=place, nargs="?", help="pictures of domain B")
    own.add_argument("--root", type=place, required=True, help="the dataset's folder")
    own.add_argument("--size", type=int, default=256, help="pixels a side (%(default)s)")
    return main


def run(arguments):
    """Run the command in ``arguments``; return what to print."""
    if arguments.command == "download":
        return published.download(arguments.name, arguments.root, arguments.mirror)
    if arguments.command == "prepare":
        source = (arguments.a, arguments.b) if arguments.b else arguments.a
        return folder.prepare(source, arguments.root, arguments.size)
    root = arguments.root or published.rendered_place(arguments.command, arguments.size, arguments.train)
    numbers = {key: getattr(arguments, key) for key in ("train", "test", "size", "seed")}
    return datasets.rendered(arguments.command).write(root, **numbers)


def main(argv=None):
    """Run the command; return the exit code: 0, 1 after an error, 130 after Ctrl+C (argparse: 2, wrong command)."""
    try:
        print(run(parser().parse_args(argv)))
    except (ValueError, OSError, published.DownloadError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; no incomplete dataset was left.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    console.escape()
    sys.exit(main())
