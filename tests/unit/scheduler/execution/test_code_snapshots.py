"""The code of a run is what it was at submission: which files that are, where they lie, and what is refused."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from spotwise.scheduler.core.code_version import CodeMode, CodeVersion, GitState
from spotwise.scheduler.core.errors import EngineError, InputError
from spotwise.scheduler.execution.code_listing import Limits, list_code
from spotwise.scheduler.execution.code_store import add_snapshot, fingerprint_of, unpack, unused_snapshots
from spotwise.scheduler.execution.git import git_state

GIT = ("git", "-c", "user.name=ana", "-c", "user.email=ana@example.org")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    write(folder, {"train.py": "print(1)\n", "lib/model.py": "x = 1\n", "run.sh": "#!/bin/sh\n"})
    (folder / "run.sh").chmod(0o755)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def git(folder: Path, *words: str) -> None:
    subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True)


def snapshot(home: Path, folder: Path) -> Path:
    return home / "code" / add_snapshot(home, list_code(folder, [home]))


def test_a_snapshot_holds_content_and_what_may_be_executed(code: Path, home: Path) -> None:
    kept = snapshot(home, code)
    write(code, {"train.py": "print(2)\n"})
    assert (kept / "train.py").read_text() == "print(1)\n"
    assert os.access(kept / "run.sh", os.X_OK)
    assert not (kept / "lib/model.py").stat().st_mode & 0o111


def test_the_same_code_has_one_snapshot_wherever_it_lies(code: Path, home: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", {"train.py": "print(1)\n", "lib/model.py": "x = 1\n", "run.sh": "#!/bin/sh\n"})
    (tmp_path / "other/run.sh").chmod(0o700)
    assert snapshot(home, code) == snapshot(home, tmp_path / "other")
    assert len(list((home / "code").iterdir())) == 1


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "folder"])
def test_whatever_changes_makes_another_snapshot(code: Path, home: Path, change: str) -> None:
    before = snapshot(home, code)
    if change == "content":
        write(code, {"train.py": "print(2)\n"})
    elif change == "name":
        (code / "train.py").rename(code / "train2.py")
    elif change == "mode":
        (code / "train.py").chmod(0o755)
    elif change == "link":
        (code / "main.py").symlink_to("train.py")
    else:
        (code / "empty").mkdir()
    assert snapshot(home, code) != before


def test_skyignore_leaves_out_what_skypilot_leaves_out(code: Path) -> None:
    write(
        code,
        {
            ".skyignore": "# data\n/data\n*.ckpt\nlogs/\nout/**/big\n",
            ".gitignore": "train.py\n",  # SkyPilot reads one of the two
            "data/x": "",
            "lib/data/x": "",
            "lib/a.ckpt": "",
            "lib/logs/x": "",
            "logs.txt": "",
            "out/1/2/big": "",
            "out/1/small": "",
        },
    )
    listing = list_code(code)
    assert sorted(listing.left_out) == ["data", "lib/a.ckpt", "lib/logs", "out/1/2/big"]
    assert {"lib/data/x", "logs.txt", "out/1/small", "train.py"} <= listing.files.keys()


@pytest.mark.parametrize("is_repository", [True, False])
def test_gitignore_leaves_out_what_is_not_committed(code: Path, is_repository: bool) -> None:
    write(code, {".gitignore": "data/\n*.bin\n!keep.bin\n", "data/x": "", "a.bin": "", "keep.bin": "", "known.bin": ""})
    write(code, {"lib/.gitignore": "local.py\n", "lib/local.py": "", "local.py": ""})
    if is_repository:
        git(code, "init", "-q")
        git(code, "add", "-f", "known.bin")
        git(code, "commit", "-q", "-m", "first")
    left_out = set(list_code(code).left_out) - {".git"}
    assert left_out == {"data", "a.bin", "lib/local.py"} | (set() if is_repository else {"known.bin"})


def test_environments_caches_and_our_own_home_are_no_code(code: Path) -> None:
    files = {"env/pyvenv.cfg": "", "env/lib/x.py": "", "lib/__pycache__/m.pyc": "", "web/node_modules/x.js": ""}
    write(code, {**files, "home/spotwise.db": "", ".git/HEAD": "", "ckpt/a": ""})
    listing = list_code(code, [code / "home", code / "ckpt"])
    assert set(listing.files) == {"train.py", "lib/model.py", "run.sh"}
    assert sorted(listing.left_out) == [".git", "env", "web/node_modules"]


def test_links_inside_stay_links_and_links_outside_are_followed(code: Path, home: Path, tmp_path: Path) -> None:
    write(tmp_path / "shared", {"common.py": "y = 1\n", "deep/z.py": ""})
    (tmp_path / "shared/again").symlink_to(tmp_path / "shared")  # a ring
    (code / "shared").symlink_to(tmp_path / "shared")
    (code / "common.py").symlink_to(tmp_path / "shared/common.py")
    (code / "main.py").symlink_to(code / "train.py")
    (code / "lib/up").symlink_to("..")
    (code / "broken").symlink_to("/nowhere/at/all")
    kept = snapshot(home, code)
    write(tmp_path / "shared", {"common.py": "y = 2\n"})
    assert (kept / "common.py").read_text() == (kept / "shared/common.py").read_text() == "y = 1\n"
    assert (kept / "main.py").readlink() == Path("train.py")
    assert (kept / "lib/up").readlink() == Path("..")
    assert (kept / "broken").readlink() == Path("/nowhere/at/all")


def test_more_than_a_snapshot_takes_is_refused_with_what_is_largest_and_what_to_do(code: Path) -> None:
    write(code, {"data/weights": "x" * 5000, "data/more": "x" * 3000})
    with pytest.raises(InputError) as said:
        list_code(code, limits=Limits(size_bytes=4096))
    for words in ("5 files of 7.84 KiB", "4 KiB", "largest: data 7.81 KiB", f"{code}/.skyignore", "code: live"):
        assert words in str(said.value)
    with pytest.raises(InputError, match="takes 2 files"):
        list_code(code, limits=Limits(files=2))


def test_a_look_at_a_huge_folder_ends_early(code: Path) -> None:
    for number in range(40):
        write(code, {f"many/{number}": ""})
    with pytest.raises(InputError, match="holds 9 files"):
        list_code(code, limits=Limits(files=2))


def test_pipes_are_left_out_and_what_cannot_be_read_is_named(code: Path, home: Path) -> None:
    os.mkfifo(code / "pipe")
    assert list_code(code).left_out == ["pipe"]
    (code / "secret").symlink_to("/proc/self/mem")  # reading it fails, also for root
    with pytest.raises(InputError, match=r"code: .*submit again"):
        snapshot(home, code)
    assert list((home / "code").iterdir()) == []


def test_a_run_works_in_a_copy_of_its_own_with_links_to_what_is_left_out(code: Path, home: Path) -> None:
    write(code, {".skyignore": "data\nlib/gen\n", "data/x": "1", "lib/gen/y": "2"})
    kept = snapshot(home, code)
    work = home / "runs" / "digits-a" / "code"
    work.parent.mkdir(parents=True)
    unpack(kept, work, list_code(code).left_out, code)
    assert ((work / "data/x").read_text(), (work / "lib/gen/y").read_text()) == ("1", "2")
    write(work, {"train.py": "changed\n", "results.txt": "new\n"})
    unpack(kept, work, (), code)  # the next attempt finds what the first one wrote
    assert (work / "results.txt").exists()
    assert fingerprint_of(kept) == kept.name


def test_a_snapshot_that_is_gone_or_damaged_is_said_and_never_run(code: Path, home: Path) -> None:
    kept = snapshot(home, code)
    write(kept, {"train.py": "print(666)\n"})
    with pytest.raises(EngineError, match="damaged"):
        unpack(kept, home / "work", (), code)
    assert snapshot(home, code) == kept  # a submission mends it
    unpack(kept, home / "work", (), code)
    with pytest.raises(EngineError, match="is gone"):
        unpack(home / "code" / "0123", home / "work2", (), code)
    assert sorted(path.name for path in home.iterdir()) == ["code", "work"]


def test_snapshots_that_no_run_needs_are_found_once_they_are_an_hour_old(code: Path, home: Path) -> None:
    used = snapshot(home, code)
    write(code, {"train.py": "print(2)\n"})
    old, draft = snapshot(home, code), home / "code" / ".0123.part"
    draft.mkdir()
    assert unused_snapshots(home, {used.name}) == []
    for path in (used, old, draft):
        os.utime(path, (time.time() - 7200,) * 2)
    assert unused_snapshots(home, {used.name}) == [draft, old]
    snapshot(home, code)  # wanted again
    assert unused_snapshots(home, {used.name}) == [draft]
    assert unused_snapshots(home / "new", ()) == []


def test_git_says_the_commit_and_whether_the_folder_differs(code: Path) -> None:
    assert git_state(code) is None
    git(code, "init", "-q")
    assert git_state(code) is None
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "first")
    state = git_state(code)
    assert state is not None
    assert (len(state.commit), state.is_dirty) == (40, False)
    write(code, {"train.py": "print(2)\n"})
    assert git_state(code) == GitState(state.commit, is_dirty=True)


def test_a_version_is_kept_and_said_whole() -> None:
    version = CodeVersion(CodeMode.SNAPSHOT, "/code", "ab" * 32, 3, 99, ("data",), GitState("cd" * 20, is_dirty=True))
    assert CodeVersion.of_json(version.to_json()) == version
    assert CodeVersion.of_json("{}") is None
    assert version.text == "snapshot abababababab of /code, git cdcdcdcdcdcd, with changes that are not committed"
    assert CodeVersion(CodeMode.LIVE, "/code").text == "live of /code"
    assert CodeVersion(CodeMode.REPOSITORY, "https://g/x", reference="v1").text == "repository https://g/x at v1"
