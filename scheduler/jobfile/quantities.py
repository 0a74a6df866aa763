"""Quantities as people write them: ``1h30m``, ``40 USD``, ``2 epochs``, ``02:00``.

Every parser takes what YAML gives (text or a number) and raises ValueError with a message that says what was found and
what is allowed, ready for :mod:`.validation_errors`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from spotwise.checkpoints import Every, SettingsError, schedule

from ..core.money import in_micro_usd

DURATIONS = "a duration such as 45s, 90m, 18h, 1h30m, 2d or 1w"
TIMESTAMPS = "a timestamp with its zone such as 2026-03-01T06:00:00Z"
MONEY = "an amount in US dollars such as 40 USD, $40 or 40"
EVERY = "N epochs, N steps, N minutes or auto, with N 1 or more"
LARGEST_COUNT = 10**12  # of epochs, steps, examples: more is a slip, and would not fit into the store

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)w)?(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?"
)
_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_MONEY = re.compile(rf"(?:(?:\$|USD)\s*{_NUMBER}|{_NUMBER.replace('number', 'amount')}\s*(?:USD|\$)?)", re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)")
LONGEST = timedelta(days=3660)
_MOST_USD = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a job must be done: a duration from submission, or a moment. Exactly one is set."""

    duration: timedelta | None = None  # in billed hours, which an emulated market makes shorter than real ones
    at: datetime | None = None

    def resolve(self, submitted_at: datetime, hour_s: Decimal | float = 3600.0) -> datetime:
        """The moment of the deadline. A duration counts billed hours of ``hour_s`` wall-clock seconds each."""
        if self.at is not None:
            return self.at
        billed = Fraction((self.duration or timedelta()) // timedelta(microseconds=1))
        return submitted_at + timedelta(microseconds=round(billed * Fraction(hour_s) / 3600))

    def __str__(self) -> str:
        return self.at.isoformat() if self.at is not None else format_duration(self.duration or timedelta())


def parse_duration(value: object) -> timedelta:
    """``45s``, ``90m``, ``18h``, ``1h30m``, ``2d``, ``1w``, as a length of time.

    Raises:
        ValueError: it is not a duration, or it is longer than ten years.
    """
    text = re.sub(r"\s+", "", value).lower() if isinstance(value, str) else ""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"found {shown(value)}; allowed: {DURATIONS}")
    amounts = [Fraction(amount or 0) for amount in match.groups()]
    seconds = sum((a * s for a, s in zip(amounts, _SECONDS.values(), strict=True)), Fraction(0))
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"found {shown(value)}; allowed: at most ten years")
    return timedelta(microseconds=round(seconds * 1_000_000))


def format_duration(duration: timedelta) -> str:
    """The shortest text that :func:`parse_duration` reads back as this duration: ``1h30m``."""
    microseconds = duration // timedelta(microseconds=1)
    parts = []
    for unit, seconds in list(_SECONDS.items())[1:-1]:
        count, microseconds = divmod(microseconds, seconds * 1_000_000)
        parts.append(f"{count}{unit}" if count else "")
    rest = f"{microseconds / 1_000_000:.6f}".rstrip("0").rstrip(".")
    return "".join(parts) + (f"{rest}s" if microseconds else "") or "0s"


def parse_deadline(value: object) -> Deadline:
    """A duration from submission, or a timestamp with a zone.

    Raises:
        ValueError: neither, a timestamp without zone, or a duration of zero.
    """
    if isinstance(value, str) and re.match(r"\d{4}-\d{1,2}-\d{1,2}", value.strip()):
        return Deadline(at=_parse_timestamp(value.strip()))
    try:
        duration = parse_duration(value)
    except ValueError:
        raise ValueError(f"found {shown(value)}; allowed: {DURATIONS}, or {TIMESTAMPS}") from None
    if not duration:
        raise ValueError(f"found {shown(value)}, which leaves no time; allowed: more than 0s")
    return Deadline(duration=duration)


def _parse_timestamp(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: its zone leads out of the years 1 to 9999
        raise ValueError(f"found {shown(text)}, which is no moment; allowed: {TIMESTAMPS}") from None
    if moment.tzinfo is None:
        raise ValueError(f"found {shown(text)}, a timestamp without a zone; allowed: {TIMESTAMPS}")
    return in_utc


def parse_money(value: object) -> Decimal:
    """An amount in US dollars; a bare number counts as USD.

    Raises:
        ValueError: not an amount, negative, or in another currency.
    """
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if text.startswith(("-", "$-")):
        raise ValueError(f"found {shown(value)}; allowed: {MONEY}, not below 0")
    match = _MONEY.fullmatch(text)
    if match is None:
        other = re.search(r"[A-Za-z]{3}|[€£¥]", text)
        found = f"{shown(value)}, which is not in USD" if other and re.search(r"\d", text) else shown(value)
        raise ValueError(f"found {found}; allowed: {MONEY}")
    amount = Decimal((match["number"] or match["amount"]).replace(",", ""))
    if amount > _MOST_USD:
        raise ValueError(f"found {shown(value)}; allowed: at most {_MOST_USD:,} USD")
    if amount != in_micro_usd(amount):
        raise ValueError(f"found {shown(value)}; allowed: at most six decimals")
    return amount


def parse_every(value: object) -> Every | None:
    """``2 epochs``, ``500 steps``, ``15 minutes``; None for ``auto``.

    Raises:
        ValueError: anything else, or less than one.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() == "auto":
        return None
    try:
        every = schedule.parse_every(text)
    except SettingsError:
        raise ValueError(f"found {shown(value)}; allowed: {EVERY}") from None
    if not isinstance(every.amount, int) or every.amount > LARGEST_COUNT:
        raise ValueError(f"found {shown(value)}; allowed: {EVERY}")
    return every


def parse_time_of_day(value: object) -> str:
    """``HH:MM`` on a 24-hour clock, with two digits each.

    Raises:
        ValueError: anything else.
    """
    match = _TIME_OF_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"found {shown(value)}; allowed: a time of day from 00:00 to 23:59")
    return f"{int(match['hour']):02}:{match['minute']}"


def is_time_of_day(text: str) -> bool:
    """Whether it is written as :func:`parse_time_of_day` returns it."""
    return len(text) == len("HH:MM") and _TIME_OF_DAY.fullmatch(text) is not None


def shown(value: object) -> str:
    """A value from a YAML file as a message names it: short, and in YAML's words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, date):
        return f"{value}, a {'time' if isinstance(value, datetime) else 'date'}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[0] if isinstance(value, str) else ''}"
