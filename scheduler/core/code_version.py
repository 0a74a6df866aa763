"""Which code a run executes: fixed at submission, live, or a Git repository that SkyPilot fetches. Pure values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SHOWN_DIGITS = 12  # of a fingerprint or a commit


class CodeMode(StrEnum):
    """When the code of a run is read."""

    SNAPSHOT = "snapshot"  # at submission, once
    LIVE = "live"  # by each attempt, as the folder is then
    REPOSITORY = "repository"  # by each attempt, from a Git repository


@dataclass(frozen=True, slots=True)
class GitState:
    """Where the folder's repository stood."""

    commit: str  # its full hash
    is_dirty: bool  # files of the folder differ from it


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """The code of one run."""

    mode: CodeMode
    source: str  # the folder at submission, or the repository's URL
    fingerprint: str = ""  # SHA-256 over names, modes and content of a snapshot's files; "" without one
    files: int = 0  # of the snapshot
    size_bytes: int = 0
    left_out: tuple[str, ...] = ()  # paths in the folder that are not in the snapshot
    git: GitState | None = None  # None: the folder is in no repository
    reference: str = ""  # of a repository: the branch, tag or commit that the job names

    def to_json(self) -> str:
        return json.dumps({"format": 1, **asdict(self)})

    @classmethod
    def of_json(cls, text: str) -> CodeVersion | None:
        """None of a run that an older version admitted, and of one without code of this machine."""
        values: dict[str, Any] = json.loads(text)
        if "mode" not in values:
            return None
        git = values.get("git")
        return cls(
            mode=CodeMode(values["mode"]),
            source=values["source"],
            fingerprint=values["fingerprint"],
            files=values["files"],
            size_bytes=values["size_bytes"],
            left_out=tuple(values["left_out"]),
            git=None if git is None else GitState(git["commit"], git["is_dirty"]),
            reference=values["reference"],
        )

    @property
    def short(self) -> str:
        """A few characters that name it: a fingerprint's first, or ``live``."""
        return self.fingerprint[:SHOWN_DIGITS] or self.mode.value

    @property
    def text(self) -> str:
        """One line for people."""
        if self.mode is CodeMode.REPOSITORY:
            return f"repository {self.source}" + (f" at {self.reference}" if self.reference else "")
        what = f"snapshot {self.short}" if self.mode is CodeMode.SNAPSHOT else "live"
        commit = "" if self.git is None else f", git {self.git.commit[:SHOWN_DIGITS]}"
        changed = ", with changes that are not committed" if self.git is not None and self.git.is_dirty else ""
        return f"{what} of {self.source}{commit}{changed}"


def code_json(code: CodeVersion | None) -> dict[str, Any] | None:
    """Stable keys, for programs."""
    if code is None:
        return None
    return {
        "mode": code.mode.value,
        "source": code.source,
        "fingerprint": code.fingerprint or None,
        "files": code.files,
        "size_bytes": code.size_bytes,
        "left_out": list(code.left_out),
        "git_commit": None if code.git is None else code.git.commit,
        "git_dirty": None if code.git is None else code.git.is_dirty,
        "reference": code.reference or None,
    }
