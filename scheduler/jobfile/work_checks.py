"""What is checked of ``work``: cost and time are predicted by it, so a slip there makes a plan wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spotwise.checkpoints import Unit
from spotwise.cost_models.accelerators import is_known
from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.nearness import nearest_accelerator
from spotwise.cost_models.wanted_accelerators import wanted_accelerators

from .quantities import parse_every, shown
from .resource_checks import with_long_names
from .validation_errors import Fault


def work_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """A distance in steps without the number of all, and a reference accelerator that nobody knows."""
    work = data.get("work")
    stated = work if isinstance(work, dict) else {}
    if _saves_by_steps(data.get("checkpoint")) and "steps" not in stated:
        required = "required with checkpoint.every in steps: how many the whole work has"
        yield Fault(("work", "steps"), f"missing; {required}")
    reference = stated.get("reference")
    name = reference.partition(":")[0].strip() if isinstance(reference, str) else ""
    if name and not is_known(name) and name.upper() not in _asked_for(data.get("resources")):
        allowed = "allowed: an accelerator that SkyPilot knows, or one that resources ask for"
        nearest = nearest_accelerator(name, ())
        hint = f"; did you mean {nearest}" if nearest else ""
        yield Fault(("work", "reference"), f"found {shown(reference)}; {allowed}{hint}")


def _saves_by_steps(checkpoint: object) -> bool:
    try:
        every = parse_every(checkpoint.get("every")) if isinstance(checkpoint, dict) else None
    except ValueError:  # missing, or a fault that validation names
        return False
    return every is not None and every.unit is Unit.STEPS


def _asked_for(resources: object) -> set[str]:
    """The accelerators that resources name: a Slurm cluster may have some that SkyPilot does not know."""
    asked = with_long_names(resources) if isinstance(resources, dict) else {}
    listed = [asked.get(several) for several in ("any_of", "ordered")]
    choices = [asked, *(one for several in listed if isinstance(several, list) for one in several)]
    try:
        return {wanted.name for one in choices for wanted in _wanted(one)}
    except CostModelError:  # a fault of resources
        return set()


def _wanted(choice: object) -> list[Any]:
    accelerators = choice.get("accelerators") if isinstance(choice, dict) else None
    return list(wanted_accelerators(accelerators)) if accelerators else []
