"""What is shipped: every package and data file, importable as spotwise.*, without help of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("checkpoints", "cost_models", "recipes", "scheduler")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]

IMPORT_ALL = """
import importlib, pkgutil, sys
for folder in sys.argv[2:]:
    package = importlib.import_module(f"spotwise.{folder}")
    names = [package.__name__]
    names += [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    for name in names:
        if not name.endswith(".__main__"):
            file = importlib.import_module(name).__file__
            assert file is None or file.startswith(sys.argv[1]), f"{name} comes from {file}"
    print(folder, len(names))
"""


def packages_on_disk() -> list[str]:
    inits = [path for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")]
    return sorted(".".join(["spotwise", *path.parent.relative_to(ROOT).parts]) for path in inits)


def test_listed_packages_are_the_folders() -> None:
    """The list is kept by hand; a package that is missing there would be missing in the wheel."""
    assert sorted(SETUPTOOLS["packages"]) == packages_on_disk()
    assert SETUPTOOLS["package-dir"] == {f"spotwise.{folder}": folder for folder in FOLDERS}


def test_links_for_type_checkers_are_relative() -> None:
    links = {path.name: path.readlink() for path in (ROOT / ".pkg" / "spotwise").iterdir()}
    assert links == {folder: Path("../..") / folder for folder in FOLDERS}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources: building leaves folders behind."""
    sources = tmp_path_factory.mktemp("sources")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, sources / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(sources)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = out.glob("spotwise-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a folder of its own, beside which Python finds the dependencies but not this checkout."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    return target


def run_installed(
    installed: Path, cwd: Path, *arguments: str, home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Python with the installed wheel first on its path; an editable install of this checkout comes after it."""
    env = {**os.environ, "PYTHONPATH": str(installed), "SPOTWISE_HOME": str(home or cwd / "home")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def test_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    """All that git has below the four folders, apart from what only developers read."""
    shipped = {name.removeprefix("spotwise/") for name in ZipFile(wheel).namelist() if name.startswith("spotwise/")}
    on_disk = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in on_disk if path.suffix not in {".pyc", ".pyo"}}
    assert wanted - shipped == set()
    assert shipped - wanted == set()


def test_installed_wheel_answers(installed: Path, tmp_path: Path) -> None:
    """Its script and its commands work away from the checkout."""
    script = installed / "bin" / "spotwise"
    said = run_installed(installed, tmp_path, str(script), "--help")
    assert said.returncode == 0, said.stderr
    assert "Train on the cheapest GPUs" in said.stdout
    prices = run_installed(installed, tmp_path, str(script), "prices", "--sheet", "--json")
    assert prices.returncode == 0, prices.stderr
    assert prices.stdout.count('"offer"') > 20


def test_every_installed_module_imports(installed: Path, tmp_path: Path) -> None:
    said = run_installed(installed, tmp_path, "-c", IMPORT_ALL, str(installed), *FOLDERS)
    assert said.returncode == 0, said.stderr
    counted = dict(line.split() for line in said.stdout.splitlines())
    assert set(counted) == set(FOLDERS)
    assert int(counted["scheduler"]) > 50


def test_users_modules_do_not_shadow_ours(tmp_path: Path) -> None:
    """A user's own scheduler.py and friends in the current folder are never imported by us, nor ours by the user."""
    for name in FOLDERS:
        (tmp_path / f"{name}.py").write_text(f"MINE = {name!r}\n")
    code = (
        "import scheduler, checkpoints, cost_models, recipes, spotwise.scheduler.cli, spotwise.checkpoints as ours;"
        "assert scheduler.MINE == 'scheduler' and checkpoints.MINE == 'checkpoints';"
        "assert ours.Session and not hasattr(ours, 'MINE')"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
