"""What runs on a node finds every package it imports there: tests on one machine would not notice a missing one."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from spotwise.scheduler.engines.skypilot.tasks import AGENT, SWEEP

ROOT = Path(__file__).parents[5]
HOST, AGENT_PROGRAM = "spotwise.scheduler.tuning.host.main", "spotwise.scheduler.node_agent.agent"
NOT_NEEDED = {
    "fsspec",  # installed with the storage's own package where the run's folder is a URL
    "torch",  # brought by a training program that has ranks or devices to be asked about
}


def imports(module: str) -> Iterator[str]:
    """Absolute names of what a module of ours imports anywhere in its text, but for types."""
    file = Path(import_module(module).__file__ or "")
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in _running(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, [above, node.module]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _running(node)


def packages_reached_from(program: str) -> set[str]:
    queue, seen, found = [program], set(), set()
    while queue:
        module = queue.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in imports(module):
            top = name.partition(".")[0]
            if top != "spotwise":
                found.add(top)
            elif _is_ours(name):
                queue.append(name)
    assert len(seen) > 3, "nothing was looked at"
    return found - set(sys.stdlib_module_names)


def _is_ours(name: str) -> bool:
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize(("program", "installed"), [(AGENT_PROGRAM, AGENT), (HOST, (*AGENT, *SWEEP))])
def test_whatever_a_program_of_the_node_imports_is_installed_there(program: str, installed: tuple[str, ...]) -> None:
    names = {name.partition("[")[0] for name in installed}
    assert packages_reached_from(program) - NOT_NEEDED <= names


def test_a_sweeps_host_needs_all_that_is_installed_for_it() -> None:
    assert {name.partition("[")[0] for name in SWEEP} <= packages_reached_from(HOST)
