"""Job files: what a team asks for, parsed and checked once. Any SkyPilot task is a valid job.

The attributes of :class:`JobSpec` are YAML's keys, except where a unit belongs into the name (``budget`` is
``budget_usd``).
SkyPilot's keys are read exactly as SkyPilot reads them and never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StrictStr, ValidationError

from spotwise.checkpoints import BestBy, Better

from .. import policies
from ..core.clock import SystemClock
from ..core.errors import JobFileError
from ..core.masking import SHORTEST_SECRET
from ..core.run import RunKind
from . import skypilot_keys
from .best_epoch import Judge, best_kept
from .cross_checks import empty_variables, faults_between_keys, missing_workdir, past_deadline, workdir_of
from .file_mounts import filled_in, missing_sources, with_whole_paths
from .names import is_variable
from .nearest_forms import forgotten_indentation, meant_word
from .notify_spec import NotifyChannel
from .quantities import Deadline, shown
from .resource_checks import resource_faults, with_long_names
from .schema import (
    CalendarSpec,
    CheckpointSpec,
    DeadlineField,
    EarlyStopping,
    Fewer,
    GateSpec,
    MoneyField,
    ParamSpec,
    Part,
    Retrain,
    Sweep,
    Task,
    Triggers,
    WorkSpec,
)
from .secret_forms import managed_names, own_secrets, secret_faults
from .sizes import size_faults
from .skypilot_shapes import task_faults
from .stored_text import aliases_of_secrets, stored_text
from .trial_variables import unset_variables
from .validation_errors import Fault, FaultyError, did_you_mean, faults_of, keys_at, without_null
from .work_checks import work_faults
from .yaml_reader import Scalars, YamlFile, parse_yaml, read_text

__all__ = [
    "CalendarSpec",
    "CheckpointSpec",
    "Deadline",
    "EarlyStopping",
    "GateSpec",
    "GivenVariables",
    "JobSpec",
    "ParamSpec",
    "Retrain",
    "Sweep",
    "Task",
    "Triggers",
    "WorkSpec",
    "job_of",
    "job_schema",
    "load_job",
    "parse_job",
    "slug",
    "text_to_store",
]

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9._-]{0,58}[A-Za-z0-9])?")
_SCALAR: list[JsonValue] = ["string", "number", "boolean"]


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        allowed = "at most 60 letters, digits and .-_, a letter first"
        raise ValueError(f"found {shown(name)}; allowed: {allowed}; did you mean {slug(name)}")
    return name


def _policy(name: str) -> str:
    if name not in policies.NAMES:
        allowed = ", ".join(policies.NAMES)
        meant = meant_word(("policy",), name)
        nearest = f"; did you mean {meant}" if meant else did_you_mean(name, policies.NAMES)
        raise ValueError(f"found {shown(name)}; allowed: {allowed}{nearest}")
    return name


def _variables(values: dict[str, Any]) -> dict[str, Any]:
    wrong = [name for name in values if not is_variable(name)]
    if wrong:
        raise FaultyError([Fault((name,), f"found {shown(name)}; allowed: letters, digits and _") for name in wrong])
    return values


class JobKeys(Part):
    """The keys of a job file that spotwise reads."""

    model_config = ConfigDict(title="spotwise job")

    name: Annotated[str, AfterValidator(_named)] = Field(description="The job's name; default: the file's name.")
    owner: str = Field(default="", description="Who submits it.")
    team: str = Field(default="", description="The team that pays; its budget is in the settings.")
    project: str = Field(default="", description="What reports group by below the team.")
    labels: dict[str, str] = Field(default={}, description="Any names and values, for reports.")
    deadline: DeadlineField | None = Field(
        default=None,
        description="When it must be done: a duration from submission in billed hours, or a timestamp with zone.",
    )
    budget_usd: MoneyField | None = Field(
        default=None, alias="budget", description="The most that this job may cost, in USD."
    )
    policy: Annotated[str, AfterValidator(_policy)] = Field(
        default="auto", description="Where it runs: auto, deadline, cheapest, on_demand or spot_only."
    )
    checkpoint: CheckpointSpec = Field(
        default_factory=CheckpointSpec, description="When and where training saves its state."
    )
    work: WorkSpec | None = Field(
        default=None, description="How much there is to do, so that cost and time can be predicted."
    )
    sweep: Sweep | None = Field(default=None, description="Makes it a sweep: a search for good hyperparameters.")
    retrain: Retrain | None = Field(
        default=None, description="Makes it a retraining job: a model trained again and again."
    )
    notify: tuple[NotifyChannel, ...] = Field(
        default=(), description="Who is told what happens to the run, beside those whom the settings name."
    )
    run: Annotated[StrictStr, Field(min_length=1)] = Field(description="Shell script that trains.")
    setup: StrictStr = Field(default="", description="Shell script that runs once on each new node.")
    workdir: StrictStr | None = Field(
        default=None,
        description="Folder that setup and run work in: relative to this file's folder, else to the current one.",
    )
    num_nodes: Fewer = Field(default=1, description="How many nodes it runs on.")
    code: Literal["snapshot", "live"] = Field(
        default="snapshot",
        description="snapshot: the run executes the code of its submission; live: each attempt, the folder as it is.",
    )
    resources: dict[str, Any] | None = Field(
        default=None, description="Which clouds, regions and machines are suitable."
    )
    envs: Annotated[dict[str, str], AfterValidator(_variables)] = Field(
        default={},
        description="Environment variables.",
        json_schema_extra={"additionalProperties": {"type": _SCALAR}},
    )
    secrets: Annotated[dict[str, str | None], AfterValidator(_variables)] = Field(
        default={},
        description="Environment variables that are never stored; empty: from the submitter's environment.",
        json_schema_extra={"type": ["object", "array"], "additionalProperties": {"type": [*_SCALAR, "null"]}},
    )


class JobSpec(JobKeys):
    """A job as its file describes it."""

    sky: dict[str, Any] = Field(default={}, description="SkyPilot's other keys, unread.")

    @property
    def kind(self) -> RunKind:
        if self.sweep is not None:
            return RunKind.SWEEP
        return RunKind.RETRAINING if self.retrain is not None else RunKind.TRAINING

    @property
    def hosts(self) -> int:
        """Sweep hosts that work on it at a time, each with all nodes it asks for."""
        return 1 if self.sweep is None else self.sweep.hosts

    @property
    def best_kept(self) -> BestBy | None:
        """What tells the checkpoint that stays besides the newest ones; None where none does."""
        terms = self.sweep or (self.retrain.gate if self.retrain is not None else None)
        judge = None if terms is None else Judge(terms.metric, Better(terms.goal), terms.by)
        return best_kept(self.checkpoint.keep_best, judge)

    @property
    def declares_checkpoint(self) -> bool:
        """Whether the file says that training saves its state; long spot work without is refused."""
        return "checkpoint" in self.model_fields_set


_TEXT_KEYS = frozenset({"name", "owner", "team", "project", "labels"})
_PLAIN_KEYS = frozenset({"deadline", "budget", "policy", "checkpoint", "work", "sweep", "retrain", "code", "notify"})


@dataclass(frozen=True, slots=True)
class GivenVariables:
    """What the command line says of variables: it counts more than the file."""

    envs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


_NONE_GIVEN = GivenVariables()


def load_job(path: Path | str, *, now: datetime | None = None, given: GivenVariables = _NONE_GIVEN) -> JobSpec:
    """The job of a file. Its ``workdir`` and the files that it brings along have whole paths, its deadline lies ahead
    of ``now`` (default: the present).

    Raises:
        JobFileError: all faults of the file at once.
    """
    path = Path(path)
    return job_of(read_text(path), path, now=now, given=given)


def job_of(text: str, path: Path, *, now: datetime | None = None, given: GivenVariables = _NONE_GIVEN) -> JobSpec:
    """The job of a text that was read from ``path``; see `load_job`."""
    file = _with_given(_read(text, str(path)), given)
    past = past_deadline(file, now or SystemClock().now())
    job = _checked(file, [*past, *missing_workdir(file, path), *missing_sources(file.data, path)])
    workdir = None if job.workdir is None else str(workdir_of(filled_in(job.workdir, job.envs), path))
    return job.model_copy(update={"workdir": workdir, "sky": with_whole_paths(job.sky, job.envs, path)})


def parse_job(text: str, *, source: str) -> JobSpec:
    """The job of a text that ``source`` names, by itself: no file is looked for and no time is read.

    Raises:
        JobFileError: all faults of the text at once.
    """
    return _checked(_read(text, source), [])


def labels_of(text: str, *, source: str) -> dict[str, str]:
    """The labels of a job file that was checked when it was submitted, as written: ``no`` and ``0123`` stay so.

    Raises:
        JobFileError: the text is not YAML.
    """
    labels = _read(text, source).data.get("labels")
    found = labels if isinstance(labels, dict) else {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def text_to_store(
    text: str, job: JobSpec, given: GivenVariables = _NONE_GIVEN, environment: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The text of ``job``'s file as it may be stored: with what was given on the command line, without secrets' values.

    Args:
        environment: the submitter's, where secrets without a value in the file are looked up.
    """
    known = {name: environment.get(name) if value is None else value for name, value in job.secrets.items()}
    return stored_text(
        text,
        envs=given.envs,
        kept=job.envs.keys(),
        secrets=job.secrets.keys(),
        values=[value for value in known.values() if value],
    )


