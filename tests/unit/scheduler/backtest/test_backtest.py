"""Backtests: against an independent checker of the bill, against all possible choices, and policy by policy."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotwise.scheduler.backtest.omniscient import omniscient
from spotwise.scheduler.backtest.replay import Episode, EpisodeOutcome, Rules, episodes, replay
from spotwise.scheduler.backtest.study import POLICIES, run_policy
from spotwise.scheduler.backtest.trace import Trace, read_trace
from spotwise.scheduler.cli import main
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.policies import policy_named
from spotwise.scheduler.policies.base import Decision, Move, Situation, Wait

TICK = 1 / 6
SAFE = ("on_demand", "greedy", "uniform_progress", "deadline")


def trace(
    available: str | list[bool], *, spot: str | list[str] = "0.9", name: str = "z", on_demand: str = "3"
) -> Trace:
    there = np.array([each in "#S" if isinstance(each, str) else each for each in available], dtype=bool)
    prices = [spot] * len(there) if isinstance(spot, str) else spot
    return Trace(name, "made", name, "gpu", TICK, there, tuple(map(Decimal, prices)), Decimal(on_demand))


def checked(outcome: EpisodeOutcome, traces: tuple[Trace, ...], rules: Rules) -> None:
    """The bill, the work and the legality of a log of choices; knows nothing of how they were made."""
    cost, work, starting, before = 0.0, rules.work_hours, 0.0, (".", -1)
    for tick, (choice, zone) in enumerate(zip(outcome.choices, outcome.zones, strict=True)):
        at = outcome.start_tick + tick
        assert work > 1e-9, "it goes on though all is done"
        if choice == "S":
            assert traces[zone].available[at], f"tick {tick}: there is no spot capacity"
        if choice != ".":
            lost = before[0] == "S" and not traces[before[1]].available[at]
            starting = rules.restart_hours if (choice, zone) != before or lost else starting
            price = (
                traces[zone].spot_usd_per_hour[at] if choice == "S" else min(t.on_demand_usd_per_hour for t in traces)
            )
            cost += float(price) * rules.tick_hours
            work -= max(0.0, rules.tick_hours - starting)
            starting = max(0.0, starting - rules.tick_hours)
        before = (choice, zone)
    assert cost == pytest.approx(float(outcome.cost_usd), rel=1e-9)
    assert (work <= 1e-9) == (outcome.finish_hours is not None)
    if outcome.finish_hours is not None:
        assert outcome.finish_hours == pytest.approx(len(outcome.choices) * rules.tick_hours)
        assert outcome.met_deadline == (outcome.finish_hours <= rules.deadline_hours + 1e-9)


recordings = st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=30).map(
    lambda runs: ([up for up, length in runs for _ in range(length)] + [False] * 80)[:80]
)


@settings(max_examples=25, deadline=None)
@given(
    recordings, st.sampled_from([0.0, 0.05, 0.2, 0.4]), st.sampled_from([9.0, 10.0, 13.0]), st.sampled_from([0.0, 0.5])
)
def test_deadlines_are_met_whatever_the_market_does(
    available: list[bool], restart: float, deadline: float, interval: float
) -> None:
    rules = Rules(8.0, deadline, restart, TICK, checkpoint_interval_hours=interval)
    episode = Episode((trace(available),), 0)
    for name in SAFE:
        outcome = run_policy(name, episode, rules)
        assert outcome.met_deadline, (name, outcome.choices)
        if not interval:
            checked(outcome, episode.traces, rules)


@settings(max_examples=10, deadline=None)
@given(recordings, recordings, st.sampled_from([0.05, 0.2]))
def test_with_several_recordings_deadlines_are_met_as_well(one: list[bool], two: list[bool], restart: float) -> None:
    rules = Rules(8.0, 10.0, restart, TICK)
    episode = Episode((trace(one, name="a"), trace(two, name="b", spot="0.8")), 0)
    best = run_policy("omniscient", episode, rules)
    checked(best, episode.traces, rules)
    for name in SAFE:
        outcome = run_policy(name, episode, rules)
        assert outcome.met_deadline, (name, outcome.choices)
        checked(outcome, episode.traces, rules)
        assert outcome.cost_usd >= best.cost_usd


@pytest.mark.parametrize("seed", range(6))
def test_omniscient_is_the_cheapest_of_all_possible_choices(seed: int) -> None:
    """Eight ticks, all 3^8 logs played out."""
    rng = np.random.default_rng(seed)
    prices = [str(price) for price in rng.choice(["0.6", "0.9", "2.9"], 8)]
    made = trace(list(rng.random(8) < 0.6), spot=prices)
    rules = Rules(work_hours=4 * TICK, deadline_hours=8 * TICK, restart_hours=TICK / 2, tick_hours=TICK)
    costs = [cost for log in itertools.product(".SO", repeat=8) if (cost := _cost(log, made, rules)) is not None]
    assert float(omniscient(Episode((made,), 0), rules).cost_usd) == pytest.approx(min(costs))


def _cost(log: tuple[str, ...], made: Trace, rules: Rules) -> float | None:
    cost, work, starting, before = 0.0, rules.work_hours, 0.0, "."
    for tick, choice in enumerate(log):
        if work <= 1e-9:
            return cost
        if choice == "S" and not made.available[tick]:
            return None
        if choice != ".":
            starting = rules.restart_hours if choice != before else starting
            cost += TICK * float(made.spot_usd_per_hour[tick] if choice == "S" else made.on_demand_usd_per_hour)
            work -= max(0.0, TICK - starting)
            starting = max(0.0, starting - TICK)
        before = choice
    return cost if work <= 1e-9 else None


def test_no_policy_looks_ahead() -> None:
    """Whatever comes after a tick changes nothing before it."""
    rng = np.random.default_rng(5)
    first = list(rng.random(40) < 0.7)
    rules = Rules(8.0, 10.0, 0.2, TICK)
    for name in (*SAFE, "spot_only"):
        logs = [
            run_policy(name, Episode((trace(first + rest),), 0), rules).choices[:40]
            for rest in ([True] * 40, [False] * 40, list(rng.random(40) < 0.5))
        ]
        assert len(set(logs)) == 1, name


def test_always_and_never_there() -> None:
    rules = Rules(8.0, 9.0, 0.2, TICK)
    for name in ("deadline", "greedy", "uniform_progress", "omniscient"):
        always = run_policy(name, Episode((trace("#" * 60),), 0), rules)
        assert set(always.choices) <= {"S", "."}, name
        assert always.starts == 1, name
        never = run_policy(name, Episode((trace("." * 60),), 0), rules)
        assert set(never.choices) <= {"O", "."}, name
    for name in ("deadline", "omniscient"):
        never, on_demand = (run_policy(each, Episode((trace("." * 60),), 0), rules) for each in (name, "on_demand"))
        assert never.cost_usd <= on_demand.cost_usd, name


def test_a_pool_that_flips_and_prices_that_double_cost_no_more_than_on_demand() -> None:
    rules = Rules(24.0, 30.0, 0.2, TICK)
    flips = trace(("#" * 20 + "." * 2) * 3 + "#." * 60)
    doubles = trace("#" * 180, spot=["0.9"] * 60 + ["2.9"] * 120)
    for made in (flips, doubles):
        on_demand = run_policy("on_demand", Episode((made,), 0), rules)
        ours = run_policy("deadline", Episode((made,), 0), rules)
        assert ours.met_deadline
        assert ours.cost_usd <= on_demand.cost_usd * Decimal("1.01")


def test_a_restart_that_takes_twice_as_long_as_said_is_learned_in_time() -> None:
    rng = np.random.default_rng(0)
    made = trace(list(rng.random(420) < 0.7))
    for deadline in (26.0, 30.0):
        rules = Rules(24.0, deadline, 0.4, TICK, said_restart_hours=0.2)
        outcome = run_policy("deadline", Episode((made,), 0), rules)
        assert outcome.met_deadline
        checked(outcome, (made,), rules)


class Scripted:
    """A policy that does as told."""

    name = "scripted"

    def __init__(self, log: str) -> None:
        self._log = iter(log)

    def decide(self, situation: Situation) -> Decision:
        letter = next(self._log)
        if letter == ".":
            return Wait(situation.now, "")
        return Move(next(c.offer for c in situation.candidates if c.offer.is_spot == (letter == "S")), "")


def test_work_since_the_last_checkpoint_is_lost_on_preemption() -> None:
    made = trace("####.####")
    kept = replay(Scripted("SSSSOOOO"), Episode((made,), 0), Rules(6 * TICK, 9 * TICK, 0.0, TICK))
    assert len(kept.choices) == 6
    lost = replay(Scripted("SSSSOOOO"), Episode((made,), 0), Rules(6 * TICK, 9 * TICK, 0.0, TICK, 3 * TICK))
    assert len(lost.choices) == 7  # one tick of work since the checkpoint after the third
    left = replay(Scripted("SSOOOOOO"), Episode((made,), 0), Rules(6 * TICK, 9 * TICK, 0.0, TICK, 3 * TICK))
    assert len(left.choices) == 6  # who leaves on purpose saves first


def test_asking_in_vain_costs_work_and_moving_costs_time() -> None:
    one, two = trace("#." + "#" * 20, name="a"), trace("#" * 22, name="b")
    rules = Rules(1.0, 3.0, 0.0, TICK, probe_hours=TICK / 2, move_hours=TICK)

    class First:
        name = "first"

        def decide(self, situation: Situation) -> Decision:
            spot = [c for c in situation.candidates if c.offer.is_spot and c.available is not False]
            return Move(spot[0].offer, "")

    outcome = replay(First(), Episode((one, two), 0), rules)
    assert outcome.zones[:3] == (0, 1, 0)  # lost in the second tick; b costs the move; and back again
    assert len(outcome.choices) == 6 + 2  # two moves of a tick each


def test_episodes_start_at_the_first_tick_or_every_stride_that_fits() -> None:
    rules = Rules(1.0, 2.0, 0.0, TICK)
    long, short = trace("#" * 30, name="long"), trace("#" * 11, name="short")
    assert [(e.id, e.start_tick) for e in episodes([long, short], rules, None, together=False)] == [("long", 0)]
    starts = [e.start_tick for e in episodes([long], rules, 1.0, together=False)]
    assert starts == [0, 6, 12, 18]
    assert episodes([long, short], rules, 1.0, together=True) == []


def test_a_recording_is_resampled_to_the_value_at_each_ticks_start(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    data = {"id": "t", "nodes": 4, "gap_seconds": 300, "od_price": 2, "runs": [[4, 1], [3, 2], [5, 3]]}
    data["spot_price_changes"] = [[0, 0.5], [3, 0.75]]
    path.write_text(json.dumps(data))
    read = read_trace(path, TICK)
    assert list(read.available) == [True, False, True]  # of 4 wanted, at 0, 10 and 20 minutes
    assert read.spot_usd_per_hour == (Decimal("0.5"), Decimal("0.5"), Decimal("0.75"))
    data["spot_price_changes"] = None
    path.write_text(json.dumps(data))
    assert read_trace(path, TICK).spot_usd_per_hour[0] == Decimal("0.6")
    assert read_trace(path, TICK, spot_usd_per_hour=Decimal(1)).spot_usd_per_hour == (Decimal(1),) * 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gap_seconds": 0}, "gap_seconds: found 0; required: a number above 0"),
        ({"od_price": None}, "od_price: found None"),
        ({"runs": []}, "runs: required"),
        ({"runs": [[1, 0]]}, "runs: required"),
        ({"n_ticks": 7}, "n_ticks: found 7, but the runs add up to 60"),
        ({"spot_price_changes": [[0, -1]]}, "spot_price_changes: required"),
        ({"spot_price_changes": [[5, 1], [0, 1]]}, "must rise"),
        ({"runs": [[1, 1]]}, "less than one tick"),
    ],
)
def test_a_faulty_recording_says_what_and_where(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"gap_seconds": 300, "od_price": 2, "runs": [[1, 60]]} | changes))
    with pytest.raises(InputError, match=r"t\.json: ") as raised:
        read_trace(path, TICK)
    assert words in str(raised.value)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng, runs = np.random.default_rng(2), []
    for index in range(40):
        runs.append([(index + 1) % 2, int(rng.integers(2, 20))])
    path = tmp_path / "pool.json"
    path.write_text(json.dumps({"id": "pool", "gap_seconds": 600, "od_price": 3.06, "runs": runs}))
    return path


def run(*arguments: object) -> None:
    main.cli.main([str(each) for each in ("backtest", *arguments)], standalone_mode=False)


TERMS = ("--work", "8h", "--deadline", "10h", "--restart", "12m")


def test_json_and_decisions_agree(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.jsonl"
    run(recording, *TERMS, "--policy", "deadline", "--stride", "5h", "--json", "--decisions", log)
    out, err = capsys.readouterr()
    found, lines = json.loads(out), [json.loads(line) for line in log.read_text().splitlines()]
    assert "1 of 1 recordings have no spot prices" in err
    assert len(found) == len(lines) > 5
    for one, line in zip(found, lines, strict=True):
        keys = {"id", "start_tick", "policy", "cost_usd", "finish_hours", "met_deadline", "starts"}
        assert set(one) == keys | {"spot_hours", "on_demand_hours"}
        assert set(line) == {"id", "start_tick", "choices"}
        assert (one["id"], one["start_tick"]) == (line["id"], line["start_tick"])
        spot, on_demand = line["choices"].count("S"), line["choices"].count("O")
        assert Decimal(one["cost_usd"]) == pytest.approx(
            Decimal((spot * 0.918 + on_demand * 3.06) / 6), abs=Decimal("1e-5")
        )
        assert one["met_deadline"] is True
        assert one["finish_hours"] == pytest.approx(len(line["choices"]) / 6)


def test_the_table_has_a_row_a_policy_and_the_strip_a_line_a_tick(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies = [part for name in POLICIES for part in ("--policy", name)]
    run(recording, *TERMS, *policies, "--plot")
    out = capsys.readouterr().out
    for name in POLICIES:
        assert sum(line.startswith(f"│ {name}") for line in out.splitlines()) == 1
        assert any(line.startswith(f"{name} on pool from tick 0: $") for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "best"), "--policy: found 'best'; allowed: deadline, on_demand"),
        (("--deadline", "8h"), "8 h of work and a start of 12 min take 8.2 h on demand"),
        (("--deadline", "1000h"), "no recording is as long as 1000 h"),
        (("--work", "soon"), "--work: found"),
        (("--tick", "0m"), "--tick: "),
        (("--spot-price", "0"), "--spot-price: found 0; required: more than 0"),
    ],
)
def test_what_cannot_be_played_says_why(recording: Path, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError) as raised:
        run(recording, *TERMS, *arguments)
    assert words in str(raised.value)


def test_peers_are_policies_of_backtests_only() -> None:
    assert policy_named("greedy").name == "greedy"
    from spotwise.scheduler.policies import NAMES

    assert not {"greedy", "uniform_progress", "omniscient"} & set(NAMES)
