"""What the local engine makes of an attempt's events, whoever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.base import Handle, Phase
from spotwise.scheduler.engines.local.engine import LocalEngine
from spotwise.scheduler.engines.local.folder import AttemptFolder
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.events import NodeEvent, NodeEventName, append_event

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ended_attempt(home: Path, attempt_id: str, cause: str) -> Handle:
    folder = AttemptFolder.of(str(home), attempt_id)
    folder.path.mkdir(parents=True)
    append_event(folder.events_path, NodeEvent(NodeEventName.LAUNCHED, NOW, {}))
    append_event(folder.events_path, NodeEvent(NodeEventName.ENDED, NOW, {"cause": cause, "exit_code": 0}))
    return Handle(attempt_id, str(home))


def test_an_end_that_a_newer_version_wrote_is_unknown_here_and_hides_no_other(tmp_path: Path) -> None:
    newer, known = ended_attempt(tmp_path, "job-a1", "abducted"), ended_attempt(tmp_path, "job-a2", "exited")
    seen = LocalEngine(tmp_path, None, SystemClock()).observe([newer, known])
    assert seen["job-a1"].phase is Phase.UNKNOWN
    assert "upgrade it" in seen["job-a1"].message
    assert (seen["job-a2"].phase, seen["job-a2"].cause) == (Phase.ENDED, EndCause.EXITED)
