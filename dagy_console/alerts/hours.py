"""When a rule watches: on some days of the week, from one time of day to another, in a time zone."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from dagy_console.core.errors import Invalid

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS = {"days", "from", "to", "time_zone"}


@dataclass(frozen=True, slots=True)
class Hours:
    """Until `to` is the next day's where it is not after `from`; the day is the one on which they begin."""

    days: tuple[str, ...]
    begins: time
    ends: time
    zone: str

    def contain(self, moment: datetime) -> bool:
        there = moment.astimezone(ZoneInfo(self.zone))
        clock = there.time()
        if self.begins < self.ends:
            return DAYS[there.weekday()] in self.days and self.begins <= clock < self.ends
        if clock >= self.begins:
            return DAYS[there.weekday()] in self.days
        return clock < self.ends and DAYS[(there - timedelta(days=1)).weekday()] in self.days

    def __str__(self) -> str:
        days = "every day" if len(self.days) == len(DAYS) else ", ".join(self.days)
        return f"{days} {self.begins:%H:%M} to {self.ends:%H:%M} {self.zone}"


def parse(told: dict[str, Any]) -> Hours:
    """Raises Invalid that names the field `hours`."""
    if not isinstance(told, dict) or set(told) != _KEYS:
        raise Invalid.field("hours", f"must have {', '.join(sorted(_KEYS))}")
    days = told["days"]
    if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
        raise Invalid.field("hours", f"days must be some of {', '.join(DAYS)}")
    if told["time_zone"] not in available_timezones():
        raise Invalid.field("hours", "time_zone must be one such as Europe/Berlin or UTC")
    return Hours(
        tuple(day for day in DAYS if day in days), _time(told, "from"), _time(told, "to"), str(told["time_zone"])
    )


def _time(told: dict[str, Any], name: str) -> time:
    try:
        return datetime.strptime(str(told[name]), "%H:%M").time()
    except ValueError:
        raise Invalid.field("hours", f"{name} must be a time of day such as 09:00") from None
