from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from spotwise.scheduler.core.study import TrialState
from spotwise.scheduler.core.study_json import study_from_json, study_to_json
from spotwise.scheduler.tuning.study.events import (
    Asked,
    EndState,
    Finished,
    Reported,
    Started,
    StudyEvent,
    StudyLog,
    StudyTail,
    TrialEnded,
    event_from_json,
    event_to_json,
    parse_events,
)
from spotwise.scheduler.tuning.study.study_record import to_record
from spotwise.scheduler.tuning.study.study_state import StudyFeed, TrialPhase, fold, read_study

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HALF = Fraction(1, 2)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def asked(trial: int, attempt: int = 1) -> Asked:
    return Asked(at(0), attempt, trial, {"lr": 0.1}, "prior", "from old trial 3")


def write(folder: Path, attempt: int, *events: StudyEvent) -> None:
    log = StudyLog(folder, attempt)
    for event in events:
        log.append(event)


@pytest.mark.parametrize(
    "event",
    [
        asked(3),
        Started(at(1), 1, 3, Fraction(1, 3)),
        Reported(at(2), 1, 3, 4, None),
        TrialEnded(at(3), 1, 3, EndState.PRUNED, 0.5, 4, "place 3 of 4"),
        Finished(at(4), 1),
    ],
)
def test_events_survive_json(event: StudyEvent) -> None:
    assert event_from_json(event_to_json(event)) == event


def test_fold_tells_state_curve_and_holds(tmp_path: Path) -> None:
    """A preempted trial that another host completes keeps one number and has one hold an attempt."""
    write(
        tmp_path,
        1,
        asked(0),
        Started(at(1), 1, 0, HALF),
        Reported(at(2), 1, 0, 1, 0.5),
        TrialEnded(at(3), 1, 0, EndState.PAUSED, 0.5, 1, "preempted"),
    )
    assert read_study(tmp_path).trials[0].phase is TrialPhase.PAUSED
    write(
        tmp_path,
        2,
        Started(at(10), 2, 0, HALF),
        Reported(at(11), 2, 0, 2, 0.7),
        TrialEnded(at(12), 2, 0, EndState.COMPLETED, 0.7, 2, ""),
        Finished(at(13), 2),
    )
    study = read_study(tmp_path)
    trial = study.trials[0]
    assert study.finished_hosts == {0}
    assert (trial.phase, trial.value, trial.epoch) == (TrialPhase.COMPLETED, 0.7, 2)
    assert trial.curve == ((1, 0.5), (2, 0.7))
    assert [(h.attempt, h.start, h.end, h.share) for h in trial.holds] == [
        (1, at(1), at(3), HALF),
        (2, at(10), at(12), HALF),
    ]
    assert (trial.source, trial.note, trial.attempts) == ("prior", "from old trial 3", (1, 2))


def test_torn_line_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path, 1, asked(0), Started(at(1), 1, 0, HALF))
    path = tmp_path / "host-1.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event":"reported","time":"2026-01')
    write(tmp_path, 1, Reported(at(2), 1, 0, 1, 0.5))
    assert read_study(tmp_path).trials[0].curve == ((1, 0.5),)


def test_killed_host_leaves_its_hold_open_and_its_trial_paused(tmp_path: Path) -> None:
    """The hold then ends with the attempt: the fold does not guess when."""
    write(tmp_path, 1, asked(0), asked(1), Started(at(1), 1, 0, HALF), Started(at(1), 1, 1, HALF))
    write(tmp_path, 2, Started(at(9), 2, 1, HALF))
    study = read_study(tmp_path)
    assert study.trials[0].phase is TrialPhase.PAUSED
    assert study.trials[0].holds[0].end is None
    assert [h.end for h in study.trials[1].holds] == [None, None]
    assert study.trials[1].phase is TrialPhase.RUNNING
    assert [t.number for t in study.unfinished()] == [0, 1]


def test_hosts_are_read_in_the_order_of_their_attempts(tmp_path: Path) -> None:
    write(tmp_path, 10, TrialEnded(at(5), 10, 0, EndState.COMPLETED, 1.0, 3, ""))
    write(tmp_path, 9, asked(0, attempt=9))
    assert read_study(tmp_path).trials[0].phase is TrialPhase.COMPLETED


def test_nothing_follows_an_end_and_nothing_precedes_an_asking() -> None:
    end = TrialEnded(at(5), 1, 0, EndState.FAILED, None, 0, "exit code 1")
    study = fold([Reported(at(0), 1, 7, 1, 0.5), asked(0), end, Reported(at(6), 1, 0, 1, 0.9)])
    assert list(study.trials) == [0]
    assert (study.trials[0].phase, study.trials[0].curve, study.trials[0].reason) == (
        TrialPhase.FAILED,
        (),
        "exit code 1",
    )


