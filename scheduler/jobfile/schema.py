"""The parts of a job file that are spotwise's own, as frozen values that check themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from spotwise.checkpoints import Every

from ..core.configurations import configuration_count
from . import quantities
from .best_epoch import JudgedEpoch, KeepBest, parse_keep_best
from .conditions import condition_faults
from .names import NAME_PATTERN, NAME_RULE, is_name
from .quantities import Deadline, shown
from .validation_errors import Fault, FaultyError, did_you_mean

Goal = Literal["maximize", "minimize"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PRIORS = "auto, none or a list of study ids"
_LARGEST = 1e100  # so that differences and ratios of bounds stay numbers
_LARGEST_INT = 2**53  # every whole number below can be told from its neighbours as a float


class Part(BaseModel):
    """A frozen mapping of a YAML file; unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise ValueError(f"found {shown(value)}; allowed: a number")
    if abs(value) > _LARGEST:
        raise ValueError(f"found {shown(value)}; allowed: a number from {-_LARGEST:g} to {_LARGEST:g}")
    return value


def _choices(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"found {shown(value)}; allowed: a list of one or more values")
    return tuple(value)


def _when(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(
            f"found {shown(value)}; allowed: other parameters and their values, such as {{optimizer: sgd}}"
        )
    return {name: _choices(allowed) if isinstance(allowed, list) else allowed for name, allowed in value.items()}


def _priors(value: object) -> str | list[str]:
    if value in ("auto", "none"):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(study, str) for study in value):
        return value
    raise ValueError(f"found {shown(value)}; allowed: {_PRIORS}{did_you_mean(str(value), ['auto', 'none'])}")


def _days(value: object) -> tuple[str, ...]:
    given = list(value) if isinstance(value, list | tuple) else []
    wrong = [day for day in given if str(day).lower() not in WEEKDAYS]
    if wrong or not given:
        nearest = did_you_mean(str(wrong[0])[:3], WEEKDAYS) if wrong else ""
        found = shown(wrong[0] if wrong else value)
        raise ValueError(f"found {found}; allowed: a list of {', '.join(WEEKDAYS)}{nearest}")
    return tuple(day for day in WEEKDAYS if day in [str(day).lower() for day in given])


