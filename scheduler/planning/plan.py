"""JobSpec x what is known of the market -> Plan. Pure: `spotwise plan` prints it, `spotwise submit` acts on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from spotwise.cost_models.estimate import Estimate
from spotwise.cost_models.interval import hours_to_save
from spotwise.cost_models.offer import Offer
from spotwise.cost_models.selection import reject_reason

from ..core.money import CENT
from ..jobfile.job_spec import JobSpec
from ..policies import DEADLINE_POLICIES, policy_named
from ..policies.base import Move, Situation, Stop
from ..policies.fruitless import UNSEEN_LIMIT
from .capacity_refusals import capacity_refusals
from .market_snapshot import MarketSnapshot
from .policy_situation import hours_between, make_situation
from .price_sources import SourceAnswer
from .probe_run import Probe, worthwhile_probe
from .rejection_reasons import reasons_against
from .remote_checks import needed_features
from .trial_duration import TrialHours
from .trial_gpu_memory import TrialMemory, too_small
from .warm_start import WarmStart, usd_per_trial
from .work_estimate import WorkEstimate

SAFE_SHARE = 0.1  # of a machine's life: below one chance in ten to lose all of the work
ENDLESS_HOURS = 87_660.0  # ten years
LIKELY = 0.5  # a plan that more likely than not misses its deadline is refused


@dataclass(frozen=True, slots=True)
class Option:
    """An offer in a plan: what it would cost, and why it was chosen or not."""

    offer: Offer
    estimate: Estimate | None  # None where the offer does not fit the job at all
    available: bool | None
    chosen: bool
    reason: str
    starting_over_hours: float | None = None  # what it would take without checkpoints, where that is too long


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen offer, the checkpoint interval and the budget for a job, with the reason for each."""

    job_name: str
    kind: str
    policy: str
    work: WorkEstimate
    options: tuple[Option, ...]  # the chosen first, then by expected cost
    deadline_at: datetime | None
    deadline_hours: float | None
    budget_usd: Decimal | None
    checkpoint: str
    hour_s: Decimal
    cost_basis: str
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()  # why it is not admitted; empty: it is
    priors: tuple[str, ...] = ()  # what earlier studies give this sweep
    warm_start: WarmStart | None = None  # the same as values; None: no sweep
    trial_hours: TrialHours | None = None  # what trials of related studies took
    trial_memory: TrialMemory | None = None  # the same of their GPUs' memory
    probe: Probe | None = None  # a short run elsewhere that is worth its price
    sources: tuple[SourceAnswer, ...] = ()  # that prices come from, besides the engine

    @property
    def chosen(self) -> Option | None:
        return next((option for option in self.options if option.chosen), None)

    @property
    def rejected(self) -> list[tuple[Offer, str]]:
        """The offers that do not fit the job at all, each with its reason."""
        return [(option.offer, option.reason) for option in self.options if option.estimate is None]

    @property
    def savings_usd(self) -> Decimal | None:
        """Expected cost of the cheapest on-demand offer less the chosen one's; None if one of them is unknown."""
        on_demand = [o.estimate.cost_usd.expected for o in self.options if o.estimate and not o.offer.is_spot]
        chosen = self.chosen
        if not on_demand or chosen is None or chosen.estimate is None or self.work.hours is None:
            return None
        return min(on_demand) - chosen.estimate.cost_usd.expected

    @property
    def reserved_usd(self) -> Decimal:
        """What is set aside of the team's money: what suffices with 90 %, but never more than the job's budget."""
        known = self.chosen.estimate if self.chosen is not None and self.work.hours is not None else None
        amounts = [self.budget_usd, None if known is None else known.cost_usd.p90]
        return min((amount for amount in amounts if amount is not None and amount.is_finite()), default=Decimal(0))

    @property
    def usd_per_trial(self) -> Decimal | None:
        """Expected cost of a sweep by its trials; None where one of them is unknown, or nothing is paid."""
        chosen = self.chosen
        if self.warm_start is None or chosen is None or chosen.estimate is None or self.work.hours is None:
            return None
        return usd_per_trial(chosen.estimate.cost_usd.expected, self.warm_start.trials)