def test_feed_speaks_only_of_changes(tmp_path: Path) -> None:
    feed = StudyFeed(tmp_path)
    assert feed.new() is None
    write(tmp_path, 1, asked(0))
    study = feed.new()
    assert study is not None
    assert list(study.trials) == [0]
    assert feed.new() is None
    write(tmp_path, 2, asked(1, attempt=2))
    assert feed.new() is not None
    assert list(feed.study.trials) == [0, 1]


def test_record_takes_resumes_from_the_progress_file(tmp_path: Path, space: dict[str, Any]) -> None:
    """The events know when a trial held capacity; only its own progress knows after which epoch it continued."""
    folder = tmp_path / "trials" / "0000"
    folder.mkdir(parents=True)
    started = '{{"event": "started", "time": "2026-01-01T00:00:00+00:00", "epoch": {}}}\n'
    memory = '{{"event": "progress", "time": "2026-01-01T00:00:00+00:00", "epoch": {}, "gpu_memory_gib": {}}}\n'
    lines = [started.format(0), memory.format(1, 2.5), memory.format(2, 2.75), started.format(3), memory.format(4, 1.5)]
    (folder / "progress.jsonl").write_text("".join(lines))
    study = fold([asked(0), Started(at(1), 1, 0, HALF), Started(at(20), 2, 0, HALF), Reported(at(24), 2, 0, 4, 0.5)])
    record = to_record(
        study,
        run_folder=tmp_path,
        id="r",
        job_name="digits",
        metric="accuracy",
        goal="maximize",
        space=space,
        created_at=T0,
        now=at(25),
        attempt_ends={1: at(11)},
        costs={0: Decimal("0.25")},
    )
    trial = record.trials[0]
    assert (trial.state, trial.resumes, trial.restored_epochs) == (TrialState.RUNNING, 1, (3,))
    assert trial.seconds == 10 + 5
    assert trial.gpu_memory_gib == 2.75
    assert study_from_json(study_to_json(record)) == record


def asked_by(host: int, trial: int, attempt: int) -> Asked:
    return Asked(at(0), attempt, trial, {"lr": 0.1}, "sampler", host=host)


def test_a_newer_attempt_of_one_host_pauses_no_trial_of_another(tmp_path: Path) -> None:
    write(tmp_path, 1, asked_by(0, 0, 1), Started(at(1), 1, 0, HALF))
    write(tmp_path, 2, asked_by(1, 1, 2), Started(at(1), 2, 1, HALF))
    assert [t.phase for t in read_study(tmp_path).trials.values()] == [TrialPhase.RUNNING] * 2
    write(tmp_path, 3, asked_by(1, 3, 3))
    assert [t.phase for t in read_study(tmp_path).trials.values()][:2] == [TrialPhase.RUNNING, TrialPhase.PAUSED]


def test_each_host_finishes_for_itself(tmp_path: Path) -> None:
    write(tmp_path, 2, Finished(at(4), 2, host=1))
    assert read_study(tmp_path).finished_hosts == {1}


def test_a_tail_gives_whole_lines_of_the_others_once_however_they_arrive(tmp_path: Path) -> None:
    """Mirrored files come late, grow in jumps and may be torn at the end."""
    own = StudyLog(tmp_path, 1)
    own.append(asked(0))
    tail = StudyTail(tmp_path, own.path)
    assert tail.new() == []
    write(tmp_path, 2, asked_by(1, 1, 2), Started(at(1), 2, 1, HALF))
    whole = (tmp_path / "host-2.jsonl").read_bytes()
    (tmp_path / "host-2.jsonl").write_bytes(whole[:-5])
    assert tail.new() == [asked_by(1, 1, 2)]
    assert tail.new() == []
    (tmp_path / "host-2.jsonl").write_bytes(whole)
    assert tail.new() == [Started(at(1), 2, 1, HALF)]
    own.append(Started(at(2), 1, 0, HALF))
    assert tail.new() == []


def test_an_event_is_published_whole_before_append_returns(tmp_path: Path) -> None:
    published: list[tuple[str, bytes]] = []
    log = StudyLog(tmp_path, 3, lambda name, data: published.append((name, data)))
    log.append(Finished(T0, 3))
    log.append(Finished(T0, 3, 1))
    assert [name for name, _ in published] == ["host-3.jsonl"] * 2
    assert [len(list(parse_events(data))) for _, data in published] == [1, 2]
