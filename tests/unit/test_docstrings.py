"""Every public name says what it is for: modules, classes, functions; and methods that take or give arrays."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("checkpoints", "cost_models", "scheduler")  # recipes are scripts to copy: their reader sees all of them
MODELS = ("cost_models/", "scheduler/policies/", "scheduler/backtest/")  # pure models: every method of theirs too
ARRAY = re.compile(r"\b(Array|NDArray|Floats|Flags|Table)\b")
FILES = [str(file.relative_to(ROOT)) for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(nodes: list[ast.stmt]) -> Iterator[Definition]:
    for node in nodes:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def has_arrays(method: Definition) -> bool:
    """Whether its arguments or what it returns are arrays, by their types."""
    if isinstance(method, ast.ClassDef):
        return False
    parts = [*(argument.annotation for argument in ast.walk(method.args) if isinstance(argument, ast.arg))]
    return any(part is not None and ARRAY.search(ast.unparse(part)) for part in (*parts, method.returns))


def contracts() -> set[str]:
    """Methods that a protocol or an abstract class describes: who implements them need not say it again."""
    found: set[str] = set()
    for file in FILES:
        for cls in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            bases = [ast.unparse(base) for base in cls.bases] if isinstance(cls, ast.ClassDef) else []
            if isinstance(cls, ast.ClassDef) and {"Protocol", "ABC"} & set(bases):
                found |= {method.name for method in public(cls.body) if ast.get_docstring(method)}
    return found


CONTRACTS = contracts()


def silent(tree: ast.Module, file: str) -> Iterator[str]:
    """The public names of a module that say nothing."""
    if not ast.get_docstring(tree):
        yield "the module"
    for outer in public(tree.body):
        if not ast.get_docstring(outer):
            yield outer.name
        for method in public(outer.body) if isinstance(outer, ast.ClassDef) else ():
            owes = file.startswith(MODELS) or isinstance(method, ast.ClassDef) or has_arrays(method)
            if owes and method.name not in CONTRACTS and not ast.get_docstring(method):
                yield f"{outer.name}.{method.name}"


@pytest.mark.parametrize("file", FILES)
def test_every_public_name_says_what_it_is_for(file: str) -> None:
    assert list(silent(ast.parse((ROOT / file).read_text(encoding="utf-8")), file)) == []


def test_a_name_that_says_nothing_would_be_seen() -> None:
    text = """
def f(): ...
def _g(): ...
class A:
    'Said.'
    def m(self, x: Array) -> int: ...
    def n(self): ...
"""
    assert list(silent(ast.parse(text), "scheduler/x.py")) == ["the module", "f", "A.m"]
    assert list(silent(ast.parse(text), "cost_models/x.py")) == ["the module", "f", "A.m", "A.n"]


def test_files_that_comments_name_are_there() -> None:
    known = {
        path.name for folder in (*FOLDERS, "recipes", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")
    }
    for file in FILES:
        named = set(re.findall(r"``(?:[\w/]+/)?(\w+\.py)``", (ROOT / file).read_text(encoding="utf-8")))
        assert named <= known, file
