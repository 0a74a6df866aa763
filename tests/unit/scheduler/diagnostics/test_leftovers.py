"""Clusters that nobody needs any more: which they are, which are spared, and that they are really gone."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner, Result
from factories import T0, at, attempt, run
from fake_sky import FakeCluster, FakeSky

from spotwise.scheduler.cli import main
from spotwise.scheduler.cli.gc import confirmed
from spotwise.scheduler.core.clock import ManualClock, SystemClock
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import AttemptState
from spotwise.scheduler.diagnostics import leftovers
from spotwise.scheduler.diagnostics.leftovers import ClusterOwnership, look, to_end
from spotwise.scheduler.engines.skypilot import public
from spotwise.scheduler.engines.skypilot.sky import Cluster, ClusterState, Failure, RequestState, SkyUnreachableError
from spotwise.scheduler.node_agent.processes import FOLDER_VARIABLE
from spotwise.scheduler.store import RunEvent, Store

RUN = "digits-aaaaaa"
MINE, OTHER = f"spotwise-{RUN}-a1", "spotwise-other-bbbbbb-a1"


@dataclass
class Books:
    """What SkyPilot has in its books; ending a cluster takes ``looks`` looks."""

    names: Sequence[str] = (MINE,)
    looks: int = 1
    failing: Sequence[str] = ()
    state: ClusterState = ClusterState.UP
    ended: list[str] = field(default_factory=list)
    seen: int = 0

    def clusters(self) -> dict[str, Cluster]:
        self.seen += bool(self.ended)
        gone = [name for name in self.ended if name not in self.failing] if self.seen >= self.looks else []
        return {name: Cluster(name, self.state, T0) for name in self.names if name not in gone}

    def down(self, cluster: str) -> str:
        self.ended.append(cluster)
        return cluster

    def requests(self, ids: Sequence[str]) -> Mapping[str, RequestState]:
        under_way = RequestState.UNDER_WAY if self.seen < self.looks else RequestState.DONE
        return {i: RequestState.FAILED if i in self.failing else under_way for i in ids}

    def failure(self, request_id: str) -> Failure:
        return Failure(of_capacity=False, message=f"{request_id}: the cloud says no")


@pytest.fixture
def store(tmp_path):
    made = Store.open(f"sqlite:///{tmp_path / 'home' / 'spotwise.db'}")
    made.add_run(run(RUN), RUN)
    yield made
    made.close()


def save(store: Store, **changes) -> None:
    lease = store.lease(RUN, "me", T0, at(100))
    assert lease is not None
    store.save_attempt(attempt(**changes), lease)
    store.release(RUN, "me")


def standing(store: Store, hours: float = 1.0, books: Books | None = None) -> ClusterOwnership:
    return look(books or Books(), store, at(hours))[0].standing


# what they are


@pytest.mark.parametrize("state", [AttemptState.LAUNCHING, AttemptState.RUNNING])
def test_the_cluster_of_a_live_attempt_is_in_use(store, state) -> None:
    save(store, state=state)
    assert standing(store, hours=1000) is ClusterOwnership.IN_USE


@pytest.mark.parametrize(
    ("minutes_ago", "expected"), [(0, "BEING_ENDED"), (4.9, "BEING_ENDED"), (5, "LEFT_OVER"), (600, "LEFT_OVER")]
)
def test_a_cluster_is_left_over_five_minutes_after_its_attempt_ended(store, minutes_ago, expected) -> None:
    save(store, state=AttemptState.PREEMPTED, ended_at=at(1) - timedelta(minutes=minutes_ago))
    assert standing(store) is ClusterOwnership[expected]


def test_an_attempt_that_never_came_up_ended_when_that_was_noted(store) -> None:
    """It is booked to end where it began, twenty minutes before it was given up."""
    save(store, state=AttemptState.REFUSED, ended_at=at(0.5))
    assert standing(store) is ClusterOwnership.LEFT_OVER
    store.note(RunEvent(RUN, at(0.95), EventKind.REFUSED, "no capacity", f"{RUN}-a1"))
    assert standing(store) is ClusterOwnership.BEING_ENDED


def test_a_cluster_that_the_store_does_not_know_is_not_of_this_installation(store) -> None:
    assert standing(store, books=Books([OTHER])) is ClusterOwnership.UNKNOWN


def test_clusters_without_our_name_are_no_concern_of_ours(store) -> None:
    assert look(Books(["train", "sky-serve-controller"]), store, at(1)) == []


def test_an_attempt_that_starts_during_the_look_is_not_mistaken(store) -> None:
    """It is in the store before its cluster is in the books, so the books are read first."""

    class Late(Books):
        def clusters(self):
            known = super().clusters()
            save(store, state=AttemptState.LAUNCHING)
            return known

    assert standing(store, books=Late()) is ClusterOwnership.IN_USE


# which are ended


def found(*pairs: tuple[str, ClusterOwnership]) -> list[leftovers.FoundCluster]:
    made = [attempt(id=name.removeprefix("spotwise-")) for name, _ in pairs]
    return [
        leftovers.FoundCluster(
            Cluster(name, ClusterState.UP, T0), standing, None if standing is ClusterOwnership.UNKNOWN else known
        )
        for (name, standing), known in zip(pairs, made, strict=True)
    ]


EVERY_STANDING = found(
    ("spotwise-a", ClusterOwnership.IN_USE),
    ("spotwise-b", ClusterOwnership.BEING_ENDED),
    ("spotwise-c", ClusterOwnership.LEFT_OVER),
    ("spotwise-d", ClusterOwnership.UNKNOWN),
)


@pytest.mark.parametrize(
    ("named", "ended"),
    [
        ([], ["spotwise-c"]),
        (["spotwise-d"], ["spotwise-d"]),
        (["spotwise-b", "spotwise-c", "spotwise-b"], ["spotwise-b", "spotwise-c"]),
    ],
)
def test_what_is_left_over_is_ended_and_all_else_only_by_name(named, ended) -> None:
    assert [each.cluster.name for each in to_end(EVERY_STANDING, named)] == ended


def test_a_cluster_in_use_is_never_ended() -> None:
    with pytest.raises(InputError, match=r"in use by a: `spotwise cancel digits-aaaaaa` ends it at a checkpoint"):
        to_end(EVERY_STANDING, ["spotwise-c", "spotwise-a"])


def test_a_name_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(InputError, match="no cluster of spotwise is called train"):
        to_end(EVERY_STANDING, ["train"])


# ending


def test_ending_waits_until_they_are_gone() -> None:
    clock, books = ManualClock(T0), Books(["a", "b"], looks=4)
    assert leftovers.end(books, ["a", "b"], clock) == leftovers.EndedClusters(("a", "b"), {})
    assert clock.now() == T0 + timedelta(seconds=15)


def test_ending_gives_up_after_ten_minutes() -> None:
    clock = ManualClock(T0)
    assert leftovers.end(Books(looks=10**6), [MINE], clock).left == {MINE: "SkyPilot is still at it"}
    assert clock.now() == T0 + leftovers.TIMEOUT


def test_what_cannot_be_ended_is_said_with_the_reason() -> None:
    ended = leftovers.end(Books(["a", "b"], failing=["a"]), ["a", "b"], ManualClock(T0))
    assert (ended.gone, ended.left) == (("b",), {"a": "a: the cloud says no"})


def test_what_skypilot_runs_is_gone_with_its_cluster(tmp_path, monkeypatch) -> None:
    """The port's other double, in which clusters are real processes."""
    monkeypatch.setattr(leftovers, "LOOK_S", 0.05)
    sky = FakeSky(tmp_path)
    sleeping = subprocess.Popen(["sleep", "600"], env={**os.environ, FOLDER_VARIABLE: str(tmp_path)})
    sky.clusters_[MINE] = FakeCluster(Cluster(MINE, ClusterState.UP, T0), tmp_path, [sleeping])
    assert leftovers.end(sky, [MINE], SystemClock()).gone == (MINE,)
    assert sleeping.poll() is not None


