"""The site of the solved lessons: errors stop the build; panels become pictures and text without a kernel."""

import base64
import io
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from PIL import Image

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import book  # noqa: E402

PANEL = """
import io
import ipywidgets as widgets
from PIL import Image
png = io.BytesIO()
Image.new("RGB", (2, 3), "red").save(png, "png")
slider = widgets.FloatSlider(2.5, description="cycle weight")
picture = widgets.Image(value=png.getvalue(), format="png", tooltip='a "red" field')
hidden = widgets.Image(format="png")
choice = widgets.Dropdown(options=[("first", 1), ("the <second>", 2)], value=2, description="layer")
words = widgets.HTML("<b>Step 7.</b>")
widgets.VBox([widgets.HBox([widgets.Button(description="Start"), slider]), picture, hidden, words, choice])
"""


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """A function that stores cells as the only solved lesson, and gives its name."""
    monkeypatch.setattr(book, "SOLUTIONS", tmp_path)

    def store(*cells):
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_small.ipynb")
        return "01_small"

    return store


def test_a_panel_becomes_pictures_and_words(lesson):
    executed = book.execute(lesson(PANEL, "slider.value = 4.0", "print('as it was')"))
    (output,) = executed.cells[0].outputs
    page = output["data"]["text/html"]
    assert set(output["data"]) == {"text/html"} and "widgets" not in executed.metadata
    for text in ("[Start]", "cycle weight: 4.0", "<b>Step 7.</b>", "layer: the &lt;second&gt;"):
        assert text in page
    assert 'alt="a &quot;red&quot; field"' in page and page.count("<img") == 1
    picture = Image.open(io.BytesIO(base64.b64decode(re.search('base64,([^"]+)', page)[1])))
    assert picture.size == (2, 3) and picture.getpixel((0, 0)) == (255, 0, 0)
    assert executed.cells[2].outputs[0]["text"] == "as it was\n"


SHOWN = """
import io
from IPython.display import Image as Shown
from PIL import Image
png = io.BytesIO()
Image.new("RGB", (2, 3), "red").save(png, "png")
Shown(png.getvalue(), alt={alt!r})
"""


def test_a_picture_keeps_its_words(lesson):
    executed = book.execute(lesson(SHOWN.format(alt='a "red" field')))
    (output,) = executed.cells[0].outputs
    assert set(output["data"]) == {"text/html"}
    assert '<img alt="a &quot;red&quot; field"' in output["data"]["text/html"]
    with pytest.raises(ValueError, match="no alternative text"):
        book.execute(lesson(SHOWN.format(alt=None)))


def test_an_error_in_a_lesson_ends_the_book(lesson):
    with pytest.raises(CellExecutionError, match="apples are not oranges"):
        book.execute(lesson("raise ValueError('apples are not oranges')"))


def test_an_unknown_lesson_is_refused_before_anything_is_done(lesson):
    lesson("1")
    with pytest.raises(SystemExit, match="No lesson is called 09_cooking: there are 01_small"):
        book.main(["09_cooking"])


GOOD = '<a href="https://example.org">out</a><a href="search.html">Search</a><img src="a.png" alt="an apple">'
BAD = {
    "a picture without alternative text: a.png": '<a href="search.html"></a><img src="a.png" alt=" ">',
    "from the network: https://cdn.org/x.js": GOOD + '<script src="https://cdn.org/x.js"></script>',
    "from the network: //cdn.org/x.css": GOOD + '<link rel="stylesheet" href="//cdn.org/x.css">',
    "no link to the search": '<img src="a.png" alt="an apple">',
}


def test_a_site_that_needs_nothing_and_is_found_has_no_faults(tmp_path):
    (tmp_path / "page.html").write_text(GOOD)
    (tmp_path / "searchindex.js").write_text('Search.setIndex({"docnames": ["page"]})')
    assert book.faults(tmp_path, ["page"]) == []
    assert book.faults(tmp_path, ["page", "gone"])[0].startswith("gone.html: missing")
    (tmp_path / "searchindex.js").write_text('Search.setIndex({"docnames": ["other"]})')
    assert book.faults(tmp_path, ["page"]) == ["page: missing in the search index"]


@pytest.mark.parametrize("fault", BAD)
def test_a_fault_of_the_site_is_found(tmp_path, fault):
    (tmp_path / "page.html").write_text(BAD[fault])
    (tmp_path / "searchindex.js").write_text('Search.setIndex({"docnames": ["page"]})')
    assert book.faults(tmp_path, ["page"]) == [f"page.html: {fault}"]


def test_a_style_sheet_that_needs_the_network_is_found(tmp_path):
    (tmp_path / "good.css").write_text('@import "own.css"; a { background: url(data:image/png;base64,//8=) }')
    (tmp_path / "bad.css").write_text("@font-face { src: url('https://cdn.org/a.woff') } @import '//cdn.org/x.css';")
    network = [f"bad.css: from the network: {place}" for place in ("https://cdn.org/a.woff", "//cdn.org/x.css")]
    assert book.faults(tmp_path, []) == network


def test_a_figure_that_did_not_reach_its_page_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "BOOK", tmp_path)
    shown = nbformat.v4.new_output("display_data", {"text/html": '<img src="b.png" alt="a fig">'})
    cell = nbformat.v4.new_code_cell(outputs=[shown, shown])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "page.ipynb")
    (tmp_path / "page.html").write_text(GOOD)
    (tmp_path / "searchindex.js").write_text('Search.setIndex({"docnames": ["page"]})')
    assert book.faults(tmp_path, ["page"]) == ["page.html: 1 pictures, but the lesson made 2"]
