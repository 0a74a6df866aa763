"""The code of a run: fixed when it is submitted, and put where its attempts run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.code_version import CodeMode, CodeVersion
from ..core.run import Run
from ..jobfile.job_spec import JobSpec
from .code_listing import list_code
from .code_store import add_snapshot, code_folder, unpack
from .git import git_state


def fix_code(job: JobSpec, workdir: str, *, home: Path, engine: str) -> CodeVersion | None:
    """Read the code that a run will execute; None where none of this machine takes part.

    Raises:
        InputError: the folder holds more than a snapshot takes, or a file of it cannot be read.
    """
    repository: Any = job.sky.get("workdir")
    if isinstance(repository, dict) and engine != "local":
        return CodeVersion(CodeMode.REPOSITORY, str(repository.get("url")), reference=str(repository.get("ref") or ""))
    if job.workdir is None and engine != "local":  # nothing is uploaded
        return None
    folder = Path(workdir)
    if CodeMode(job.code) is CodeMode.LIVE:
        return CodeVersion(CodeMode.LIVE, workdir, git=git_state(folder))
    listing = list_code(folder, [home, *_checkpoints(job, folder)])
    fingerprint = add_snapshot(home, listing)
    return CodeVersion(
        CodeMode.SNAPSHOT,
        workdir,
        fingerprint,
        len(listing.files),
        listing.size_bytes,
        tuple(listing.left_out),
        git_state(folder),
    )


def work_folder(code: CodeVersion | None, workdir: str, *, home: Path, run_folder: Path, engine: str) -> str:
    """Where the commands of a run work. Elsewhere each node gets a copy of the snapshot of its own."""
    if code is None or code.mode is not CodeMode.SNAPSHOT:
        return workdir
    return str(run_folder / "code" if engine == "local" else code_folder(home) / code.fingerprint)


def source_folder(run: Run) -> Path:
    """The folder that a run was submitted with: relative paths of its job file count from there."""
    code = CodeVersion.of_json(run.code_json)
    return Path(run.workdir if code is None or code.mode is CodeMode.REPOSITORY else code.source)


def make_work_folder(run: Run) -> None:
    """Make the folder that the run's commands work in, if it is the run's own; once, before its first attempt.

    Raises:
        EngineError: its code is gone or damaged.
    """
    code, folder = CodeVersion.of_json(run.code_json), Path(run.folder)
    if code is None or code.mode is not CodeMode.SNAPSHOT or Path(run.workdir).parent != folder:
        return
    home = folder.parent.parent
    unpack(code_folder(home) / code.fingerprint, Path(run.workdir), code.left_out, Path(code.source))


def _checkpoints(job: JobSpec, folder: Path) -> list[Path]:
    to = job.checkpoint.to
    return [] if to is None or "://" in to else [folder / Path(to).expanduser()]
