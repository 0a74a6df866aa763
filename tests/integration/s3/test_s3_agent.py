"""Agents whose run lies on S3, from the request to the last line of the log."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from node_agents import UNTIL_TOLD, Attempt, kill_tree, wait_until
from s3_server import BUCKET, Wire

from spotwise.checkpoints import ProgressRecord, latest_checkpoint, read_progress, storage_for
from spotwise.recipes import recipe_folder

MakeAttempt = Callable[..., Attempt]


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4()}"


@pytest.fixture
def make_attempt(tmp_path: Path, url: str) -> Iterator[MakeAttempt]:
    """Attempts of one run, each on a machine of its own."""
    made: list[Attempt] = []

    def make(number: int = 1, **environ: str) -> Attempt:
        clients = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        keys = {"SPOTWISE_CHECKPOINT_URL": f"{url}/checkpoints", **clients, **environ}
        made.append(Attempt(tmp_path / f"machine-{number}", url, number=number, **keys))
        return made[-1]

    yield make
    for attempt in made:
        attempt.end()


def progress(url: str) -> list[ProgressRecord]:
    return read_progress(f"{url}/progress.jsonl")


def train(epochs: int, epoch_s: float) -> str:
    script = recipe_folder("digits_mlp") / "train.py"
    return f"exec '{sys.executable}' '{script}' --epochs {epochs} --epoch-seconds {epoch_s}"


@pytest.mark.slow
def test_a_node_killed_in_the_middle_is_continued_by_the_next_attempt(make_attempt: MakeAttempt, url: str) -> None:
    first = make_attempt(1)
    first.ask(train(6, 0.5))
    agent = first.start()
    wait_until(lambda: any((r.event, r.epoch) == ("checkpoint", 2) for r in progress(url)), "two epochs")
    kill_tree(agent)
    kept = latest_checkpoint(f"{url}/checkpoints")
    assert kept is not None

    second = make_attempt(2)
    assert second.run(train(6, 0.0)) == 0
    assert second.event("ended") == {"cause": "exited", "exit_code": 0, "message": "the command ended with exit code 0"}
    assert "epoch 6" in second.log()
    records = progress(url)
    starts = [(r.attempt, r.epoch) for r in records if r.event == "started"]
    assert starts == [(1, 0), (2, kept.position.epoch)]
    assert (records[-1].event, records[-1].epoch) == ("finished", 6)
    assert "ended" not in first.names()


def test_everything_that_the_scheduler_reads_is_there_when_the_agent_has_ended(
    make_attempt: MakeAttempt, url: str
) -> None:
    attempt = make_attempt()
    trial = 'mkdir -p "$SPOTWISE_RUN_FOLDER/trials/0001"; echo t > "$SPOTWISE_RUN_FOLDER/trials/0001/progress.jsonl"'
    assert attempt.run(f'{trial}; echo p > "$SPOTWISE_PROGRESS_URL"; echo said') == 0
    assert attempt.names() == ["up", "started", "ended"]
    assert attempt.log() == "said\n"
    assert attempt.storage.read("progress.jsonl") == b"p\n"
    assert attempt.storage.read("trials/0001/progress.jsonl") == b"t\n"
    assert not (attempt.folder / "home-0" / "attempts" / f"{attempt.id}-0").exists()


def test_other_hosts_studies_come_to_a_sweeps_node_while_it_runs(make_attempt: MakeAttempt, url: str) -> None:
    storage_for(url).put("sweep.json", b"{}")
    attempt = make_attempt()
    attempt.ask('until grep -q two "$SPOTWISE_RUN_FOLDER/study/host-2.jsonl"; do sleep 0.05; done; echo seen')
    agent = attempt.start()
    wait_until(lambda: "started" in attempt.names(), "the start")
    storage_for(url).put("study/host-2.jsonl", b"one\n")
    storage_for(url).put("study/host-2.jsonl", b"one\ntwo\n")
    assert agent.wait(60) == 0


def test_a_stop_request_is_seen_at_the_next_look(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt()
    attempt.ask(UNTIL_TOLD)
    agent = attempt.start()
    attempt.wait_for_line("ready")
    attempt.stop_request(grace_s=30.0)
    assert agent.wait(60) == 75
    assert attempt.event("ended")["cause"] == "terminated"


def test_an_attempt_that_has_run_is_not_run_again_on_another_machine(make_attempt: MakeAttempt, url: str) -> None:
    attempt = make_attempt()
    assert attempt.run("echo once >> ../began") == 0
    assert attempt.start(home=str(attempt.folder / "elsewhere")).wait(60) == 0
    assert (attempt.folder / "began").read_text() == "once\n"
    assert attempt.names().count("ended") == 1


def test_two_nodes_hear_of_each_other_there(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt()
    attempt.ask(f'if [ "$SKYPILOT_NODE_RANK" = 1 ]; then sleep 1; exit 3; fi; {UNTIL_TOLD}', nodes=2)
    first, second = attempt.start(0), attempt.start(1)
    assert [first.wait(60), second.wait(60)] == [3, 3]
    message = "node 1: the command ended with exit code 3"
    assert attempt.event("ended") == {"cause": "exited", "exit_code": 3, "message": message}


@pytest.mark.slow
def test_while_s3_is_away_training_goes_on_and_what_it_wrote_arrives_later(make_attempt: MakeAttempt, url: str) -> None:
    wire = Wire(os.environ["AWS_ENDPOINT_URL"])
    attempt = make_attempt(AWS_ENDPOINT_URL=wire.endpoint)
    line = '{"event": "progress", "time": "2026-01-01T00:00:00+00:00", "epoch": %d}\\n'
    attempt.ask(f"for i in 1 2 3 4 5 6; do printf '{line}' $i >> \"$SPOTWISE_PROGRESS_URL\"; echo $i; sleep 0.5; done")
    agent = attempt.start(SPOTWISE_NODE_PATIENCE="1")
    wait_until(lambda: len(progress(url)) > 0, "the first line")
    wire.cut()
    here = attempt.folder / "home-0" / "attempts" / f"{attempt.id}-0" / "progress.jsonl"
    wait_until(lambda: len(here.read_text().splitlines()) == 6, "the last line, on the node")
    assert len(progress(url)) < 6
    assert "ended" not in attempt.names()
    wire.mend()
    assert agent.wait(150) == 0
    assert [r.epoch for r in progress(url)] == [1, 2, 3, 4, 5, 6]
    assert attempt.names() == ["up", "started", "ended"]
    assert attempt.log() == "1\n2\n3\n4\n5\n6\n"
    wire.close()


def test_a_bucket_that_is_not_there_is_told_and_nothing_is_run(make_attempt: MakeAttempt, tmp_path: Path) -> None:
    attempt = make_attempt()
    attempt.run_url = "s3://nobodys/run"
    assert attempt.start(SPOTWISE_NODE_PATIENCE="0.01").wait(60) == 78
    assert "s3://nobodys/run cannot be used" in attempt.output().read_text()
