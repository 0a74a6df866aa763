"""Which checkpoint stays besides the newest, and which epoch a gate or a sweep judges by."""

from __future__ import annotations

import pytest

from spotwise.checkpoints import BestBy, Better
from spotwise.scheduler.core.errors import JobFileError
from spotwise.scheduler.jobfile.best_epoch import JudgedEpoch, better_by_name
from spotwise.scheduler.jobfile.job_spec import JobSpec, parse_job

SWEEP = "sweep: {metric: hits, goal: minimize, trials: 2, space: {lr: {type: float, low: 0.1, high: 1}}%s}\n"
RETRAIN = "retrain: {model: m, triggers: {calendar: {at: 02:00}}, gate: {metric: hits, goal: maximize%s}}\n"


def job(text: str) -> JobSpec:
    return parse_job(f"run: x\n{text}", source="job.yaml")


def faults(text: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        job(text)
    return caught.value.faults


def keep_best(text: str, *, more: str = "") -> BestBy | None:
    return job(f"checkpoint: {{keep_best: {text}}}\n{more}").best_kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("val_loss", BestBy("val_loss", Better.MINIMIZE)),
        ("val_accuracy", BestBy("val_accuracy", Better.MAXIMIZE)),
        ("eval/WER", BestBy("eval/WER", Better.MINIMIZE)),
        ("minimize hits", BestBy("hits", Better.MINIMIZE)),
        ("maximize val_loss", BestBy("val_loss", Better.MAXIMIZE)),  # whoever says it means it
    ],
)
def test_what_is_better_is_said_or_follows_from_the_metrics_name(text: str, kept: BestBy) -> None:
    assert keep_best(text) == kept


def test_what_is_better_follows_from_the_sweep_or_the_gate_where_it_is_the_same_metric() -> None:
    assert keep_best("hits", more=SWEEP % "") == BestBy("hits", Better.MINIMIZE)
    assert keep_best("hits", more=RETRAIN % "") == BestBy("hits", Better.MAXIMIZE)


@pytest.mark.parametrize("more", ["", SWEEP.replace("hits", "other") % ""])
def test_a_metric_of_which_nobody_says_what_is_better_is_a_fault_with_both_ways_out(more: str) -> None:
    (fault,) = faults(f"checkpoint: {{keep_best: hits}}\n{more}")
    assert fault.endswith("allowed: maximize hits or minimize hits")


@pytest.mark.parametrize("text", ["max val_loss", "[a]", "5", "''", "maximize", "a b c", "{metric: a}", "true"])
def test_what_names_no_metric_is_a_fault(text: str) -> None:
    assert "checkpoint.keep_best: found" in faults(f"checkpoint: {{keep_best: {text}}}\n")[0]


def test_a_name_that_says_both_or_nothing_tells_nothing() -> None:
    assert [better_by_name(name) for name in ("loss_score", "hits", "")] == [None] * 3


def test_without_the_key_none_stays_unless_the_best_epoch_is_judged() -> None:
    assert job("").best_kept is None
    assert job(SWEEP % "").best_kept is None
    assert job(SWEEP % ", by: best_epoch").best_kept == BestBy("hits", Better.MINIMIZE)
    assert job(RETRAIN % ", by: best_epoch").best_kept == BestBy("hits", Better.MAXIMIZE)


def test_the_last_epoch_is_judged_by_default() -> None:
    assert job(SWEEP % "").sweep.by is job(RETRAIN % "").retrain.gate.by is JudgedEpoch.LAST


def test_another_epoch_is_a_fault() -> None:
    (fault,) = faults(RETRAIN % ", by: best")
    assert "retrain.gate.by" in fault
    assert "best_epoch" in fault


@pytest.mark.parametrize("kept", ["val_loss", "minimize hits"])
def test_a_gate_by_the_best_epoch_and_another_best_checkpoint_are_a_fault(kept: str) -> None:
    """The checkpoint that the gate wants might be gone."""
    (fault,) = faults(f"checkpoint: {{keep_best: {kept}}}\n{RETRAIN % ', by: best_epoch'}")
    assert fault.endswith("allowed: maximize hits, as is judged by")
