"""What sources have said, kept in the home: a file a question, so that nobody waits twice for the same answer."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.strict_json import UnreadableError, parse_json
from spotwise.cost_models.sources.base import Reading, SourceQuery

from .reading_json import reading_json, reading_of

KEPT_A_SOURCE = 32  # questions; the oldest answers go first
_LONGEST = 2**26  # bytes of one answer


class ReadingCache:
    """Readings by source and question. Whatever is damaged, foreign or cannot be written is as if it were not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kept(self, name: str, asked: str) -> Reading | None:
        """What the source last said to this question.

        Args:
            name: the source's.
            asked: see `question`.
        """
        return _read(self._path(name, asked))

    def all_kept(self, name: str) -> list[Reading]:
        """All that is kept of a source."""
        found = (_read(path) for path in self._files(name))
        return [reading for reading in found if reading is not None]

    def keep(self, name: str, asked: str, reading: Reading) -> None:
        """Keep an answer in place of the last one to this question."""
        with suppress(OSError):  # a full disk: the next command asks again
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self._path(name, asked), json.dumps(reading_json(reading)), durable=False, mode=0o600)
            for old in self._files(name)[KEPT_A_SOURCE:]:
                old.unlink(missing_ok=True)

    def _path(self, name: str, asked: str) -> Path:
        return self._folder / f"{name}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"

    def _files(self, name: str) -> list[Path]:
        """The newest first."""
        dated = []
        for path in self._folder.glob(f"{name}-*.json"):
            with suppress(OSError):  # another process has just removed it
                dated.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(dated, reverse=True)]


def question(settings: str, query: SourceQuery) -> str:
    """A text that is the same for the same question to the same place.

    Args:
        settings: where the source is pointed to, such as its endpoint.
    """
    machines = sorted([m.cloud, m.instance_type, m.accelerator or "", m.accelerator_count] for m in query.machines)
    regions = {cloud: sorted(names) for cloud, names in query.regions.items()}
    return json.dumps([settings, machines, regions, query.size], sort_keys=True)


def _read(path: Path) -> Reading | None:
    try:
        return reading_of(parse_json(path.read_bytes(), longest=_LONGEST))
    except (OSError, UnreadableError):
        return None
