"""What becomes of attempts when SkyPilot, clouds and machines misbehave: real agents, SkyPilot played in a folder."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_sky import FakeSky
from machines import (
    end_everything_under,
    make_request,
    make_skypilot_engine,
    processes_with,
    seen_ended,
    wait_for,
)

from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.base import Handle, Observation, Phase
from spotwise.scheduler.engines.skypilot.engine import SkyPilotEngine
from spotwise.scheduler.engines.skypilot.landing import MOST_ASKS
from spotwise.scheduler.engines.skypilot.sky import (
    ClusterState,
    Failure,
    Landing,
    RequestState,
    SkyUnreachableError,
)
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.task import SpendingLimit

CLUSTER = "spotwise-job-x1-a1"
SAVES = "trap 'echo saving; exit 75' TERM; echo began; while :; do sleep 0.05; done"
SPOT = "slurm/aws/spot"


@dataclass
class Scene:
    """One attempt in a world that is about to misbehave."""

    folder: Path
    sky: FakeSky
    keys: dict[str, object]

    def __post_init__(self) -> None:
        self.engine = self.another_engine()
        self.clock = SystemClock()

    def another_engine(self) -> SkyPilotEngine:
        """As a supervisor that starts again makes it."""
        return make_skypilot_engine(self.folder / "home", self.sky, **self.keys)

    def offer(self, market: Market = Market.SPOT) -> Offer:
        return next(offer for offer in self.engine.offers() if offer.market is market)

    def launch(self, command: str = SAVES, market: Market = Market.SPOT, **changes: object) -> Handle:
        url = str(self.folder / "storage" / "job-x1")
        return self.engine.launch(make_request(self.folder, self.offer(market), command, run_url=url, **changes))

    def running(self, command: str = SAVES, market: Market = Market.SPOT, **changes: object) -> Handle:
        handle = self.launch(command, market, **changes)
        self.wait(lambda: self.seen(handle).phase is Phase.RUNNING, "the program to run")
        self.wait(lambda: "began" in list(self.engine.logs(handle)), "its first line")
        return handle

    def seen(self, handle: Handle) -> Observation:
        return self.engine.observe([handle])[handle.attempt_id]

    def ended(self, handle: Handle) -> Observation:
        return seen_ended(self.engine, handle, self.clock)

    def wait(self, happened: Callable[[], bool], what: str) -> None:
        wait_for(happened, self.clock, what=what)

    def agents(self) -> list[psutil.Process]:
        return processes_with(self.folder, "spotwise.scheduler.node_agent")


@pytest.fixture
def make_scene(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    skies = []

    def make(*, provision_s: float = 0.0, **keys: object) -> Scene:
        skies.append(FakeSky(tmp_path / "sky", provision_s=provision_s))
        return Scene(tmp_path, skies[-1], keys)

    yield make
    for sky in skies:
        sky.close()
    end_everything_under(tmp_path)


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    return make_scene()


def test_a_preempted_machine_saves_and_is_billed_until_it_left(scene: Scene) -> None:
    handle = scene.running()
    scene.sky.preempt(CLUSTER)
    end = scene.ended(handle)
    assert (end.cause, end.exit_code) == (EndCause.PREEMPTED, 75)
    assert end.notice_at is not None
    assert end.ended_at is not None
    assert end.ended_at >= end.notice_at
    assert f"down {CLUSTER}" in scene.sky.calls, "SkyPilot's record of the machine has to go as well"
    assert list(scene.engine.logs(handle))[-1] == "saving"


def test_billing_begins_where_skypilots_own_does_though_it_moves_the_launch_on(scene: Scene) -> None:
    """With the cluster's first record: from then on SkyPilot's cost report counts."""
    scene.sky.hanging.add(SPOT)
    handle = scene.launch()
    scene.wait(lambda: scene.seen(handle) is not None and CLUSTER in scene.sky.clusters(), "the cluster's record")
    recorded_at = scene.sky.clusters()[CLUSTER].launched_at
    asks = len(scene.sky.calls)
    scene.wait(lambda: scene.seen(handle) is not None and len(scene.sky.calls) > asks + 2, "some looks at it")
    scene.sky.hanging.discard(SPOT)
    scene.wait(lambda: scene.seen(handle).phase is Phase.RUNNING, "the program to run")
    assert scene.sky.clusters()[CLUSTER].launched_at > recorded_at
    assert scene.seen(handle).launched_at == recorded_at


def test_a_spot_machine_that_vanishes_was_preempted_when_it_was_last_heard(scene: Scene) -> None:
    handle = scene.running()
    before = scene.clock.now()
    scene.sky.vanish(CLUSTER)
    end = scene.ended(handle)
    assert (end.cause, end.exit_code) == (EndCause.PREEMPTED, None)
    assert end.ended_at is not None
    assert abs((end.ended_at - before).total_seconds()) < 2.0, "not when the silence was noticed"


def test_an_on_demand_machine_that_vanishes_is_lost(scene: Scene) -> None:
    handle = scene.running(market=Market.ON_DEMAND)
    scene.sky.vanish(CLUSTER)
    assert scene.ended(handle).cause is EndCause.VANISHED


def test_a_machine_whose_agent_was_killed_is_ended_and_billed_until_it_is_gone(scene: Scene) -> None:
    handle = scene.running()
    for process in scene.agents():
        process.kill()
    end = scene.ended(handle)
    assert end.cause is EndCause.VANISHED
    assert "agent died" in end.message
    assert CLUSTER not in scene.sky.clusters_


def test_no_capacity_is_said_and_not_billed(scene: Scene) -> None:
    scene.sky.refuse(SPOT, "no V100 in aws/spot")
    end = scene.ended(scene.launch())
    assert (end.cause, end.launched_at, end.message) == (EndCause.NO_CAPACITY, None, "no V100 in aws/spot")


def test_a_launch_that_fails_for_another_reason_is_no_lack_of_capacity(scene: Scene) -> None:
    scene.sky.refuse(SPOT, "file_mounts: no such file", of_capacity=False)
    end = scene.ended(scene.launch())
    assert (end.cause, end.message) == (EndCause.LAUNCH_FAILED, "file_mounts: no such file")


def test_a_task_that_no_machine_can_run_is_no_launch_to_try_again(scene: Scene) -> None:
    scene.sky.refusals[SPOT] = Failure(False, "no such key (ValueError)", of_request=True)
    end = scene.ended(scene.launch())
    assert (end.cause, end.launched_at, end.message) == (EndCause.UNLAUNCHABLE, None, "no such key (ValueError)")


def test_a_task_that_this_place_does_not_take_is_none_of_its_offers(scene: Scene) -> None:
    scene.sky.refusals[SPOT] = Failure(False, "no such image (ValueError)", of_place=True)
    end = scene.ended(scene.launch())
    assert (end.cause, end.launched_at, end.message) == (EndCause.NOT_OFFERED, None, "no such image (ValueError)")


def test_a_node_that_sees_another_folder_than_we_do_is_named(make_scene: Callable[..., Scene]) -> None:
    """Its agent finds no request under the path that was said to be shared."""
    scene = make_scene(provision_s=1.0)
    handle = scene.launch()
    scene.wait(lambda: f"launch {CLUSTER}" in scene.sky.calls, "the launch")
    (scene.folder / "storage/job-x1/attempts/job-x1-a1/request.json").unlink()
    end = scene.ended(handle)
    assert end.cause is EndCause.UNLAUNCHABLE
    assert end.message == (
        f"the node {platform.node()} does not see skypilot.storage {scene.folder}/storage; it must be a folder that "
        "all machines share"
    )
    assert CLUSTER not in scene.sky.clusters_


def test_provisioning_that_never_finishes_is_given_up(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(provision_timeout="1s")
    scene.sky.hanging.add(SPOT)
    end = scene.ended(scene.launch())
    assert (end.cause, end.launched_at) == (EndCause.NO_CAPACITY, None)
    assert "did not come up" in end.message
    assert scene.sky.clusters_ == {}
    assert {request.state for request in scene.sky.requests_.values() if request.kind == "launch"} == {
        RequestState.GONE
    }


def test_cancelled_while_provisioning_nothing_is_left(scene: Scene) -> None:
    scene.sky.hanging.add(SPOT)
    handle = scene.launch()
    scene.wait(lambda: CLUSTER in scene.sky.clusters_, "the cluster")
    assert scene.sky.clusters_[CLUSTER].book.state is ClusterState.INIT
    scene.engine.terminate(handle, grace_s=5)
    end = scene.ended(handle)
    assert (end.cause, end.launched_at) == (EndCause.WITHDRAWN, None)
    assert scene.sky.clusters_ == {}


def test_a_program_that_ignores_the_stop_request_is_killed_after_its_grace(scene: Scene) -> None:
    handle = scene.running("trap '' TERM; echo began; while :; do sleep 0.05; done")
    scene.engine.terminate(handle, grace_s=0.5)
    end = scene.ended(handle)
    assert end.cause is EndCause.TERMINATED
    assert CLUSTER not in scene.sky.clusters_, "verified: nothing is billed any more"


def test_while_skypilot_is_away_the_agent_is_still_heard(scene: Scene) -> None:
    handle = scene.running()
    scene.sky.is_down = True
    scene.clock.sleep(1.0)
    assert scene.seen(handle).phase is Phase.RUNNING
    scene.engine.terminate(handle, grace_s=5)
    scene.wait(lambda: scene.seen(handle).phase is Phase.UNKNOWN, "the fault to show")
    assert "does not answer" in scene.seen(handle).message
    scene.sky.is_down = False
    assert scene.ended(handle).cause is EndCause.TERMINATED


def test_a_silent_machine_is_not_given_up_while_its_cloud_cannot_be_asked(scene: Scene) -> None:
    handle = scene.running()
    scene.sky.cloud_is_down = True
    scene.sky.vanish(CLUSTER)
    scene.wait(lambda: scene.seen(handle).phase is Phase.UNKNOWN, "the silence to be noticed")
    scene.clock.sleep(1.0)
    assert scene.seen(handle).phase is Phase.UNKNOWN
    scene.sky.cloud_is_down = False
    assert scene.ended(handle).cause is EndCause.PREEMPTED


def test_a_launch_that_the_server_forgot_is_asked_for_again(scene: Scene) -> None:
    scene.sky.provision_s = 1.0
    handle = scene.launch("echo began; sleep 0.3")
    scene.wait(lambda: f"launch {CLUSTER}" in scene.sky.calls, "the launch")
    scene.sky.forget()
    end = scene.ended(handle)
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 0)
    assert list(scene.engine.logs(handle)).count("began") == 1


def test_a_supervisor_that_died_after_launching_is_followed_by_one_that_finds_the_launch(scene: Scene) -> None:
    """Its request was accepted, and it did not live to write that down."""
    scene.sky.hanging.add(SPOT)
    task = scene.engine.task_of(make_request(scene.folder, scene.offer(), SAVES, run_url=str(scene.folder / "storage")))
    request = scene.sky.launch(CLUSTER, task, 10)
    handle = scene.launch("echo began")
    scene.wait(lambda: scene.seen(handle).phase is Phase.PROVISIONING, "the first look")
    scene.clock.sleep(0.5)
    assert scene.sky.calls.count(f"launch {CLUSTER}") == 1
    scene.sky.hanging.clear()
    scene.wait(lambda: scene.sky.requests_[request].state is RequestState.DONE, "the cluster")


def test_a_launch_whose_answer_was_lost_is_found_and_not_asked_for_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SkyPilot took it, and whoever asked was told that it did not answer: no second machine beside the first."""
    accept = scene.sky.launch
    lost: list[str] = []

    def accept_and_lose_the_answer(*arguments: Any) -> str:
        request = accept(*arguments)
        if not lost:
            lost.append(request)
            raise SkyUnreachableError("the connection was cut")
        return request

    monkeypatch.setattr(scene.sky, "launch", accept_and_lose_the_answer)
    scene.sky.provision_s = 0.5
    end = scene.ended(scene.launch("echo began; sleep 0.3"))
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 0)
    assert scene.sky.calls.count(f"launch {CLUSTER}") == len(lost) == 1


