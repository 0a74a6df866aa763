"""What every command needs: home, settings, store, clock and engines, opened once."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.clock import Clock, SystemClock
from ..core.shared_clock import shared_clock
from ..engines import checked_name, engine_named
from ..engines.base import Engine
from ..jobfile.settings import Settings, load_settings, spotwise_home
from ..planning.enabled_sources import EnabledSources, enabled_sources
from ..store import Actor, Store

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass
class App:
    """An opened installation."""

    home: Path
    settings: Settings
    store: Store
    clock: Clock = field(default_factory=SystemClock)
    _engines: dict[str, Engine] = field(default_factory=dict)

    @classmethod
    def open(cls, settings_file: Path | None = None, engine: str | None = None, command: str = "") -> App:
        """Open the installation that the environment names.

        Args:
            engine: takes the place of the settings' own.
            command: of spotwise; stands beside each change that it makes in the store.

        Raises:
            InputError: there is no such engine.
            JobFileError: faults in the settings file.
            StoreError: the store cannot be opened.
        """
        home = spotwise_home(os.environ)
        settings = load_settings(settings_file, os.environ, Path.cwd())
        if engine is not None:
            settings = replace(settings, engine=checked_name(engine))
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(home)
        store = Store.open(settings.store_url, Actor.of_this_process(command))
        return cls(home, settings, store, shared_clock(home, lambda: bool(store.runs(active=True, limit=1))))

    def engine(self, name: str) -> Engine:
        """An engine by name, made on first use."""
        if name not in self._engines:
            self._engines[name] = engine_named(name, self.settings, self.clock)
        return self._engines[name]

    def sources(self) -> EnabledSources | None:
        """Who is asked for prices besides the engine; None where the settings name nobody.

        Raises:
            JobFileError: faults of the team's price file.
        """
        return enabled_sources(self.settings.sources, self.home, self.clock)


def _close_to_others(home: Path) -> None:
    """A home that was there before may be open to all, and holds logs, job files and secrets."""
    found = home.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == os.geteuid() and mode & _OTHERS and home.resolve() != Path.home().resolve():
        home.chmod(mode & ~_OTHERS)
