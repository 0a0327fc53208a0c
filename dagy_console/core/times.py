"""Times as the console reads and writes them: RFC 3339 UTC with microseconds, or relative to now."""

import re
from datetime import UTC, datetime, timedelta

from django.utils import timezone

_RELATIVE = re.compile(r"-(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
EXPECTED = "a time like 2026-01-15, 2026-01-15T10:30:00Z, or relative like -15m, -24h, -7d"


def to_rfc3339(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str, *, now: datetime | None = None) -> datetime:
    """An absolute (RFC 3339, or a date: its midnight UTC) or relative (`-15m`) time. Raises ValueError."""
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative:
            return (now or timezone.now()) - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write {EXPECTED}") from None