def job_schema() -> dict[str, Any]:
    """JSON Schema of job files, generated from the types: editors complete and check by it."""
    schema = without_null(JobKeys.model_json_schema(by_alias=True))
    properties = dict(schema["properties"])
    properties["workdir"]["type"] = ["string", "object"]  # SkyPilot also takes a Git repository
    for key, (types, description) in skypilot_keys.PASSED_THROUGH.items():
        properties[key] = {**types, "description": f"SkyPilot: {description}"}
    required = [key for key in schema["required"] if key != "name"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "properties": properties,
        "required": required,
    }


def slug(text: str) -> str:
    """A text as a job's name: ``My job (2)`` becomes ``My-job-2``."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
    return (words if words[:1].isalpha() else f"job-{words}")[:60].strip("-._")


def _scalars(key: str) -> Scalars:
    if key in _TEXT_KEYS:
        return Scalars.TEXT
    return Scalars.PLAIN if key in _PLAIN_KEYS else Scalars.YAML_1_1


def _read(text: str, source: str) -> YamlFile:
    file = parse_yaml(text, source=source, scalars=_scalars)
    if "*" in text and file.data.get("secrets"):
        return replace(file, faults=[*file.faults, *aliases_of_secrets(text, source)])
    return file


def _with_given(file: YamlFile, given: GivenVariables) -> YamlFile:
    """The file as if the command line's variables stood in it."""
    data = dict(file.data)
    for key, values in (("envs", given.envs), ("secrets", given.secrets)):
        stated = data.get(key) or {}
        stated = dict.fromkeys(map(str, stated)) if isinstance(stated, list) else stated  # of SkyPilot's server
        if values and isinstance(stated, dict):
            data[key] = {**stated, **values}
    return replace(file, data=data)


