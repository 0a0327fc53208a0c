"""Times as the console reads and writes them: RFC 3339 UTC with microseconds, or relative to now."""

import re
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from dagy_console.core.words import duration

_RELATIVE = re.compile(r"-(\d{1,6})([smhdw])")
_AHEAD = re.compile(r"\+?(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
EXPECTED = "a time like 2026-01-15, 2026-01-15T10:30:00Z, or relative like -15m, -24h, -7d"

EXPECTED_AHEAD = "a time like 2026-01-15, 2026-01-15T10:30:00Z, or from now on like 12h, 7d"


def to_rfc3339(when: datetime) -> str:
    """For machines: "2026-01-15T02:49:12.123456Z". Here and below, a time without a zone is UTC."""
    return f"{_utc(when):%Y-%m-%dT%H:%M:%S.%fZ}"


def exact(when: datetime) -> str:
    """For people: "2026-01-15 02:49:12.123456 UTC", without a fraction where it has none."""
    if not when.microsecond:
        return to_second(when)
    return f"{_utc(when):%Y-%m-%d %H:%M:%S.%f UTC}"


def to_second(when: datetime) -> str:
    return f"{_utc(when):%Y-%m-%d %H:%M:%S UTC}"


def to_minute(when: datetime) -> str:
    return f"{_utc(when):%Y-%m-%d %H:%M UTC}"


def clock(when: datetime) -> str:
    """The time of day where it is of today, else the day: "02:49", "01-15"."""
    is_today = _utc(when).date() == timezone.now().astimezone(UTC).date()
    return f"{_utc(when):%H:%M}" if is_today else f"{_utc(when):%m-%d %H:%M}"


def relative(when: datetime) -> str:
    """How long ago: "just now", "12 s", "3 h"; "in 5 min" when ahead."""
    seconds = (timezone.now() - _utc(when)).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    return duration(seconds) if seconds > 0 else f"in {duration(-seconds)}"


def parse_time(text: str, *, now: datetime | None = None) -> datetime:
    """An absolute (RFC 3339, or a date: its midnight UTC) or relative (`-15m`) time. Raises ValueError."""
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative:
            return (now or timezone.now()) - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        return _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write {EXPECTED}") from None


def parse_ahead(text: str) -> datetime:
    """A time to come: absolute as in `parse_time`, or from now on (`24h`, `+7d`). Raises ValueError."""
    relative = _AHEAD.fullmatch(text)
    try:
        if relative:
            return timezone.now() + timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        return parse_time(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time to come: write {EXPECTED_AHEAD}") from None


def _utc(when: datetime) -> datetime:
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def seconds_since(at: datetime | None) -> float | None:
    """None where it never was."""
    return (timezone.now() - at).total_seconds() if at else None
