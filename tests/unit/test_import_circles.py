"""No circle of imports, lazy ones and those for type checkers included: read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("checkpoints", "cost_models", "recipes", "scheduler")
Graph = dict[str, set[str]]


def name_of(file: Path, root: Path) -> str:
    """The dotted name of a module, such as `scheduler.core.run`; that of the package for its `__init__`."""
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports_of(file: Path, root: Path, modules: set[str]) -> Iterator[str]:
    """The modules of the product that stand in any import statement of a file, wherever it is written."""
    package = file.parent.relative_to(root).parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name for alias in node.names if (name := alias.name.removeprefix("spotwise.")) in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*above, *([node.module] if node.module else [])]).removeprefix("spotwise.")
            for alias in node.names:  # `from .room import module` names a module, `from .module import name` does not
                inner = f"{source}.{alias.name}"
                if inner in modules or source in modules:
                    yield inner if inner in modules else source


def module_graph(root: Path) -> Graph:
    """Which modules each module imports."""
    files = {name_of(file, root): file for folder in FOLDERS for file in sorted((root / folder).rglob("*.py"))}
    return {name: set(imports_of(file, root, set(files))) - {name} for name, file in files.items()}


def sibling_graph(graph: Graph) -> Graph:
    """Which neighbours in one folder need each other: modules, and folders with all that is in them."""
    found: Graph = {}
    for name, imported in graph.items():
        for other in imported:
            mine, theirs = name.split("."), other.split(".")
            depth = next((i for i, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), None)
            if depth is not None:
                found.setdefault(".".join(mine[: depth + 1]), set()).add(".".join(theirs[: depth + 1]))
    return found


def circle_in(graph: Graph) -> list[str]:
    """The names along one circle; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = module_graph(ROOT)
    assert len(graph) > 200
    assert circle_in(graph) == []


def test_neighbours_in_a_folder_do_not_import_each_other_in_a_circle() -> None:
    assert circle_in(sibling_graph(module_graph(ROOT))) == []


def test_a_circle_of_lazy_and_type_checking_imports_would_be_seen(tmp_path: Path) -> None:
    for name, text in {
        "scheduler/__init__.py": "",
        "scheduler/a/__init__.py": "",
        "scheduler/a/one.py": "def f():\n    from ..b import two\n",
        "scheduler/b/__init__.py": "",
        "scheduler/b/two.py": "if TYPE_CHECKING:\n    from spotwise.scheduler.a.one import f\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    graph = module_graph(tmp_path)
    assert set(circle_in(graph)) == {"scheduler.a.one", "scheduler.b.two"}
    assert set(circle_in(sibling_graph(graph))) == {"scheduler.a", "scheduler.b"}
