"""How scripts reach their shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from spotwise.scheduler.node_agent.shell import LONGEST_ARGUMENT_BYTES, bash_words


def test_a_script_is_an_argument_and_no_file(tmp_path: Path) -> None:
    assert bash_words("echo $0", tmp_path / "s.sh") == ["bash", "-c", "echo $0"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("filler", ["x", "\N{SNOWMAN}"])
def test_a_script_too_long_for_an_argument_is_a_file_that_only_its_owner_reads(tmp_path: Path, filler: str) -> None:
    """Bytes count, not characters."""
    script = f"# {filler * LONGEST_ARGUMENT_BYTES}\necho ran"
    words = bash_words(script, tmp_path / "new" / "s.sh")
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "ran\n"
    assert (tmp_path / "new" / "s.sh").stat().st_mode & 0o777 == 0o600
