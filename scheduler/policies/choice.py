"""What policies share: which candidates can be chosen now, which is best, and how to say why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotwise.cost_models.offer import Market, Offer

from .base import Candidate, Move, Situation, Stop, Wait

RETRY_HOURS = 0.1  # billed; how long to wait before looking again for capacity


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The candidates that can be chosen now, and how many cannot."""

    usable: tuple[Candidate, ...]
    endless: int = 0  # preempted so often that the work makes no headway
    unavailable: int = 0
    cooling: int = 0  # preempted or refused this run a short time ago
    unsuitable: int = 0  # of the other market
    refused: int = 0  # an attempt of some run found them without capacity a short time ago

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be chosen now."""
        return not self.usable

    @property
    def may_come(self) -> bool:
        """Whether an offer that cannot be had now would do."""
        return self.unavailable + self.refused > 0

    def rejected(self, more: dict[str, int] | None = None) -> str:
        """``; 3 rejected: 2 not available, 1 ...``, or nothing."""
        counts = {
            "not available": self.unavailable,
            "without capacity lately": self.refused,
            "preempted or refused this run lately": self.cooling,
            "of the other market": self.unsuitable,
            "preempted too often to finish": self.endless,
            **(more or {}),
        }
        total = sum(counts.values())
        return f"; {total} rejected: " + ", ".join(f"{n} {why}" for why, n in counts.items() if n) if total else ""


def shortlist(situation: Situation, cooldown_hours: float, market: Market | None = None) -> Shortlist:
    """The candidates of ``market`` (None: any) that can be chosen now.

    One whose pool preempted or refused this run within the cooldown counts only where nothing else is there, and one
    that an attempt found without capacity only where not even that is: then now and again, one at a time.
    """
    suitable = [c for c in situation.candidates if market in (None, c.offer.market)]
    finishing = [c for c in suitable if c.estimate.can_finish]
    there = [c for c in finishing if c.available is not False]
    rested = [c for c in there if not is_cooling(c, situation, cooldown_hours)]
    refused = [c for c in finishing if was_refused(c)]
    usable = tuple(rested or there or _to_try_again(refused, situation))
    return Shortlist(
        usable=usable,
        endless=len(suitable) - len(finishing),
        unavailable=len(finishing) - len(there) - len(refused),
        cooling=len(there) - len(rested) if rested else 0,
        unsuitable=len(situation.candidates) - len(suitable),
        refused=sum(c not in usable for c in refused),
    )


def was_refused(candidate: Candidate) -> bool:
    """Whether it counts as unavailable because an attempt found no capacity: that may have changed since."""
    return candidate.available is False and candidate.no_capacity_at is not None


def is_just_refused(candidate: Candidate, situation: Situation) -> bool:
    """Whether an attempt found no capacity there less than ``RETRY_HOURS`` ago: another one would come too early."""
    since = candidate.no_capacity_at
    return since is not None and was_refused(candidate) and hours_between(since, situation.now, situation) < RETRY_HOURS


def refused_longest_ago(refused: Iterable[Candidate]) -> list[Candidate]:
    """The candidate that was refused longest ago, as a list of one; empty where none was refused."""
    known = [(c.no_capacity_at, c.offer.key, c) for c in refused if c.no_capacity_at is not None]
    return [min(known, key=lambda each: each[:2])[2]] if known else []


def though_refused(candidate: Candidate, situation: Situation) -> str:
    """``, though it had no capacity 12 min ago``, or nothing."""
    return f", though it had {no_capacity_ago(candidate, situation)}" if was_refused(candidate) else ""


def no_capacity_ago(candidate: Candidate, situation: Situation) -> str:
    """``no capacity 12 min ago``; ``no capacity now`` where that is no memory but a fact."""
    if candidate.no_capacity_at is None:
        return "no capacity now"
    return f"no capacity {60 * hours_between(candidate.no_capacity_at, situation.now, situation):.0f} min ago"


def _to_try_again(refused: Sequence[Candidate], situation: Situation) -> list[Candidate]:
    """One a while: whoever waits for capacity must not ask for it all the time."""
    return [] if any(is_just_refused(c, situation) for c in refused) else refused_longest_ago(refused)


def is_cooling(candidate: Candidate, situation: Situation, cooldown_hours: float) -> bool:
    """Whether this pool preempted or refused the run less than the cooldown ago."""
    if candidate.refused_at is None:
        return False
    return hours_between(candidate.refused_at, situation.now, situation) < cooldown_hours


def hours_between(start: datetime, end: datetime, situation: Situation) -> float:
    """Billed hours from one moment to another."""
    return (end - start).total_seconds() / situation.hour_s


def place(situation: Situation, listed: Shortlist, among: str, more: dict[str, int] | None = None) -> Move:
    """Move to the listed candidate of the lowest expected cost, if possible one that the money left pays for.

    Args:
        among: completes "the cheapest of 6 ...".
        more: further reasons for rejection, with how many candidates each took.
    """
    affordable = [c for c in listed.usable if _fits(c, situation.money_left_usd)]
    best = cheapest(affordable or listed.usable)
    again = though_refused(best, situation)
    reason = f"{described(best)}{again}, the cheapest of {len(listed.usable)} {among}{listed.rejected(more)}"
    if not affordable:
        reason += f"; more than the ${situation.money_left_usd:.2f} left, as is every other"
    return Move(best.offer, reason)


def cheapest(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate of the lowest expected cost; equals by price, then by name, so that the choice is repeatable."""
    return min(candidates, key=lambda c: (c.estimate.cost_usd.expected, c.offer.price_usd_per_hour, c.offer.key))


