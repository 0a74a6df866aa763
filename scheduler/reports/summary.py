"""The report in sentences: what a finance lead reads first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from ..accounting.ledger import Category
from ..core.text import counted
from .formats import Usd, label, percent
from .report import BudgetState, Report, Section

EMPTY = (
    "No runs yet, so there is nothing to report. Submit a job (spotwise submit job.yaml); "
    "its cost appears here as soon as its first attempt ends."
)


def left_out(report: Report) -> str:
    """Which runs are not in the report, with what they cost; "" where all are."""
    names = ", ".join(report.unreadable)
    return f"Left out, since their records cannot be read: {names}. `spotwise status` says why." if names else ""


def summary(section: Section) -> tuple[str, ...]:
    """Three to five sentences, the most important first."""
    usd = Usd.for_section(section)
    return tuple(_sentences(section, usd))


def _sentences(section: Section, usd: Usd) -> Iterator[str]:
    total = section.total
    spent = f"{counted(len(section.runs), 'run')} booked {usd(total.booked_usd)}"
    yield spent + (f", and {usd(total.running_usd)} more is running." if total.running_usd else ".")
    yield from _supervision_sentences(section, usd)
    net = section.net
    if net.share is not None:
        verb = "saved" if net.saved_usd >= 0 else "lost"
        amount = f"{usd(abs(net.saved_usd))} ({percent(abs(net.share))})"
        by_hour = f"by the hour, prices were {percent(total.saved_share)} lower"
        yield f"Against the same work on demand, never preempted, this {verb} {amount}; {by_hour}."
    if section.preemptions and section.work_kept_share is not None:
        lost = usd(total.usd(Category.LOST_WORK))
        kept = percent(section.work_kept_share)
        yield f"{counted(section.preemptions, 'preemption')} destroyed {lost} of work; {kept} of all work was kept."
    yield from _past_sentences(section, usd)
    yield from _budget_sentences(section, usd)


def _supervision_sentences(section: Section, usd: Usd) -> Iterator[str]:
    """What is called running of them is what their machines cost if they are still there."""
    since = [run.unsupervised_since for run in section.runs if run.unsupervised_since is not None]
    running = sum((run.spend.running_usd for run in section.runs if run.unsupervised_since is not None), Decimal(0))
    if since:
        verb = "is" if len(since) == 1 else "are"
        yield (
            f"{counted(len(since), 'run')} {verb} not supervised, since {min(since):%Y-%m-%d %H:%M} UTC: nobody moves "
            f"or stops what {usd(running)} of running cost stand for. Start spotwise supervise."
        )


def _past_sentences(section: Section, usd: Usd) -> Iterator[str]:
    rows = section.past_savings
    trials = round(sum(row.saved_trials.expected for row in rows))
    if not rows:
        return
    amounts = [row.saved_usd.expected for row in rows if row.saved_usd is not None]
    money = f", {usd(abs(sum(amounts, Decimal(0))))}" if trials and len(amounts) == len(rows) else ""
    verb = "saved" if trials > 0 else "cost"
    said = f"{verb} about {counted(abs(trials), 'trial')}{money}" if trials else "saved nothing"
    yield f"Past studies are estimated to have {said}, over {counted(len(rows), 'sweep')} that learned from them."


def _budget_sentences(section: Section, usd: Usd) -> Iterator[str]:
    judged = [line for line in section.budgets if line.state is not BudgetState.NO_BUDGET]
    bad = [line for line in judged if line.state is not BudgetState.WITHIN]
    if judged and not bad:
        yield (
            "Every budget holds, by forecast as well." if len(judged) > 1 else "The budget holds, by forecast as well."
        )
    for line in bad[:3]:
        name = f"{line.scope.capitalize()} {line.name}"
        if line.state is BudgetState.OVER:
            yield f"{name} is over its budget: {usd(line.booked_usd + line.running_usd)} of {usd(line.budget_usd)}."
        else:
            forecast = f"{usd(line.forecast_usd)} of {usd(line.budget_usd)}"
            yield f"{name} is at risk: forecast to cost {forecast} (method: {label(line.forecast)})."
    if len(bad) > 3:
        yield f"{counted(len(bad) - 3, 'more budget')} not held; see the budgets below."


def month_name(month: str) -> str:
    """``2026-11`` as ``November 2026``."""
    return datetime.strptime(month + "-01+0000", "%Y-%m-%d%z").strftime("%B %Y")