def make_plan(
    job: JobSpec,
    work: WorkEstimate,
    known: MarketSnapshot,
    now: datetime,
    *,
    team_money_left: Decimal | None = None,
    cooldown_hours: float = 1.0,
    priors: Sequence[str] = (),
    warm_start: WarmStart | None = None,
    trial_hours: TrialHours | None = None,
    trial_memory: TrialMemory | None = None,
    notes: Sequence[str] = (),
    checkpoint_seen: bool = True,
) -> Plan:
    """Plan a job on what is known at ``now``. ``checkpoint_seen``: whether a run of its file has kept anything."""
    deadline_at = job.deadline.resolve(now, known.hour_s) if job.deadline else None
    fitting, rejected = fit(job, work, known)
    situation = make_situation(job, work, fitting, known, now, deadline_at=deadline_at, money_left=job.budget_usd)
    decision = policy_named(job.policy, cooldown_hours).decide(situation)
    chosen = decision.offer if isinstance(decision, Move) else None
    options = _options(situation, chosen, job.policy, decision.reason, rejected)
    options = tuple(_with_hours_starting_over(option, job, work, known) for option in options)
    deadline_hours = hours_between(now, deadline_at, known.hour_s)
    plan = Plan(
        job_name=job.name,
        kind=job.kind.value,
        policy=job.policy,
        work=work,
        options=options,
        deadline_at=deadline_at,
        deadline_hours=deadline_hours,
        budget_usd=job.budget_usd,
        checkpoint="",
        hour_s=known.hour_s,
        cost_basis=known.cost_basis.value,
        notes=(
            *notes,
            *_memory_notes(_too_small(job, work, known, offer) for offer in fitting),
            *_checkpoint_notes(job, chosen, checkpoint_seen),
        ),
        priors=tuple(priors),
        warm_start=warm_start,
        trial_hours=trial_hours,
        trial_memory=trial_memory,
        probe=worthwhile_probe(situation, chosen, job.policy, work, known),
    )
    return _finished(plan, job, team_money_left, decision.reason if isinstance(decision, Stop) else None)


def fit(job: JobSpec, work: WorkEstimate, known: MarketSnapshot) -> tuple[list[Offer], dict[Offer, str]]:
    """The offers this job can run on, and for every other one the reason why not.

    GPUs that past trials would not have fitted on are left out, unless the job allows no larger ones: it may know more.
    """
    fitting: list[Offer] = []
    rejected: dict[Offer, str] = {}
    small: dict[Offer, str] = {}
    features = needed_features(job)
    for offer in known.offers:
        reason = reject_reason(offer, job.resources, features) or _unsafe(job, work, known, offer)
        if reason is None and work.hours is not None and work.speed(known, offer) is None:
            reason = f"no measured or published speed of {offer.accelerator or 'a CPU'} against {work.reference}"
        if reason is not None:
            rejected[offer] = reason
        elif too_little := _too_small(job, work, known, offer):
            small[offer] = too_little
        else:
            fitting.append(offer)
    return (fitting, rejected | small) if fitting else (list(small), rejected)


def _unsafe(job: JobSpec, work: WorkEstimate, known: MarketSnapshot, offer: Offer) -> str | None:
    """Spot is refused for work that saves nothing and would likely be interrupted, with what it would take there."""
    found = _starting_over(job, work, known, offer)
    if found is None:
        return None
    hours, takes = found
    return (
        f"{hours:.1f} h of work without a checkpoint: starting over after every preemption, it would take "
        f"{_hours_over(takes)} on average"
    )


def _starting_over(job: JobSpec, work: WorkEstimate, known: MarketSnapshot, offer: Offer) -> tuple[float, float] | None:
    """Hours of work here and what they would take on average; None where that is no reason against the offer."""
    saves = job.declares_checkpoint or job.sweep is not None
    if saves or not offer.is_spot or work.hours is None:
        return None
    speed = work.speed(known, offer)
    hours = work.hours / (1.0 if speed is None else speed.factor)
    lifetime = known.hazard(offer).first_of(known.nodes(job.num_nodes)).mean_lifetime_hours
    if hours < SAFE_SHARE * lifetime:
        return None
    return hours, hours_to_save(known.restart_hours, hours, lifetime)


def _with_hours_starting_over(option: Option, job: JobSpec, work: WorkEstimate, known: MarketSnapshot) -> Option:
    found = _starting_over(job, work, known, option.offer) if option.estimate is None else None
    return option if found is None else replace(option, starting_over_hours=found[1])


def _hours_over(hours: float) -> str:
    return f"{hours:,.0f} h" if hours < ENDLESS_HOURS else "more than ten years"


def _options(
    situation: Situation, chosen: Offer | None, policy: str, why: str, rejected: Mapping[Offer, str]
) -> tuple[Option, ...]:
    picked = next((c for c in situation.candidates if c.offer == chosen), None)
    against = reasons_against(situation, picked, policy)
    explained = [
        Option(c.offer, c.estimate, c.available, c is picked, why if c is picked else against[c.offer])
        for c in situation.candidates
    ]
    explained.sort(key=lambda o: (not o.chosen, o.estimate.cost_usd.expected if o.estimate else Decimal(0)))
    unfit = [Option(offer, None, None, False, reason) for offer, reason in rejected.items()]
    return (*explained, *unfit)


