"""When retraining is due: a time of day on some weekdays in a zone. Pure.

Every scheduled local date has exactly one moment. A time that the switch to summer time skips fires as much later as
the clocks jump (02:30 becomes 03:30); a time that occurs twice in autumn fires the first time (PEP 495, ``fold=0``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ..core.errors import InputError
from ..jobfile.quantities import is_time_of_day
from ..jobfile.schema import WEEKDAYS

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Due moments. They are aware UTC datetimes; an occurrence's id is its scheduled local date, ``2026-11-23``.

    Raises:
        InputError: no such time of day, weekday or zone.
    """

    at: str = "02:00"
    days: tuple[str, ...] | None = None  # of WEEKDAYS; None: every day
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if not is_time_of_day(self.at):
            raise InputError(f"calendar.at is {self.at!r}: write a time of day from 00:00 to 23:59, such as 02:00")
        if self.days is not None and (not self.days or set(self.days) - set(WEEKDAYS)):
            raise InputError(f"calendar.days is {list(self.days)}: name one or more of {', '.join(WEEKDAYS)}")
        _zone(self.timezone)

    def latest_due(self, now: datetime) -> datetime:
        """The last due moment that is not after ``now``."""
        day = self._local_day(now) + _ONE_DAY
        while not (self._is_scheduled(day) and self._moment(day) <= now):
            day -= _ONE_DAY
        return self._moment(day)

    def next_due(self, now: datetime) -> datetime:
        """The first due moment after ``now``."""
        day = self._local_day(now) - _ONE_DAY
        while not (self._is_scheduled(day) and self._moment(day) > now):
            day += _ONE_DAY
        return self._moment(day)

    def missed_between(self, after: datetime, before: datetime) -> list[datetime]:
        """The due moments strictly between two moments, oldest first."""
        missed = []
        due = self.next_due(after)
        while due < before:
            missed.append(due)
            due = self.next_due(due)
        return missed

    def occurrence_id(self, due: datetime) -> str:
        """The id of a due moment.

        Raises:
            ValueError: nothing is due then.
        """
        # The scheduled date can be the day before: a skipped 23:30 fires after midnight.
        for day in (self._local_day(due), self._local_day(due) - _ONE_DAY):
            if self._is_scheduled(day) and self._moment(day) == due:
                return day.isoformat()
        raise ValueError(f"nothing is due at {due.isoformat()}")

    def due_at(self, occurrence_id: str) -> datetime:
        """The due moment of an occurrence, also of a weekday that is no longer scheduled."""
        return self._moment(date.fromisoformat(occurrence_id))

    def show(self, moment: datetime) -> str:
        """A moment as people of this zone read it: ``2026-11-24 02:00 Europe/Berlin``."""
        return f"{moment.astimezone(_zone(self.timezone)):%Y-%m-%d %H:%M} {self.timezone}"

    def _is_scheduled(self, day: date) -> bool:
        return self.days is None or WEEKDAYS[day.weekday()] in self.days

    def _moment(self, day: date) -> datetime:
        local = datetime.combine(day, time.fromisoformat(self.at), tzinfo=_zone(self.timezone))
        return local.astimezone(UTC)

    def _local_day(self, moment: datetime) -> date:
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone: pass an aware datetime")
        return moment.astimezone(_zone(self.timezone)).date()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)  # cached by zoneinfo
    except (KeyError, ValueError, OSError) as unknown:  # OSError: the name of a folder, such as "Europe"
        raise InputError(
            f"calendar.timezone is {name!r}: not a zone that this machine knows. Write a name such as Europe/Berlin; "
            "on a machine without time zone data, install its tzdata package"
        ) from unknown