def asked_by_one_that_was_killed(scene: Scene) -> str:
    """SkyPilot has the request; who sent it did not live to write that down."""
    url = str(scene.folder / "storage" / "job-x1")
    asked = make_request(scene.folder, scene.offer(), SAVES, run_url=url)
    return scene.sky.launch(CLUSTER, scene.engine.task_of(asked), 10)


def test_a_machine_that_a_killed_supervisor_asked_for_is_found_billed_and_has_no_second_beside_it(scene: Scene) -> None:
    request = asked_by_one_that_was_killed(scene)
    scene.wait(lambda: scene.sky.requests_[request].state is RequestState.DONE, "the cluster, with nobody looking")
    handle = scene.launch()
    scene.wait(lambda: scene.seen(handle).launched_at is not None, "its time on the bill")
    scene.engine.terminate(handle, grace_s=0.0)
    end = scene.ended(handle)
    assert end.cause is EndCause.TERMINATED
    assert scene.sky.calls.count(f"launch {CLUSTER}") == 1
    assert (scene.sky.clusters_, scene.agents()) == ({}, [])


def test_a_launch_of_a_killed_supervisor_is_called_off_where_its_attempt_is_not_wanted_any_more(scene: Scene) -> None:
    scene.sky.hanging.add(SPOT)
    request = asked_by_one_that_was_killed(scene)
    scene.sky.clusters_.clear()  # it is under way, and in no book yet
    handle = scene.launch()
    scene.engine.terminate(handle, grace_s=0.0)
    assert scene.ended(handle).cause is EndCause.WITHDRAWN
    assert scene.sky.requests_[request].state is RequestState.GONE
    assert scene.sky.clusters_ == {}


