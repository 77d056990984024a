"""Write the computing seconds of the sections of lessons that `make book` executed into docs/instructor.md.

python benchmarks/minutes.py          # after make book
python benchmarks/minutes.py --write  # only write the stored results into the guide
"""

import argparse
import re
from datetime import datetime
from pathlib import Path

import nbformat
import tables

from labutils.base import console, files

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "build" / "book" / "notebooks"
GUIDE = ROOT / "docs" / "instructor.md"


def seconds(book):
    """Sum the seconds of the code cells in each ``##`` section of an executed notebook: a dict by heading.

    Cells before the first section count as ``""``. Exits if a cell was not executed.
    """
    sections = {"": 0.0}
    for cell in book.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^## (.+)$", cell.source, re.MULTILINE):
                sections[heading] = 0.0
        elif cell.cell_type == "code" and cell.source.strip():
            times = cell.metadata.get("execution")
            if not times:
                raise SystemExit("A cell was not executed: run make book first, with all lessons.")
            began, ended = (datetime.fromisoformat(times[key]) for key in ("iopub.status.busy", "shell.execute_reply"))
            sections[list(sections)[-1]] += (ended - began).total_seconds()
    return {heading: round(taken, 1) for heading, taken in sections.items()}


def told(page, results):
    """Return the guide's text ``page`` with the third column of its tables filled from ``results``, by lesson number.

    A section that is newer than the executed lesson gets a dash.
    """
    parts = re.split(r"(?m)^(### Lesson \d\n)", page)
    for at in range(1, len(parts), 2):
        result = results[int(parts[at].split()[-1])]

        def row(found, result=result):
            taken = result["sections"].get(found[2])
            return f"{found[1]}{'–' if taken is None else f'{taken:.0f}'} |"

        parts[at + 1] = re.sub(r"(?m)^(\| ([^|]+) \| \d+ \| )[^|]*\|", row, parts[at + 1])
        total = f"Computing: {sum(result['sections'].values()):.0f} s"
        parts[at + 1] = re.sub(r"(?m)^Computing: \S+ s", total, parts[at + 1])
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="only write what was kept")
    if not parser.parse_args().write:
        if not (executed := sorted(BOOK.glob("0*.ipynb"))):
            raise SystemExit(f"There are no executed lessons in {BOOK}: run make book first.")
        for path in executed:
            taken = seconds(nbformat.read(path, as_version=4))
            tables.keep(f"minutes-{path.stem}", {"sections": taken, "machine": tables.machine()})
    files.write(GUIDE, told(GUIDE.read_text(encoding="utf-8"), kept()).encode())


def kept():
    """Return the stored results by lesson number."""
    paths = sorted(tables.RESULTS.glob("minutes-*.json"))
    return {int(path.stem.removeprefix("minutes-")[:2]): tables.kept(path.stem) for path in paths}


if __name__ == "__main__":
    console.escape()
    main()
