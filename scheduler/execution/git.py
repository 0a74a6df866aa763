"""What Git says of a folder: its commit, and which of its files are ignored. Without Git, or outside of a repository:
nothing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from ..core.code_version import GitState

_TIMEOUT_S = 30.0  # a repository on a slow drive; what takes longer is as if there were none
# Any owner's folder may be read, as SkyPilot does it, but no program that its configuration names is started.
_READ_ONLY = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def git_state(folder: Path) -> GitState | None:
    """Where the repository of a folder stands; None outside of one, and before its first commit."""
    commit = _ask(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    changed = _ask(folder, "status", "--porcelain", "--", ".")
    return GitState(commit.strip(), is_dirty=bool(changed))


def is_in_repository(folder: Path) -> bool:
    """Whether a folder lies in the work tree of a repository."""
    return _ask(folder, "rev-parse", "--is-inside-work-tree") is not None


def git_ignored(folder: Path) -> frozenset[str]:
    """Paths in a folder that its `.gitignore` files name and that are not committed; a folder stands for all in it.

    Outside of a repository the `.gitignore` files count too. Empty where all of the folder is ignored: a folder of
    results in which somebody works, as SkyPilot reads it.
    """
    asked = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    if is_in_repository(folder):
        found = _ask(folder, *asked)
    else:
        with tempfile.TemporaryDirectory(prefix="spotwise-") as empty:
            _ask(Path(empty), "init", "--quiet")
            found = _ask(folder, f"--git-dir={empty}/.git", f"--work-tree={folder}", *asked)
    ignored = frozenset(path.rstrip("/") for path in (found or "").split("\0") if path)
    return frozenset() if "." in ignored else ignored


def _ask(folder: Path, *arguments: str) -> str | None:
    """What Git prints; None where it cannot say."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [*_READ_ONLY, "-C", str(folder), *arguments],
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
            env={**env, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(done.stdout)
