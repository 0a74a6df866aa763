"""`spotwise doctor`: what an installation has, what it lacks, and how to mend it. One small function for each check."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..core.clock import Clock, SystemClock, pace
from ..core.errors import InputError, JobFileError, StoreError
from ..core.text import counted
from ..engines import checked_name, engine_named
from ..jobfile.settings import Settings, load_settings, spotwise_home
from ..store import Actor, Store
from .check import Check, failed, ok, warning

GIB = 1 << 30
LITTLE_GIB, TOO_LITTLE_GIB = 2.0, 0.1
SAMPLE_S = 0.1
MOST_DRIFT = 0.2  # of the sample
YOUNGER_THAN_US = datetime(2026, 1, 1, tzinfo=UTC)  # no right clock shows less
SWEEP_PACKAGES = ("optuna", "ray")


def examine(settings_file: Path | None, engine: str | None, env: Mapping[str, str], cwd: Path) -> Iterator[Check]:
    """All checks of an installation, each as soon as it is made. Mends nothing; SkyPilot may start its local server.

    Args:
        engine: takes the place of the settings' own.

    Raises:
        InputError: there is no such engine.
    """
    clock, home = SystemClock(), spotwise_home(env)
    told = None if engine is None else checked_name(engine)
    try:
        settings = load_settings(settings_file, env, cwd)
    except JobFileError as error:
        yield failed("settings", str(error), "mend these lines; docs/job-file.md has every key")
        yield from (home_check(home), disk_check(home))
        return
    settings = settings if told is None else replace(settings, engine=told)
    yield settings_check(settings, is_told=told is not None)
    yield from (home_check(home), disk_check(home))
    yield from _of_installation(settings, clock)


def _of_installation(settings: Settings, clock: Clock) -> Iterator[Check]:
    store = None
    if settings.store is None and not settings.home.exists():  # looking must not make it
        yield ok("store", f"{settings.store_url} is made on first use")
    else:
        opened = opened_store(settings)
        store = None if isinstance(opened, Check) else opened
        yield opened if isinstance(opened, Check) else store_check(opened)
    yield clock_check(clock.now(), *pace(SAMPLE_S))
    yield sweeps_check(settings.engine, {name: _version(name) for name in SWEEP_PACKAGES})
    yield from _of_engine(settings, store, clock)


def settings_check(settings: Settings, *, is_told: bool) -> Check:
    """Which file holds, and which engine that means."""
    where = "no file, so the defaults hold" if settings.source is None else str(settings.source)
    return ok("settings", f"{where}; engine {settings.engine}{', as --engine says' if is_told else ''}")


def home_check(home: Path) -> Check:
    """Whether spotwise can write where it keeps its data."""
    place = _nearest(home)
    if not place.is_dir():
        return failed("home", f"{place} is no folder", "set SPOTWISE_HOME to a folder that can be written")
    if not os.access(place, os.W_OK | os.X_OK):
        return failed("home", f"{place} cannot be written", "set SPOTWISE_HOME to a folder that can be written")
    return ok("home", f"{home} can be written" if place == home else f"{home} is made on first use")


def disk_check(home: Path) -> Check:
    """Whether there is room for the store and for logs."""
    free_gib = shutil.disk_usage(_nearest(home)).free / GIB
    found = f"{free_gib:.1f} GiB free below {home}"
    if free_gib < TOO_LITTLE_GIB:
        return failed("disk", found, "free some, or move SPOTWISE_HOME: the store and logs need it")
    if free_gib < LITTLE_GIB:
        return warning("disk", found, "logs, and on the local engine checkpoints, need more")
    return ok("disk", found)


def opened_store(settings: Settings) -> Store | Check:
    """The store, or the check that says why it cannot be opened."""
    try:
        return Store.open(settings.store_url, Actor.of_this_process("doctor"))
    except StoreError as error:
        return failed("store", str(error), "mend `store` in the settings, or start the database")


def store_check(store: Store) -> Check:
    """Whether it can be read, and what is in it."""
    try:
        runs, active = store.count("runs"), len(store.runs(active=True))
    except StoreError as error:
        return failed("store", str(error), "restore a backup, or move it away to start anew")
    return ok("store", f"opens: {counted(runs, 'run')}, {active} active")


def clock_check(now: datetime, wall: timedelta, steady: timedelta) -> Check:
    """Whether the wall clock shows a date that can be, and goes as fast as the steady one.

    Args:
        wall: how far the wall clock went.
        steady: how far the steady clock went meanwhile.
    """
    if now < YOUNGER_THAN_US:
        return failed("clock", f"it shows {now:%Y-%m-%d %H:%M} UTC, which is past", "set it: timedatectl set-ntp true")
    if abs(wall - steady) > MOST_DRIFT * steady:
        found = f"the wall clock went {wall.total_seconds():.2f} s in {steady.total_seconds():.2f} s"
        return warning("clock", found, "it was set meanwhile, or is wrong: timedatectl set-ntp true")
    return ok("clock", f"{now:%Y-%m-%d %H:%M} UTC")


def sweeps_check(engine: str, versions: Mapping[str, str | None]) -> Check:
    """Whether sweeps can run. On other machines than this one, nodes install what they need."""
    missing = [name for name, version in versions.items() if version is None]
    if not missing:
        return ok("sweeps", ", ".join(f"{name} {version}" for name, version in versions.items()))
    lacking = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
    if engine != "local":
        return ok("sweeps", f"{lacking} here: nodes install the newest; `spotwise[tune]` here fixes the versions")
    return warning("sweeps", f"{lacking}: sweeps fail", "pip install 'spotwise[tune]'; other jobs need neither")


def _of_engine(settings: Settings, store: Store | None, clock: Clock) -> Iterator[Check]:
    if settings.engine == "skypilot":
        from .skypilot_checks import all_checks

        yield from all_checks(settings, store, clock)
        return
    yield local_check(settings, clock)


def local_check(settings: Settings, clock: Clock) -> Check:
    """What this machine offers."""
    try:
        offers = engine_named("local", settings, clock).offers()
    except InputError as error:
        return failed("local", str(error), "mend the market file that local.market names")
    if settings.local.market is None:
        return ok("local", "this machine, without accelerators; no market")
    return ok("local", f"{len(offers)} offers of the emulated market {settings.local.market}: no real money")


def _nearest(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
