"""What `spotwise doctor` checks for the engine ``skypilot``. Pure but for `all_checks`, which asks."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from spotwise.cost_models.offer import Offer

from ..core.clock import Clock
from ..core.errors import EngineError
from ..engines.skypilot.sky import Sky, SkyUnreachableError
from ..engines.skypilot.tasks import pool_of
from ..jobfile.quantities import format_duration
from ..jobfile.settings import Settings, SkyPool
from ..store import Store
from . import leftovers
from .check import Check, failed, ok, warning
from .leftovers import ClusterOwnership, FoundCluster
from .storage_checks import reach_checks, storage_checks

SUPPORTED = "0.14."
MINUTE = timedelta(minutes=1)
SHORTEST_PROVISION, LONGEST_PROVISION = 3 * MINUTE, 120 * MINUTE


class AskedSky(Sky, Protocol):
    """What is asked of SkyPilot here."""

    def enabled_infras(self) -> list[str]: ...


def all_checks(
    settings: Settings,
    store: Store | None,
    clock: Clock,
    sky: AskedSky | None = None,
    offers: Callable[[], Sequence[Offer]] | None = None,
) -> Iterator[Check]:
    """From the settings outwards; what cannot be asked without the one before is left out."""
    mine = settings.skypilot
    yield from (autostop_check(mine.autostop), provision_check(mine.provision_timeout))
    yield from storage_checks(mine.storage, clock)
    version = _version()
    yield version_check(version)
    if version is None and sky is None:
        return
    if sky is None:
        from ..engines.skypilot.public import PublicSky

        sky = PublicSky()
    try:
        infras = sky.enabled_infras()
        yield ok("API server", "answers")
    except SkyUnreachableError as fault:
        yield failed("API server", str(fault), "`sky api info` says more; `sky api start` starts a local one")
        return
    yield clouds_check(infras, mine.clouds)
    if mine.pools:
        yield pools_check(mine.pools, infras)
    yield from reach_checks(mine, infras)
    yield offers_check(offers or _offers(settings, clock))
    if store is not None:
        yield leftovers_check(leftovers.look(sky, store, clock.now()))


def autostop_check(autostop: timedelta) -> Check:
    """SkyPilot counts it in minutes."""
    if autostop % MINUTE:
        minutes = max(1, round(autostop / MINUTE))
        found = f"{format_duration(autostop)} is taken as {minutes} min"
        return warning("autostop", found, f"write skypilot.autostop: {minutes}m")
    return ok("autostop", f"an idle node ends itself after {autostop / MINUTE:g} min")


def provision_check(timeout: timedelta) -> Check:
    """Whether launches get enough time to come up, and not too much."""
    found = f"a launch is given up after {timeout / MINUTE:g} min"
    if timeout < SHORTEST_PROVISION:
        return warning("provision", found, "most clouds need 3 to 10 min: raise skypilot.provision_timeout")
    if timeout > LONGEST_PROVISION:
        return warning("provision", found, "a launch that hangs stays that long: lower skypilot.provision_timeout")
    return ok("provision", found)


def version_check(version: str | None) -> Check:
    """Whether SkyPilot is there, in a version that spotwise is tested with; None: not installed."""
    if version is None:
        return failed("SkyPilot", "not installed", "pip install 'spotwise[sky]', and SkyPilot's extras for your clouds")
    if not version.startswith(SUPPORTED):
        fix = f"spotwise is tested with {SUPPORTED}x: pip install 'spotwise[sky]'"
        return warning("SkyPilot", version, fix)
    return ok("SkyPilot", version)


def clouds_check(infras: Sequence[str], wanted: Sequence[str] | None) -> Check:
    """Whether there is a cloud at all, and each that the settings name."""
    enabled = sorted({infra.partition("/")[0].lower() for infra in infras})
    if not enabled:
        return failed("clouds", "SkyPilot has none enabled", "`sky check` says what each cloud needs")
    missing = [cloud for cloud in wanted or () if cloud.lower() not in enabled]
    if missing:
        fix = f"`sky check {' '.join(missing)}` says what is missing, or take it out of skypilot.clouds"
        return failed("clouds", f"not enabled: {', '.join(missing)}; enabled: {', '.join(enabled)}", fix)
    used = f"; used: {', '.join(wanted)}" if wanted else ""
    return ok("clouds", f"enabled: {', '.join(enabled)}{used}")


def pools_check(pools: Sequence[SkyPool], infras: Sequence[str]) -> Check:
    """Whether SkyPilot knows the cluster or context of each pool. Partitions it cannot be asked for."""
    unknown = sorted({pool.infra for pool in pools if not _is_known(pool, infras)})
    if unknown:
        known = ", ".join(infras) or "nothing"
        fix = "name them as SkyPilot does; Slurm clusters stand in ~/.slurm/config, contexts in the kubeconfig"
        return failed("pools", f"SkyPilot does not know {', '.join(unknown)}; it knows {known}", fix)
    return ok("pools", ", ".join(sorted({pool.infra for pool in pools})))


def offers_check(offers: Callable[[], Sequence[Offer]]) -> Check:
    """Whether anything can be bought; ``offers`` asks."""
    try:
        found = offers()
    except EngineError as fault:
        return failed("offers", str(fault), "mend what is said above, and try again")
    if not found:
        return failed("offers", "none", "enable a cloud with `sky check`, or describe your own in skypilot.pools")
    clouds: dict[str, int] = {}
    for offer in found:
        clouds[offer.pool.cloud] = clouds.get(offer.pool.cloud, 0) + 1
    spot = sum(offer.is_spot for offer in found)
    parts = ", ".join(f"{count} in {cloud}" for cloud, count in sorted(clouds.items()))
    return ok("offers", f"{len(found)}: {parts}; {spot} of them spot")


def leftovers_check(found: Sequence[FoundCluster]) -> Check:
    """Whether clusters were left over."""
    left = [each.cluster.name for each in found if each.standing is ClusterOwnership.LEFT_OVER]
    others = sum(each.standing is ClusterOwnership.UNKNOWN for each in found)
    more = f"; {others} not of this installation" if others else ""
    if left:
        return warning("clusters", f"left over: {', '.join(left)}{more}", "spotwise gc ends them")
    return ok("clusters", f"none left over{more}")


def _is_known(pool: SkyPool, infras: Sequence[str]) -> bool:
    place = pool_of(pool)
    known = [infra.lower() for infra in infras]
    if place.region:
        return f"{place.cloud}/{place.region}".lower() in known
    return any(infra.partition("/")[0] == place.cloud for infra in known)


def _offers(settings: Settings, clock: Clock) -> Callable[[], Sequence[Offer]]:
    from ..engines.skypilot.engine import create_engine

    return create_engine(settings, clock).offers


def _version() -> str | None:
    try:
        return importlib.metadata.version("skypilot")
    except importlib.metadata.PackageNotFoundError:
        return None
