"""What is said where no offer fits a job: the nearest ones first, and what to ask for instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spotwise.cost_models.nearness import distance, nearest_accelerator
from spotwise.cost_models.offer import Offer
from spotwise.cost_models.wanted_accelerators import wanted_accelerators

from ..core.text import counted

MOST_REASONS = 5
_THIS_MACHINE = "local"  # cloud of the only offer of the local engine without a market

Rejected = tuple[Offer, str]  # an offer and why it does not fit


def capacity_refusals(
    rejected: Sequence[Rejected], stopped: str | None, resources: Mapping[str, Any] | None
) -> list[str]:
    """Refused where the policy sees no way at all, now or later; a shortage that may pass is waited for.

    Args:
        stopped: what the policy says; None where it sees a way.
    """
    if stopped is None:
        return []
    return [f"no offer fits: {'; '.join([stopped, *nearest_reasons(rejected, resources)])}"]


def nearest_reasons(rejected: Sequence[Rejected], resources: Mapping[str, Any] | None) -> list[str]:
    """Why offers do not fit, of those first for which the least would have to change; then what may have been meant."""
    far: dict[str, float] = {}
    many: dict[str, int] = {}
    for offer, reason in rejected:
        many[reason] = many.get(reason, 0) + 1
        far[reason] = min(far.get(reason, float("inf")), distance(offer, resources))
    reasons = sorted(far, key=lambda reason: (far[reason], -many[reason], reason))
    shown = [f"{reason} ({counted(many[reason], 'offer')})" if many[reason] > 1 else reason for reason in reasons]
    offers = [offer for offer, _ in rejected]
    return [*shown[:MOST_REASONS], *_misspelt(offers, resources or {}), *_instead_of_this_machine(offers)]


def _misspelt(offers: Sequence[Offer], resources: Mapping[str, Any]) -> Iterator[str]:
    offered = sorted({offer.accelerator for offer in offers if offer.accelerator})
    known = {name.upper() for name in offered}
    for name in dict.fromkeys(_asked_names(resources)):
        nearest = None if name in known else nearest_accelerator(name, offered)
        if nearest is not None and nearest.upper() != name:
            yield f"no offer has {name}; did you mean {nearest}"


def _asked_names(resources: Mapping[str, Any]) -> Iterator[str]:
    alternatives: Iterable[Mapping[str, Any]] = [*(resources.get("any_of") or ()), *(resources.get("ordered") or ())]
    for one in (resources, *alternatives):
        if one.get("accelerators"):
            yield from (wanted.name for wanted in wanted_accelerators(one["accelerators"]) if wanted.name)


def _instead_of_this_machine(offers: Sequence[Offer]) -> Iterator[str]:
    """Who tries a job that wants a GPU on a laptop."""
    if not offers or any(offer.pool.cloud != _THIS_MACHINE for offer in offers):
        return
    (here, *_) = offers
    gpus = here.accelerators() or "no GPU"
    yield (
        f"this machine offers {here.vcpus:g} vCPUs, {here.memory_gib:.0f} GiB of memory and {gpus}: leave out what it "
        "does not have, try `spotwise demo`, name an emulated market as local.market in the settings, or use a cloud "
        "with --engine skypilot"
    )
