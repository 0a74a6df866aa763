"""The engine ``skypilot``: an attempt is a cluster named after it, pinned to its offer, that SkyPilot provisions.

The engine keeps nothing: what it asked SkyPilot for lies at the run's URL, beside what the attempt's nodes write, so
any supervisor can take a run over at any moment. Its calls return at once; a thread (`rounds`) speaks with SkyPilot.

What is billed: from where SkyPilot's own cost report begins to count until the cluster is gone from SkyPilot's books,
or until the market took it. A cluster that never came up costs nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from spotwise.checkpoints import storage_for
from spotwise.checkpoints.storage import LocalStorage
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Offer, Pool
from spotwise.cost_models.sources.skypilot_catalog import CatalogRow

from ...core.clock import Clock
from ...core.errors import EngineError
from ...core.run import CostBasis
from ...jobfile.settings import Settings
from ...node_agent.task import NodeTask, StopRequest
from ..base import Handle, LaunchRequest, Observation
from .files import FAULTS, AttemptFiles, LocalCopy
from .offers import OfferBook
from .public import PublicSky
from .rounds import Rounds, RoundTimes
from .sky import Sky
from .tasks import Wheel, as_skypilot_runs_it, cluster_name, is_of, requirement_names, sky_task
from .wheel import build_wheel, wheel_digest

FIRST_LOOK_S = 5.0  # how long the supervisor waits for the first look at an attempt


class SkyPilotEngine:
    """Any cloud, Kubernetes or Slurm."""

    name = "skypilot"
    hour_s = Decimal(3600)
    cost_basis = CostBasis.ESTIMATED
    one_machine = False

    def __init__(
        self, settings: Settings, clock: Clock, sky: Sky, catalog: OfferBook, *, pace: RoundTimes | None = None
    ) -> None:
        self._settings, self._clock, self._catalog = settings, clock, catalog
        self._rounds = Rounds(
            sky,
            clock,
            provision_timeout=settings.skypilot.provision_timeout,
            autostop=settings.skypilot.autostop,
            task_of=self.task_of,
            cluster_of=cluster_name,
            is_listed=self._is_listed,
            pace=pace or RoundTimes(),
        )

    def offers(self) -> list[Offer]:
        return self._catalog.offers()

    def available(self) -> dict[str, bool]:
        """Nothing is known before it is tried: what refused lately, the attempts say."""
        return {}

    def stated_belief(self, pool: Pool) -> HazardBelief | None:
        return None

    def launch(self, request: LaunchRequest) -> Handle:
        handle = Handle(request.attempt_id, request.folder, request.run_url)
        if not request.run_url:
            raise EngineError(f"{request.run_id} has no place for its files: set skypilot.storage in settings.yaml")
        try:
            files = AttemptFiles(handle)
            if request.is_sweep:
                files.storage.put("sweep.json", (Path(request.folder) / "sweep.json").read_bytes())
            files.ask(self._node_task(request))
        except FAULTS as fault:
            raise EngineError(f"{request.run_url} cannot be written: {fault}; `spotwise doctor` checks it") from fault
        self._rounds.launch(request, handle)
        return handle

    def observe(self, handles: Sequence[Handle]) -> dict[str, Observation]:
        return self._rounds.seen(handles, FIRST_LOOK_S) if handles else {}

    def terminate(self, handle: Handle, *, grace_s: float) -> None:
        files, now = AttemptFiles(handle), self._clock.now()
        try:
            earlier, stop_request = files.stop_request(now), StopRequest(now, grace_s)
            if earlier is None or stop_request.deadline < earlier.deadline:
                files.request_stop(stop_request)
                self._rounds.hurry()
        except FAULTS as fault:
            raise EngineError(f"{handle.run_url} cannot be written: {fault}; trying again") from fault

    def logs(self, handle: Handle, *, tail: int | None = None, node: int = 0) -> Iterator[str]:
        try:
            path = LocalCopy(handle).bring_log(node)
        except FAULTS as fault:
            raise EngineError(f"{handle.run_url} cannot be read: {fault}; `spotwise doctor` checks it") from fault
        if not path.exists():
            return
        with path.open(encoding="utf-8", errors="replace") as log:
            lines = (line.rstrip("\n") for line in log)
            yield from lines if tail is None else deque(lines, maxlen=tail)

    def task_of(self, request: LaunchRequest) -> Mapping[str, Any]:
        """The SkyPilot task that runs this attempt."""
        requirements = [_as_installed_here(name) for name in requirement_names(request)]
        return sky_task(request, self._wheel_for(request.run_url), requirements, self._settings.skypilot.pools)

    def _is_listed(self, offer: Offer) -> bool:
        return not any(is_of(offer, pool) for pool in self._settings.skypilot.pools)

    def _wheel_for(self, run_url: str) -> Wheel:
        """Into a folder that nodes see it is put once; copying it to each node takes SkyPilot seconds.

        Raises:
            EngineError: the folder cannot be written.
        """
        wheel, storage = self._wheel, storage_for(run_url.rpartition("/")[0])
        if not isinstance(storage, LocalStorage):
            return wheel
        name = f"wheels/{wheel.digest}/{wheel.path.name}"
        try:
            if name not in storage.files(f"wheels/{wheel.digest}"):
                storage.put(name, wheel.path.read_bytes())
        except FAULTS as fault:
            raise EngineError(f"{storage.url} cannot be written: {fault}; `spotwise doctor` checks it") from fault
        return replace(wheel, on_nodes=f"{storage.url}/{name}")

    @cached_property
    def _wheel(self) -> Wheel:
        path = build_wheel(self._settings.home / "skypilot" / "wheels")
        return Wheel(path, wheel_digest(path))

    def _node_task(self, request: LaunchRequest) -> NodeTask:
        return NodeTask(
            attempt_id=request.attempt_id,
            run_id=request.run_id,
            asked_at=self._clock.now(),
            setup=as_skypilot_runs_it(request.setup),
            command=as_skypilot_runs_it(request.command),
            nodes=request.nodes,
            hosts=request.hosts,
            cloud=request.offer.pool.cloud,
            is_spot=request.offer.is_spot,
            stop_after_s=request.stop_after_s,
            stop_grace_s=request.stop_grace_s,
        )


def create_engine(settings: Settings, clock: Clock) -> SkyPilotEngine:
    """The engine that speaks to the SkyPilot of this user."""
    sky = PublicSky()

    def read() -> list[CatalogRow]:
        wanted = settings.skypilot.clouds and [cloud.lower() for cloud in settings.skypilot.clouds]
        return sky.instance_types([cloud for cloud in sky.enabled_clouds() if wanted is None or cloud in wanted])

    book = OfferBook(settings.skypilot, read, settings.home / "skypilot" / "catalog.json", clock)
    return SkyPilotEngine(settings, clock, sky, book)


def _as_installed_here(name: str) -> str:
    """The requirement at the version that the scheduler itself has; without one where it has none."""
    try:
        version = importlib.metadata.version(name.partition("[")[0])
    except importlib.metadata.PackageNotFoundError:
        return name
    return f"{name}=={version.partition('+')[0]}"
