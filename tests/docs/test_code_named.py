"""What the documentation says of the code is so: names behind links, the order of rooms, symbols of the notation."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
NAMED = re.compile(r"\[`([\w.]+)`\]\(([^)#\s]+\.py)\)")
CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]


def names_in(nodes: list[ast.stmt], above: str = "") -> set[str]:
    """Functions, classes with their members, and constants, as `Class.method` where they are in one."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(f"{above}{node.name}")
        elif isinstance(node, ast.ClassDef):
            found |= {f"{above}{node.name}", *names_in(node.body, f"{above}{node.name}.")}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            found |= {f"{above}{name.id}" for name in names}
    return found


def defined_in(file: Path) -> set[str]:
    return names_in(ast.parse(file.read_text(encoding="utf-8")).body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_code_that_a_link_names_is_in_the_file_that_it_leads_to(page: Path) -> None:
    for name, target in NAMED.findall(page.read_text(encoding="utf-8")):
        assert name in defined_in((page.parent / target).resolve()), f"{target} has no {name}"


@pytest.mark.parametrize("container", ["spotwise.scheduler", "spotwise.scheduler.tuning"])
def test_the_design_lists_the_rooms_in_their_order(container: str) -> None:
    folder = container.removeprefix("spotwise.").replace(".", "/")
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    shown = re.findall(rf"^\| \[(\w+)/\]\(\.\./{folder}/\w+/\) \|", page, re.MULTILINE)
    (contract,) = [each for each in CONTRACTS["contracts"] if each.get("containers") == [container]]
    assert shown == [room for layer in reversed(contract["layers"]) for room in layer.split(" | ")]


def test_a_name_that_is_not_there_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("LIMIT = 1\nclass A:\n    x: int\n    def b(self): ...\n", encoding="utf-8")
    assert defined_in(file) == {"LIMIT", "A", "A.x", "A.b"}
    assert NAMED.findall("[`A.c`](../scheduler/module.py)") == [("A.c", "../scheduler/module.py")]


def test_every_symbol_of_the_notation_is_a_name_in_the_code() -> None:
    page = (DOCS / "notation.md").read_text(encoding="utf-8")
    sections = page.split("\n## ")[1:]
    assert len(sections) > 8
    for section in sections:
        code = re.findall(r"\]\((\.\./[\w/]+\.py)\)", section.split("\nCode: ")[1].split("\n")[0])
        names = set().union(*(identifiers_in((DOCS / file).resolve()) for file in code))
        cells = re.findall(r"^\| .* \| ((?:`\w+`(?:, )?)+) \|$", section, re.MULTILINE)
        missing = set(re.findall(r"\w+", " ".join(cells))) - names
        rows = re.findall(r"^\| (?!symbol |---)", section.replace("|---", "| ---"), re.MULTILINE)
        assert (len(cells), missing) == (len(rows), set()), section.split("\n")[0]


def identifiers_in(file: Path) -> set[str]:
    """Every name that is defined, given or asked for in a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(value := getattr(node, field, None), str):
                found.add(value)
    return found