def _finished(plan: Plan, job: JobSpec, team_left: Decimal | None, stopped: str | None) -> Plan:
    """Add the checkpoint interval and the refusals, which need the chosen offer."""
    refusals = [
        *capacity_refusals(plan.rejected, stopped, job.resources),
        *_deadline_refusals(plan),
        *_money_refusals(plan, team_left),
    ]
    return replace(plan, checkpoint=_checkpoint_text(job, plan), refusals=tuple(refusals))


def _too_small(job: JobSpec, work: WorkEstimate, known: MarketSnapshot, offer: Offer) -> str | None:
    """Whether past trials would not have fitted. Where each offer is this machine, its name says nothing of its GPU."""
    return None if known.one_machine else too_small(offer, work.gpu_memory_gib, job.sweep.parallel if job.sweep else 1)


def _memory_notes(found: Iterable[str | None]) -> list[str]:
    small = sorted({reason for reason in found if reason})
    text = f"some trials may run out of GPU memory, and the job allows no larger GPU: {'; '.join(small)}"
    return [text] if small else []


def _checkpoint_notes(job: JobSpec, chosen: Offer | None, seen: bool) -> list[str]:
    """The job file's word is what spot capacity is planned by until a run has shown that it saves."""
    if seen or chosen is None or not chosen.is_spot or not job.declares_checkpoint or job.sweep is not None:
        return []
    then = "stops" if job.policy == "spot_only" else "goes on demand"
    losses = f"if {UNSEEN_LIMIT} spot machines in a row are lost before one is, the run {then}"
    return [f"no checkpoint of this job file was seen yet, so this counts on its word that it saves; {losses}"]


def _checkpoint_text(job: JobSpec, plan: Plan) -> str:
    every = job.checkpoint.every
    best = plan.chosen.estimate.checkpoint_interval_hours if plan.chosen and plan.chosen.estimate else None
    if every is not None:
        return f"every {every}, as the job file says"
    return "at the end only: no preemptions expected" if best is None else f"every {best * 60:.0f} min (Young/Daly)"


def _deadline_refusals(plan: Plan) -> list[str]:
    """Refused where the deadline is more likely missed than met, by what the policy would do."""
    options = [o for o in plan.options if o.estimate is not None]
    if plan.deadline_hours is None or plan.work.hours is None or not options:
        return []
    # auto and deadline go on demand before it is too late, so any offer in time will do; the others stay what they are.
    stays = plan.chosen is not None and plan.policy not in DEADLINE_POLICIES
    chance = max(o.estimate.chance_to_meet_deadline or 0.0 for o in options if o.estimate and (o.chosen or not stays))
    if chance >= LIKELY:
        return []
    fastest = min(o.estimate.hours.p90 for o in options if o.estimate)
    terms = f"a deadline of {_ceil_hours(fastest)} would be met with 90 %"
    if stays and any((o.estimate.chance_to_meet_deadline or 0.0) >= LIKELY for o in options if o.estimate):
        terms = f"policy: deadline could meet it; {terms}"
    return [f"the deadline of {plan.deadline_hours:.1f} h cannot be met (best chance {chance:.0%}): {terms}"]


def _money_refusals(plan: Plan, team_left: Decimal | None) -> list[str]:
    chosen = plan.chosen
    if chosen is None or chosen.estimate is None:
        return []
    if plan.work.hours is None:
        return [] if team_left is None else _unknown_cost_refusals(plan.budget_usd, team_left)
    cost = chosen.estimate.cost_usd
    terms = f"{_ceil_cents(cost.expected)} USD is expected, {_ceil_cents(cost.p90)} USD suffices with 90 %"
    refusals = []
    if plan.budget_usd is not None and cost.expected > plan.budget_usd:
        refusals.append(f"the budget of {plan.budget_usd:.2f} USD is too small: {terms}")
    if team_left is not None and min(cost.p90, plan.budget_usd or cost.p90) > team_left:
        refusals.append(f"the team has {team_left.quantize(CENT)} USD left this month: {terms} and is set aside")
    return refusals


def _unknown_cost_refusals(budget_usd: Decimal | None, team_left: Decimal) -> list[str]:
    """Of a team with a budget: what nobody can predict is set aside by the job's own budget, or not admitted."""
    if budget_usd is None:
        return ["what it costs is unknown, and the team has a budget: add work.hours, or a budget to set aside"]
    if budget_usd > team_left:
        return [f"the team has {team_left.quantize(CENT)} USD left this month, less than this job's budget"]
    return []


def _ceil_hours(hours: float) -> str:
    return str(timedelta(seconds=60 * -(-hours * 3600 // 60))) if hours < 24 else f"{-(-hours // 1):.0f}h"


def _ceil_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_CEILING)
