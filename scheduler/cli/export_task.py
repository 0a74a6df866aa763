"""`spotwise export`: a job as the plain SkyPilot task that it is, on the offers that its plan considers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import yaml

from spotwise.checkpoints.settings import KEEP_BEST_VARIABLE

from ..core.errors import InputError, RefusedError
from ..engines.skypilot.tasks import config_on, in_order, is_of, mounts, passed_on, pinned, with_hooks
from ..jobfile.job_spec import JobSpec
from ..jobfile.settings import SkyPool
from ..planning.capacity_refusals import nearest_reasons
from ..planning.plan import Option, Plan
from ..planning.remote_checks import outlives_nodes
from ..policies.deadline import HIGH_CHANCE

MOST_OFFERS = 20
WIDTH = 120

_MARKET_OF_POLICY = {"spot_only": True, "on_demand": False}  # whether it is spot
_ORDER = ("name", "workdir", "num_nodes", "resources", "file_mounts", "envs", "secrets", "setup", "run", "config")
_PLACE = ("infra", "accelerators", "instance_type", "use_spot")


def exported(job: JobSpec, plan: Plan, pools: Sequence[SkyPool], now: datetime, *, pin: bool, source: str) -> str:
    """The task's YAML, with a comment that says where it comes from and what is lost.

    Args:
        pools: the settings' own pools.
        pin: only the chosen offer, instead of all in order.
        source: the job file's name.

    Raises:
        InputError: a sweep is more than one task.
        RefusedError: no offer fits.
    """
    if job.sweep is not None:
        raise InputError(
            f"{source} is a sweep: its trials are no single SkyPilot task; `spotwise submit` runs them, and a copy "
            "without `sweep:` can be exported"
        )
    options = together(considered(plan, pools), job, pools)[: 1 if pin else MOST_OFFERS]
    if not options:
        reasons = nearest_reasons([(option.offer, option.reason) for option in plan.options], job.resources)
        raise RefusedError(f"{job.name} cannot be exported: no offer fits: {'; '.join(reasons) or 'there is none'}")
    text = yaml.dump(task_of(job, options, pools), Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)
    return f"{comment(job, plan, options, now, pin=pin, source=source)}\n{text}"


def considered(plan: Plan, pools: Sequence[SkyPool]) -> list[Option]:
    """The offers that the plan chooses from, the best first; those without capacity lately at the end.

    Which nodes of a Kubernetes context are meant is said once for a task, so pools by label stay out unless chosen.
    """
    is_spot = _MARKET_OF_POLICY.get(plan.policy)
    allowed = [
        option
        for option in plan.options
        if option.chosen
        or (_can_do_it(option) and is_spot in (None, option.offer.is_spot) and not _labels(option, pools))
    ]
    return sorted(allowed, key=lambda option: (not option.chosen, option.available is False))


def together(options: Sequence[Option], job: JobSpec, pools: Sequence[SkyPool]) -> list[Option]:
    """The options that one task can name beside the first.

    Labels of nodes stand once for all of Kubernetes, and a volume lies in one place: SkyPilot refuses a task whole that
    names another place beside it.
    """
    if not options:
        return []
    first = options[0].offer.pool
    found = list(options)
    if _labels(options[0], pools):
        found = [option for option in found if option is options[0] or option.offer.pool.cloud != first.cloud]
    if _has_volumes(job):
        found = [o for o in found if (o.offer.pool.cloud, o.offer.pool.region) == (first.cloud, first.region)]
    return found


def _labels(option: Option, pools: Sequence[SkyPool]) -> Mapping[str, str]:
    """By which its nodes are told from others of their cluster."""
    return next((pool.node_labels for pool in pools if is_of(option.offer, pool)), {})


def _has_volumes(job: JobSpec) -> bool:
    """Whether it mounts volumes that lie somewhere already: one with a size is made where the task runs."""
    volumes = (job.sky.get("volumes") or {}).values()
    return any(not isinstance(volume, Mapping) or "size" not in volume for volume in volumes)


def task_of(job: JobSpec, options: Sequence[Option], pools: Sequence[SkyPool]) -> dict[str, Any]:
    """The task as SkyPilot reads it: the job's keys without spotwise's, and the place."""
    passed = passed_on(job.sky)
    first = next((pool for pool in pools if is_of(options[0].offer, pool)), None)
    task = {
        **passed,
        "name": job.name,
        "workdir": job.workdir or passed.get("workdir"),
        "num_nodes": job.num_nodes if job.num_nodes > 1 else None,
        "resources": _resources(job.resources or {}, options, pools),
        "file_mounts": mounts(job.sky),
        "envs": {**job.envs, **checkpoint_variables(job)},
        "secrets": dict.fromkeys(job.secrets),  # names only: values stay where they are
        "setup": job.setup,
        "run": job.run,
        "config": config_on(with_hooks(job.sky.get("config") or {}, job.resources or {}), first),
    }
    ordered = {key: task.pop(key) for key in _ORDER}
    last = {key: ordered.pop(key) for key in ("setup", "run", "config")}
    return {key: value for key, value in {**ordered, **task, **last}.items() if value not in (None, "", {}, [])}


def checkpoint_variables(job: JobSpec) -> dict[str, str]:
    """What `spotwise.checkpoints.Session` reads: with it a program continues wherever SkyPilot starts it again."""
    if not outlives_nodes(job):
        return {}
    every, keep = job.checkpoint.every, job.checkpoint.keep
    found = {"SPOTWISE_CHECKPOINT_URL": f"{str(job.checkpoint.to).rstrip('/')}/{job.name}"}
    found |= {"SPOTWISE_CHECKPOINT_EVERY": str(every)} if every is not None else {}
    found |= {"SPOTWISE_CHECKPOINT_KEEP": str(keep)} if keep != 3 else {}
    return found | ({KEEP_BEST_VARIABLE: str(job.best_kept)} if job.best_kept else {})


def _can_do_it(option: Option) -> bool:
    predicted = option.estimate
    if predicted is None or not predicted.can_finish:
        return False
    chance = predicted.chance_to_meet_deadline
    return chance is None or chance >= HIGH_CHANCE


def _resources(asked: Mapping[str, Any], options: Sequence[Option], pools: Sequence[SkyPool]) -> dict[str, Any]:
    return in_order([place for option in options for place in _places(asked, option, pools)])


def _places(asked: Mapping[str, Any], option: Option, pools: Sequence[SkyPool]) -> list[dict[str, Any]]:
    pool = next((pool for pool in pools if is_of(option.offer, pool)), None)
    places = pinned(asked, option.offer, pool, with_recovery=True)
    return [{key: place[key] for key in sorted(place, key=_before)} for place in places]


def _before(key: str) -> int:
    """The place first; sorting keeps the rest as the job has it."""
    return _PLACE.index(key) if key in _PLACE else len(_PLACE)


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks; lists of places one a line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


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
