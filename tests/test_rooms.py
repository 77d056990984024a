"""The core, the flat files of ``labutils`` and ``datasets/``, imports no side room, and fits into its budget.

Side rooms are the other folders but ``base``, on which the core stands.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "labutils"
NAMED_IN_THE_CORE = {("layers", "speed")}  # the one side room the core may name, in the one place


def module_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"}


def room_of(module):
    """The side room of a module; None for the core. Nothing imports a ``__main__``, so it belongs to neither."""
    *folders, file = MODULES[module].relative_to(PACKAGE).parts
    if file == "__main__.py":
        return "the door"
    return None if folders in ([], ["datasets"]) else folders[0]


CORE = [module for module in MODULES if room_of(module) is None]


def imports(source):
    """The modules of the package that ``source`` names in its imports, wherever they stand."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        for name in names:
            inside = name.removeprefix("labutils.")
            if name.startswith("labutils.") and inside in MODULES:
                found.add(inside)
    return found


ARROWS = {module: imports(path.read_text(encoding="utf-8")) - {module} for module, path in MODULES.items()}


def forbidden(arrows):
    """The arrows from the core into a side room."""
    return {
        (module, other)
        for module, others in arrows.items()
        for other in others
        if room_of(module) is None and room_of(other) not in (None, "base") and (module, other) not in NAMED_IN_THE_CORE
    }


def test_no_arrow_leads_from_the_core_into_a_side_room():
    assert not forbidden(ARROWS)
    assert ("layers", "speed") in {(module, other) for module, others in ARROWS.items() for other in others}


def test_the_base_stands_alone():
    for module in MODULES:
        if room_of(module) == "base":
            assert {room_of(other) for other in ARROWS[module]} <= {"base"}, module


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_core_can_be_read_in_one_sitting():
    assert sum(lines(MODULES[module]) for module in CORE) <= 2600
    assert not {module: lines(MODULES[module]) for module in CORE if lines(MODULES[module]) > 250}
    tree = ast.parse(MODULES["training"].read_text(encoding="utf-8"))
    (run,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Run")
    assert run.end_lineno - run.lineno < 200


def test_no_circle():
    packages = {
        module: {other for other in others if not module.startswith(f"{other}.")} for module, others in ARROWS.items()
    }
    list(TopologicalSorter(packages).static_order())  # raises CycleError


def test_only_the_dashboard_imports_ipywidgets_and_nothing_imports_the_dashboard():
    for module, path in MODULES.items():
        widgets = "import ipywidgets" in path.read_text(encoding="utf-8")
        assert not widgets or room_of(module) == "dashboard", module
        others = {room_of(other) for other in ARROWS[module]}
        assert "dashboard" not in others or room_of(module) == "dashboard", module


def test_every_room_says_what_it_is_for():
    rooms = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    for room in rooms:
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))), room.name


@pytest.mark.parametrize(
    "source, found",
    [
        ("from labutils.figures import plots", {"figures", "figures.plots"}),
        ("def f():\n    import labutils.measure.classifier", {"measure.classifier"}),
        ("from labutils import published as p, metrics", {"published", "metrics"}),
        ("from labutils.base import files", {"base", "base.files"}),
        ("from labutils.measure import kid", {"measure"}),
        ("import numpy\nfrom os import path", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source, found):
    assert imports(source) == found
    rooms = {room_of(module) for module in found} - {None, "base"}
    assert bool(forbidden({"training": found})) == bool(rooms)
