"""`spotwise gc --code`: code of ended runs goes; what a program wrote, and what a kept run needs, stays."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import run

from spotwise.scheduler.cli.main import cli
from spotwise.scheduler.core.code_version import CodeMode, CodeVersion
from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.execution.code_listing import list_code
from spotwise.scheduler.execution.code_store import add_snapshot, unpack
from spotwise.scheduler.store.store import Store

ENDED = datetime(2026, 3, 2, tzinfo=UTC)


class Code:
    """A home with two runs of code of their own: one ended long ago, the other goes on."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        home.mkdir()
        self.old = self._run("old-1", state=RunState.COMPLETED, ended_at=ENDED)
        self.live = self._run("live-1", state=RunState.RUNNING)

    def _run(self, run_id: str, **fields: object) -> Path:
        source = self.folder / f"source-{run_id}"
        (source / "lib").mkdir(parents=True)
        (source / "train.py").write_text(f"print('{run_id}')\n")
        (source / "lib" / "model.py").write_text("x = 1\n")
        fingerprint = add_snapshot(self.home, list_code(source, [self.home]))
        snapshot = self.home / "code" / fingerprint
        os.utime(snapshot, (time.time() - 7200,) * 2)
        work = self.home / "runs" / run_id / "code"
        work.parent.mkdir(parents=True)
        unpack(snapshot, work, (), source)
        code = CodeVersion(CodeMode.SNAPSHOT, str(source), fingerprint).to_json()
        store = Store.open(f"sqlite:///{self.home / 'spotwise.db'}")
        store.add_run(run(run_id, folder=str(work.parent), workdir=str(work), code_json=code, **fields), run_id)
        store.close()
        return work


@pytest.fixture
def code(home: Path, tmp_path: Path) -> Code:
    return Code(home, tmp_path)


def call(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli, ["gc", "--code", *arguments], input=answer, standalone_mode=False)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_code_that_nobody_needs_goes_and_what_a_program_wrote_stays(code: Code) -> None:
    (code.old / "model.pt").write_text("trained")
    (code.old / "lib" / "model.py").write_text("x = 2  # changed by the program\n")
    refused = call(answer="n\n")
    assert "2 folders" in refused.output
    assert refused.return_value == 4
    assert files(code.old) == ["lib/model.py", "model.pt", "train.py"]
    assert call("--yes").return_value == 0
    assert files(code.old) == ["lib/model.py", "model.pt"]
    assert files(code.live) == ["lib/model.py", "train.py"]
    assert len(list((code.home / "code").iterdir())) == 1
    assert "0 folders" in call().output


def test_a_copy_that_is_only_code_goes_whole(code: Code) -> None:
    document = json.loads(call("--json", "--yes").output)
    assert [row["run"] for row in document["code"]] == ["old-1", None]
    assert document["left"] == {}
    assert not code.old.exists()


def test_a_young_run_and_one_that_is_not_named_keep_their_code(code: Code) -> None:
    assert call("--older-than", "3000d", "--yes").return_value == 0
    assert call("--run", "live-1", "--yes").return_value == 0
    assert files(code.old) == files(code.live) == ["lib/model.py", "train.py"]
    assert len(list((code.home / "code").iterdir())) == 2
