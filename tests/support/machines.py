"""For tests of the local engine with real processes: markets made to measure, waiting, and leaving nothing behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from spotwise.cost_models.offer import Offer, Pool
from spotwise.scheduler.core.clock import Clock, SystemClock
from spotwise.scheduler.engines.base import Engine, Handle, LaunchRequest, Observation, Phase
from spotwise.scheduler.engines.local.market import EmulatedMarket, MarketPool, Outage, Weibull
from spotwise.scheduler.engines.skypilot.engine import SkyPilotEngine
from spotwise.scheduler.engines.skypilot.offers import OfferBook
from spotwise.scheduler.engines.skypilot.rounds import RoundTimes
from spotwise.scheduler.engines.skypilot.sky import Sky
from spotwise.scheduler.jobfile.settings import Settings, SkyPilotSettings, SkyPool
from spotwise.scheduler.node_agent.processes import FOLDER_VARIABLE

PATIENCE_S = 60.0
POOL = Pool("aws", "us-east-1", "use1-az4", "g4dn.xlarge")
QUICK = RoundTimes(round_s=0.1, silent_s=3.0, noticed_s=1.5, settling_s=3.0, look_again_s=0.3, ask_again_s=0.1)
EXACTLY = 1e6  # a Weibull of this shape is its scale, always


def make_market(
    *,
    lifetime_hours: float = 10_000.0,
    provision_hours: float = 0.1,
    grace_s: float = 20.0,
    outage: tuple[float, float] | None = None,
    hour_s: str = "1",
    pool: Pool = POOL,
) -> EmulatedMarket:
    """One pool where machines live exactly as long as said, with outages of exactly (every, length) hours."""
    entry = MarketPool(
        pool=pool,
        accelerator="T4",
        accelerator_count=1,
        vcpus=4,
        memory_gib=16,
        spot_usd_per_hour=Decimal("0.2"),
        on_demand_usd_per_hour=Decimal("0.5"),
        published_hazard_per_hour=0.3,
        provision_hours=provision_hours,
        lifetime=Weibull(EXACTLY, lifetime_hours),
        outage=Outage(Weibull(EXACTLY, outage[0]), Weibull(EXACTLY, outage[1])) if outage else None,
    )
    return EmulatedMarket("test", 1, Decimal(hour_s), grace_s, (entry,), "made up")


def make_skypilot_engine(home: Path, sky: Sky, **keys: object) -> SkyPilotEngine:
    """The engine with one spot and one on-demand pool, on whatever plays SkyPilot."""
    pools = [
        SkyPool.model_validate({**pool, "accelerators": "V100:1"})
        for pool in (
            {"infra": "slurm/aws/spot", "market": "spot", "price_usd_per_hour": "0.90"},
            {"infra": "slurm/aws/od", "market": "on_demand", "price_usd_per_hour": "3"},
        )
    ]
    settings = Settings(home=home, skypilot=SkyPilotSettings(pools=pools, **keys))
    clock = SystemClock()
    book = OfferBook(settings.skypilot, list, home / "catalog.json", clock)
    return SkyPilotEngine(settings, clock, sky, book, pace=QUICK)


def spot_offer(engine: Engine) -> Offer:
    return next(offer for offer in engine.offers() if offer.is_spot)


def make_request(folder: Path, offer: Offer, command: str, *, number: int = 1, **changes: Any) -> LaunchRequest:
    fields: dict[str, Any] = {"setup": "", "env": {}, "workdir": str(folder), **changes}
    return LaunchRequest(
        attempt_id=f"job-x1-a{number}", run_id="job-x1", offer=offer, command=command, folder=str(folder), **fields
    )


def wait_for(happened: Callable[[], bool], clock: Clock, *, what: str) -> None:
    """Poll until it happened; a test that waits in vain fails with the reason."""
    give_up = time.monotonic() + PATIENCE_S  # looking takes time too, on a busy machine most of it
    while not happened():
        assert time.monotonic() < give_up, f"waited {PATIENCE_S} s in vain for {what}"
        clock.sleep(0.05)


def seen_ended(engine: Engine, handle: Handle, clock: Clock) -> Observation:
    """The observation of its end, waited for."""

    def ended() -> bool:
        return engine.observe([handle])[handle.attempt_id].phase is Phase.ENDED

    wait_for(ended, clock, what=f"the end of {handle.attempt_id}")
    return engine.observe([handle])[handle.attempt_id]


def processes_under(folder: Path) -> list[psutil.Process]:
    """Nodes and attempts' processes that belong to any attempt below this folder."""
    return [p for p in psutil.process_iter() if _belongs(p, str(folder.resolve()))]


def processes_with(folder: Path, word: str) -> list[psutil.Process]:
    """Those of them that have this word in their command line; one that ends meanwhile has none."""
    return [process for process in processes_under(folder) if word in _command_line(process)]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def end_everything_under(folder: Path) -> None:
    """SIGKILL all of them."""
    while left := processes_under(folder):
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.02)


def _belongs(process: psutil.Process, folder: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        marked = process.environ().get(FOLDER_VARIABLE, "").startswith(folder)
        return marked or any(
            word.startswith(f"{folder}/") for word in process.cmdline() if "engines.local.node" in process.cmdline()
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False
