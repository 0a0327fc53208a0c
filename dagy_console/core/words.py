"""How the console says sizes, durations, counts, shares and states: each in one place, for pages and messages alike."""

from datetime import timedelta

_SIZES = ("B", "KB", "MB", "GB", "TB")
_MINUTE, _HOUR, _DAY, _MONTH, _YEAR = 60, 3_600, 86_400, 30 * 86_400, 365 * 86_400
# Up to how many seconds, the unit's own seconds, the unit. static/js/console.js says the same.
_DURATIONS = (
    (_MINUTE, 1, "s"),
    (_HOUR, _MINUTE, "min"),
    (_DAY, _HOUR, "h"),
    (2 * _MONTH, _DAY, "d"),
    (_YEAR, _MONTH, "mo"),
    (float("inf"), _YEAR, "y"),
)
_NARROW_NO_BREAK_SPACE = "\u202f"

# State, outcome or health -> the class that colours it: "", "ok", "warn", "danger" or "accent".
TONES = {
    "healthy": "ok",
    "degraded": "warn",
    "unhealthy": "danger",
    "success": "",
    "denied": "warn",
    "failed": "danger",
    "dead": "danger",
    "firing": "danger",
    "ahead": "accent",
    "over": "",
    "pending": "warn",
    "sent": "ok",
    "timed_out": "danger",
    "queued": "",
    "running": "accent",
    "succeeded": "ok",
    "cancelling": "warn",
    "cancelled": "",
    "complete": "ok",
    "catching up": "warn",
    "rising": "danger",
    "active": "ok",
    "resolved": "ok",
    "suspended": "danger",
}
_STATES = {"succeeded": "done", "cancelling": "stopping", "cancelled": "stopped", "timed_out": "timed out"}


def size(count: float) -> str:
    """Bytes in decimal units: "812 B", "4.2 KB", "20 MB"."""
    unit = 0
    while count >= 999.5 and unit < len(_SIZES) - 1:
        count, unit = count / 1000, unit + 1
    figures = f"{count:.1f}".removesuffix(".0") if unit and count < 9.95 else f"{count:.0f}"
    return f"{figures} {_SIZES[unit]}"


def duration(span: timedelta | float) -> str:
    """A time span, or its seconds, in its largest unit, rounded down: "12 s", "2 min", "3 h", "5 d", "4 mo", "2 y"."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    unit_seconds, unit = next((unit_seconds, unit) for limit, unit_seconds, unit in _DURATIONS if seconds < limit)
    return f"{int(seconds // unit_seconds)} {unit}"


def number(count: float) -> str:
    """Digits in groups: "12,431"."""
    return f"{round(count):,}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, which is given in the singular: "1 trace", "12,431 traces", "0 queries"."""
    return f"{number(count)} {noun if count == 1 else plural(noun)}"


def share(percent: float) -> str:
    """A share of 0 to 100 without false precision: "41 %", "<1 %"."""
    figures = "<1" if 0 < percent < 1 else f"{int(percent)}"
    return f"{figures}{_NARROW_NO_BREAK_SPACE}%"


def middle(text: str, length: int = 48) -> str:
    """At most `length` characters of `text`: its middle is cut out, so that both ends stay readable."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def tone(state: str) -> str:
    return TONES.get(state, "")


def state(name: str) -> str:
    """The word for a state: "succeeded" is "done"."""
    return _STATES.get(name, name)


def plural(noun: str) -> str:
    """ "trace" is "traces", "entry" "entries", "person" "people"."""
    if noun == "person":
        return "people"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