def test_another_supervisor_sees_the_same_and_launches_nothing(scene: Scene) -> None:
    handle = scene.running()
    scene.engine = scene.another_engine()
    scene.wait(lambda: scene.seen(handle).phase is Phase.RUNNING, "the new engine's look")
    scene.sky.preempt(CLUSTER)
    assert scene.ended(handle).cause is EndCause.PREEMPTED
    assert scene.sky.calls.count(f"launch {CLUSTER}") == 1


def test_the_loss_of_one_node_ends_the_attempt_for_all(scene: Scene) -> None:
    handle = scene.running(nodes=2)
    scene.wait(lambda: any(scene.folder.rglob("node-1.json")), "the second node's agent")
    scene.sky.clusters_[CLUSTER].processes[1].terminate()
    end = scene.ended(handle)
    assert end.cause is EndCause.PREEMPTED
    assert not scene.agents()


def test_both_nodes_have_a_log_of_their_own(scene: Scene) -> None:
    handle = scene.launch('echo "node $SKYPILOT_NODE_RANK"', nodes=2)
    assert scene.ended(handle).exit_code == 0
    assert [list(scene.engine.logs(handle, node=node)) for node in (0, 1)] == [["node 0"], ["node 1"]]


def test_secrets_reach_the_program_and_no_file(scene: Scene) -> None:
    handle = scene.launch('echo "length ${#TOKEN}"', secrets={"TOKEN": "s3cr3t-value"})
    scene.ended(handle)
    assert list(scene.engine.logs(handle)) == ["length 12"]
    written = [path for path in scene.folder.rglob("*") if path.is_file() and b"s3cr3t-value" in path.read_bytes()]
    assert written == []


