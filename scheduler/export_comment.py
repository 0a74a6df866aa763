"""What an exported task says of itself: what was predicted, why these places, what is lost without spotwise. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .elsewhere import outlives_nodes
from .job import JobSpec
from .plan import Option, Plan


def comment(job: JobSpec, plan: Plan, options: Sequence[Option], now: datetime, *, pin: bool, source: str) -> str:
    """Lines for the head of the file."""
    lines = [
        f"Exported by `spotwise export` from {source} on {now:%Y-%m-%d %H:%M} UTC: a plain SkyPilot task.",
        *_predicted(plan, options[0]),
        *_why_this_order(options, pin=pin),
        "",
        "What is lost without spotwise:",
        *(f"- {line}" for line in _lost(job, plan)),
        *_how_to_start(job),
    ]
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _predicted(plan: Plan, first: Option) -> list[str]:
    predicted = first.estimate
    lines = [f"First choice: {first.reason}"] if first.chosen else ["No offer could be chosen now: see spotwise plan"]
    if predicted is None or plan.work.hours is None:
        return [*lines, "Cost and time were not predicted: the job file does not say how much work there is."]
    cost, hours = predicted.cost_usd, predicted.hours
    return [
        *lines,
        f"Predicted there: {cost.expected:.2f} USD (10-90 %: {cost.p10:.2f}-{cost.p90:.2f}), {hours.expected:.1f} h "
        f"({hours.p10:.1f}-{hours.p90:.1f}), {predicted.preemptions:.1f} preemptions.",
    ]


def _why_this_order(options: Sequence[Option], *, pin: bool) -> list[str]:
    if pin or len(options) == 1:
        return ["It is the only place below: without capacity there, SkyPilot looks nowhere else."]
    return [
        f"{len(options)} offers in order of expected cost, not of price: preemptions, restarts and speed count too. "
        "Prices are of that moment."
    ]


def _lost(job: JobSpec, plan: Plan) -> list[str]:
    lost = []
    if plan.budget_usd is not None:
        lost.append(f"the budget of {plan.budget_usd:.2f} USD: nothing stops the task before it costs more")
    if job.deadline is not None:
        lost.append(f"the deadline ({job.deadline}): nothing goes on demand when spot would be too late")
    if job.retrain is not None:
        lost.append("trigger, gate and registry of the retraining: the task trains once")
    lost.append("a new choice after a preemption, the record of what each attempt cost, and reports")
    return [*lost, *_of_checkpoints(job)]


def _of_checkpoints(job: JobSpec) -> list[str]:
    if not job.declares_checkpoint:
        return ["all work of a node that is preempted: the job file does not say that the program saves its state"]
    session = "a program that uses spotwise.checkpoints finds it on no node: `setup` must install it"
    if outlives_nodes(job):
        return ["no checkpoint: they lie at $SPOTWISE_CHECKPOINT_URL, and a second launch goes on from them", session]
    hint = "set checkpoint.to to a URL and export again"
    return [f"checkpoints: they lie on the node and are gone with it; {hint}", session]


def _how_to_start(job: JobSpec) -> list[str]:
    options = "".join(f" --secret {name}" for name in job.secrets)
    return [
        "",
        f"sky jobs launch{options} THIS-FILE   recovers it from preemptions, on these offers",
        f"sky launch --down{options} THIS-FILE   one cluster; a preemption ends it",
    ]
