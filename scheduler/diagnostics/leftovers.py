"""Clusters that carry our name and belong to no live attempt: `spotwise gc` lists them, and ends them.

A SkyPilot server can be shared. A cluster whose attempt this installation's store does not know may be a colleague's,
so it is listed and only ended where it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ..core.clock import Clock
from ..core.errors import InputError
from ..core.event_kind import ATTEMPT_ENDS
from ..core.run import Attempt
from ..engines.skypilot.sky import Cluster, RequestState, Sky
from ..engines.skypilot.tasks import attempt_of, cluster_name
from ..store import Store

SETTLING = timedelta(minutes=5)  # SkyPilot takes a cluster down after its attempt has ended in the books
LOOK_S = 5.0
TIMEOUT = timedelta(minutes=10)  # until clusters that are being ended are gone


class ClusterOwnership(StrEnum):
    """What a cluster is to this installation."""

    IN_USE = "in use"
    BEING_ENDED = "being ended"  # its attempt ended a moment ago
    LEFT_OVER = "left over"
    UNKNOWN = "not of this installation"


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """A cluster that carries our name."""

    cluster: Cluster
    standing: ClusterOwnership
    attempt: Attempt | None = None
    ended_at: datetime | None = None  # the attempt


@dataclass(frozen=True, slots=True)
class EndedClusters:
    """What became of the clusters that were to be ended."""

    gone: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)  # by name, with the reason


def look(sky: Sky, store: Store, now: datetime) -> list[FoundCluster]:
    """All clusters that carry our name.

    SkyPilot is asked before the store is: an attempt is in the store before its cluster is in SkyPilot's books.

    Raises:
        SkyUnreachableError: SkyPilot does not answer.
    """
    clusters = sorted(sky.clusters().values(), key=lambda cluster: cluster.name)
    named = [attempt_id for cluster in clusters if (attempt_id := attempt_of(cluster.name)) is not None]
    attempts = {cluster_name(attempt.id): attempt for attempt in store.attempts(ids=named)}
    mine = [attempts[cluster.name] for cluster in clusters if cluster.name in attempts]
    return told_apart(clusters, attempts, _noted_ends(store, mine), now)


def told_apart(
    clusters: Iterable[Cluster], attempts: Mapping[str, Attempt], noted_at: Mapping[str, datetime], now: datetime
) -> list[FoundCluster]:
    """What each cluster of our name is.

    Args:
        attempts: by cluster.
        noted_at: when each attempt's end was noted, by its id: the end that is booked can lie long before.
    """
    return [
        _found(cluster, attempts.get(cluster.name), noted_at, now)
        for cluster in clusters
        if attempt_of(cluster.name) is not None
    ]


def to_end(found: Sequence[FoundCluster], named: Sequence[str]) -> list[FoundCluster]:
    """The clusters to be ended: those named, or without names all that are left over.

    Raises:
        InputError: a name that is not listed, or a cluster in use.
    """
    if not named:
        return [each for each in found if each.standing is ClusterOwnership.LEFT_OVER]
    known = {each.cluster.name: each for each in found}
    missing = [name for name in named if name not in known]
    if missing:
        raise InputError(f"no cluster of spotwise is called {', '.join(missing)}: `spotwise gc --json` lists all")
    used = [
        e.attempt for name in named if (e := known[name]).standing is ClusterOwnership.IN_USE and e.attempt is not None
    ]
    if used:
        hints = " and ".join(f"`spotwise cancel {run_id}`" for run_id in dict.fromkeys(a.run_id for a in used))
        raise InputError(f"in use by {', '.join(attempt.id for attempt in used)}: {hints} ends it at a checkpoint")
    return [known[name] for name in dict.fromkeys(named)]


def end(sky: Sky, names: Sequence[str], clock: Clock, *, timeout: timedelta = TIMEOUT) -> EndedClusters:
    """End clusters, and wait until SkyPilot has taken them out of its books.

    Raises:
        SkyUnreachableError: SkyPilot does not answer; what was asked for by then goes on.
    """
    requests = {name: sky.down(name) for name in names}
    give_up = clock.now() + timeout
    left = _still_there(sky, requests)
    while RequestState.UNDER_WAY in left.values() and clock.now() < give_up:
        clock.sleep(LOOK_S)
        left = _still_there(sky, requests)
    why = {name: _why(sky, requests[name], state) for name, state in left.items()}
    return EndedClusters(tuple(name for name in names if name not in left), why)


def _found(cluster: Cluster, attempt: Attempt | None, noted_at: Mapping[str, datetime], now: datetime) -> FoundCluster:
    if attempt is None:
        return FoundCluster(cluster, ClusterOwnership.UNKNOWN)
    if not attempt.state.is_final:
        return FoundCluster(cluster, ClusterOwnership.IN_USE, attempt)
    ended_at = max(filter(None, (attempt.ended_at, noted_at.get(attempt.id))), default=None)
    settling = ended_at is not None and now - ended_at < SETTLING
    return FoundCluster(
        cluster, ClusterOwnership.BEING_ENDED if settling else ClusterOwnership.LEFT_OVER, attempt, ended_at
    )


def _noted_ends(store: Store, attempts: Iterable[Attempt]) -> dict[str, datetime]:
    """An attempt that never came up is booked to end where it began; its run's events say when that was seen."""
    noted: dict[str, datetime] = {}
    for run_id in sorted({attempt.run_id for attempt in attempts}):
        for event in store.events(run_id):
            if event.attempt_id is not None and event.kind in ATTEMPT_ENDS:
                noted[event.attempt_id] = event.at
    return noted


def _still_there(sky: Sky, requests: Mapping[str, str]) -> dict[str, RequestState]:
    """Which clusters SkyPilot still has, and how far it is. Requests first: of one that is done, the books tell."""
    states = sky.requests(sorted(requests.values()))
    books = sky.clusters()
    return {name: states.get(i, RequestState.GONE) for name, i in requests.items() if name in books}


def _why(sky: Sky, request: str, state: RequestState) -> str:
    if state is RequestState.FAILED:
        return sky.failure(request).message
    if state is RequestState.UNDER_WAY:
        return "SkyPilot is still at it"
    return "SkyPilot still lists it, though nothing is under way"