def test_one_round_asks_skypilot_once_however_many_attempts_there_are(scene: Scene) -> None:
    handles = [scene.launch("sleep 600", number=number) for number in range(1, 6)]
    scene.wait(lambda: all(scene.seen(h).phase is Phase.RUNNING for h in handles), "all to run")
    scene.sky.calls.clear()
    scene.clock.sleep(2.0)
    scene.engine.observe(handles)
    calls = [call.split()[0] for call in scene.sky.calls]
    assert set(calls) == {"clusters"}, "nothing is under way, so nothing else is asked"
    assert len(calls) <= 25, "one a round of 0.1 s, not one an attempt"


ZONE, PRICE = "us-east-1b", Decimal("0.7200")
LISTED = Offer(Pool("aws", "us-east-1", "", "g4dn.xlarge"), Market.SPOT, Decimal("0.20"), None, "T4", 1)


def listed(scene: Scene, command: str = SAVES, **changes: object) -> Handle:
    url = str(scene.folder / "storage" / "job-x1")
    return scene.engine.launch(make_request(scene.folder, LISTED, command, run_url=url, **changes))


def test_an_attempt_is_billed_at_the_price_of_the_zone_where_it_came_up(scene: Scene) -> None:
    scene.sky.landings[CLUSTER] = Landing(ZONE, PRICE)
    handle = listed(scene)
    scene.wait(lambda: scene.seen(handle).price_usd_per_hour == PRICE, "the price there")
    assert scene.seen(handle).zone == ZONE
    scene.sky.landings.clear()  # who looks later need not ask again
    scene.engine = scene.another_engine()
    scene.wait(lambda: scene.seen(handle).phase is Phase.RUNNING, "the new engine's look")
    assert scene.seen(handle).price_usd_per_hour == PRICE
    scene.sky.preempt(CLUSTER)
    end = scene.ended(handle)
    assert (end.zone, end.price_usd_per_hour) == (ZONE, PRICE)


def test_an_attempt_that_is_over_at_once_waits_for_its_price_but_not_for_ever(scene: Scene) -> None:
    handle = listed(scene, "true")
    end = scene.ended(handle)
    assert (end.exit_code, end.price_usd_per_hour) == (0, None)
    assert scene.sky.calls.count(f"landed {CLUSTER}") >= MOST_ASKS  # how many where it is over: test_landing.py


def test_the_money_lasts_less_long_where_the_machine_costs_more_though_no_supervisor_lives(scene: Scene) -> None:
    scene.sky.landings[CLUSTER] = Landing(ZONE, PRICE)
    handle = listed(scene, stop_after_s=3570.0, stop_grace_s=30.0)
    scene.wait(lambda: any(scene.folder.rglob("limit.json")), "the limit")
    (path,) = scene.folder.rglob("limit.json")
    assert SpendingLimit.from_json(path.read_bytes()) == SpendingLimit(970.0), "1000 s cost what 3600 s would have"
    scene.engine.terminate(handle, grace_s=0.0)
    scene.ended(handle)


def test_a_price_of_the_settings_is_no_question_of_the_zone(scene: Scene) -> None:
    scene.sky.landings[CLUSTER] = Landing("spot", PRICE)
    end = scene.ended(scene.launch("true"))
    assert (end.price_usd_per_hour, f"landed {CLUSTER}" in scene.sky.calls) == (None, False)
