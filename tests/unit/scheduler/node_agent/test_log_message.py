"""What a node tells by its log, as the platform hands the log on: with prefixes, and among other lines."""

from __future__ import annotations

import json

import pytest

from spotwise.scheduler.node_agent.log_message import MARK, StorageNotSeen

REPORT = StorageNotSeen("node-7", "/shared/runs/r/attempts/r-a1/request.json")


@pytest.mark.parametrize("prefix", ["", "(sky-cmd, pid=7) ", "(worker1, rank=1, pid=9, ip=10.0.0.2) "])
def test_a_report_is_found_behind_the_platforms_prefix(prefix: str) -> None:
    lines = ["Job started", f"{prefix}{REPORT.to_line()}", "Job 1 failed with exit code 78"]
    assert StorageNotSeen.find(lines) == REPORT


@pytest.mark.parametrize(
    "line",
    [
        "[spotwise] nobody asks for this attempt: node-7 sees no /shared/runs/r/request.json",  # for people
        MARK,
        f"{MARK}not JSON",
        f"{MARK}[]",
        f"{MARK}{json.dumps({'format': 1, 'kind': 'another'})}",
        f"{MARK}{json.dumps({'format': 2, 'kind': 'storage_not_seen', 'node': 'node-7', 'file': 'f'})}",
    ],
)
def test_nothing_else_is_a_report(line: str) -> None:
    assert StorageNotSeen.find([line]) is None
