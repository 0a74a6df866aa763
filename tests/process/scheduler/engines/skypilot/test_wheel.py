"""The wheel for nodes: whole, installable without network, and the same wherever it is made."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import threading
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from spotwise.scheduler.core.errors import EngineError
from spotwise.scheduler.engines.skypilot import wheel as module
from spotwise.scheduler.engines.skypilot.wheel import build_wheel, wheel_digest

ROOT = Path(__file__).parents[5]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
OFFLINE = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
BUILD = (
    "import sys; from pathlib import Path; from spotwise.scheduler.engines.skypilot.wheel import build_wheel;"
    "print(build_wheel(Path(sys.argv[1])))"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spotwise of a few files, so that a test can change one: where its packages lie."""
    for folder in ("checkpoints", "cost_models", "recipes", "scheduler"):
        (tmp_path / "copy" / folder).mkdir(parents=True)
        (tmp_path / "copy" / folder / "__init__.py").write_text("")
    monkeypatch.setattr(module, "_location", lambda folder: tmp_path / "copy" / folder)
    return tmp_path / "copy"


def run(*command: str | Path, cwd: Path, code: int = 0, **env: str) -> str:
    """Run a command that knows nothing of this checkout but by what is in ``env``; what it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env={**kept, **env}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.strip()


def names(wheel: Path) -> set[str]:
    return set(ZipFile(wheel).namelist())


def metadata(wheel: Path, name: str) -> str:
    return ZipFile(wheel).read(f"spotwise-{importlib.metadata.version('spotwise')}.dist-info/{name}").decode()


def files_that_pyproject_names() -> set[str]:
    """As setuptools finds them: modules of each package, and the data of its patterns."""
    found = set()
    for package in SETUPTOOLS["packages"]:
        patterns = ["*.py", *SETUPTOOLS["package-data"]["*"], *SETUPTOOLS["package-data"].get(package, [])]
        folder = ROOT / package.removeprefix("spotwise.").replace(".", "/")
        found |= {path for pattern in patterns for path in folder.glob(pattern)}
    return {f"spotwise/{path.relative_to(ROOT).as_posix()}" for path in found}


def test_its_name_says_what_pip_wants_to_know(wheel: Path) -> None:
    assert wheel.name == f"spotwise-{importlib.metadata.version('spotwise')}-py3-none-any.whl"


def test_it_holds_exactly_the_files_that_pyproject_names(wheel: Path) -> None:
    held = {name for name in names(wheel) if name.startswith("spotwise/")}
    wanted = files_that_pyproject_names()
    assert wanted - held == set()
    assert held - wanted == set()


def test_its_packages_are_those_of_pyproject() -> None:
    assert {f"spotwise.{folder}" for folder in module._FOLDERS} == set(SETUPTOOLS["package-dir"])


def test_what_programs_leave_beside_the_sources_stays_out(copy: Path, tmp_path: Path) -> None:
    """A training that was started in the checkout saves under ./checkpoints, which is a package here."""
    (copy / "checkpoints" / "step-000000005").mkdir()
    for name in ("step-000000005/state.pt", "step-000000005/manifest.json", "progress.jsonl", "old.pyc"):
        (copy / "checkpoints" / name).write_bytes(b"left")
    held = {name for name in names(build_wheel(tmp_path)) if name.startswith("spotwise/checkpoints/")}
    assert held == {"spotwise/checkpoints/__init__.py"}


def test_its_record_lists_every_file_with_its_hash_and_size(wheel: Path) -> None:
    listed = {name: (digest, size) for name, digest, size in csv.reader(metadata(wheel, "RECORD").splitlines())}
    (record,) = (name for name in listed if name.endswith("/RECORD"))
    assert listed.pop(record) == ("", "")
    archive = ZipFile(wheel)
    assert set(listed) | {record} == names(wheel)
    for name, (digest, size) in listed.items():
        data = archive.read(name)
        right = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={right}", str(len(data))), name


def test_its_metadata_is_that_of_the_installation(wheel: Path) -> None:
    said, installed = Parser().parsestr(metadata(wheel, "METADATA")), importlib.metadata.metadata("spotwise")
    for field in ("Metadata-Version", "Name", "Version", "Requires-Python", "Requires-Dist", "Provides-Extra"):
        assert said.get_all(field) == installed.get_all(field), field
        assert said[field], field
    assert "spotwise = spotwise.scheduler.cli.main:main" in metadata(wheel, "entry_points.txt").splitlines()


def test_equal_files_make_equal_bytes(wheel: Path, tmp_path: Path) -> None:
    again = build_wheel(tmp_path)
    assert again.read_bytes() == wheel.read_bytes()
    assert wheel_digest(again) == wheel_digest(wheel)
    times = {entry.date_time for entry in ZipFile(again).infolist()}
    assert times == {(1980, 1, 1, 0, 0, 0)}  # two builds of one test may fall into one second


def test_when_files_were_touched_does_not_change_it(copy: Path, tmp_path: Path) -> None:
    before = wheel_digest(build_wheel(tmp_path))
    os.utime(copy / "recipes" / "__init__.py", (1, 1))
    (copy / "recipes" / "__init__.py").chmod(0o600)
    assert wheel_digest(build_wheel(tmp_path)) == before


def test_every_change_of_a_file_gives_another_digest(copy: Path, tmp_path: Path) -> None:
    digests = [wheel_digest(build_wheel(tmp_path))]
    for change in ("x = 1\n", "x = 2\n"):
        (copy / "recipes" / "__init__.py").write_text(change)
        digests.append(wheel_digest(build_wheel(tmp_path)))
    (copy / "recipes" / "more.py").write_text("")
    digests.append(wheel_digest(build_wheel(tmp_path)))
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 16 for digest in digests)


def test_one_that_is_up_to_date_is_not_written_again(copy: Path, tmp_path: Path) -> None:
    first = build_wheel(tmp_path)
    inode = first.stat().st_ino  # a rename would have brought another
    assert build_wheel(tmp_path).stat().st_ino == inode
    (copy / "recipes" / "__init__.py").write_text("new\n")
    assert ZipFile(build_wheel(tmp_path)).read("spotwise/recipes/__init__.py") == b"new\n"


def test_a_damaged_one_is_replaced(copy: Path, tmp_path: Path) -> None:
    made = build_wheel(tmp_path)
    whole = made.read_bytes()
    made.write_bytes(whole[: len(whole) // 2])
    assert build_wheel(tmp_path).read_bytes() == whole


def test_readers_never_see_half_of_it_while_many_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each builder has other files, so each build writes."""
    monkeypatch.setattr(module, "_sources", lambda: {"spotwise/x.py": str(threading.get_ident()).encode() * 5000})
    made = build_wheel(tmp_path)

    def build() -> None:
        for _ in range(20):
            build_wheel(tmp_path)

    builders = [threading.Thread(target=build) for _ in range(3)]
    for builder in builders:
        builder.start()
    seen = 0
    while any(builder.is_alive() for builder in builders):
        assert ZipFile(made).testzip() is None
        seen += 1
    assert seen > 0
    assert list(tmp_path.iterdir()) == [made]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=str(tmp_path / "file")):
        build_wheel(tmp_path / "file")