def known_zone(name: str) -> str:
    """A time zone of the IANA database, such as Europe/Berlin.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown; not a relative path; a folder of zones
        nearest = did_you_mean(name, sorted(available_timezones()))
        found = f"found {shown(name)}; allowed: a time zone such as UTC or Europe/Berlin"
        raise ValueError(found + nearest) from None


def example(kind: str | list[str], value: object, **more: object) -> WithJsonSchema:
    """What the JSON Schema says of a key: its type and one example."""
    return WithJsonSchema({"type": kind, "examples": [value], **more})


DeadlineField = Annotated[Deadline, PlainValidator(quantities.parse_deadline), example("string", "18h")]
MoneyField = Annotated[
    Decimal, PlainValidator(quantities.parse_money), example(["string", "number"], "40 USD", pattern=r"^[^-]*$")
]
EveryField = Annotated[Every | None, PlainValidator(quantities.parse_every), example("string", "2 epochs")]
KeepBestField = Annotated[KeepBest, PlainValidator(parse_keep_best), example("string", "val_accuracy")]
TimeOfDayField = Annotated[str, PlainValidator(quantities.parse_time_of_day), example("string", "02:00")]
ZoneField = Annotated[str, AfterValidator(known_zone)]
NumberField = Annotated[int | float, PlainValidator(_number), example("number", 0.1)]
Count = Annotated[StrictInt, Field(ge=1, le=quantities.LARGEST_COUNT)]
Fewer = Annotated[StrictInt, Field(ge=1, le=10_000)]  # of what is started or kept one by one
Word = Annotated[str, Field(min_length=1)]


class CheckpointSpec(Part):
    """How a job saves its state."""

    every: EveryField = Field(
        default=None, description="N epochs, N steps, N minutes, or auto: the model's best interval."
    )
    to: Word | None = Field(
        default=None, description="Any fsspec URL or a path; default: the run's folder under SPOTWISE_HOME."
    )
    keep: Fewer = Field(default=3, description="How many of the latest checkpoints stay.")
    keep_best: KeepBestField | None = Field(
        default=None, description="The metric of which the best checkpoint stays, besides the latest."
    )


class WorkSpec(Part):
    """The amount of work of a job."""

    epochs: Count | None = Field(default=None, description="Epochs of the whole work (of one trial, in a sweep).")
    steps: Count | None = Field(
        default=None, description="Optimizer steps of the whole work (of one trial, in a sweep)."
    )
    hours: Annotated[StrictFloat, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Hours of the whole work (of one trial, in a sweep) on one node of the reference accelerator.",
    )
    reference: Word | None = Field(default=None, description="The accelerator that hours were measured on, such as T4.")
    family: Literal["vision", "language", "speech", "reinforcement"] | None = Field(
        default=None,
        description="What kind of training it is: speeds on GPUs that it has not run on are predicted from that kind.",
    )

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if self.epochs is None and self.steps is None and self.hours is None:
            raise ValueError("found no amount; allowed: one or more of epochs, steps, hours")
        return self


class ParamSpec(Part):
    """One hyperparameter: what values it may take."""

    type: Literal["float", "int", "categorical"] = Field(description="float, int or categorical.")
    low: NumberField | None = Field(default=None, description="Smallest value (float, int).")
    high: NumberField | None = Field(default=None, description="Largest value (float, int).")
    log: StrictBool = Field(default=False, description="Whether to search on a logarithmic scale (float, int).")
    step: NumberField | None = Field(default=None, description="Distance between values (float, int; not with log).")
    choices: Annotated[tuple[Any, ...], PlainValidator(_choices), example("array", ["adam", "sgd"])] | None = Field(
        default=None, description="The values of a categorical one."
    )
    when: Annotated[dict[str, Any], PlainValidator(_when), example("object", {"optimizer": "sgd"})] | None = Field(
        default=None, description="Other parameters and the value, or the list of values, with which this one exists."
    )

    @property
    def as_spec(self) -> dict[str, Any]:
        """As plain values, without what is not set."""
        return {key: _plain(value) for key, value in self if value is not None}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = list(self._categorical_faults() if self.type == "categorical" else self._range_faults())
        if found:
            raise FaultyError(found)
        return self

    def _categorical_faults(self) -> Iterator[Fault]:
        if self.choices is None:
            yield Fault(("choices",), "missing; required: the values of a categorical parameter")
        for key in ("low", "high", "step"):
            if getattr(self, key) is not None:
                yield Fault((key,), f"found {shown(getattr(self, key))}; allowed: only with type float or int")
        if self.log:
            yield Fault(("log",), "found true; allowed: only with type float or int")

    def _range_faults(self) -> Iterator[Fault]:
        if self.choices is not None:
            yield Fault(("choices",), "found a list; allowed: only with type categorical")
        for key in ("low", "high"):
            if getattr(self, key) is None:
                yield Fault((key,), f"missing; required: the {'smallest' if key == 'low' else 'largest'} value")
        for key in ("low", "high", "step"):
            value = getattr(self, key)
            if self.type == "int" and isinstance(value, float):
                yield Fault((key,), f"found {shown(value)}; allowed: a whole number, or type float")
            elif self.type == "int" and value is not None and abs(value) > _LARGEST_INT:
                yield Fault((key,), f"found {shown(value)}; allowed: at most {_LARGEST_INT}, or type float")
        if self.low is not None and self.high is not None and self.low >= self.high:
            yield Fault(("low",), f"found {shown(self.low)}; allowed: less than high, which is {shown(self.high)}")
        if self.log and self.low is not None and self.low <= 0:
            yield Fault(("low",), f"found {shown(self.low)} with log: true; allowed: more than 0")
        if self.step is not None and self.log:
            yield Fault(("step",), f"found {shown(self.step)} with log: true; allowed: step or log, not both")
        if self.step is not None and self.step <= 0:
            yield Fault(("step",), f"found {shown(self.step)}; allowed: more than 0")
        elif self.step is not None and _width(self.low, self.high) / _LARGEST_INT > self.step:
            yield Fault(("step",), f"found {shown(self.step)}; allowed: so much that there are fewer values")


def _width(low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else float(high - low)


class EarlyStopping(Part):
    """Ends trials that fall behind, so that their money goes to better ones."""

    type: Literal["asha", "freeze_thaw"] = Field(
        default="asha",
        description="asha: asynchronous successive halving. freeze_thaw, experimental: by predicted learning curves; a "
        "trial that is set aside may go on later. Needs work.epochs.",
    )
    grace_epochs: Count = Field(default=1, description="No trial is stopped or set aside before this many epochs.")
    reduction_factor: Annotated[StrictInt, Field(ge=2, le=1_000_000)] = Field(
        default=3, description="How many times as many epochs each rung is; of asha, one in this many goes on."
    )


class StopWhen(Part):
    """Ends a sweep when more money is not worth what it is expected to bring."""

    gain_below: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="The least improvement of the metric that is worth it."
    )
    per_usd: MoneyField = Field(alias="per", description="What that much improvement may cost, in USD.")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _space(space: dict[str, ParamSpec]) -> dict[str, ParamSpec]:
    found, seen = [], dict[str, str]()
    for name in space:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            found.append(
                Fault((name,), "found a name that no environment variable can have; allowed: letters, digits, _")
            )
        elif name.upper() in seen:
            same = f"found the same variable HP_{name.upper()} as {seen[name.upper()]}"
            found.append(Fault((name,), f"{same}; allowed: names that differ by more than case"))
        seen.setdefault(name.upper(), name)
    if not space:
        raise ValueError("found an empty mapping; allowed: one or more parameters")
    found += condition_faults({name: param.as_spec for name, param in space.items()})
    if found:
        raise FaultyError(found)
    return space


class Task(Part):
    """What a sweep trains on: sweeps on the same data, or on as much of it, learn from each other first."""

    data: Word | None = Field(default=None, description="Name or fingerprint of the data.")
    size: Count | None = Field(default=None, description="How many examples there are.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.data is None and self.size is None:
            raise ValueError("found nothing; allowed: one or both of data, size")
        return self


class Sweep(Part):
    """A search for good hyperparameters."""

    metric: Word = Field(description="The metric that trials report and the sweep improves.")
    goal: Goal = Field(description="maximize or minimize.")
    by: JudgedEpoch = Field(
        default=JudgedEpoch.LAST, description="Which epoch of a trial counts: last_epoch or best_epoch."
    )
    trials: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="How many trials; without it the sweep ends by budget or deadline."
    )
    parallel: Fewer = Field(default=1, description="How many trials run at once on each host.")
    hosts: Fewer = Field(default=1, description="How many hosts work on it at once, each on machines of its own.")
    space: Annotated[dict[str, ParamSpec], AfterValidator(_space)] = Field(description="The hyperparameters, by name.")
    keep_trials: Count | None = Field(
        default=None,
        description="Of how many of the best trials checkpoints stay; default: all but stopped ones.",
    )
    search: Literal["model", "grid"] = Field(
        default="model",
        description="model: what past studies and this one's trials promise most of. grid: each configuration once.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="Ends trials that fall behind; default: none."
    )
    stop_when: StopWhen | None = Field(
        default=None, description="Ends it when more money is not worth it; default: when all trials are done."
    )
    priors: Annotated[
        str | list[str], PlainValidator(_priors), example(["string", "array"], "auto", items={"type": "string"})
    ] = Field(default="auto", description="What to learn from earlier studies: auto, none or a list of study ids.")
    task: Task | None = Field(default=None, description="What it trains on, by which related studies are found.")
    seed: Annotated[StrictInt, Field(ge=0, le=2**32 - 1)] = Field(default=0, description="Seed of the search.")
    budget_usd: MoneyField | None = Field(default=None, alias="budget", description="The job's budget; here or above.")
    deadline: DeadlineField | None = Field(default=None, description="The job's deadline; here or above.")

    @property
    def space_spec(self) -> dict[str, dict[str, object]]:
        """The search space as plain values, without what is not set."""
        return {name: param.as_spec for name, param in self.space.items()}

    @property
    def most_trials(self) -> int | None:
        """How many trials there will be at most: no configuration of a finite space is tried twice. None: no end."""
        return min((n for n in (self.trials, configuration_count(self.space_spec)) if n is not None), default=None)


class CalendarSpec(Part):
    """Retrains at a time of day."""

    at: TimeOfDayField = Field(description="HH:MM on a 24-hour clock.")
    days: Annotated[tuple[str, ...], PlainValidator(_days), example("array", ["mon", "thu"])] | None = Field(
        default=None, description="Days of the week; default: every day."
    )
    timezone: ZoneField | None = Field(
        default=None, description="Time zone of at; default: nightly.timezone of the settings."
    )


class Triggers(Part):
    """What makes a retraining job run."""

    calendar: CalendarSpec = Field(description="A time of day, on some days.")


class GateSpec(Part):
    """When a new model replaces the champion."""

    metric: Word = Field(description="The metric to compare.")
    goal: Goal = Field(description="maximize or minimize.")
    min_improvement: Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="By how much the new model must be better, in the metric's unit."
    )
    by: JudgedEpoch = Field(
        default=JudgedEpoch.LAST, description="Which checkpoint is judged, and promoted: last_epoch or best_epoch."
    )


def _model(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"found {shown(name)}; allowed: {NAME_RULE}")
    return name


class Retrain(Part):
    """A model that is trained again and again."""

    model: Annotated[str, AfterValidator(_model)] = Field(
        description="The model's name in the registry.", json_schema_extra={"pattern": NAME_PATTERN}
    )
    triggers: Triggers = Field(description="What makes it run.")
    gate: GateSpec = Field(description="When the new model replaces the champion.")
