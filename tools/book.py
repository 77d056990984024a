"""Lay out the course for Jupyter Book in ``build/book``: the pages, and the solved lessons, executed (``make book``).

The profile decides what that costs. Widgets become pictures and words: the site must work from a folder, without a
kernel and without the network. Any error in a lesson ends it. ``--check`` looks at the built site: it lists what a
reader would miss, and ends with 1.
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

from labutils import console, profile
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
    """The widget ``key`` of a notebook's stored widget state as HTML: pictures, texts, and where its controls stood."""
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
    """An HTML element for the base64 ``data`` of a picture, with ``words`` for those who cannot see it.

    Raises ``ValueError`` if there are none: a page would show the picture without.
    """
    if not words:
        raise ValueError("A picture of this lesson has no words: give Image an alt, or a widget a tooltip.")
    return f'<img alt="{html.escape(words)}" style="max-width:100%" src="data:{kind};base64,{data}">'


def as_html(book):
    """Replace widgets and bare pictures among the outputs of ``book`` by HTML, in place; drop the stored state."""
    models = book.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for output in (output for cell in book.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        if VIEW in data:
            output["data"] = {"text/html": still(models, data[VIEW]["model_id"])}
        elif "text/html" not in data and (kind := next((kind for kind in data if kind.startswith("image/")), None)):
            output["data"] = {"text/html": picture(output["metadata"].get(kind, {}).get("alt"), kind, data[kind])}
    return book


def execute(name):
    """The solved lesson ``name`` with its outputs; raises ``CellExecutionError`` for any error in it."""
    book = nbformat.read(SOLUTIONS / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=None, resources={"metadata": {"path": str(SOLUTIONS)}}).execute()
    return as_html(book)


class Page(HTMLParser):
    """Collects in ``faults`` the pictures of a page without words, and the parts it would fetch from the network.

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
            self.faults.append(f"a picture without words: {place[:80]}")
        if tag != "a" and attributes.get("rel") != "canonical" and place.startswith(("http:", "https:", "//")):
            self.faults.append(f"from the network: {place}")


def figures(page):
    """How many pictures the outputs of the laid out lesson ``page`` hold, of its executed notebook in ``BOOK``."""
    path = BOOK / f"{page}.ipynb"
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    shown = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell.get("outputs", [])]
    return sum(text.count("<img") for text in shown)


def faults(site, pages):
    """What is wrong with the folder ``site``, built from ``pages`` (names without endings): a list of lines."""
    found = []
    for path in sorted(site.rglob("*.html")):
        found += [f"{path.relative_to(site)}: {fault}" for fault in Page(path.read_text(encoding="utf-8")).faults]
    for path in sorted(site.rglob("*.css")):
        fetched = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: from the network: {place}" for place in fetched]
    for page in pages:
        path = site / f"{page}.html"
        if not path.exists():
            found.append(f"{path.name}: not there; make book builds it")
            continue
        text = path.read_text(encoding="utf-8")
        if "search.html" not in text:
            found.append(f"{page}.html: no way to the search")
        if (there := Page(text).pictures) < (wanted := figures(page)):
            found.append(f"{page}.html: {there} pictures, where the lesson made {wanted}")
    index = site / "searchindex.js"
    text = index.read_text(encoding="utf-8") if index.exists() else "({})"
    known = json.loads(text[text.index("(") + 1 : text.rindex(")")]).get("docnames", [])
    return found + [f"{page}: the search does not know it" for page in pages if page not in known]


def main(argv=None):
    every = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "lessons", nargs="*", default=every, metavar="LESSON", help=f"execute only these of {', '.join(every)}"
    )
    parser.add_argument("--check", action="store_true", help="look at the built site instead")
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
