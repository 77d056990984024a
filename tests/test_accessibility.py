"""Figures have alternative text, controls have names, and colour is never the only sign.

One title and no skipped heading in a lesson: test_notebooks.py.
"""

import ast
import re
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pytest
from test_hygiene import PAGES, text_of

from labutils import dashboard, models
from labutils.dashboard.parts import Picture
from labutils.figures import plots
from labutils.training import Run

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks" / "sources").glob("*.py"))
DRAWING = {"grid", "curves", "Plot", "Image"}  # functions that make a figure with the caller's text
KEYBOARD = (widgets.Button, widgets.FileUpload, widgets.Checkbox, widgets.Dropdown, widgets.BoundedIntText)
KEYBOARD += (widgets.IntSlider, widgets.FloatSlider, widgets.FloatLogSlider, widgets.SelectionSlider)
SHORTEST = 20  # minimum characters of an alternative text


def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def name_of(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def wordless(path):
    """Lines of figures without alternative text, or with one too short to say anything."""
    for call in calls(path):
        alt = next((word.value for word in call.keywords if word.arg == "alt"), None)
        constant = alt.value if isinstance(alt, ast.Constant) else "computed: " + ast.unparse(alt) if alt else ""
        if name_of(call) in DRAWING and len(constant) < SHORTEST:
            yield call.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_figure_of_a_lesson_has_alternative_text(path):
    assert sum(name_of(call) in DRAWING for call in calls(path)) >= 3
    assert not list(wordless(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_lesson_draws_in_a_way_that_has_no_alternative_text(path):
    text = path.read_text()
    assert not re.search(
        r"pyplot|\bImage\.open\([^)]*\)\s*$|\bfromarray\([^)]*\)\s*$|PIL.*\.show\(", text, re.MULTILINE
    )


def test_every_figure_of_lesson_5_says_whose_features_made_it():
    drawn = [call for call in calls(SOURCES[-1]) if name_of(call) in DRAWING]
    captions = [ast.unparse(word.value) for call in drawn for word in call.keywords if word.arg == "caption"]
    assert len(captions) == len(drawn) and all("source" in caption for caption in captions)


def test_a_figure_without_words_is_found(tmp_path):
    path = tmp_path / "lesson.py"
    path.write_text(
        'plots.grid(x)\nplots.curves(x, alt="curves")\nImage(data=x)\nplots.grid(x, alt=f"{y} as it was")\n'
    )
    assert list(wordless(path)) == [1, 2, 3]


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_picture_in_a_text_has_alternative_text(path):
    text = text_of(path)
    pictures = re.findall(r"!\[([^]]*)\]\(", text) + re.findall(r"<img\b[^>]*>", text)
    alts = [re.sub(r'.*\balt="([^"]*)".*|<img.*', r"\1", picture) for picture in pictures]
    assert all(len(alt) >= SHORTEST for alt in alts)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_have_one_title_and_skip_no_heading(path):
    text = re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(levels, levels[1:], strict=False))


def test_figures_carry_their_text_into_the_page():
    figure = plots.grid([[np.zeros((4, 4, 3))]], alt='A black "square"')
    assert 'alt="A black &#34;square&#34;"' in figure._repr_html_() and "figcaption" not in figure._repr_html_()
    figure.caption = "made by <code>"
    assert "<figcaption>made by &lt;code&gt;</figcaption>" in figure._repr_html_()
    with pytest.raises(TypeError, match="alt"):
        plots.Plot()


def panels(make_gan, orchard_root, tiny, folder):
    """Every panel of the course, as small as can be."""
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    generator = models.unet_generator(None, filters=2, levels=1)
    pictures = {"noise": picture}
    yield dashboard.AugmentationPanel(picture, 32)
    yield dashboard.PatchMover(models.patch_discriminator(32, filters=4, strides=(2, 2)), picture)
    yield dashboard.FeatureMaps(models.unet_generator(32, filters=4, levels=2), picture)
    yield dashboard.StylePanel(picture, picture, steps=1, size=32)
    yield dashboard.TranslatePanel({"ab": generator}, pictures, folder / "kept").wait(60)
    run = Run(make_gan(), orchard_root, tiny, folder / "run")
    panel = dashboard.TrainingPanel(run)
    run.start(1)
    run.wait(300)
    yield panel


def parts(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


def test_controls_are_named_and_pictures_have_a_twin_in_words(make_gan, orchard_root, tiny, tmp_path):
    seen = set()
    for panel in panels(make_gan, orchard_root, tiny, tmp_path):
        seen.add(type(panel).__name__)
        inside = list(parts(panel))
        controls = [part for part in inside if isinstance(part, KEYBOARD)]
        shown = (widgets.Box, widgets.HTML, widgets.Image, widgets.IntProgress)
        strangers = [part for part in inside if not isinstance(part, (*KEYBOARD, *shown))]
        assert controls and not strangers, f"not known to work by keyboard: {strangers}"
        nameless = [part for part in controls if not part.description.strip()]
        assert not nameless, f"{type(panel).__name__}: {nameless}"
        words = [part.value for part in inside if isinstance(part, widgets.HTML) and part.value.strip()]
        pictures = [part for part in inside if isinstance(part, widgets.Image) and part.value]
        if pictures:
            assert words, f"{type(panel).__name__} shows pictures and says nothing"
        for part in inside:
            if isinstance(part, widgets.Image):  # tests/test_browser_translate.py tests that they are shown
                assert isinstance(part, Picture) and part.tooltip, type(panel).__name__
    assert seen == {name for name in vars(dashboard) if isinstance(getattr(dashboard, name), type)}


def test_lines_differ_by_more_than_colour():
    assert len(set(map(str, plots.LINES))) == len(plots.LINES) == len(set(plots.COLOURS)) == len(plots.COLOURS)
    series = {str(number): ([0, 1], [0, number]) for number in range(7)}
    lines = plots.curves(series, alt="seven lines, each in a style of its own").axes[0].lines
    assert len({(line.get_linestyle(), str(line._dash_pattern)) for line in lines}) == 7


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "labutils").rglob("*.py"))], ids=lambda path: path.stem)
def test_coloured_lines_have_a_style_or_a_marker_too(path):
    for call in calls(path):
        given = {word.arg for word in call.keywords}
        if name_of(call) == "plot" and "color" in given:
            drawn = len(call.args) > 1 and isinstance(call.args[0], ast.List) and not call.args[0].elts
            assert drawn or given & {"linestyle", "marker", None}, f"{path.name}, line {call.lineno}"