def wait_or_stop(situation: Situation, listed: Shortlist, what: str, cooldown_hours: float) -> Wait | Stop:
    """What to do when nothing is usable: wait for what may come, stop where nothing can."""
    if not listed.may_come:
        return Stop(f"no {what} can do this work{listed.rejected()}")
    return wait(situation, f"no {what} is available{listed.rejected()}", cooldown_hours)


def wait(situation: Situation, why: str, cooldown_hours: float, at_most_hours: float = RETRY_HOURS) -> Wait:
    """Hold nothing, and look again soon: no later than refusals are forgotten, nor than ``at_most_hours``."""
    hours = max(min(min(RETRY_HOURS, cooldown_hours) or RETRY_HOURS, at_most_hours), situation.look_hours)
    return Wait(situation.now + timedelta(seconds=hours * situation.hour_s), f"{why}; looking again in {hours:.2g} h")


def held(situation: Situation) -> Candidate | None:
    """The candidate for what the run holds."""
    key = situation.current.key if situation.current else ""
    return next((c for c in situation.candidates if c.offer.key == key), None)


def holds(situation: Situation, offer: Offer) -> str:
    """What the run holds and what the rest of the work is expected to cost there."""
    candidate = held(situation)
    if candidate is None or not candidate.estimate.can_finish:
        return f"holds {named(offer)}"
    return f"holds {named(offer)}: expected ${candidate.estimate.cost_usd.expected:.2f} for the rest"


def described(candidate: Candidate) -> str:
    """``aws/us-east-1a/g4dn.xlarge spot at $0.16/h: expected $4.10``"""
    return f"{named(candidate.offer)}: expected ${candidate.estimate.cost_usd.expected:.2f}"


def named(offer: Offer) -> str:
    """``aws/us-east-1a/g4dn.xlarge spot at $0.16/h``"""
    price = offer.price_usd_per_hour
    digits = 2 if price >= Decimal("0.1") or not price else 4
    return f"{offer.pool} {offer.market.value.replace('_', '-')} at ${price:.{digits}f}/h"


def _fits(candidate: Candidate, money_left_usd: Decimal | None) -> bool:
    return money_left_usd is None or candidate.estimate.cost_usd.expected <= money_left_usd
