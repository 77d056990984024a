"""Lay out the course for Jupyter Book in ``build/book``: the pages and the executed solved lessons (``make book``).

The profile decides how long that takes. Widgets become pictures and text, because the site must work from a folder,
without kernel or network. Any error in a lesson ends the script. ``--check`` checks the built site instead: it lists
what is missing, and exits with 1.
"""

import argparse
import html
import json
import re
import shutil
import sys
from html.parser import HTMLParser

import nbformat
from nbclient import NotebookClient

from labutils import profile
from labutils.base import console
from labutils.profile import home

BOOK = home("build", "book")
SOLUTIONS = home("notebooks", "solutions")
PAGES = ("docs/style_gallery", "docs/instructor", "benchmarks/README", "CONTRIBUTING", "CHANGELOG")
LEFT_OUT = (".*", "build", "data", "runs", "tests", "labutils", "__pycache__", "*.egg-info", "*.lock", "*.toml")
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
CONFIG = {
    "title": "CycleGAN lab",
    "author": "the authors of the CycleGAN lab",
    "only_build_toc_files": True,
    "execute": {"execute_notebooks": "off"},  # done here, by the course's own environment
    "launch_buttons": {"notebook_interface": "classic"},
    "html": {"use_issues_button": False, "use_repository_button": False, "home_page_in_navbar": True},
    "sphinx": {"config": {"myst_heading_anchors": 4}},
}


def still(models, key):
    """Convert the widget ``key`` of a notebook's stored state to HTML: pictures, texts, and values of controls."""
    model = models[key]
    state = model["state"]
    if "children" in state:
        return "\n".join(still(models, child.removeprefix("IPY_MODEL_")) for child in state["children"])
    name, kind = html.escape(state.get("description") or ""), model["model_name"]
    if kind == "ImageModel":
        data = "".join(buffer["data"] for buffer in model.get("buffers", []) if buffer["path"] == ["value"])
        return picture(state["tooltip"], f"image/{state['format']}", data) if data else ""
    if kind == "HTMLModel":
        return f"<div>{state['value']}</div>"
    if kind in ("ButtonModel", "FileUploadModel"):
        return f"<span>[{name}]</span>"
    if "index" in state:
        labels = state.get("_options_labels", [])
        value = labels[state["index"]] if labels and state["index"] is not None else ""
        return f"<div>{name}: {html.escape(str(value))}</div>"
    return f"<div>{name}: {html.escape(str(state.get('value', '')))}</div>" if name else ""


def picture(words, kind, data):
    """Make an HTML element for the base64 ``data`` of a picture, with ``words`` as alternative text.

    Raises ``ValueError`` if ``words`` is empty.
    """
    if not words:
        raise ValueError("A picture of this lesson has no alternative text: give Image an alt, or a widget a tooltip.")
    return f'<img alt="{html.escape(words)}" style="max-width:100%" src="data:{kind};base64,{data}">'


def as_html(book):
    """Replace widgets and pictures in the outputs of ``book`` by HTML, in place; drop the widget state."""
    models = book.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for output in (output for cell in book.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        if VIEW in data:
            output["data"] = {"text/html": still(models, data[VIEW]["model_id"])}
        elif "text/html" not in data and (kind := next((kind for kind in data if kind.startswith("image/")), None)):
            output["data"] = {"text/html": picture(output["metadata"].get(kind, {}).get("alt"), kind, data[kind])}
    return book


def execute(name):
    """Execute the solved lesson ``name`` and return it. Raises ``CellExecutionError`` for any error in it."""
    book = nbformat.read(SOLUTIONS / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=None, resources={"metadata": {"path": str(SOLUTIONS)}}).execute()
    return as_html(book)


class Page(HTMLParser):
    """Collect in ``faults`` the pictures of a page without alternative text, and its parts from the network.

    ``pictures``: how many there are.
    """

    def __init__(self, text):
        super().__init__()
        self.faults, self.pictures = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = {name: value or "" for name, value in attributes}
        place = attributes.get("src") or (attributes.get("href", "") if tag == "link" else "")
        self.pictures += tag == "img"
        if tag == "img" and not attributes.get("alt", "").strip():
            self.faults.append(f"a picture without alternative text: {place[:80]}")
        if tag != "a" and attributes.get("rel") != "canonical" and place.startswith(("http:", "https:", "//")):
            self.faults.append(f"from the network: {place}")


def figures(page):
    """Count the pictures in the outputs of lesson ``page``, from its executed notebook in ``BOOK``."""
    path = BOOK / f"{page}.ipynb"
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    shown = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell.get("outputs", [])]
    return sum(text.count("<img") for text in shown)


def faults(site, pages):
    """List what is wrong with the folder ``site``, built from ``pages`` (names without suffix)."""
    found = []
    for path in sorted(site.rglob("*.html")):
        found += [f"{path.relative_to(site)}: {fault}" for fault in Page(path.read_text(encoding="utf-8")).faults]
    for path in sorted(site.rglob("*.css")):
        fetched = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: from the network: {place}" for place in fetched]
    for page in pages:
        path = site / f"{page}.html"
        if not path.exists():
            found.append(f"{path.name}: missing; make book builds it")
            continue
        text = path.read_text(encoding="utf-8")
        if "search.html" not in text:
            found.append(f"{page}.html: no link to the search")
        if (there := Page(text).pictures) < (wanted := figures(page)):
            found.append(f"{page}.html: {there} pictures, but the lesson made {wanted}")
    index = site / "searchindex.js"
    text = index.read_text(encoding="utf-8") if index.exists() else "({})"
    known = json.loads(text[text.index("(") + 1 : text.rindex(")")]).get("docnames", [])
    return found + [f"{page}: missing in the search index" for page in pages if page not in known]


def main(argv=None):
    every = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "lessons", nargs="*", default=every, metavar="LESSON", help=f"execute only these of {', '.join(every)}"
    )
    parser.add_argument("--check", action="store_true", help="check the built site instead")
    options = parser.parse_args(argv)
    pages = [*(f"notebooks/{name}" for name in every), *PAGES]
    if options.check:
        sys.exit("\n".join(faults(BOOK / "_build" / "html", pages)) or 0)
    lessons = options.lessons
    if unknown := set(lessons) - set(every):
        sys.exit(f"No lesson is called {', '.join(unknown)}: there are {', '.join(every)}.")
    shutil.rmtree(BOOK, ignore_errors=True)
    shutil.copytree(home(), BOOK, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in every:
        place = BOOK / "notebooks" / f"{name}.ipynb"
        shutil.copy(SOLUTIONS / place.name, place)
        if name in lessons:
            print(f"{name}, profile {profile.load().name} …", flush=True)
            nbformat.write(execute(name), place)
    chapters = [{"file": page} for page in pages]
    contents = {"format": "jb-book", "root": "README", "chapters": chapters}
    for file, content in (("_toc.yml", contents), ("_config.yml", CONFIG)):  # JSON is YAML
        (BOOK / file).write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    console.escape()
    main()
