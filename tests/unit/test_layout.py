"""Where code lies: nothing in the root of `scheduler/`, and no name in two places."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCHEDULER = ROOT / "scheduler"
FOLDERS = ("checkpoints", "cost_models", "scheduler")  # recipes are scripts to copy, each complete
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def rooms_below(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def files() -> list[Path]:
    return sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))


def test_the_root_of_scheduler_holds_rooms_only() -> None:
    assert {path.name for path in SCHEDULER.iterdir() if path.is_file()} == {"__init__.py", "py.typed"}


def test_every_room_has_its_place_in_the_order_of_imports() -> None:
    for folder in (SCHEDULER, SCHEDULER / "tuning"):
        container = ".".join(["spotwise", *folder.relative_to(ROOT).parts])
        (contract,) = [each for each in CONTRACTS if each.get("containers") == [container]]
        assert {room for layer in contract["layers"] for room in layer.split(" | ")} == rooms_below(folder)


def test_no_module_has_the_name_of_a_folder_beside_it() -> None:
    """`import x` would mean one of the two, and which one depends on the importer."""
    twice = [file for file in files() if file.with_suffix("").is_dir()]
    assert twice == []


def test_no_module_name_occurs_twice_within_one_room() -> None:
    """Engines apart: each is a room of its own, and their parts are called alike because they do alike."""
    seen: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for file in files():
        path = file.relative_to(ROOT)
        room = path.parent if "engines" in path.parts else Path(*path.parent.parts[:2])
        if not path.stem.startswith("__"):
            seen[room, path.stem].append(str(path))
    assert [paths for paths in seen.values() if len(paths) > 1] == []


def test_every_class_name_means_one_thing() -> None:
    seen: dict[str, list[str]] = defaultdict(list)
    for file in files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                seen[node.name].append(str(file.relative_to(ROOT)))
    assert {name: places for name, places in seen.items() if len(places) > 1} == {}


def test_the_folders_of_unit_tests_are_those_of_the_product() -> None:
    below = ROOT / "tests" / "unit"
    folders = {file.parent.relative_to(below) for file in below.rglob("test_*.py")} - {Path()}
    assert {str(folder) for folder in folders if not (ROOT / folder).is_dir()} == set()
