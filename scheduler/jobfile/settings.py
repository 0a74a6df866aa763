"""Settings of an installation: which engine, whose budgets, how long things take until they have been measured."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, StrictBool, StrictInt, ValidationError

from spotwise.cost_models.estimate import Overheads
from spotwise.cost_models.offer import Market

from ..core.errors import JobFileError
from .local_paths import expanded, is_file
from .notify_spec import NotifyChannel
from .quantities import parse_duration, shown
from .schema import Count, MoneyField, Part, Word, ZoneField, example
from .source_settings import SourceSettings
from .validation_errors import Fault, did_you_mean, faults_of, without_null
from .yaml_reader import Scalars, YamlFile, parse_yaml, read_text

_HOUR = timedelta(hours=1)
_FILES = {("local", "market"): "a market file", ("sources", "prices"): "a price file"}  # relative to the settings
_ACCELERATORS = re.compile(r"[^\s:]+(:[1-9][0-9]*)?")


def _positive(value: object) -> timedelta:
    duration = parse_duration(value)
    if not duration:
        raise ValueError(f"found {shown(value)}; allowed: more than 0s")
    return duration


def _partition(infra: str) -> str:
    """SkyPilot would take a partition for us, and it need not be the one whose price and market stand here."""
    parts = infra.strip("/").split("/")
    if parts[0].lower() == "slurm" and (len(parts) != 3 or not all(parts)):
        raise ValueError(f"found {shown(infra)}; allowed: slurm/CLUSTER/PARTITION or kubernetes/CONTEXT")
    return infra


def _accelerators(text: str) -> str:
    if not _ACCELERATORS.fullmatch(text):
        raise ValueError(f"found {shown(text)}; allowed: a name, or a name and a whole number, such as V100 or V100:2")
    return text


DurationField = Annotated[timedelta, PlainValidator(parse_duration), example("string", "4m")]
PositiveField = Annotated[timedelta, PlainValidator(_positive), example("string", "1s")]


def _lasting(default: str, description: str) -> Any:
    """A field whose default the schema shows as YAML writes it."""
    return Field(default=parse_duration(default), description=description, json_schema_extra={"default": default})


class LocalSettings(Part):
    """This machine, plain or with an emulated market."""

    market: Path | None = Field(default=None, description="Market file, relative to this one; default: no market.")
    price_usd_per_hour: MoneyField = Field(default=Decimal(0), description="What this machine costs without a market.")


class SkyPool(Part):
    """Capacity that no catalog prices: Slurm partitions and Kubernetes contexts."""

    infra: Annotated[Word, AfterValidator(_partition)] = Field(
        description="As SkyPilot names it: slurm/CLUSTER/PARTITION or kubernetes/CONTEXT."
    )
    market: Market = Field(description="spot: may be taken back at any moment; on_demand: ours until we end it.")
    price_usd_per_hour: MoneyField = Field(description="What one node costs.")
    accelerators: Annotated[Word, AfterValidator(_accelerators)] | None = Field(
        default=None, description="Of one node, such as V100:1."
    )
    cpus: Count | None = Field(default=None, description="vCPUs of one node.")
    memory: Count | None = Field(default=None, description="GiB of one node.")
    name: Word | None = Field(default=None, description="Tells pools of one Kubernetes context apart.")
    node_labels: dict[str, str] = Field(default={}, description="Kubernetes: the pool is the nodes with these labels.")


class SkyPilotSettings(Part):
    """Clouds, Kubernetes and Slurm, through SkyPilot."""

    storage: Word | None = Field(
        default=None,
        description="Where nodes and scheduler exchange a run's files: a URL such as s3://bucket/spotwise, or a folder "
        "that both see. Needed by the engine skypilot.",
    )
    clouds: list[Word] | None = Field(default=None, description="Only these of the clouds that SkyPilot has enabled.")
    pools: list[SkyPool] = Field(default=[], description="Slurm partitions and Kubernetes contexts, with their prices.")
    autostop: PositiveField = _lasting(
        "10m", "An idle node ends itself after this time, though no scheduler lives: whole minutes."
    )
    provision_timeout: PositiveField = _lasting("20m", "A launch that has not come up by then is given up.")


class TeamSettings(Part):
    """One team."""

    monthly_budget_usd: MoneyField | None = Field(
        default=None, alias="monthly_budget", description="The most that the team may spend in a calendar month (UTC)."
    )


class OverheadSettings(Part):
    """Billed time that does no work, assumed until this installation has measured it."""

    provision: DurationField = _lasting("4m", "From launch until the program starts.")
    restore: DurationField = _lasting("2m", "From its start until work goes on.")
    checkpoint: DurationField = _lasting("20s", "Work stands still for a checkpoint.")

    def in_hours(self) -> Overheads:
        """As the cost models take them."""
        return Overheads(self.provision / _HOUR, self.restore / _HOUR, self.checkpoint / _HOUR)


class NightlySettings(Part):
    """What all retraining jobs share."""

    timezone: ZoneField = Field(default="UTC", description="Time zone of calendar triggers that name none.")


class SettingsKeys(Part):
    """The keys of a settings file; each has a default."""

    model_config = ConfigDict(title="spotwise settings")

    engine: Literal["auto", "local", "skypilot"] = Field(
        default="auto",
        description="What runs jobs: local (this machine), skypilot (clouds, Kubernetes, Slurm), or auto: skypilot "
        "where skypilot.storage is set, else local.",
    )
    local: LocalSettings = Field(default_factory=LocalSettings, description="The local engine.")
    skypilot: SkyPilotSettings = Field(default_factory=SkyPilotSettings, description="The engine skypilot.")
    sources: SourceSettings = Field(
        default_factory=SourceSettings, description="Who is asked for prices, capacity and hazards."
    )
    store: Word | None = Field(
        default=None, description="SQLAlchemy URL of the store; default: SQLite under SPOTWISE_HOME."
    )
    teams: dict[str, TeamSettings] = Field(
        default={}, description="Teams by name. Where there are any, a job that names another is refused."
    )
    require_team: StrictBool = Field(
        default=False, description="Whether each job must name one of the teams: no job then passes every budget."
    )
    overheads: OverheadSettings = Field(
        default_factory=OverheadSettings, description="Billed time that does no work, until it has been measured."
    )
    grace: DurationField = _lasting("5s", "Wall-clock time that a terminated program gets to save.")
    tick: PositiveField = _lasting("0.5s", "Wall-clock time between two looks of the supervisor.")
    crash_limit: Annotated[StrictInt, Field(ge=1)] = Field(
        default=3, description="Crashes without progress in between that fail a run."
    )
    cooldown: DurationField = _lasting("1h", "Billed time that a pool is avoided after it preempted or refused a run.")
    nightly: NightlySettings = Field(default_factory=NightlySettings, description="Retraining jobs.")
    notify: tuple[NotifyChannel, ...] = Field(default=(), description="Who is told what happens to all runs.")


_DEFAULTS = SettingsKeys()


@dataclass(frozen=True)
class Settings:
    """All settings, and where they come from. What a file does not say is as in ``SettingsKeys``."""

    home: Path  # SPOTWISE_HOME
    source: Path | None = None  # the file; None: built-in defaults
    engine: str = "local"
    local: LocalSettings = field(default_factory=LocalSettings)
    skypilot: SkyPilotSettings = field(default_factory=SkyPilotSettings)
    sources: SourceSettings = field(default_factory=SourceSettings)
    store: str | None = None
    teams: Mapping[str, TeamSettings] = field(default_factory=dict)
    require_team: bool = False
    overheads: Overheads = field(default_factory=_DEFAULTS.overheads.in_hours)
    grace: timedelta = _DEFAULTS.grace  # wall clock
    tick: timedelta = _DEFAULTS.tick  # wall clock
    crash_limit: int = _DEFAULTS.crash_limit
    cooldown: timedelta = _DEFAULTS.cooldown  # billed
    nightly: NightlySettings = field(default_factory=NightlySettings)
    notify: tuple[NotifyChannel, ...] = ()

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.home / 'spotwise.db'}"

    @property
    def cooldown_hours(self) -> float:
        return self.cooldown / _HOUR

    def check_team(self, team: str, source: Path) -> None:
        """Raises `JobFileError` for a team that is not named here: no budget would apply to its job, without a word."""
        known = sorted(self.teams)
        if team in self.teams or not (self.require_team or (team and known)):
            return
        allowed = f"allowed: {', '.join(known) or 'none: the settings name no teams'}"
        why = f"found {shown(team)}, which is no team of the settings" if team else "missing; require_team asks for one"
        raise JobFileError([f"{source}: team: {why}; {allowed}{did_you_mean(team, known) if team else ''}"])

    def monthly_budget_usd(self, team: str) -> Decimal | None:
        """What a team may spend in a month; None: no limit."""
        return self.teams[team].monthly_budget_usd if team in self.teams else None


def spotwise_home(env: Mapping[str, str]) -> Path:
    """``$SPOTWISE_HOME``, absolute; ``~/.spotwise`` without it."""
    return Path(env.get("SPOTWISE_HOME") or "~/.spotwise").expanduser().absolute()


def load_settings(explicit: Path | None, env: Mapping[str, str], cwd: Path) -> Settings:
    """The settings of the first file there is, else built-in defaults.

    In this order: ``explicit``, ``$SPOTWISE_SETTINGS``, ``configs/settings.yaml`` in ``cwd``, ``settings.yaml`` in
    SPOTWISE_HOME. The first two must exist.

    Raises:
        JobFileError: all faults of the file at once.
    """
    home = spotwise_home(env)
    path = _settings_file(explicit, env, cwd, home)
    keys = SettingsKeys() if path is None else _keys_of(path)
    source = path.absolute() if path is not None else None
    engine = keys.engine if keys.engine != "auto" else "skypilot" if keys.skypilot.storage else "local"
    values = {**dict(keys), "engine": engine, "overheads": keys.overheads.in_hours()}
    return Settings(home=home, source=source, **values)


def settings_schema() -> dict[str, Any]:
    """JSON Schema of settings files, generated from the types."""
    schema = without_null(SettingsKeys.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _settings_file(explicit: Path | None, env: Mapping[str, str], cwd: Path, home: Path) -> Path | None:
    if explicit is not None:
        return explicit
    if env.get("SPOTWISE_SETTINGS"):
        return Path(env["SPOTWISE_SETTINGS"]).expanduser()
    places = (cwd / "configs" / "settings.yaml", home / "settings.yaml")
    return next((place for place in places if place.is_file()), None)


def _keys_of(path: Path) -> SettingsKeys:
    file = parse_yaml(read_text(path), source=str(path), scalars=lambda _: Scalars.PLAIN)
    files = {key: _named_file(file, path, key) for key in _FILES}
    faults = [
        _missing_file(file, key, named) for key, named in files.items() if named is not None and not is_file(named)
    ]
    keys = None
    try:
        keys = SettingsKeys.model_validate(file.data)
    except ValidationError as error:
        faults += faults_of(error, settings_schema())
    if keys is None or faults or file.faults or file.empty:
        raise JobFileError(file.all_faults(faults))
    whole = {part: getattr(keys, part).model_copy(update={key: named}) for (part, key), named in files.items()}
    return keys.model_copy(update=whole)


def _named_file(file: YamlFile, path: Path, key: tuple[str, str]) -> Path | None:
    part = file.data.get(key[0])
    named = part.get(key[1]) if isinstance(part, dict) else None
    return Path(os.path.realpath(path.parent / expanded(named))) if isinstance(named, str) else None


def _missing_file(file: YamlFile, key: tuple[str, str], named: Path) -> Fault:
    found = shown(file.data[key[0]][key[1]])
    return Fault(key, f"found {found}; allowed: {_FILES[key]} that exists, and {named} does not")
