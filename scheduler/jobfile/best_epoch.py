"""Which epoch of a training counts, its last or its best one, and which checkpoint stays for that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spotwise.checkpoints import BestBy, Better

from .quantities import shown
from .validation_errors import Fault

KEEP_BEST = "a metric such as val_accuracy, or maximize METRIC, or minimize METRIC"
_LESS = re.compile(
    r"loss|losses|nll|bce|mse|rmse|mae|mape|error|err|errors|perplexity|ppl|wer|cer|fid|brier|regret|cost|latency"
)
_MORE = re.compile(
    r"accuracy|acc|auc|auroc|auprc|f1|precision|recall|map|iou|miou|dice|bleu|rouge|r2|score|reward|return|psnr|ssim"
    r"|ndcg|mrr|top1|top5"
)


class JudgedEpoch(StrEnum):
    """By which epoch a training is judged."""

    LAST = "last_epoch"
    BEST = "best_epoch"


@dataclass(frozen=True, slots=True)
class KeepBest:
    """``checkpoint.keep_best`` as it stands in the file."""

    metric: str
    better: Better | None = None  # None: as the sweep or the gate says of this metric, else as its name does


@dataclass(frozen=True, slots=True)
class Judge:
    """What a sweep or a gate judges by."""

    metric: str
    better: Better
    epoch: JudgedEpoch

    @property
    def best_by(self) -> BestBy:
        return BestBy(self.metric, self.better)


def parse_keep_best(value: object) -> KeepBest:
    """``val_accuracy``, ``maximize val_accuracy`` or ``minimize val_loss``.

    Raises:
        ValueError: anything else.
    """
    words = value.split() if isinstance(value, str) else []
    if len(words) == 1 and words[0] not in tuple(Better):
        return KeepBest(words[0])
    if len(words) == 2 and words[0] in tuple(Better):
        return KeepBest(words[1], Better(words[0]))
    raise ValueError(f"found {shown(value)}; allowed: {KEEP_BEST}")


def better_by_name(metric: str) -> Better | None:
    """What a metric's name says of it: less is better of a loss or an error; None where it says nothing or both."""
    words = re.split(r"[^a-z0-9]+", metric.lower())
    less, more = (any(known.fullmatch(word) for word in words) for known in (_LESS, _MORE))
    if less == more:
        return None
    return Better.MINIMIZE if less else Better.MAXIMIZE


def best_kept(asked: KeepBest | None, judge: Judge | None) -> BestBy | None:
    """What tells the checkpoint that stays besides the newest: what the file asks for, else what a judge needs.

    None where none stays.
    """
    if asked is None:
        return judge.best_by if judge and judge.epoch is JudgedEpoch.BEST else None
    better = asked.better or _as_judged(asked.metric, judge) or better_by_name(asked.metric)
    return None if better is None else BestBy(asked.metric, better)


def keep_best_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """A metric of which nobody says what is better, and a judge by another best epoch than the one that is kept."""
    checkpoint = data.get("checkpoint")
    try:
        asked = parse_keep_best(checkpoint["keep_best"]) if isinstance(checkpoint, dict) else None
    except (KeyError, ValueError):
        return  # not there, or a fault that validation names
    judge = _judge_of(data)
    kept = best_kept(asked, judge)
    if asked is None:
        return
    if kept is None:
        yield Fault(
            ("checkpoint", "keep_best"),
            f"found {asked.metric}, whose name does not tell what is better; allowed: maximize {asked.metric} or "
            f"minimize {asked.metric}",
        )
    elif judge and judge.epoch is JudgedEpoch.BEST and kept != judge.best_by:
        yield Fault(
            ("checkpoint", "keep_best"),
            f"found {kept} beside by: best_epoch; allowed: {judge.best_by}, as is judged by",
        )


def _as_judged(metric: str, judge: Judge | None) -> Better | None:
    return judge.better if judge and judge.metric == metric else None


def _judge_of(data: Mapping[str, Any]) -> Judge | None:
    """The sweep's or the gate's terms; None where there are none, or none that can be read."""
    retrain = data.get("retrain")
    terms: Any = data.get("sweep") or (retrain.get("gate") if isinstance(retrain, dict) else None)
    try:
        return Judge(str(terms["metric"]), Better(terms["goal"]), JudgedEpoch(terms.get("by", JudgedEpoch.LAST)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
