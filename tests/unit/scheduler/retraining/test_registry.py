"""The registry: promotions are whole or absent, whatever dies and whenever."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from checkpoint_folders import FILES, checkpoint_folder

from spotwise.checkpoints.digest import FileDigest
from spotwise.scheduler.core.errors import InputError, NotFoundError, StoreError
from spotwise.scheduler.retraining.disk import Disk
from spotwise.scheduler.retraining.manifest import CorruptCheckpointError
from spotwise.scheduler.retraining.registry import ModelVersion, Registry

NIGHT = datetime(2026, 11, 23, 2, tzinfo=UTC)


def version(name: str = "digits-20261123", value: float = 0.97, days: int = 0) -> ModelVersion:
    return ModelVersion(
        model="digits",
        version=name,
        run_id=name,
        metric="val_accuracy",
        value=value,
        goal="maximize",
        created_at=NIGHT + timedelta(days=days),
        cost_usd=Decimal("3.20"),
    )


def assert_whole(registry: Registry, found: ModelVersion) -> None:
    """Every promised byte is there, and the card reads back."""
    folder = registry.path_of(found.model, found.version)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert (folder / "manifest.json").is_file()
    assert registry.version(found.model, found.version) == found


def test_an_empty_registry_has_no_champion(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert registry.champion("digits") is None
    assert registry.history("digits") == []
    with pytest.raises(NotFoundError, match="no version v9"):
        registry.path_of("digits", "v9")


def test_a_promotion_copies_the_checkpoint_and_reads_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    source = checkpoint_folder(tmp_path / "step-000000120")
    promoted = registry.promote(version(), source)
    shutil.rmtree(source)  # the run's folder may go: the registry holds a copy
    assert promoted == version()
    assert registry.champion("digits") == promoted
    assert_whole(registry, promoted)


def test_the_next_champion_names_the_one_before(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    source = checkpoint_folder(tmp_path / "checkpoint")
    registry.promote(version("a"), source)
    second = registry.promote(version("b", days=1), source)
    assert second.previous == "a"
    assert registry.champion("digits") == second
    assert [v.version for v in registry.history("digits")] == ["b", "a"]


def test_promoting_the_champion_again_does_nothing(tmp_path: Path) -> None:
    source = checkpoint_folder(tmp_path / "checkpoint")
    first = Registry(tmp_path / "home").promote(version("a"), source)
    shutil.rmtree(source)
    again = Registry(tmp_path / "home", ForbiddenDisk()).promote(version("a", value=0.1, days=3), source)
    assert again == first


def test_an_earlier_version_can_be_promoted_back_without_its_run(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    source = checkpoint_folder(tmp_path / "checkpoint")
    first = registry.promote(version("a"), source)
    registry.promote(version("b", days=1), source)
    shutil.rmtree(source)
    assert registry.promote(version("a"), source) == first
    assert registry.champion("digits") == first


def truncate(folder: Path) -> None:
    (folder / "state.pt").write_bytes(FILES["state.pt"][:-1])


def flip_a_bit(folder: Path) -> None:
    content = bytearray(FILES["state.pt"])
    content[4321] ^= 1
    (folder / "state.pt").write_bytes(bytes(content))


def link_out(folder: Path) -> None:
    """To the very same bytes."""
    (folder / "state.pt").rename(folder.parent / "elsewhere")
    (folder / "state.pt").symlink_to(folder.parent / "elsewhere")


CORRUPTIONS: dict[str, Callable[[Path], object]] = {
    "truncated": truncate,
    "bit flipped": flip_a_bit,
    "file missing": lambda folder: (folder / "state.pt").unlink(),
    "manifest missing": lambda folder: (folder / "manifest.json").unlink(),
    "manifest torn": lambda folder: (folder / "manifest.json").write_text('{"format": 1, "files": {"st'),
    "manifest of a newer format": lambda folder: checkpoint_folder(folder, format=2),
    "file outside": lambda folder: checkpoint_folder(folder, {"../outside.pt": b"x"}),
    "card's name taken": lambda folder: checkpoint_folder(folder, {"model.json": b"x"}),
    "hash that is none": lambda folder: checkpoint_folder(folder, {}, files={"state.pt": {"sha256": "?", "bytes": 1}}),
    "link that leads out": link_out,
    "manifest longer than any": lambda folder: os.truncate(folder / "manifest.json", 2**30),
    "folder missing": shutil.rmtree,
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_a_corrupt_checkpoint_is_refused_and_the_champion_stays(
    tmp_path: Path, corrupt: Callable[[Path], object]
) -> None:
    registry = Registry(tmp_path / "home")
    champion = registry.promote(version("a"), checkpoint_folder(tmp_path / "good"))
    bad = checkpoint_folder(tmp_path / "run" / "bad")
    corrupt(bad)
    with pytest.raises(CorruptCheckpointError, match=str(bad)):
        registry.promote(version("b", days=1), bad)
    assert registry.champion("digits") == champion
    assert registry.history("digits") == [champion]
    assert not (tmp_path / "home" / "registry" / "digits" / "versions" / "b").exists()


def test_only_what_the_manifest_names_is_copied(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    source = checkpoint_folder(tmp_path / "checkpoint")
    (source / "core.12345").write_bytes(b"debris")
    registry.promote(version("a"), source)
    assert not (registry.path_of("digits", "a") / "core.12345").exists()


def test_retention_keeps_the_newest_and_the_champion(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    source = checkpoint_folder(tmp_path / "checkpoint")
    for day in range(5):
        registry.promote(version(f"v{day}", days=day), source)
    registry.promote(version("v0"), source)  # back to the oldest
    assert sorted(registry.prune("digits", keep=2)) == ["v1", "v2"]
    assert [v.version for v in registry.history("digits")] == ["v4", "v3", "v0"]
    champion = registry.champion("digits")
    assert champion is not None
    assert_whole(registry, champion)
    assert registry.prune("digits", keep=2) == []


def test_a_version_that_came_back_can_be_pruned_over_the_debris_of_a_crash(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    source = checkpoint_folder(tmp_path / "checkpoint")
    registry.promote(version("a"), source)
    registry.promote(version("b", days=1), source)
    checkpoint_folder(tmp_path / "home" / "registry" / "digits" / "versions" / ".old-a")
    assert registry.prune("digits", keep=1) == ["a"]
    assert [path.name for path in (tmp_path / "home" / "registry" / "digits" / "versions").iterdir()] == ["b"]


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../../etc", "x" * 101, "a\nb"])
def test_names_cannot_leave_the_registry(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        Registry(tmp_path).champion(name)
    with pytest.raises(InputError, match="letters, digits"):
        Registry(tmp_path).path_of("digits", name)


@pytest.mark.parametrize("torn", ["champion.json", "versions/a/model.json"])
def test_an_unreadable_registry_says_which_file(tmp_path: Path, torn: str) -> None:
    registry = Registry(tmp_path)
    registry.promote(version("a"), checkpoint_folder(tmp_path / "checkpoint"))
    path = tmp_path / "registry" / "digits" / torn
    path.write_text('{"version": ')
    with pytest.raises(StoreError, match=str(path)):
        registry.champion("digits")


class ForbiddenDisk(Disk):
    """Nothing may be written."""

    def write(self, path: Path, text: str) -> None:
        raise AssertionError(f"wrote {path}")

    def copy(self, source: Path, target: Path) -> FileDigest:
        raise AssertionError(f"copied {source}")


class FullDisk(Disk):
    """Runs out of space while it copies."""

    def copy(self, source: Path, target: Path) -> FileDigest:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(target))


def test_a_full_disk_is_a_fault_of_the_store_and_can_be_repeated(tmp_path: Path) -> None:
    source = checkpoint_folder(tmp_path / "checkpoint")
    with pytest.raises(StoreError, match="No space left"):
        Registry(tmp_path, FullDisk()).promote(version("a"), source)
    assert Registry(tmp_path).champion("digits") is None
    assert Registry(tmp_path).promote(version("a"), source) == version("a")


class DyingDisk(Disk):
    """Kills its own process with SIGKILL at one step: before, in the middle of, or after it."""

    def __init__(self, step: int, when: str) -> None:
        self._steps = count()
        self._step = step
        self._when = when

    @contextmanager
    def _dying(self, half: Callable[[], object] = lambda: None) -> Iterator[None]:
        here = next(self._steps) == self._step
        if here and self._when == "in":
            half()
        if here and self._when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    def copy(self, source: Path, target: Path) -> FileDigest:
        with self._dying(lambda: target.write_bytes(source.read_bytes()[:100])):
            return super().copy(source, target)

    def write(self, path: Path, text: str) -> None:
        with self._dying(lambda: path.write_text(text[:10])):
            super().write(path, text)

    def rename(self, source: Path, target: Path) -> None:
        with self._dying():
            super().rename(source, target)

    def sync_folder(self, path: Path) -> None:
        with self._dying():
            super().sync_folder(path)

    def remove_folder(self, path: Path) -> None:
        with self._dying(lambda: next(path.rglob("*.pt"), path / "none").unlink(missing_ok=True)):
            super().remove_folder(path)


def killed(work: Callable[[], object]) -> bool:
    """Whether the work, done in a forked process, was killed; it may clean nothing up, as in real life."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)  # never back into the test runner
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed of itself"
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("when", ["before", "in", "after"])
def test_kill_9_at_every_step_leaves_the_old_champion_or_the_new_one_whole(tmp_path: Path, when: str) -> None:
    source = checkpoint_folder(tmp_path / "checkpoint")
    Registry(tmp_path / "start").promote(version("a"), source)
    new = replace(version("b", days=1), previous="a")
    seen = set()
    for step in count():
        home = tmp_path / f"home-{step}"
        shutil.copytree(tmp_path / "start", home)
        dying = Registry(home, DyingDisk(step, when))
        if not killed(lambda registry=dying: registry.promote(version("b", days=1), source)):
            break
        registry = Registry(home)
        champion = registry.champion("digits")
        assert champion in (version("a"), new)
        assert all(assert_whole(registry, found) is None for found in registry.history("digits"))
        seen.add(champion.version if champion else None)
        assert registry.promote(version("b", days=1), source) == new
        assert registry.champion("digits") == new
        assert_whole(registry, new)
    assert step > 10, "the steps of a promotion were not counted"
    assert "a" in seen
    if when == "after":
        assert seen == {"a", "b"}


@pytest.mark.parametrize("when", ["before", "in", "after"])
def test_kill_9_while_pruning_leaves_only_whole_versions(tmp_path: Path, when: str) -> None:
    source = checkpoint_folder(tmp_path / "checkpoint")
    for day in range(3):
        Registry(tmp_path / "start").promote(version(f"v{day}", days=day), source)
    for step in count():
        home = tmp_path / f"home-{step}"
        shutil.copytree(tmp_path / "start", home)
        dying = Registry(home, DyingDisk(step, when))
        if not killed(lambda registry=dying: registry.prune("digits", keep=1)):
            break
        registry = Registry(home)
        assert all(assert_whole(registry, found) is None for found in registry.history("digits"))
        registry.prune("digits", keep=1)
        assert [path.name for path in (home / "registry" / "digits" / "versions").iterdir()] == ["v2"]
    assert step > 2
