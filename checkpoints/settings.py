"""What the scheduler tells a training process, read from its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .best import BestBy, parse_best_by
from .errors import SettingsError
from .schedule import Every, Unit, parse_every

KEEP_BEST_VARIABLE = "SPOTWISE_CHECKPOINT_KEEP_BEST"


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Where and how often to save. The defaults hold where no scheduler is around."""

    checkpoint_url: str = "checkpoints"
    progress_url: str = "checkpoints/progress.jsonl"
    every: Every = field(default=Every(1, Unit.EPOCHS))
    keep: int = 3  # checkpoints, at least 1
    attempt: int = 1
    hparams: Mapping[str, Any] = field(default_factory=dict)
    rank: int = 0  # of this process among the ranks of one distributed training; only 0 writes
    keep_best: BestBy | None = None  # a checkpoint that stays besides the newest; None: none does
    save_request: str | None = None  # a file; when it is touched, a checkpoint is saved and training goes on

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> SessionSettings:
        """Settings from ``SPOTWISE_*`` (and ``RANK`` as torchrun sets it). Raises ``SettingsError``."""
        checkpoint_url = (environ.get("SPOTWISE_CHECKPOINT_URL") or cls().checkpoint_url).rstrip("/")
        every, best = environ.get("SPOTWISE_CHECKPOINT_EVERY"), environ.get(KEEP_BEST_VARIABLE)
        return cls(
            checkpoint_url=checkpoint_url,
            progress_url=environ.get("SPOTWISE_PROGRESS_URL") or f"{checkpoint_url}/progress.jsonl",
            every=parse_every(every) if every else cls().every,
            keep=_whole_number(environ, "SPOTWISE_CHECKPOINT_KEEP", default=3, least=1),
            keep_best=parse_best_by(best) if best else None,
            attempt=_whole_number(environ, "SPOTWISE_ATTEMPT", default=1, least=0),
            hparams=_hparams(environ.get("SPOTWISE_HPARAMS") or "{}"),
            rank=_whole_number(environ, "RANK", default=0, least=0),
            save_request=environ.get("SPOTWISE_SAVE_REQUEST") or None,
        )


def _whole_number(environ: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise SettingsError(f"{name}={text!r} must be a whole number, at least {least}.")
    return int(text)


def _hparams(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as fault:
        raise SettingsError(f"SPOTWISE_HPARAMS is not JSON ({fault}): {text!r}") from fault
    if not isinstance(values, dict):
        raise SettingsError(f'SPOTWISE_HPARAMS must be a JSON object such as {{"lr": 0.01}}, not {text!r}.')
    return values
