"""A plan as JSON: stable keys, money as decimal strings, times ISO 8601 UTC."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..core.json_values import finite_json
from ..core.money import json_usd
from .offer_json import offer_json
from .plan import Option, Plan
from .price_sources import answer_json
from .probe_run import probe_json
from .trial_duration import TrialHours
from .trial_gpu_memory import TrialMemory
from .warm_start import saving_json


def plan_json(plan: Plan) -> dict[str, Any]:
    """Stable keys; money as decimal strings, times ISO 8601 UTC."""
    chosen = plan.chosen
    return {
        "job": plan.job_name,
        "kind": plan.kind,
        "policy": plan.policy,
        "work_hours": plan.work.hours,
        "work_expected_hours": plan.work.expected_hours,
        "work_source": plan.work.source,
        "work_reference": plan.work.reference,
        "work_sigma": plan.work.sigma,
        "work_gpu_memory_gib": plan.work.gpu_memory_gib,
        "trial_hours": _trial_hours_json(plan.trial_hours),
        "trial_gpu_memory": _trial_memory_json(plan.trial_memory),
        "deadline": None if plan.deadline_at is None else plan.deadline_at.isoformat(),
        "deadline_hours": plan.deadline_hours,
        "budget_usd": json_usd(plan.budget_usd),
        "cost_basis": plan.cost_basis,
        "wall_clock_seconds_per_hour": str(plan.hour_s),
        "checkpoint": plan.checkpoint,
        "chosen": None if chosen is None else chosen.offer.key,
        "savings_usd": json_usd(plan.savings_usd),
        "probe": probe_json(plan.probe),
        "admitted": not plan.refusals,
        "refusals": list(plan.refusals),
        "priors": list(plan.priors),
        "prior_studies": _studies_json(plan),
        "expected_saving": saving_json(plan.warm_start.saving, plan.usd_per_trial) if plan.warm_start else None,
        "notes": list(plan.notes),
        "sources": [answer_json(answer) for answer in plan.sources],
        "offers": [_option_json(option) for option in plan.options],
    }


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
    found = plan.warm_start.studies if plan.warm_start else ()
    return [{"study": r.study.id, "trials": len(r.study.trials), "reason": r.reason} for r in found]


def _option_json(option: Option) -> dict[str, Any]:
    offer, predicted = option.offer, option.estimate
    head = {
        **offer_json(offer),
        "source": offer.source,
        "read_at": None if offer.read_at is None else offer.read_at.isoformat(),
        "available": option.available,
        "chosen": option.chosen,
        "reason": option.reason,
    }
    if predicted is None:
        return head | {"hours_starting_over": finite_json(option.starting_over_hours)}
    return head | {
        "expected_cost_usd": json_usd(predicted.cost_usd.expected),
        "p10_cost_usd": json_usd(predicted.cost_usd.p10),
        "p90_cost_usd": json_usd(predicted.cost_usd.p90),
        "expected_hours": finite_json(predicted.hours.expected),
        "p10_hours": finite_json(predicted.hours.p10),
        "p90_hours": finite_json(predicted.hours.p90),
        "expected_preemptions": finite_json(predicted.preemptions),
        "chance_to_meet_deadline": predicted.chance_to_meet_deadline,
        "checkpoint_interval_hours": predicted.checkpoint_interval_hours,
    }