def _checked(file: YamlFile, more_faults: Iterable[Fault]) -> JobSpec:
    read, sky = _split(file)
    faults = [*more_faults, *faults_between_keys(file.data), *resource_faults(file.data), *task_faults(file.data)]
    faults += [*secret_faults(file.data), *empty_variables(file.data), *unset_variables(file.data)]
    faults += [*work_faults(file.data), *size_faults(file.data)]
    keys = None
    try:
        keys = JobKeys.model_validate(read)
    except ValidationError as error:
        faults += faults_of(error, job_schema())
    if keys is None or faults or file.faults or file.empty:
        raise JobFileError(file.all_faults(faults, _indentation_hints(file)))
    return JobSpec.model_construct(keys.model_fields_set, **{**dict(keys), **_terms(keys)}, sky=sky)


def _indentation_hints(file: YamlFile) -> dict[tuple[str, ...], str]:
    schema, empty = job_schema(), [path for path in file.empty if len(path) == 1]
    return {path: forgotten_indentation(file.data, path[0], keys_at(path, schema)) for path in empty}


def _terms(keys: JobKeys) -> dict[str, Any]:
    """Budget and deadline, which a sweep may give as well: a sweep is the whole job."""
    if keys.sweep is None:
        return {}
    return {
        "budget_usd": keys.sweep.budget_usd if keys.budget_usd is None else keys.budget_usd,
        "deadline": keys.sweep.deadline or keys.deadline,
    }


def _split(file: YamlFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that are read, and SkyPilot's others. SkyPilot takes a key without a value for one that is left out."""
    given = {key: value for key, value in file.data.items() if value is not None}
    passed = {
        key for key, value in given.items() if key in skypilot_keys.PASSED_THROUGH or _is_for_sky_alone(key, value)
    }
    read = {"name": slug(Path(file.source).stem), **{key: given[key] for key in given if key not in passed}}
    for key in {"envs", "secrets"} & read.keys():
        if isinstance(read[key], dict):  # as text, as SkyPilot takes them
            read[key] = {
                name: None if value is None else str(value)
                for name, value in read[key].items()
                if value is not None or key == "secrets"  # `empty_variables` names the others
            }
    if isinstance(read.get("secrets"), dict):
        read["secrets"] = own_secrets(read["secrets"])
    _hide_copies(read)
    if isinstance(read.get("resources"), dict):
        read["resources"] = with_long_names(read["resources"])
    sky = {key: given[key] for key in given if key in passed and key != "secrets"}
    managed = managed_names(given.get("secrets"))
    if managed and isinstance(sky.get("managed_secrets", []), list):
        sky["managed_secrets"] = [*sky.get("managed_secrets", []), *managed]
    return read, sky


def _hide_copies(read: dict[str, Any]) -> None:
    """A variable that repeats a secret is a secret too, by whatever name; others would be stored and shown."""
    envs, secrets = read.get("envs"), read.get("secrets")
    if not isinstance(envs, dict) or not isinstance(secrets, dict):
        return
    values = {value for value in secrets.values() if value is not None and len(value) >= SHORTEST_SECRET}
    copies = {name: value for name, value in envs.items() if value in values and is_variable(name)}
    read["envs"] = {name: value for name, value in envs.items() if name not in copies}
    read["secrets"] = {**copies, **secrets}


def _is_for_sky_alone(key: str, value: object) -> bool:
    """A Git repository as workdir, or a list of secrets that SkyPilot's server keeps."""
    return (key == "workdir" and isinstance(value, dict)) or (key == "secrets" and isinstance(value, list))
