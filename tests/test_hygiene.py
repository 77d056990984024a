"""Links, commands and paths in the texts are valid; numbers agree with the files that they come from.

That notebooks are stored without outputs, in short cells, is in test_notebooks.py.
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LESSONS = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks" / "solutions").glob("*.ipynb")]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
TEXTS = sorted([*LESSONS, *PAGES])
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|<(?:a|img)\b[^>]*?(?:href|src)=\"([^\"]+)\"")
FOLDERS = "labutils|notebooks|tests|tools|benchmarks|docs|pretrained"


def text_of(path):
    """The markdown of a page, or of all text cells of a lesson."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return text


def without_code(text):
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(path):
    """The names under which headings can be linked to, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead(path):
    """The links of ``path`` that lead nowhere inside the repository."""
    for link in ("".join(pair) for pair in LINK.findall(without_code(text_of(path)))):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        file = path.parent / target if target else path
        if not file.exists() or (anchor and file.suffix in (".md", ".ipynb") and anchor not in anchors(file)):
            yield link


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_repository_resolves(path):
    assert not list(dead(path))


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        '# A title, and\n[a](b.md) [c](#a-title-and) [d](#gone) `[e](e.md)` <a href="g.md">g</a> [h](http://h)'
    )
    assert list(dead(page)) == ["b.md", "#gone", "g.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_paths_in_the_texts_exist(path):
    text = text_of(path)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    assert set(re.findall(r"\bmake ([a-z][\w-]*)", code)) <= targets
    named = re.findall(rf"\b((?:{FOLDERS})/[\w./-]*\w)(?![\w*{{-])", code)
    gone = [name for name in named if "NN" not in name and "NAME" not in name and not (ROOT / name).exists()]
    assert not gone
    modules = re.findall(r"python -m (labutils[.\w]*)", code)
    places = [ROOT / module.replace(".", "/") for module in modules]
    assert all(place.with_suffix(".py").exists() or (place / "__main__.py").exists() for place in places)


def test_every_command_of_the_makefile_is_listed_and_phony():
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    assert phony == set(re.findall(r"^([\w-]+):.*##", makefile, re.MULTILINE))


def test_the_readme_gives_the_minutes_of_the_lessons():
    rows = re.findall(
        r"^\| \[[^]]+\]\((notebooks/[\w.]+)\) \|.*\| (\d+) \|$", text_of(ROOT / "README.md"), re.MULTILINE
    )
    assert len(rows) == 5
    for name, minutes in rows:
        told = re.search(r"\*\*Time:\*\*\s+(\d+)\s+minutes", text_of(ROOT / name))
        assert told and told[1] == minutes, f"{name} says {told and told[1]} minutes, README.md {minutes}"


@pytest.mark.parametrize("number", range(1, 6))
def test_the_instructor_guide_has_every_section_and_its_minutes_add_up(number):
    lesson = text_of(next((ROOT / "notebooks").glob(f"0{number}_*.ipynb")))
    sections = re.findall(r"^## (.+)$", lesson, re.MULTILINE)
    guide = text_of(ROOT / "docs" / "instructor.md").split(f"### Lesson {number}\n")[1]
    guide = re.split("^##", guide, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \|", guide, re.MULTILINE)
    assert [name for name, _ in rows] == [name for name in sections if name not in ("Summary", "Further reading")]
    assert sum(int(minutes) for _, minutes in rows) == int(re.search(r"\*\*Time:\*\*\s+(\d+)\s", lesson)[1])


def test_the_plans_of_the_instructor_guide_add_up():
    guide = text_of(ROOT / "docs" / "instructor.md")
    rows = [list(map(int, row)) for row in re.findall(r"^\| (\d+)–(\d+) \|", guide, re.MULTILINE)]
    ends = [end for _, end in rows]
    assert [begin for begin, _ in rows] == [0, *ends[:-1]] and all(begin < end for begin, end in rows)
    assert f"**Half a day** ({ends[-1] // 60} hours {ends[-1] % 60} minutes;" in guide
    weeks = re.findall(r"^\| (\d) \| lesson \1 \| (\d+) \|", guide, re.MULTILINE)
    table = re.findall(r"^\| \[(\d) .*\| (\d+) \|$", text_of(ROOT / "README.md"), re.MULTILINE)
    assert weeks == table and len(weeks) == 5


@pytest.mark.parametrize("pair", ["orchard64", "orchard128-unet", "orchard128-resnet"])
def test_the_readme_gives_the_scores_of_the_shipped_generators(pair):
    scores = [json.loads((ROOT / f"pretrained/{pair}-{way}.json").read_text())["scores"] for way in ("ab", "ba")]
    decibels = [f"{score[key]:.1f}" for score in scores for key in ("fruit_psnr", "copy_fruit_psnr")]
    backgrounds = " and ".join(f"{score['background_psnr']:.0f}" for score in scores)
    row = next(line for line in text_of(ROOT / "README.md").splitlines() if line.startswith(f"| the pair `{pair}`"))
    assert [cell.strip() for cell in row.split("|")[2:-1]] == [*decibels, backgrounds]


def test_the_readme_gives_the_size_of_the_shipped_features():
    size = (ROOT / "pretrained" / "vgg16_features_8bit.npz").stat().st_size
    assert f"({size / 1e6:.1f} MB, `pretrained/`)" in text_of(ROOT / "README.md")


def test_one_version_everywhere():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f'\nversion: "{version}"\n' in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
