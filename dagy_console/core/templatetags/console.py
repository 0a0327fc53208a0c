"""What templates say by core.words and core.times, and how they draw what there is too much of for includes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, Protocol

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from dagy_console.core import times, words
from dagy_console.core.visible import visible

register = template.Library()
register.filter("visible", lambda text: visible("" if text is None else str(text)))

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


def _filter(name: str, say: Callable[..., str]) -> None:
    """Offer `say` to templates, where a value that is not there is said as nothing."""

    @wraps(say)
    def shown(value: object, *said: object) -> str:
        return "" if value is None or value == "" else say(value, *said)

    register.filter(name, shown)


_filter("relative_time", times.relative)
_filter("exact_time", times.exact)
_filter("second_time", times.to_second)
_filter("minute_time", times.to_minute)
_filter("iso_time", times.to_rfc3339)
_filter("bytes", words.size)
_filter("thousands", words.number)
_filter("counted", words.counted)
_filter("percent", words.share)
_filter("tone", words.tone)
_filter("state", words.state)
_filter("middle", words.middle)


@register.filter
def problem_words(code: str) -> str:
    """Say in two or three words what the index noticed of a trace: "field-missing:org_id" is "no org_id"."""
    kind, _, field = code.partition(":")
    known = _PROBLEMS.get(kind)
    return known.format(field=field) if known else code.replace("-", " ").replace(":", " ")


@register.filter
def caret(position: int | None) -> str:
    """Draw a caret under character `position` (from 0) of a line in monospaced type."""
    return "" if position is None else f"{' ' * min(max(position, 0), 500)}^"


@register.filter
def pairs(mapping: Mapping[str, object]) -> list[tuple[str, object]]:
    """List names and values. `mapping.items` in a template would find a member that is called "items" first."""
    return list(mapping.items())


@register.simple_tag
def bars(histogram: Mapping[str, Any], plain: object = "") -> SafeString:
    """A chart's bars, each a door (templates/components/histogram.html). A tag and not an include, for there are ninety
    of them."""
    height = histogram["view_height"]
    return format_html_join(
        "\n",
        '<a href="{}"{}{} tabindex="-1"><title>{}</title>'
        '<rect class="bar-hit" x="{}" y="0" width="{}" height="{}" />'
        '<rect class="bar-fill" x="{}" y="{}" width="{}" height="{}" rx="1" /></a>',
        (
            (
                bar["url"],
                "" if plain else format_html(' hx-get="{}"', bar["url"]),
                mark_safe(' class="hot"') if bar["hot"] else "",
                *(bar["label"], bar["x"], bar["width"], height),
                *(bar["x"], bar["y"], bar["width"], bar["height"]),
            )
            for bar in histogram["buckets"]
        ),
    )


@register.simple_tag
def facet_door(value: Mapping[str, Any], plain: object = "") -> SafeString:
    """A facet's value that is neither chosen nor excluded (templates/components/facets.html). A tag and not an include,
    for there are sixty of them."""
    add, exclude, label = value["add_url"], value["exclude_url"], value["label"]
    swaps = ("", "") if plain else (format_html(' hx-get="{}"', add), format_html(' hx-get="{}"', exclude))
    return format_html(
        '<a href="{}"{} title="{}"><bdi class="name">{}</bdi> <span class="count">{}</span></a>'
        '<a class="without" href="{}"{} aria-label="Without {}" title="Without {}">−</a>'
        '<svg class="share" aria-hidden="true" focusable="false"><rect width="{}%" height="2" /></svg>',
        *(add, swaps[0], label, label, words.number(value["count"])),
        *(exclude, swaps[1], label, label, value["share"]),
    )


@register.simple_tag
def clock(at: datetime) -> SafeString:
    """A moment of a list: the time of day, or the day where it is another one, and how long ago. A tag and not an
    include, for a list has many."""
    return format_html(
        '<time datetime="{}" title="{}" data-clock>{} <span class="age">{}</span></time>',
        times.to_rfc3339(at),
        times.exact(at),
        times.clock(at),
        times.relative(at),
    )


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
