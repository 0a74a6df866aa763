"""The model registry: promoted checkpoints as plain folders, and one pointer to the champion.

``<home>/registry/<model>/``::

    champion.json              {"format": 1, "version": ...}: replaced atomically, the commit of a promotion
    versions/<version>/        a promoted checkpoint, whole: its files, manifest.json and model.json
    versions/.new-<version>/   being copied; a crash leaves it, the next promotion starts it afresh
    versions/.old-<version>/   being deleted
    .lock                      one writer at a time

Readers need no lock: what they can see is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from spotwise.checkpoints.manifest import MANIFEST

from ..core.errors import InputError, NotFoundError, StoreError
from ..jobfile.names import NAME_RULE, is_name
from .disk import Disk
from .lock import exclusive
from .manifest import CorruptCheckpointError, promised_files, require_same

KEEP_VERSIONS = 10

_CARD = "model.json"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A promoted model; the content of its ``model.json``."""

    model: str
    version: str  # the run's id
    run_id: str
    metric: str
    value: float
    goal: str  # "maximize" or "minimize"
    created_at: datetime
    cost_usd: Decimal | None = None  # of the run that trained it; None where it could not be priced
    previous: str | None = None  # the champion that it replaced
    format: int = 1


@dataclass(frozen=True, slots=True)
class _Pointer:
    version: str
    format: int = 1


_CARD_JSON = TypeAdapter(ModelVersion)
_POINTER_JSON = TypeAdapter(_Pointer)


def champions(home: Path) -> frozenset[str]:
    """The runs that trained the champions of all models under a home.

    Raises:
        StoreError: a champion cannot be read.
    """
    registry = Registry(home)
    names = [path.parent.name for path in (home / "registry").glob("*/champion.json")]
    return frozenset(found.run_id for found in map(registry.champion, names) if found is not None)


class Registry:
    """Models under one home. Whoever calls ``promote`` or ``prune`` holds ``lock(model)``."""

    def __init__(self, home: Path, disk: Disk | None = None) -> None:
        self._root = home / "registry"
        self._disk = disk or Disk()

    def lock(self, model: str) -> AbstractContextManager[None]:
        """Hold the model for the block.

        Raises:
            LockHeldError: another process holds it.
        """
        return exclusive(self._folder(model) / ".lock")

    def champion(self, model: str) -> ModelVersion | None:
        """The version promoted last; None before the first promotion.

        Raises:
            StoreError: the pointer or what it points to cannot be read.
        """
        pointer = self._folder(model) / "champion.json"
        with _reading(pointer):
            if not pointer.is_file():
                return None
            version = _POINTER_JSON.validate_json(pointer.read_bytes()).version
        return self.version(model, version)

    def version(self, model: str, version: str) -> ModelVersion:
        """One version.

        Raises:
            NotFoundError: there is no such version.
        """
        return self._read(self.path_of(model, version))

    def history(self, model: str) -> list[ModelVersion]:
        """All versions kept, newest first. A folder without ``model.json`` is no version."""
        cards = self._versions(model).glob(f"[!.]*/{_CARD}")
        found = [self._read(card.parent) for card in cards]
        return sorted(found, key=lambda version: (version.created_at, version.version), reverse=True)

    def path_of(self, model: str, version: str) -> Path:
        """The folder of a version.

        Raises:
            NotFoundError: there is no such version.
        """
        path = self._version_folder(model, version)
        if not (path / _CARD).is_file():
            raise NotFoundError(f"model {model} has no version {version} in {path.parent}")
        return path

    def promote(self, version: ModelVersion, checkpoint: Path) -> ModelVersion:
        """Copy a committed checkpoint in and make it the champion: complete or absent, repeatable after any crash.

        Promoting the champion again, or a version that is already here, copies nothing.

        Raises:
            CorruptCheckpointError: the checkpoint is not what its manifest says; the champion stays.
            StoreError: the disk failed; the champion stays, and repeating it continues.
        """
        current = self.champion(version.model)
        if current is not None and current.version == version.version:
            return current
        final = self._version_folder(version.model, version.version)
        with _writing(final):
            if not (final / _CARD).is_file():
                previous = current.version if current else None
                self._bring_in(replace(version, previous=previous), checkpoint, final)
            self._disk.sync_folder(final.parent)  # also when a crash came between the rename and its sync
            self._point_at(version)
        return self._read(final)

    def prune(self, model: str, *, keep: int = KEEP_VERSIONS) -> list[str]:
        """Delete all but the ``keep`` newest versions and the champion; returns what was deleted."""
        champion = self.champion(model)
        surplus = [v.version for v in self.history(model)[max(keep, 0) :] if champion is None or v != champion]
        versions = self._versions(model)
        with _writing(versions):
            self._remove_old(versions)  # what a crash left
            for version in surplus:
                self._disk.rename(versions / version, versions / f".old-{version}")
            self._remove_old(versions)
        return surplus

    def _remove_old(self, versions: Path) -> None:
        for folder in sorted(versions.glob(".old-*")):
            self._disk.remove_folder(folder)

    def _bring_in(self, version: ModelVersion, checkpoint: Path, final: Path) -> None:
        new = final.with_name(f".new-{final.name}")
        self._disk.remove_folder(new)
        self._disk.make_folder(new)
        self._copy(checkpoint, new)
        self._disk.write(new / _CARD, _CARD_JSON.dump_json(version, indent=2).decode())
        for folder in (new, *(path for path in new.rglob("*") if path.is_dir())):
            self._disk.sync_folder(folder)
        self._disk.rename(new, final)

    def _copy(self, checkpoint: Path, new: Path) -> None:
        promised = promised_files(checkpoint)
        if _CARD in promised:
            raise CorruptCheckpointError(f"{checkpoint / _CARD}: the registry keeps its own {_CARD}; rename this file")
        for name, digest in sorted(promised.items()):
            if not (checkpoint / name).is_file():
                raise CorruptCheckpointError(f"{checkpoint / name}: missing, and {MANIFEST} names it")
            self._disk.make_folder((new / name).parent)
            require_same(checkpoint, name, digest, self._disk.copy(checkpoint / name, new / name))
        self._disk.copy(checkpoint / MANIFEST, new / MANIFEST)

    def _point_at(self, version: ModelVersion) -> None:
        pointer = self._folder(version.model) / "champion.json"
        new = pointer.with_name(".champion.json.new")
        self._disk.write(new, _POINTER_JSON.dump_json(_Pointer(version.version)).decode())
        self._disk.rename(new, pointer)
        self._disk.sync_folder(pointer.parent)

    def _read(self, folder: Path) -> ModelVersion:
        with _reading(folder / _CARD):
            return _CARD_JSON.validate_json((folder / _CARD).read_bytes())

    def _folder(self, model: str) -> Path:
        return self._root / _name("model", model)

    def _versions(self, model: str) -> Path:
        return self._folder(model) / "versions"

    def _version_folder(self, model: str, version: str) -> Path:
        return self._versions(model) / _name("version", version)


def _name(what: str, name: str) -> str:
    if not is_name(name):
        raise InputError(f"{what} {name!r}: use {NAME_RULE}")
    return name


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValidationError) as fault:
        raise StoreError(f"{path}: cannot be read ({fault}); restore it, or remove it to start over") from fault


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise StoreError(
            f"{path}: cannot be written ({fault}); nothing was half done. Free the disk or mend its permissions, "
            "and run it again"
        ) from fault
