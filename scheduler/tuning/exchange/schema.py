"""What an export may hold. Values are checked here and read by ``core.study_json``, as those of the store are."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from operator import itemgetter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, JsonValue, StrictBool, StrictInt, StrictStr, model_validator

from ...core.study import TrialState
from ...jobfile.quantities import shown
from ...jobfile.schema import Goal, Part
from ...jobfile.validation_errors import Fault, FaultyError, without_null


def _usd(text: str) -> str:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f'found {shown(text)}; allowed: an amount in USD as text, such as "1.250000"')
    return text


def _moment(text: str) -> str:
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError(f"found {shown(text)}; allowed: a time with zone, such as 2026-03-01T06:00:00+00:00")
    return text


Word = Annotated[StrictStr, Field(min_length=1)]
Count = Annotated[StrictInt, Field(ge=0)]
UsdText = Annotated[StrictStr, AfterValidator(_usd)]
Number = Annotated[FiniteFloat, Field(strict=True)]


class SpecPart(Part):
    """One hyperparameter. Looser than the job file: Optuna knows a range of one value."""

    type: Literal["float", "int", "categorical"] = Field(description="float, int or categorical")
    low: Number | None = Field(default=None, description="smallest value")
    high: Number | None = Field(default=None, description="largest value")
    log: StrictBool = Field(default=False, description="whether the scale is logarithmic")
    step: Number | None = Field(default=None, description="distance between values")
    choices: list[JsonValue] | None = Field(default=None, description="the values of a categorical one")
    when: dict[str, JsonValue] | None = Field(default=None, description="with which values of others it exists")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "categorical":
            if not self.choices:
                raise FaultyError([Fault(("choices",), "missing; required: the values of a categorical parameter")])
            return self
        if self.low is None or self.high is None or self.low > self.high or (self.log and self.low <= 0):
            found = f"found low {self.low}, high {self.high}"
            allowed = "two numbers, low not above high" + (", low above 0 with log" if self.log else "")
            raise FaultyError([Fault(("low",), f"{found}; allowed: {allowed}")])
        return self


class TrialPart(Part):
    """One trial."""

    number: Count = Field(description="its number, from 0")
    params: dict[str, JsonValue] = Field(description="its configuration")
    state: TrialState = Field(description="running, completed, pruned or failed")
    value: Number | None = Field(default=None, description="the metric")
    epoch: Count = Field(default=0, description="epochs done")
    curve: list[tuple[Count, Number]] = Field(default=[], description="[epoch, metric] pairs")
    source: StrictStr = Field(default="sampler", description="prior or sampler")
    note: StrictStr = Field(default="", description="where a prior came from")
    resumes: Count = Field(default=0, description="how often it continued")
    restored_epochs: list[Count] = Field(default=[], description="after which epochs")
    seconds: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="wall clock")
    gpu_memory_gib: Annotated[Number, Field(ge=0)] | None = Field(default=None, description="held of one GPU")
    cost_usd: UsdText | None = Field(default=None, description="cost")


class TaskPart(Part):
    """What it trained on."""

    data: Word | None = Field(default=None, description="name or fingerprint of the data")
    size: Annotated[StrictInt, Field(ge=1)] | None = Field(default=None, description="examples")


class MachinePart(Part):
    """What it ran on."""

    cloud: StrictStr = Field(description="the cloud")
    instance_type: StrictStr = Field(description="the instance type")
    accelerators: StrictStr = Field(default="", description="such as T4:1")


class StudyPart(Part):
    """One study."""

    id: Word = Field(description="the study's id")
    job_name: StrictStr = Field(description="the job's name")
    metric: Word = Field(description="the metric")
    goal: Goal = Field(description="maximize or minimize")
    space: dict[str, SpecPart] = Field(description="the hyperparameters by name")
    created_at: Annotated[StrictStr, AfterValidator(_moment)] = Field(description="when it began")
    labels: dict[str, StrictStr] = Field(default={}, description="names and values")
    trials: list[TrialPart] = Field(description="its trials")
    task: TaskPart | None = Field(default=None, description="what it trained on")
    machines: list[MachinePart] = Field(default=[], description="what it ran on")
    cost_usd: UsdText | None = Field(default=None, description="cost of the whole run")
    cost_basis: StrictStr = Field(default="", description="how far costs can be trusted")
    priors: list[StrictStr] = Field(default=[], description="past studies that it used")
    origin: StrictStr = Field(default="", description="where it was imported from")

    @model_validator(mode="after")
    def _numbered_once(self) -> Self:
        number, times = max(Counter(trial.number for trial in self.trials).items(), key=itemgetter(1), default=(0, 0))
        if times > 1:
            raise FaultyError([Fault(("trials",), f"found number {number} {times} times; allowed: each number once")])
        return self


class StudyFile(Part):
    """The whole file."""

    format: Literal["spotwise studies"] = Field(description="spotwise studies")
    version: Literal[1] = Field(description="1")
    studies: list[StudyPart] = Field(description="the studies")


@cache
def study_file_schema() -> dict[str, Any]:
    """JSON Schema of an export."""
    return without_null(StudyFile.model_json_schema())
