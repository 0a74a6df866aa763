"""What every engine keeps. Each engine under test is made twice: the second knows only what the first left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from fake_sky import FakeSky
from fakes import FakeEngine, FakeWorld
from machines import end_everything_under, make_market, make_request, make_skypilot_engine, seen_ended, wait_for

from spotwise.cost_models.offer import Offer
from spotwise.scheduler.core.clock import Clock, ManualClock, SystemClock
from spotwise.scheduler.engines.base import Engine, Handle, LaunchRequest, Observation, Phase
from spotwise.scheduler.engines.local.engine import LocalEngine
from spotwise.scheduler.node_agent.end_cause import EndCause

FOREVER = "echo began; sleep 600"


@dataclass
class Bench:
    """An engine under test with what tests need around it."""

    engine: Engine
    again: Callable[[], Engine]  # as another process on the same home would make it
    clock: Clock
    folder: Path
    storage: str = ""  # where its nodes keep a run's files, if they are elsewhere

    @property
    def offer(self) -> Offer:
        return self.engine.offers()[0]

    def request(self, command: str, **changes: object) -> LaunchRequest:
        return make_request(self.folder, self.offer, command, run_url=self.storage, **changes)

    def handle(self, number: int) -> Handle:
        return Handle(f"job-x1-a{number}", str(self.folder), self.storage)

    def seen(self, handle: Handle) -> Observation:
        return self.engine.observe([handle])[handle.attempt_id]

    def ended(self, handle: Handle) -> Observation:
        return seen_ended(self.engine, handle, self.clock)

    def run(self, command: str, **changes: object) -> tuple[Handle, Observation]:
        handle = self.engine.launch(self.request(command, **changes))
        return handle, self.ended(handle)

    def wait_for_line(self, handle: Handle, line: str) -> None:
        wait_for(lambda: line in self.engine.logs(handle), self.clock, what=f"the line {line!r}")


def _fake(_folder: Path) -> Bench:
    clock, world = ManualClock(), FakeWorld()

    def make() -> Engine:
        return FakeEngine(clock, world, provision_s=0.1)

    return Bench(make(), make, clock, Path("/nowhere"))


def _local_plain(folder: Path) -> Bench:
    def make() -> Engine:
        return LocalEngine(folder, None, SystemClock())

    return Bench(make(), make, SystemClock(), folder)


def _local_emulated(folder: Path) -> Bench:
    def make() -> Engine:
        return LocalEngine(folder, make_market(), SystemClock())

    return Bench(make(), make, SystemClock(), folder)


def _skypilot(folder: Path) -> Bench:
    """The real engine and real agents; only SkyPilot itself is played."""
    sky = FakeSky(folder / "sky")

    def make() -> Engine:
        return make_skypilot_engine(folder / "home", sky)

    return Bench(make(), make, SystemClock(), folder, storage=str(folder / "storage" / "job-x1"))


@pytest.fixture(
    params=[_fake, _local_plain, _local_emulated, _skypilot], ids=["fake", "local", "local-emulated", "skypilot"]
)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield request.param(tmp_path)
    end_everything_under(tmp_path)


def test_offers_have_unique_keys_and_a_price_each(bench: Bench) -> None:
    offers = bench.engine.offers()
    assert len({offer.key for offer in offers}) == len(offers) > 0
    assert all(offer.price_usd_per_hour >= 0 for offer in offers)
    assert bench.engine.hour_s > 0


def test_availability_is_about_its_own_offers_only(bench: Bench) -> None:
    assert set(bench.engine.available()) <= {offer.key for offer in bench.engine.offers()}


def test_a_stated_belief_is_a_rate_above_zero_or_nothing(bench: Bench) -> None:
    beliefs = [bench.engine.stated_belief(offer.pool) for offer in bench.engine.offers()]
    assert all(belief is None or belief.mean_per_hour > 0 for belief in beliefs)


def test_launching_twice_starts_once(bench: Bench) -> None:
    """By the same engine and by one that another process made."""
    request = bench.request(FOREVER)
    handles = {bench.engine.launch(request), bench.engine.launch(request), bench.again().launch(request)}
    handle = handles.pop()
    assert not handles
    bench.wait_for_line(handle, "began")
    bench.engine.terminate(handle, grace_s=5)
    bench.ended(handle)
    assert list(bench.engine.logs(handle)).count("began") == 1


def test_launching_again_after_the_end_starts_nothing(bench: Bench) -> None:
    handle, end = bench.run("echo began")
    assert bench.again().launch(bench.request("echo began")) == handle
    assert bench.ended(handle) == end
    assert list(bench.engine.logs(handle)).count("began") == 1


def test_an_attempt_never_launched_was_withdrawn_and_has_no_bill(bench: Bench) -> None:
    seen = bench.seen(bench.handle(9))
    assert (seen.phase, seen.cause, seen.launched_at) == (Phase.ENDED, EndCause.WITHDRAWN, None)


def test_one_call_observes_many(bench: Bench) -> None:
    done, _ = bench.run("exit 3")
    running = bench.engine.launch(bench.request(FOREVER, number=2))
    never = bench.handle(3)
    wait_for(lambda: bench.seen(running).phase is Phase.RUNNING, bench.clock, what="the second to run")
    seen = bench.engine.observe([done, running, never])
    assert {i: (o.phase, o.exit_code) for i, o in seen.items()} == {
        "job-x1-a1": (Phase.ENDED, 3),
        "job-x1-a2": (Phase.RUNNING, None),
        "job-x1-a3": (Phase.ENDED, None),
    }
    assert bench.engine.observe([]) == {}


@pytest.mark.parametrize("code", [0, 1, 75, 127])
def test_the_commands_exit_code_is_passed_on(bench: Bench, code: int) -> None:
    _, end = bench.run(f"exit {code}")
    assert (end.cause, end.exit_code) == (EndCause.EXITED, code)


def test_the_environment_reaches_setup_and_command(bench: Bench) -> None:
    handle, _ = bench.run('echo "run $PLACE"', setup='echo "setup $PLACE"', env={"PLACE": "here"})
    assert list(bench.engine.logs(handle)) == ["setup here", "run here"]


def test_a_failing_setup_is_billed_and_keeps_the_command_from_starting(bench: Bench) -> None:
    handle, end = bench.run("echo began", setup="exit 4")
    assert (end.cause, end.exit_code, end.started_at) == (EndCause.SETUP_FAILED, 4, None)
    assert end.launched_at is not None
    assert end.ended_at is not None
    assert "began" not in bench.engine.logs(handle)


def test_times_are_aware_utc_and_in_order(bench: Bench) -> None:
    before = bench.clock.now()
    _, end = bench.run("sleep 0.2", setup="sleep 0.1")
    times = [before, end.launched_at, end.started_at, end.ended_at]
    known = [time for time in times if time is not None]
    assert len(known) == 4
    assert known == sorted(known)
    assert all(time.utcoffset() == timedelta(0) and time.tzinfo is UTC for time in known)
    assert end.notice_at is None


def test_phases_only_go_forward(bench: Bench) -> None:
    order = [Phase.PROVISIONING, Phase.RUNNING, Phase.ENDED]
    handle = bench.engine.launch(bench.request("sleep 0.3", setup="sleep 0.2"))
    phases: list[Phase] = []

    def ended() -> bool:
        phases.append(bench.seen(handle).phase)
        return phases[-1] is Phase.ENDED

    wait_for(ended, bench.clock, what="the end")
    assert [order.index(phase) for phase in phases] == sorted(order.index(phase) for phase in phases)
    assert set(phases) == set(order)


def test_an_end_that_nobody_watched_is_observed_later_as_it_was(bench: Bench) -> None:
    """Supervisors restart; what they book must not depend on when they look."""
    _, end = bench.run("exit 3")
    bench.clock.sleep(0.2)
    handle = bench.handle(1)
    assert bench.again().observe([handle])[handle.attempt_id] == end


def test_terminating_ends_it_and_again_changes_nothing(bench: Bench) -> None:
    handle = bench.engine.launch(bench.request(FOREVER))
    bench.wait_for_line(handle, "began")
    bench.engine.terminate(handle, grace_s=5)
    bench.again().terminate(handle, grace_s=5)
    end = bench.ended(handle)
    assert end.cause is EndCause.TERMINATED
    bench.engine.terminate(handle, grace_s=0)
    assert bench.seen(handle) == end


def test_terminating_what_has_ended_changes_nothing(bench: Bench) -> None:
    handle, end = bench.run("exit 0")
    bench.engine.terminate(handle, grace_s=0)
    assert bench.seen(handle) == end


def test_terminating_before_launching_keeps_it_from_ever_starting(bench: Bench) -> None:
    handle = bench.handle(1)
    bench.engine.terminate(handle, grace_s=5)
    assert bench.again().launch(bench.request("echo began")) == handle
    end = bench.ended(handle)
    assert (end.cause, end.launched_at) == (EndCause.WITHDRAWN, None)
    bench.clock.sleep(0.3)
    assert list(bench.engine.logs(handle)) == []


@pytest.mark.parametrize(("tail", "lines"), [(None, ["1", "2", "3"]), (2, ["2", "3"]), (9, ["1", "2", "3"]), (0, [])])
def test_logs_give_the_last_lines(bench: Bench, tail: int | None, lines: list[str]) -> None:
    handle, _ = bench.run("echo 1; echo 2; echo 3")
    assert list(bench.engine.logs(handle, tail=tail)) == lines


def test_an_attempt_never_launched_has_no_logs(bench: Bench) -> None:
    assert list(bench.engine.logs(bench.handle(9))) == []
