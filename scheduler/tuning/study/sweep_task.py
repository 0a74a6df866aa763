"""The sweep host's task: all that it needs to know, in one file (``sweep.json``) beside the trials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from spotwise.checkpoints.strict_json import parse_json

from ...core.errors import InputError
from ...core.study import StudyRecord
from ...core.study_json import study_from_json, study_to_json
from .trial_worth import MachinePrice, StopRule

_LONGEST_TASK = 2**28  # bytes: it holds the studies that the sweep learns from


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Asynchronous successive halving (``asha.py``), or freezing and thawing at the same rungs (``freeze_thaw.py``)."""

    grace_epochs: int = 1  # no trial is stopped before
    reduction_factor: int = 3  # one in this many goes on at each rung
    freezes: bool = False  # trials that promise less than others are set aside, and may go on later

    def rungs(self, most: int) -> list[int]:
        """The epochs at which trials are compared: grace * factor^k, up to ``most``."""
        levels, epoch = [], self.grace_epochs
        while epoch <= most:
            levels.append(epoch)
            epoch *= self.reduction_factor
        return levels


@dataclass(frozen=True, slots=True)
class SweepTask:
    """What a sweep host has to do."""

    run_id: str
    attempt: int
    folder: str  # the run's folder
    command: str  # shell script: the job's ``run``
    workdir: str
    metric: str
    goal: str  # "maximize" or "minimize"
    space: dict[str, dict[str, Any]]  # as in the job file
    parallel: int
    trials: int | None = None  # None: until the run is ended from outside (budget, deadline)
    env: dict[str, str] = field(default_factory=dict)
    early_stopping: StoppingRule | None = None
    epochs: int | None = None  # of a whole trial, where known: no rung lies there or beyond
    seed: int | None = None
    checkpoint_every: str = ""  # "2 epochs"; empty: the training program's own default
    keep: int = 3
    keep_trials: int | None = None  # of how many of the best trials checkpoints stay; None: of all but stopped ones
    keep_best: str = ""  # "maximize METRIC" or "minimize METRIC": a trial's checkpoint that stays besides the newest
    by_best_epoch: bool = False  # whether a trial's value is that of its best epoch, not of its last
    checkpoint_to: str | None = None  # a path or URL; None: beside the trial
    gpus_per_trial: float | None = None  # None: the node's GPUs divided by ``parallel``
    host: int = 0  # which of the hosts at work this one is; it runs the trials whose number leaves this remainder
    hosts: int = 1
    priors: tuple[StudyRecord, ...] = ()
    search: str = "model"  # or "grid": each configuration of the space once
    stop_when: StopRule | None = None
    price: MachinePrice | None = None  # of the attempt's machine, where the environment tells

    def __post_init__(self) -> None:
        if self.goal not in ("maximize", "minimize"):
            raise InputError(f"sweep of {self.run_id}: goal is {self.goal!r}; use maximize or minimize")
        if self.parallel < 1 or (self.trials is not None and self.trials < 1):
            raise InputError(f"sweep of {self.run_id}: parallel and trials must be at least 1")
        if not 0 <= self.host < self.hosts:
            raise InputError(f"sweep of {self.run_id}: host {self.host} of {self.hosts} cannot be; they count from 0")

    @property
    def study_folder(self) -> Path:
        return Path(self.folder) / "study"

    def owns(self, number: int) -> bool:
        """Whether a trial is this host's: no two hosts ever take one number, and nobody has to be asked."""
        return number % self.hosts == self.host

    def next_number(self, taken: Iterable[int]) -> int:
        """For a new trial of this host: numbers are dealt out to the hosts in turn."""
        own = [number for number in taken if self.owns(number)]
        return max(own) + self.hosts if own else self.host

    @property
    def share(self) -> int | None:
        """How many of the sweep's trials are this host's; None: without end."""
        return None if self.trials is None else len(range(self.host, self.trials, self.hosts))

    @property
    def freezes(self) -> bool:
        """Whether trials are set aside and may go on later: then the epochs of a whole one are known."""
        return self.early_stopping is not None and self.early_stopping.freezes and self.epochs is not None

    @property
    def sign(self) -> float:
        """Times this, larger values are better."""
        return 1.0 if self.goal == "maximize" else -1.0

    def trial_folder(self, number: int) -> TrialFolder:
        return TrialFolder.of(self.folder, number)

    def to_json(self) -> str:
        """The text of ``sweep.json``."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["early_stopping"] = asdict(self.early_stopping) if self.early_stopping else None
        data["stop_when"] = asdict(self.stop_when) if self.stop_when else None
        del data["price"]  # each attempt has its own
        data["priors"] = [study_to_json(record) for record in self.priors]
        return json.dumps({"format": 1, **data}, indent=2) + "\n"

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str]) -> SweepTask:
        """The task of a file, for the attempt that the environment names: the file serves all attempts of a run.

        Raises:
            InputError: it is no sweep task.
            OSError: it cannot be read.
        """
        task = cls.from_json(path.read_text(encoding="utf-8"), source=str(path))
        return replace(
            task,
            attempt=int(environ.get("SPOTWISE_ATTEMPT", task.attempt)),
            folder=environ.get("SPOTWISE_RUN_FOLDER", task.folder),
            workdir=environ.get("SPOTWISE_WORKDIR", task.workdir),
            host=int(environ.get("SPOTWISE_HOST", task.host)),
            hosts=int(environ.get("SPOTWISE_HOSTS", task.hosts)),
            price=MachinePrice.of(environ),
        )

    @classmethod
    def from_json(cls, text: str, *, source: str = "sweep.json") -> SweepTask:
        """Read ``sweep.json``.

        Raises:
            InputError: it is not one; the message names the file and the field.
        """
        try:
            return _task(parse_json(text, longest=_LONGEST_TASK))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{source} is no sweep task ({error}); write it with SweepTask.to_json()") from error


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """The files of one trial."""

    path: Path

    @classmethod
    def of(cls, run_folder: str, number: int) -> TrialFolder:
        return cls(Path(run_folder) / "trials" / f"{number:04d}")

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def progress(self) -> Path:
        return self.path / "progress.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def pid(self) -> Path:
        return self.path / "pid.json"

    @property
    def leaving(self) -> Path:
        """Processes that were asked to save and leave; like ``pid`` of this machine only."""
        return self.path / "leaving-pid.json"


def _task(data: Mapping[str, Any]) -> SweepTask:
    if data.get("format") != 1:
        raise ValueError(f"format is {data.get('format')!r}, not 1")
    fields = {name: value for name, value in data.items() if name != "format"}
    rule = fields.get("early_stopping")
    fields["early_stopping"] = None if rule is None else StoppingRule(**rule)
    stop = fields.get("stop_when")
    fields["stop_when"] = None if stop is None else StopRule(**stop)
    fields["priors"] = tuple(study_from_json(record) for record in fields.get("priors", ()))
    return SweepTask(**fields)
