"""How a job's script reaches its shell: as an argument, or as a file where it is too long for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic

LONGEST_ARGUMENT_BYTES = 100_000  # Linux takes 128 KiB an argument, with all that stands beside it


def bash_words(script: str, file: Path, options: Sequence[str] = ()) -> list[str]:
    """The command that runs a script. A longer one is written to ``file``, which only its owner can read.

    Raises:
        OSError: the file cannot be written.
    """
    data = script.encode()
    if len(data) <= LONGEST_ARGUMENT_BYTES:
        return ["bash", *options, "-c", script]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, data, durable=False, mode=0o600)
    return ["bash", *options, str(file)]
