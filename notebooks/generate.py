"""Make the students' and the solved notebooks from ``notebooks/sources`` (py:percent files).

A source holds the solution of every exercise, between markers, with the stand-in that students get::

    def double(x):
        ### BEGIN SOLUTION
        return 2 * x
        ### STAND-IN
        # return 0 * x  # your code here
        ### END SOLUTION

The solved notebook keeps the first half, the student's notebook the second half, uncommented.
Run ``python notebooks/generate.py`` after every edit; ``--check`` only compares, for CI.
"""

import argparse
import re
import sys
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
BLOCK = re.compile(
    r"^[ ]*### BEGIN SOLUTION\n(?P<solution>.*?)^[ ]*### STAND-IN\n(?P<stand_in>.*?)^[ ]*### END SOLUTION\n?",
    re.MULTILINE | re.DOTALL,
)
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def solved(code):
    return BLOCK.sub(lambda block: block["solution"], code)


def unsolved(code):
    return BLOCK.sub(lambda block: re.sub(r"^([ ]*)# ?", r"\1", block["stand_in"], flags=re.MULTILINE), code)


def notebook(source, variant):
    """The text of one notebook: ``variant`` turns each code cell into what this reader gets."""
    book = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number:02d}"  # stable from one run to the next
        if cell.cell_type == "code":
            cell.source = variant(cell.source + "\n").rstrip("\n")
    book.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    book.nbformat, book.nbformat_minor = 4, 5
    nbformat.validate(book)
    return nbformat.writes(book, indent=1) + "\n"


def derived():
    """All notebooks, as ``{path: text}``."""
    texts = {}
    for source in sorted((HERE / "sources").glob("*.py")):
        texts[HERE / f"{source.stem}.ipynb"] = notebook(source, unsolved)
        texts[HERE / "solutions" / f"{source.stem}.ipynb"] = notebook(source, solved)
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a notebook is out of date")
    arguments = parser.parse_args()
    stale = {
        path: text for path, text in derived().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if arguments.check:
        for path in stale:
            print(f"{path} differs from its source: run `make notebooks`")
        sys.exit(bool(stale))
    for path, text in stale.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
