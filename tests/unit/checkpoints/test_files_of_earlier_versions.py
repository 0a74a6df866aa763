"""Files that earlier versions wrote are read as they were meant, each line of them."""

from __future__ import annotations

import math
import shutil
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from spotwise.checkpoints import ProgressReader, TrainingPosition
from spotwise.checkpoints.json_lines import SkippedLines
from spotwise.checkpoints.manifest import decode_manifest
from spotwise.scheduler.accounting.time_spans import work_kept
from spotwise.scheduler.core.kept_work import KeptWork
from spotwise.scheduler.engines.base import Handle
from spotwise.scheduler.engines.skypilot.files import AttemptFiles
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.events import read_events
from spotwise.scheduler.node_agent.peers import NodeState
from spotwise.scheduler.node_agent.program_end import ProgramEnd
from spotwise.scheduler.node_agent.task import NodeTask, StopRequest
from spotwise.scheduler.tuning.study.study_state import StudyFeed, TrialPhase

GOLDEN = Path(__file__).parents[2] / "golden" / "machine_files"
BOTH = [GOLDEN / "54522fb", GOLDEN / "010c902"]
NEWER = GOLDEN / "010c902"
T = datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("folder", BOTH, ids=lambda folder: folder.name)
def test_progress_is_read_whole(folder: Path) -> None:
    reader = ProgressReader(str(folder / "progress.jsonl"))
    records = reader.new()
    assert [record.event.value for record in records] == [
        *("started", "progress", "checkpoint", "progress", "stopping", "started", "finished")
    ]
    assert (reader.skipped.first, work_kept(records)) == ("", KeptWork(3, 21))
    assert math.isnan(records[3].metrics["loss"])
    assert records[3].metrics["worst"] == -math.inf
    assert (records[1].samples_per_second, records[1].gpu_memory_gib, records[1].metrics["n"]) == (12.5, 3.25, 3)


@pytest.mark.parametrize("folder", BOTH, ids=lambda folder: folder.name)
def test_a_study_is_read_whole(folder: Path) -> None:
    feed = StudyFeed(folder / "study")
    feed.new()
    trial = feed.study.trials[0]
    assert [lines.first for lines in feed.skipped.values()] == [""]
    assert (trial.phase, trial.params, trial.holds[0].share) == (
        TrialPhase.PRUNED,
        {"lr": 0.01, "opt": "adam", "n": 3, "flag": True},
        Fraction(1, 4),
    )
    assert (trial.reports, feed.study.finished_hosts) == ({1: 0.5, 2: None}, {0})


@pytest.mark.parametrize("folder", BOTH, ids=lambda folder: folder.name)
def test_the_events_of_a_node_are_read_whole(folder: Path) -> None:
    skipped = SkippedLines()
    events = read_events(folder / "events.jsonl", skipped)
    assert (len(events), skipped.first) == (len((folder / "events.jsonl").read_text().splitlines()), "")
    assert ProgramEnd.from_event(events[-1]).cause in (EndCause.EXITED, EndCause.PREEMPTED)


def test_a_manifest_is_read_and_is_no_finished_one() -> None:
    manifest = decode_manifest((NEWER / "manifest.json").read_bytes(), source="manifest.json")
    assert (manifest.position, manifest.created, manifest.finished) == (TrainingPosition(2, 14, 3), T, False)
    assert math.isnan(manifest.metrics["loss"])


def test_messages_between_nodes_and_scheduler_are_read() -> None:
    assert NodeState.from_json((NEWER / "node-0.json").read_bytes()) == NodeState(
        0, 7, True, EndCause.EXITED, 0, "the command ended", 25.0, 1, T.isoformat()
    )
    task = NodeTask.from_json((NEWER / "request.json").read_text(), source="request.json")
    assert (task.nodes, task.stop_after_s, task.asked_at) == (2, 12.5, T)
    assert StopRequest.from_json((NEWER / "terminate.json").read_text(), seen_at=T) == StopRequest(T, 30.0)


def test_the_engines_journal_is_read(tmp_path: Path) -> None:
    (tmp_path / "attempts" / "job-a1").mkdir(parents=True)
    shutil.copy(NEWER / "engine.jsonl", tmp_path / "attempts" / "job-a1" / "engine.jsonl")
    files = AttemptFiles(Handle("job-a1", str(tmp_path)))
    journal = files.journal()
    assert (journal.launch, journal.up_at, journal.down, files.unreadable) == ("abc", T, "def", "")
    assert journal.leaving is not None
    assert journal.ended is not None
    assert (journal.leaving.is_away, journal.ended.cause, journal.ended.exit_code) == (True, EndCause.PREEMPTED, 75)
