"""How the console's pages write times, sizes, counts, long names and JSON trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from django import template
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dagy_console.core.visible import visible

register = template.Library()
register.filter("visible", lambda text: visible("" if text is None else str(text)))

_STEPS = ((60, 1, "s"), (3_600, 60, "min"), (86_400, 3_600, "h"), (60 * 86_400, 86_400, "d"))
_MONTH = 30 * 86_400
_YEAR = 365 * 86_400
_SIZES = ("B", "KB", "MB", "GB", "TB")
_PROBLEMS = {
    "not-json": "not JSON",
    "not-object": "not a JSON object",
    "unreadable": "cannot be read",
    "time-implausible": "implausible time",
    "key-mismatch": "key and body differ",
    "metadata-missing": "no metadata",
    "field-missing": "no {field}",
    "field-type": "{field} of a wrong type",
}
_NARROW_NO_BREAK_SPACE = "\u202f"


class JsonNode(Protocol):
    """One value of a parsed document, as the JSON tree draws it."""

    @property
    def key(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def preview(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def children(self) -> Sequence[JsonNode]: ...

    @property
    def cut(self) -> str: ...


@register.filter
def relative_time(value: datetime | None) -> str:
    """Say how long ago `value` was: "just now", "12 s", "2 min", "3 h", "5 d", "4 mo", "2 y"; "in 5 min" when ahead."""
    if value is None:
        return ""
    seconds = (timezone.now() - _aware(value)).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    text = _span(abs(seconds))
    return text if seconds > 0 else f"in {text}"


@register.filter
def exact_time(value: datetime | None) -> str:
    """Write `value` in UTC with microseconds: "2026-01-15 02:49:12.123456 UTC"."""
    if value is None:
        return ""
    return _aware(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")


@register.filter
def second_time(value: datetime | None) -> str:
    """Write `value` in UTC to the second: "2026-01-15 02:49:12 UTC"."""
    if value is None:
        return ""
    return _aware(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@register.filter
def iso_time(value: datetime | None) -> str:
    """Write `value` as RFC 3339 in UTC with microseconds and `Z`, for machines and `<time datetime>`."""
    if value is None:
        return ""
    return _aware(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@register.filter(name="bytes")
def human_bytes(value: float | None) -> str:
    """Write a size in bytes with decimal units: "812 B", "4.2 KB", "20 MB"."""
    if value is None:
        return ""
    size, unit = float(value), 0
    while size >= 999.5 and unit < len(_SIZES) - 1:
        size, unit = size / 1000, unit + 1
    figures = f"{size:.1f}".removesuffix(".0") if unit and size < 9.95 else f"{size:.0f}"
    return f"{figures} {_SIZES[unit]}"


@register.filter
def thousands(value: float | None) -> str:
    """Group the digits of a count: "12,431". Empty for None."""
    return "" if value is None else f"{round(value):,}"


@register.filter
def percent(value: float | None) -> str:
    """Write a share of 0 to 100 without false precision: "41 %", "<1 %". Empty for None."""
    if value is None:
        return ""
    if 0 < value < 1:
        return f"<1{_NARROW_NO_BREAK_SPACE}%"
    return f"{int(value)}{_NARROW_NO_BREAK_SPACE}%"


@register.filter
def middle(value: object, length: int = 48) -> str:
    """Shorten text to at most `length` characters by cutting its middle, so that both ends stay readable."""
    text = "" if value is None else str(value)
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


@register.filter
def problem_words(code: str) -> str:
    """Say in two or three words what the index noticed of a trace: "field-missing:org_id" is "no org_id"."""
    kind, _, field = code.partition(":")
    words = _PROBLEMS.get(kind)
    return words.format(field=field) if words else code.replace("-", " ").replace(":", " ")


@register.filter
def caret(position: int | None) -> str:
    """Draw a caret under character `position` (from 0) of a line in monospaced type."""
    return "" if position is None else f"{' ' * min(max(position, 0), 500)}^"


@register.filter
def pairs(mapping: Mapping[str, object]) -> list[tuple[str, object]]:
    """List names and values. `mapping.items` in a template would find a member that is called "items" first."""
    return list(mapping.items())


@register.simple_tag
def json_tree(root: JsonNode) -> SafeString:
    """Draw a JSON tree as nested lists; objects and arrays fold with `<details>`, the first two levels open.

    A tag and not an include: a document of 5,000 nodes has to be drawn in tens of milliseconds.
    """
    return mark_safe(f'<ul class="tree">{"".join(_tree_parts(root, 0))}</ul>')  # noqa: S308 every value goes through escape()


def _tree_parts(node: JsonNode, depth: int) -> Iterator[str]:
    key = f'<span class="tree-key">{escape(node.key)}</span> ' if node.key else ""
    value = f'<span class="tree-value tree-{escape(node.kind)}">{escape(node.preview)}</span>'
    cut = f' <span class="tree-cut">{escape(node.cut)}</span>' if node.cut else ""
    path = escape(node.path)
    if not node.children:
        yield f'<li data-path="{path}"><span class="tree-line">{key}{value}{cut}</span></li>'
        return
    fold = "<details open>" if depth < 2 else "<details>"
    yield f'<li data-path="{path}">{fold}<summary class="tree-line">{key}{value}{cut}</summary><ul>'
    for child in node.children:
        yield from _tree_parts(child, depth + 1)
    yield "</ul></details></li>"


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _span(seconds: float) -> str:
    for limit, size, unit in _STEPS:
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    if seconds < _YEAR:
        return f"{int(seconds // _MONTH)} mo"
    return f"{int(seconds // _YEAR)} y"
