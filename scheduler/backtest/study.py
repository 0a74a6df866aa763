"""Many episodes under several policies, on all cores, and what they add up to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing import get_context
from statistics import fmean

from spotwise.cost_models.availability import PoolModel

from ..core.errors import InputError
from ..policies import NAMES, PEERS, policy_named
from ..policies.deadline import MeetDeadline
from .omniscient import NAME as OMNISCIENT
from .omniscient import omniscient
from .replay import Episode, EpisodeOutcome, Rules, replay

POLICIES = (*(name for name in NAMES if name not in {"auto", "cheapest"}), *PEERS, OMNISCIENT)
Task = tuple[str, Episode, Rules, PoolModel | None]
_CHUNK = 8  # episodes that a worker takes at a time


@dataclass(frozen=True, slots=True)
class Summary:
    """A policy over all its episodes. Means are over episodes."""

    policy: str
    episodes: int
    cost_usd: Decimal
    of_on_demand: float  # cost, as a share of the same work on demand
    finish_hours: float | None  # of those that finished
    missed: int  # deadlines
    spot_hours: float
    on_demand_hours: float
    starts: float


def run_policy(name: str, episode: Episode, rules: Rules, model: PoolModel | None = None) -> EpisodeOutcome:
    """Play one episode under a policy.

    Args:
        name: one of ``POLICIES``.
        model: of pools, for ``deadline``; None takes the shipped one.

    Raises:
        InputError: there is no such policy.
    """
    if name == OMNISCIENT:
        return omniscient(episode, rules)
    if name == MeetDeadline.name:
        return replay(MeetDeadline(cooldown_hours=0.0, model=model), episode, rules)
    return replay(policy_named(name, cooldown_hours=0.0), episode, rules)


def check_policy(name: str) -> None:
    """Accept the name of a policy that can be replayed.

    Raises:
        InputError: there is no such policy.
    """
    if name not in POLICIES:
        raise InputError(f"--policy: found {name!r}; allowed: {', '.join(POLICIES)}")


def outcomes(
    names: Sequence[str],
    episodes: Sequence[Episode],
    rules: Rules,
    *,
    model: PoolModel | None = None,
    workers: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, list[EpisodeOutcome]]:
    """Play every episode under every policy.

    Args:
        model: as for `run_policy`.
        workers: processes; None takes one a core.
        progress: called after each episode.

    Returns:
        By policy, in the order of the episodes.
    """
    tasks = [(name, episode, rules, model) for name in names for episode in episodes]
    found: dict[str, list[EpisodeOutcome]] = {name: [] for name in names}
    for outcome in _played(tasks, workers or os.cpu_count() or 1):
        found[outcome.policy].append(outcome)
        progress()
    return found


def summarise(episodes: Sequence[Episode], played: Sequence[EpisodeOutcome], rules: Rules) -> Summary:
    """What one policy did with these episodes, on average.

    Args:
        played: its outcomes, in the order of the episodes; at least one.
    """
    on_demand = [_on_demand_usd(episode, rules) for episode in episodes]
    finished = [outcome.finish_hours for outcome in played if outcome.finish_hours is not None]
    return Summary(
        policy=played[0].policy,
        episodes=len(played),
        cost_usd=sum((outcome.cost_usd for outcome in played), Decimal(0)) / len(played),
        of_on_demand=fmean(float(each.cost_usd / full) for each, full in zip(played, on_demand, strict=True)),
        finish_hours=fmean(finished) if finished else None,
        missed=sum(not outcome.met_deadline for outcome in played),
        spot_hours=fmean(outcome.spot_hours for outcome in played),
        on_demand_hours=fmean(outcome.on_demand_hours for outcome in played),
        starts=fmean(outcome.starts for outcome in played),
    )


def _on_demand_usd(episode: Episode, rules: Rules) -> Decimal:
    """The same work on demand, by the hour and without a restart."""
    price = min(trace.on_demand_usd_per_hour for trace in episode.traces)
    return price * Decimal(str(rules.work_hours))


def _played(tasks: Sequence[Task], workers: int) -> Iterator[EpisodeOutcome]:
    if workers == 1 or len(tasks) <= _CHUNK:
        yield from (_play(task) for task in tasks)
        return
    # Not forked: NumPy's threads do not survive it.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        yield from pool.map(_play, tasks, chunksize=_CHUNK)


def _one_thread() -> None:
    """Each worker has a core; more threads would be in each other's way. NumPy reads this when it is first used."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _play(task: Task) -> EpisodeOutcome:
    return run_policy(*task)
