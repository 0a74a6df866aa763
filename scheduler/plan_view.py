"""A plan as people read it, and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .fitting import Fitting, stacked
from .learned import saving_json
from .plan import Option, Plan
from .priors_view import expected_text
from .trial_hours import TrialHours
from .trial_memory import TrialMemory

SHOWN_REJECTIONS = 12  # offers that do not fit at all: the rest are counted
LEAST_WHY = 24  # characters of a line: in fewer, reasons are hard to read


def print_plan(plan: Plan, console: Console) -> None:
    """The table of offers, then the decision and its reasons."""
    _print_head(plan, console)
    fitting = [option for option in plan.options if option.estimate is not None]
    if fitting:
        console.print(_table(plan, fitting))
    _print_unfit([option for option in plan.options if option.estimate is None], console)
    _print_decision(plan, console)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Stable keys; money as decimal strings, times ISO 8601 UTC."""
    chosen = plan.chosen
    return {
        "job": plan.job_name,
        "kind": plan.kind,
        "policy": plan.policy,
        "work_hours": plan.work.hours,
        "work_source": plan.work.source,
        "work_reference": plan.work.reference,
        "work_sigma": plan.work.sigma,
        "work_gpu_memory_gib": plan.work.gpu_memory_gib,
        "trial_hours": _trial_hours_json(plan.trial_hours),
        "trial_gpu_memory": _trial_memory_json(plan.trial_memory),
        "deadline": None if plan.deadline_at is None else plan.deadline_at.isoformat(),
        "deadline_hours": plan.deadline_hours,
        "budget_usd": _money(plan.budget_usd),
        "cost_basis": plan.cost_basis,
        "wall_clock_seconds_per_hour": str(plan.hour_s),
        "checkpoint": plan.checkpoint,
        "chosen": None if chosen is None else chosen.offer.key,
        "savings_usd": _money(plan.savings_usd),
        "admitted": not plan.refusals,
        "refusals": list(plan.refusals),
        "priors": list(plan.priors),
        "prior_studies": _studies_json(plan),
        "expected_saving": saving_json(plan.learned.saving, plan.usd_per_trial) if plan.learned else None,
        "notes": list(plan.notes),
        "offers": [_option_json(option) for option in plan.options],
    }


def learned_line(plan: Plan) -> str | None:
    """What a sweep learns from and what that is expected to save, in a line; None where it starts cold."""
    expected = expected_text(plan.learned, plan.usd_per_trial)
    if plan.learned is None or expected is None:
        return None
    return f"learns from {', '.join(related.study.id for related in plan.learned.studies)}; {expected}"


def _trial_hours_json(found: TrialHours | None) -> dict[str, Any] | None:
    """What related studies say of a trial's length, also where the job file's own figure is planned with."""
    if found is None:
        return None
    return {
        "mean": found.mean,
        "median": found.median,
        "p10": found.spread.p10,
        "p90": found.spread.p90,
        "studies": found.studies,
        "trials": found.trials,
        "reference": found.reference,
        "by_configuration": found.by_configuration,
    }


def _trial_memory_json(found: TrialMemory | None) -> dict[str, Any] | None:
    """GiB that past trials' tensors held on one GPU."""
    return None if found is None else asdict(found)


def _studies_json(plan: Plan) -> list[dict[str, Any]]:
    found = plan.learned.studies if plan.learned else ()
    return [{"study": r.study.id, "trials": len(r.study.trials), "reason": r.reason} for r in found]


def _option_json(option: Option) -> dict[str, Any]:
    offer, predicted = option.offer, option.estimate
    head = {
        "offer": offer.key,
        "cloud": offer.pool.cloud,
        "region": offer.pool.region,
        "zone": offer.pool.zone,
        "instance_type": offer.pool.instance_type,
        "accelerators": offer.accelerators(),
        "market": offer.market.value,
        "price_usd_per_hour": str(offer.price_usd_per_hour),
        "source": offer.source,
        "available": option.available,
        "chosen": option.chosen,
        "reason": option.reason,
    }
    if predicted is None:
        return head
    return head | {
        "expected_cost_usd": _money(predicted.cost_usd.expected),
        "p10_cost_usd": _money(predicted.cost_usd.p10),
        "p90_cost_usd": _money(predicted.cost_usd.p90),
        "expected_hours": _finite(predicted.hours.expected),
        "p10_hours": _finite(predicted.hours.p10),
        "p90_hours": _finite(predicted.hours.p90),
        "expected_preemptions": _finite(predicted.preemptions),
        "chance_to_meet_deadline": predicted.chance_to_meet_deadline,
        "checkpoint_interval_hours": predicted.checkpoint_interval_hours,
    }