# the command


@pytest.fixture
def command(monkeypatch, tmp_path, store):
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SPOTWISE_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leftovers, "LOOK_S", 0.01)

    def call(books: Books, *words: str, answer: str = "") -> Result:
        monkeypatch.setattr("spotwise.scheduler.cli.gc.PublicSky", lambda: books)
        return CliRunner().invoke(main.cli, ["gc", *words], input=answer, standalone_mode=False)

    return call


def test_gc_lists_asks_and_ends(command, store) -> None:
    save(store, state=AttemptState.PREEMPTED, ended_at=at(1))
    books = Books([MINE, OTHER])
    result = command(books, answer="y\n")
    assert (result.return_value, books.ended) == (0, [MINE])
    assert "End 1 cluster? [y/N]" in result.stdout
    assert f"{MINE} is gone" in result.stdout
    assert "left over: its attempt ended 2026-03-01 13:00, preempted" in result.stdout
    assert "not of this installation" in result.stdout


def test_gc_ends_nothing_without_a_yes(command, store) -> None:
    save(store, state=AttemptState.PREEMPTED, ended_at=at(1))
    books = Books()
    assert command(books, answer="n\n").return_value == 4
    assert command(books, "--json").return_value == 4
    assert books.ended == []


@pytest.mark.usefixtures("command")
def test_gc_takes_the_end_of_input_for_a_no(store, monkeypatch, capsys) -> None:
    """By itself: click's test runner answers with an empty line where a real input ends."""
    save(store, state=AttemptState.PREEMPTED, ended_at=at(1))
    books = Books()
    monkeypatch.setattr("spotwise.scheduler.cli.gc.PublicSky", lambda: books)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main.cli.main(["gc"], standalone_mode=False) == 4
    assert books.ended == []
    assert "without being asked: --yes" in capsys.readouterr().out


