"""A plan as people read it, and as JSON."""

from __future__ import annotations

from decimal import Decimal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.money import short_usd
from ..planning.plan import Option, Plan
from ..planning.warm_start_text import expected_text
from .responsive_table import ResponsiveTable, stacked

SHOWN_REJECTIONS = 12  # offers that do not fit at all: the rest are counted
WORTH_SAYING = 1.03  # expected over stated work
LEAST_WHY = 24  # characters of a line: in fewer, reasons are hard to read


def print_plan(plan: Plan, console: Console) -> None:
    """The table of offers, then the decision and its reasons."""
    _print_head(plan, console)
    fitting = [option for option in plan.options if option.estimate is not None]
    if fitting:
        console.print(_table(plan, fitting))
    _print_unfit([option for option in plan.options if option.estimate is None], console)
    _print_decision(plan, console)


def warm_start_line(plan: Plan) -> str | None:
    """What a sweep learns from and what that is expected to save, in a line; None where it starts cold."""
    expected = expected_text(plan.warm_start, plan.usd_per_trial)
    if plan.warm_start is None or expected is None:
        return None
    return f"learns from {', '.join(related.study.id for related in plan.warm_start.studies)}; {expected}"


def _print_head(plan: Plan, console: Console) -> None:
    console.print(Text(f"{plan.job_name}  ({plan.kind}, policy {plan.policy})", style="bold"))
    hours = "unknown" if plan.work.hours is None else f"{plan.work.hours:.2f} h"
    console.print(f"work        {hours}: {plan.work.source}", highlight=False)
    if (unsure := _unsure_work(plan)) is not None:
        console.print(f"            {unsure}", highlight=False)
    if plan.trial_memory is not None:
        console.print(f"memory      {plan.trial_memory.text}", highlight=False)
    if plan.deadline_hours is not None:
        console.print(f"deadline    in {plan.deadline_hours:.1f} h", highlight=False)
    if plan.budget_usd is not None:
        console.print(f"budget      {plan.budget_usd} USD", highlight=False)
    if plan.cost_basis == "emulated":
        text = f"emulated market: no real money; 1 market hour lasts {plan.hour_s} s on this machine"
        console.print(text, style="yellow", highlight=False)


def _unsure_work(plan: Plan) -> str | None:
    """Why costs are those of more work than is stated; None where that makes no difference."""
    work = plan.work
    if work.hours is None or work.expected_hours is None or work.expected_hours < WORTH_SAYING * work.hours:
        return None
    more = work.expected_hours / work.hours - 1
    off = f"it may be more or less by a factor of {work.factor:.1f}"
    return f"{off}: on average that is {work.expected_hours:.2f} h, {100 * more:.0f} % more, and costs are of that"


def _table(plan: Plan, options: list[Option]) -> ResponsiveTable:
    cost = "USD/h of work" if plan.work.hours is None else "cost USD"
    return ResponsiveTable(_wide(options, cost), _narrow(options, cost))


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
        short_usd(cost.expected),
        f"{short_usd(cost.p10)}-{short_usd(cost.p90)}",
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
        _print_price(plan, chosen, console)
        console.print(f"checkpoint  {plan.checkpoint}", highlight=False)
    if plan.savings_usd is not None and chosen is not None and chosen.offer.is_spot and chosen.estimate is not None:
        on_demand = plan.savings_usd + chosen.estimate.cost_usd.expected
        share = plan.savings_usd / on_demand if on_demand else Decimal(0)
        console.print(f"saves       {short_usd(plan.savings_usd)} USD ({share:.0%}) against on-demand", highlight=False)
    for line in plan.priors:
        console.print(f"priors      {line}", highlight=False)
    expected = expected_text(plan.warm_start, plan.usd_per_trial)
    if expected is not None:
        console.print(f"priors      {expected}", highlight=False)
    for answer in plan.sources:
        for why in answer.reading.skipped:
            console.print(f"note        {answer.name}: {why}", highlight=False, style="yellow")
    if plan.probe is not None:
        console.print(f"probe       {plan.probe.text}", highlight=False)
    for note in plan.notes:
        console.print(f"note        {note}", highlight=False, style="yellow")
    for refusal in plan.refusals:
        console.print(f"refused     {refusal}", highlight=False, style="bold red")


def _print_price(plan: Plan, chosen: Option, console: Console) -> None:
    """Whose price it is and how old, where sources were asked."""
    if not plan.sources:
        return
    offer = chosen.offer
    ages = [answer.age_text() for answer in plan.sources if answer.reading.read_at == offer.read_at]
    read = ages[0] if ages else "" if offer.read_at is None else f"of {offer.read_at:%Y-%m-%d %H:%M} UTC"
    said = ", ".join(part for part in (offer.source, read) if part)
    console.print(f"price       {offer.price_usd_per_hour:f} USD/h: {said}", highlight=False)
