"""A believable month for report tests: two teams, two clouds, a sweep with three preemptions, a nightly model.

Everything is placed in billed hours after ``BASE`` and scaled by ``hour_s``, so the same story is told in real money
(3600 s an hour) and on an emulated market (4 s an hour).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.accounting.ledger import Category, Charge, Span, book
from spotwise.scheduler.core.run import Attempt, AttemptState, CostBasis, Run, RunKind, RunState
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.reports import ModelRow, ReportData

BASE = datetime(2026, 11, 4, 8, 0, tzinfo=UTC)
HOUR_S = Decimal(3600)


def offer(place: str, instance: str, market: Market, price: str, on_demand: str | None) -> Offer:
    cloud, zone = place.split("/")
    return Offer(
        pool=Pool(cloud, zone.rsplit("-", 1)[0] if cloud == "gcp" else zone[:-1], zone, instance),
        market=market,
        price_usd_per_hour=Decimal(price),
        on_demand_usd_per_hour=None if on_demand is None else Decimal(on_demand),
        accelerator="A10G",
        accelerator_count=1,
        vcpus=8,
        memory_gib=32,
        source="sample price sheet 2026-11-01",
    )


AWS_A = offer("aws/us-east-1a", "g5.2xlarge", Market.SPOT, "0.4545", "1.212")
AWS_B = offer("aws/us-east-1b", "g5.2xlarge", Market.SPOT, "0.4871", "1.212")
GCP_C = offer("gcp/us-central1-c", "g2-standard-8", Market.SPOT, "0.3413", "0.8536")
AWS_OD = offer("aws/us-east-1a", "g5.2xlarge", Market.ON_DEMAND, "1.212", "1.212")
LAB = offer("lab/", "workstation", Market.SPOT, "0.12", None)


@dataclass(frozen=True)
class Story:
    """Turns billed hours into moments and tells attempts and charges."""

    basis: CostBasis = CostBasis.ESTIMATED
    hour_s: Decimal = HOUR_S
    base: datetime = BASE

    def at(self, hours: float) -> datetime:
        return self.base + timedelta(microseconds=round(hours * float(self.hour_s) * 1_000_000))

    def run(self, run_id: str, kind: RunKind, *, at: float, **changes: object) -> Run:
        made = Run(
            id=run_id,
            job_name=run_id.rsplit("-", 1)[0],
            kind=kind,
            owner="ana",
            team="vision",
            project="shelf-detector",
            state=RunState.COMPLETED,
            job_yaml="name: sample\nlabels: {ticket: V-1204}\n",
            workdir="/srv/jobs",
            folder=f"/srv/runs/{run_id}",
            engine="skypilot",
            submitted_at=self.at(at),
        )
        return made.evolve(**changes)

    def attempt(
        self, run: Run, number: int, where: Offer, *, start: float, end: float | None, state: AttemptState, setup: float
    ) -> Attempt:
        return Attempt(
            id=f"{run.id}-a{number}",
            run_id=run.id,
            number=number,
            offer=where,
            nodes=1,
            state=state,
            reason="cheapest that meets the deadline",
            launched_at=self.at(start),
            hour_s=self.hour_s,
            cost_basis=self.basis,
            started_at=None if state is AttemptState.REFUSED else self.at(start + setup),
            ended_at=None if end is None else self.at(end),
            epochs_kept=0 if end is None else int((end - start) * 4),
        )

    def span(self, start: float, end: float, category: Category, trial: int | None = None, share: int = 1) -> Span:
        return Span(self.at(start), self.at(end), category, trial, Fraction(1, share))

    def plain(self, attempt: Attempt, start: float, setup: float, end: float, lost: float = 0.0) -> tuple[Charge, ...]:
        """Overhead, then work of which the last ``lost`` hours were destroyed."""
        spans = [
            self.span(start, start + setup, Category.OVERHEAD),
            self.span(start + setup, end - lost, Category.PRODUCTIVE),
        ]
        return book(attempt, [*spans, self.span(end - lost, end, Category.LOST_WORK)] if lost else spans)


def sweep(story: Story) -> ReportData:
    """Sixteen trials, two at a time, over four attempts in two clouds; three preemptions and a refusal."""
    run = story.run(
        "shelf-detector-sweep-7k2f9q",
        RunKind.SWEEP,
        at=0,
        deadline_at=story.at(18),
        budget_usd=Decimal(8),
        predicted_usd=Decimal("5.60"),
        predicted_low_usd=Decimal("4.70"),
        predicted_high_usd=Decimal("6.90"),
        ended_at=story.at(13.5),
        end_reason="all 16 trials are done",
    )
    legs = [
        (AWS_A, 0.0, 3.1, AttemptState.PREEMPTED, 0.35),
        (AWS_B, 3.2, 5.4, AttemptState.PREEMPTED, 0.2),
        (GCP_C, 5.7, 10.2, AttemptState.PREEMPTED, 0.45),
        (GCP_C, 10.5, 13.5, AttemptState.COMPLETED, 0.0),
    ]
    attempts, trial = [], 0
    charges: list[Charge] = []
    for number, (where, start, end, state, lost) in enumerate(legs, start=1):
        attempt = story.attempt(run, number, where, start=start, end=end, state=state, setup=0.15)
        spans, trial = _trial_spans(story, start, end, lost, trial)
        attempts.append(attempt)
        charges.extend(book(attempt, spans))
    refused = story.attempt(run, 5, AWS_B, start=5.5, end=5.5, state=AttemptState.REFUSED, setup=0)
    return ReportData(
        now=story.at(20),
        runs=(run,),
        attempts=(*attempts, refused),
        charges=tuple(charges),
        studies=(_study(story, run),),
    )


def _trial_spans(story: Story, start: float, end: float, lost: float, trial: int) -> tuple[list[Span], int]:
    """Set-up, pairs of trials, lost work of both at the end; the last leg ends with one idle half."""
    spans, moment = [story.span(start, start + 0.15, Category.OVERHEAD)], start + 0.15
    while moment < end - lost - 1e-9:
        until = min(moment + 1.45, end - lost)
        kind = Category.PRUNED if trial % 4 == 2 else Category.PRODUCTIVE
        spans.append(story.span(moment, until, kind, trial % 16, 2))
        idle = not lost and until >= end - 1e-9
        spans.append(
            story.span(
                moment, until, Category.IDLE if idle else Category.PRODUCTIVE, None if idle else trial % 16 + 1, 2
            )
        )
        moment, trial = until, trial + 2
    if lost:
        spans += [story.span(end - lost, end, Category.LOST_WORK, (trial - 2) % 16 + i, 2) for i in (0, 1)]
    return spans, trial


def _study(story: Story, run: Run) -> StudyRecord:
    trials = tuple(
        TrialRecord(
            number=n,
            params={"lr": 10 ** (-1 - n / 4), "width": 32 * (n + 1)},
            state=TrialState.PRUNED if n % 4 == 2 else TrialState.COMPLETED,
            value=round(0.82 + 0.13 * ((n * 7) % 16) / 16, 4),
            epoch=6 if n % 4 == 2 else 24,
            source="prior" if n < 2 else "sampler",
            resumes=1 if n in (2, 3, 5, 11) else 0,
        )
        for n in range(16)
    )
    return StudyRecord(run.id, run.job_name, "val_accuracy", "maximize", {}, story.at(0), {}, trials)


def nightly(story: Story) -> ReportData:
    """Three retrainings of one model: one preempted, two promoted."""
    parts, models = [], []
    for night, (value, promoted) in enumerate([(0.871, True), (0.868, False), (0.889, True)]):
        run, part = _night(story, night)
        parts.append(part)
        models.append(
            ModelRow(
                model="churn",
                version=night + 1,
                run_id=run.id,
                metric="auc",
                value=value,
                champion_value=None if night == 0 else 0.871,
                promoted=promoted,
                reason="better by 0.018" if promoted else "not better: 0.868 against 0.871",
                created_at=run.ended_at or run.submitted_at,
            )
        )
    return replace(merge(*parts), models=tuple(models))


def _night(story: Story, night: int) -> tuple[Run, ReportData]:
    start = 24.0 * night + 18
    run = story.run(
        f"churn-nightly-{'abc'[night]}1x8wd",
        RunKind.RETRAINING,
        at=start,
        team="growth",
        project="churn",
        owner="ben",
        deadline_at=story.at(start + 4),
        predicted_usd=Decimal("0.62"),
        predicted_low_usd=Decimal("0.52"),
        predicted_high_usd=Decimal("0.80"),
        ended_at=story.at(start + 1.9),
    )
    if night != 1:
        only = story.attempt(
            run, 1, GCP_C, start=start + 0.05, end=start + 1.9, state=AttemptState.COMPLETED, setup=0.1
        )
        charges = story.plain(only, start + 0.05, 0.1, start + 1.9)
        return run, ReportData(now=story.at(20), runs=(run,), attempts=(only,), charges=charges)
    run = run.evolve(ended_at=story.at(start + 2.6))
    first = story.attempt(run, 1, AWS_A, start=start + 0.05, end=start + 1.1, state=AttemptState.PREEMPTED, setup=0.1)
    second = story.attempt(run, 2, AWS_OD, start=start + 1.2, end=start + 2.6, state=AttemptState.COMPLETED, setup=0.1)
    charges = (
        *story.plain(first, start + 0.05, 0.1, start + 1.1, lost=0.2),
        *story.plain(second, start + 1.2, 0.1, start + 2.6),
    )
    return run, ReportData(now=story.at(20), runs=(run,), attempts=(first, second), charges=charges)


def others(story: Story) -> ReportData:
    """A training run that crashed, one on capacity that nobody sells on demand, and one that is running."""
    crashed = story.run("segmenter-q81m2z", RunKind.TRAINING, at=30, state=RunState.FAILED, ended_at=story.at(31.2))
    lab = story.run("augment-w2p7aa", RunKind.TRAINING, at=33, ended_at=story.at(38.1), project="augmentation")
    live = story.run(
        "segmenter-z40k1d",
        RunKind.TRAINING,
        at=72,
        state=RunState.RUNNING,
        predicted_usd=Decimal("3.10"),
        predicted_low_usd=Decimal("2.60"),
        predicted_high_usd=Decimal("3.90"),
        budget_usd=Decimal(3),
        deadline_at=story.at(84),
    )
    failed = story.attempt(crashed, 1, AWS_A, start=30.05, end=31.2, state=AttemptState.FAILED, setup=0.1)
    done = story.attempt(lab, 1, LAB, start=33.1, end=38.1, state=AttemptState.COMPLETED, setup=0.02)
    lost = story.attempt(live, 1, AWS_B, start=72.1, end=74.6, state=AttemptState.PREEMPTED, setup=0.1)
    running = story.attempt(live, 2, AWS_A, start=74.8, end=None, state=AttemptState.RUNNING, setup=0.1)
    crash_spans = [story.span(30.05, 30.15, Category.OVERHEAD), story.span(30.15, 31.2, Category.FAILED)]
    return ReportData(
        now=story.at(76),
        runs=(crashed, lab, live),
        attempts=(failed, done, lost, running),
        charges=(
            *book(failed, crash_spans),
            *story.plain(done, 33.1, 0.02, 38.1),
            *story.plain(lost, 72.1, 0.1, 74.6, lost=0.3),
        ),
    )


def merge(*parts: ReportData) -> ReportData:
    def joined(name: str) -> tuple[object, ...]:
        return tuple(row for part in parts for row in getattr(part, name))

    names: Sequence[str] = ("runs", "attempts", "charges", "studies", "models")
    return replace(parts[0], now=max(p.now for p in parts), **{name: joined(name) for name in names})


def sample_data(basis: CostBasis = CostBasis.ESTIMATED, hour_s: Decimal = HOUR_S, base: datetime = BASE) -> ReportData:
    """The whole month."""
    story = Story(basis, hour_s, base)
    budgets = {"vision": Decimal(30), "growth": Decimal(6)}
    return replace(merge(sweep(story), nightly(story), others(story)), team_budgets=budgets)


def emulated_data() -> ReportData:
    """The same story on an emulated market: one billed hour lasts four seconds."""
    return sample_data(CostBasis.EMULATED, Decimal(4))


def mixed_data() -> ReportData:
    """Real money, and the same story on an emulated market that ends at the same moment."""
    real = sample_data()
    emulated = sample_data(CostBasis.EMULATED, Decimal(4), base=real.now - timedelta(seconds=4 * 76))
    budgets = real.team_budgets
    return replace(merge(real, renamed(emulated, "-emulated")), team_budgets=budgets)


def renamed(data: ReportData, suffix: str) -> ReportData:
    """The same data under other ids, so that it can stand beside the original."""

    def move(row: Run | Attempt | Charge) -> Run | Attempt | Charge:
        if isinstance(row, Run):
            return replace(row, id=row.id + suffix)
        if isinstance(row, Attempt):
            return replace(row, id=row.id + suffix, run_id=row.run_id + suffix)
        return replace(row, id=row.id + suffix, run_id=row.run_id + suffix, attempt_id=row.attempt_id + suffix)

    return replace(
        data,
        runs=tuple(move(r) for r in data.runs),
        attempts=tuple(move(a) for a in data.attempts),
        charges=tuple(move(c) for c in data.charges),
        studies=tuple(replace(s, id=s.id + suffix) for s in data.studies),
        models=tuple(replace(m, run_id=m.run_id + suffix) for m in data.models),
    )