def test_gc_leaves_at_once_on_ctrl_c(monkeypatch) -> None:
    def interrupted(_prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("click.termui.visible_prompt_func", interrupted)
    with pytest.raises(click.Abort):
        confirmed("End 1 cluster?")


def test_gc_with_yes_does_not_ask(command, store) -> None:
    save(store, state=AttemptState.LOST, ended_at=at(1))
    books = Books()
    assert command(books, "--yes").return_value == 0
    assert books.ended == [MINE]


def test_gc_of_nothing_is_done(command) -> None:
    result = command(Books([OTHER]))
    assert result.return_value == 0
    assert "0 in use, 0 left over" in result.stdout


def test_gc_that_could_not_end_something_fails(command, store) -> None:
    save(store, state=AttemptState.LOST, ended_at=at(1))
    result = command(Books(failing=[MINE]), "--yes")
    assert result.return_value == 4
    assert "the cloud says no" in result.stdout


def test_gc_in_json_lists_all_and_says_what_became_of_them(command, store) -> None:
    save(store, state=AttemptState.PREEMPTED, ended_at=at(1))
    result = command(Books([MINE, OTHER]), "--yes", "--json")
    said = json.loads(result.stdout)
    assert result.return_value == 0
    assert (said["ended"], said["left"]) == ([MINE], {})
    assert said["clusters"][0] == {
        "cluster": MINE,
        "state": "up",
        "since": "2026-03-01T12:00:00+00:00",
        "standing": "left over",
        "attempt": f"{RUN}-a1",
        "attempt_state": "preempted",
        "attempt_ended": "2026-03-01T13:00:00+00:00",
        "run": RUN,
    }
    assert said["clusters"][1]["standing"] == "not of this installation"


def test_gc_without_skypilot_fails_and_says_so(command) -> None:
    class Away(Books):
        def clusters(self):
            raise SkyUnreachableError("SkyPilot is not installed here: pip install 'spotwise[sky]'")

    result = command(Away())
    assert isinstance(result.exception, SkyUnreachableError)
    assert int(result.exception.exit_code) == 4


def test_the_port_offers_all_that_gc_asks() -> None:
    assert all(hasattr(public.PublicSky, name) for name in ("clusters", "down", "requests", "failure"))
