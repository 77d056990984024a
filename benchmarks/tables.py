"""Store benchmark results as JSON in ``results``, and write them as tables into this folder's README.md."""

import importlib.util
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path

from labutils.base import files

README = Path(__file__).with_name("README.md")
RESULTS = Path(__file__).with_name("results")


def keep(name, result):
    """Write ``result`` (a dict) to results/``name``.json."""
    files.write(RESULTS / f"{name}.json", (json.dumps(result, indent=1) + "\n").encode())


def kept(name):
    """Read what ``keep`` wrote under ``name``; None if nothing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def machine():
    """Describe the processor, the cores that this process may use, and the versions."""
    names = (
        re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else []
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [f"{package} {metadata.version(package)}" for package in ("tensorflow", "torch") if found(package)]
    words = [
        names[0] if names else platform.machine(),
        f"{cores} cores",
        f"Python {platform.python_version()}",
        *versions,
    ]
    return ", ".join(words)


def found(package):
    return importlib.util.find_spec(package) is not None


def markdown(header, rows):
    """Make a Markdown table from rows of text."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def write(name, text, path=None):
    """Put ``text`` between the markers ``<!-- name -->`` and ``<!-- /name -->`` of ``path``, this folder's README.md.

    Raises ``ValueError`` if they are not there.
    """
    path = path or README
    page = path.read_text(encoding="utf-8")
    between = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"{path.name} has no markers <!-- {name} --> and <!-- /{name} --> to write between.")
    files.write(path, between.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page).encode())