def test_a_build_that_fails_at_its_last_step_leaves_nothing_behind(copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    build_wheel(folder).unlink()
    taken = folder / f"spotwise-{importlib.metadata.version('spotwise')}-py3-none-any.whl"
    (taken / "full").mkdir(parents=True)  # no file can be renamed to a folder
    with pytest.raises(EngineError, match="cannot be made"):
        build_wheel(folder)
    assert list(folder.iterdir()) == [taken]


def test_a_spotwise_that_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NAME", "spotwise-that-nobody-installed")
    with pytest.raises(EngineError, match="not installed"):
        build_wheel(tmp_path)


def test_an_installation_that_lacks_a_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLDERS", ("checkpoints", "missing"))
    with pytest.raises(EngineError, match=r"spotwise\.missing"):
        build_wheel(tmp_path)


def test_unpacked_it_runs_with_the_standard_library_alone(wheel: Path, tmp_path: Path) -> None:
    """A node may have Python and nothing else: training's side and the notices of clouds need no more."""
    unpacked = tmp_path / "unpacked"
    run(sys.executable, "-I", "-m", "zipfile", "-e", wheel, unpacked, cwd=tmp_path)
    code = "import spotwise.checkpoints as c, spotwise.scheduler.node_agent.notices as n; print(c.Session, c.__file__)"
    said = run(sys.executable, "-S", "-c", code, cwd=tmp_path, PYTHONPATH=str(unpacked))
    assert str(unpacked / "spotwise" / "checkpoints" / "__init__.py") in said


@pytest.mark.slow
def test_pip_installs_it_into_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", *OFFLINE, wheel, cwd=tmp_path)
    code = "from spotwise.checkpoints import Session; s = Session.from_env(); print(sum(1 for _ in s.epochs(2)))"
    assert run(python, "-c", code, cwd=tmp_path) == "2"
    assert (tmp_path / "venv" / "bin" / "spotwise").is_file()
    missing = run(python, "-m", "pip", "check", "--disable-pip-version-check", cwd=tmp_path, code=1)
    assert "spotwise" in missing and "requires click" in missing  # its requirements are read


@pytest.mark.slow
def test_built_from_an_installed_wheel_it_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """A supervisor that was installed from a wheel starts the same nodes as one in a checkout."""
    installed = tmp_path / "installed"
    run(sys.executable, "-m", "pip", "install", *OFFLINE, "--target", installed, wheel, cwd=tmp_path)
    code = "import spotwise.scheduler; print(spotwise.scheduler.__file__)"
    assert run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed)).startswith(str(installed))
    again = run(sys.executable, "-c", BUILD, tmp_path / "out", cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(again).read_bytes() == wheel.read_bytes()
