from __future__ import annotations

import os
from pathlib import Path

from node_agents import wait_until

from spotwise.scheduler.node_agent.output import Output


def test_everything_is_passed_on_in_order_and_once(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    with out.open("wb") as file:
        output = Output(log, file.fileno())
        output.start()
        log.write_bytes(b"a" * 1_000_000)
        wait_until(lambda: out.stat().st_size == 1_000_000, "the first part")
        with log.open("ab") as more:
            more.write(b"no line end")
        output.finish(60.0)
    assert out.read_bytes() == log.read_bytes()


def test_without_a_log_nothing_is_passed_on(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        output = Output(tmp_path / "none", file.fileno())
        output.start()
        output.finish(60.0)
    assert not output.is_alive()


def test_a_reader_that_went_away_is_no_fault(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x")
    reading, writing = os.pipe()
    os.close(reading)
    output = Output(log, writing)
    output.start()
    output.finish(60.0)
    assert not output.is_alive()
    os.close(writing)


def test_a_reader_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 1_000_000)
    reading, writing = os.pipe()
    output = Output(log, writing)
    output.start()
    output.finish(0.05)
    assert output.is_alive()
    os.close(reading)
    output.finish(60.0)
    os.close(writing)