def _print_head(plan: Plan, console: Console) -> None:
    console.print(Text(f"{plan.job_name}  ({plan.kind}, policy {plan.policy})", style="bold"))
    hours = "unknown" if plan.work.hours is None else f"{plan.work.hours:.2f} h"
    console.print(f"work        {hours}: {plan.work.source}", highlight=False)
    if plan.trial_memory is not None:
        console.print(f"memory      {plan.trial_memory.text}", highlight=False)
    if plan.deadline_hours is not None:
        console.print(f"deadline    in {plan.deadline_hours:.1f} h", highlight=False)
    if plan.budget_usd is not None:
        console.print(f"budget      {plan.budget_usd} USD", highlight=False)
    if plan.cost_basis == "emulated":
        text = f"emulated market: no real money; 1 market hour lasts {plan.hour_s} s on this machine"
        console.print(text, style="yellow", highlight=False)


def _table(plan: Plan, options: list[Option]) -> Fitting:
    cost = "USD/h of work" if plan.work.hours is None else "cost USD"
    return Fitting(_wide(options, cost), _narrow(options, cost))


def _wide(options: list[Option], cost: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "offer", "market"):
        table.add_column(name, no_wrap=True)
    for name in ("USD/h", cost, "10-90 %", "hours", "preempt.", "in time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold", min_width=LEAST_WHY)
    for option in options:
        table.add_row(*_cells(option), style=_style(option))
    return table


def _narrow(options: list[Option], cost: str) -> Table:
    """Two lines an offer."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(stacked("offer", "why"), overflow="fold")
    for above, below in (("market", "USD/h"), (cost, "10-90 %"), ("hours", "preempt."), ("in time", "")):
        table.add_column(stacked(above, below), justify="right", no_wrap=True)
    for option in options:
        marker, place, market, price, expected, spread, hours, preemptions, chance, why = _cells(option)
        table.add_row(
            marker,
            stacked(place, Text(why, style="dim")),
            stacked(market, price),
            stacked(expected, spread),
            stacked(hours, preemptions),
            chance,
            style=_style(option),
        )
    return table


def _style(option: Option) -> str:
    return "bold green" if option.chosen else ""


def _cells(option: Option) -> list[str]:
    offer, predicted = option.offer, option.estimate
    if predicted is None:
        return []
    chance = predicted.chance_to_meet_deadline
    cost = predicted.cost_usd
    return [
        "->" if option.chosen else "",
        f"{offer.pool.cloud}/{offer.pool.place} {offer.accelerators() or offer.pool.instance_type}",
        offer.market.value.replace("_", "-"),
        f"{offer.price_usd_per_hour:.3f}",
        _short(cost.expected),
        f"{_short(cost.p10)}-{_short(cost.p90)}",
        f"{predicted.hours.expected:.1f}",
        f"{predicted.preemptions:.1f}",
        "" if chance is None else f"{chance:.0%}",
        "chosen" if option.chosen else option.reason,
    ]


def _print_unfit(unfit: list[Option], console: Console) -> None:
    if not unfit:
        return
    reasons: dict[str, int] = {}
    for option in unfit:
        reasons[option.reason] = reasons.get(option.reason, 0) + 1
    shown = sorted(reasons.items(), key=lambda item: -item[1])[:SHOWN_REJECTIONS]
    console.print(f"{len(unfit)} {'offer does' if len(unfit) == 1 else 'offers do'} not fit:", highlight=False)
    for reason, count in shown:
        console.print(f"  {count:4d} x {reason}", highlight=False)


def _print_decision(plan: Plan, console: Console) -> None:
    chosen = plan.chosen
    if chosen is not None:
        console.print(f"chosen      {chosen.reason}", highlight=False)
        console.print(f"checkpoint  {plan.checkpoint}", highlight=False)
    if plan.savings_usd is not None and chosen is not None and chosen.offer.is_spot and chosen.estimate is not None:
        on_demand = plan.savings_usd + chosen.estimate.cost_usd.expected
        share = plan.savings_usd / on_demand if on_demand else Decimal(0)
        console.print(f"saves       {_short(plan.savings_usd)} USD ({share:.0%}) against on-demand", highlight=False)
    for line in plan.priors:
        console.print(f"priors      {line}", highlight=False)
    expected = expected_text(plan.learned, plan.usd_per_trial)
    if expected is not None:
        console.print(f"priors      {expected}", highlight=False)
    for note in plan.notes:
        console.print(f"note        {note}", highlight=False, style="yellow")
    for refusal in plan.refusals:
        console.print(f"refused     {refusal}", highlight=False, style="bold red")


def _short(amount: Decimal) -> str:
    return "never" if not amount.is_finite() else f"{amount:.2f}" if amount >= 1 else f"{amount:.3f}"


def _money(amount: Decimal | None) -> str | None:
    """As a decimal string; null where there is none, and where the work would never end."""
    return None if amount is None or not amount.is_finite() else str(amount)


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
