"""The request that caused an exception, out of a trace's `event`: Dagy's shape, API Gateway's, a load balancer's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from dagy_console.core import words
from dagy_console.core.visible import visible
from dagy_console.exceptions.trace.preview.text import shorten

MAX_ROWS = 200
MAX_VALUE = 2_000
MAX_BODY = 64 * 1024
SCRUBBED = ("[Filtered]", "[REDACTED]", "[redacted]", "[scrubbed]", "<scrubbed>", "********", "*****")


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and its value, as they may be shown; `scrubbed` where the writer removed the value or a part of it."""

    name: str
    value: str
    scrubbed: bool


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The request's parts as they were stored, for the curl command. `body` is None where none is known."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: str | None


@dataclass(frozen=True, slots=True)
class RequestView:
    """The request as a table. `body` is pretty-printed where it is JSON; `notes` say what is cut."""

    method: str
    path: str
    query: tuple[Pair, ...]
    headers: tuple[Pair, ...]
    body: str
    notes: tuple[str, ...]


def is_scrubbed(value: str) -> bool:
    """Whether a writer removed a secret from this value."""
    return any(mark in value for mark in SCRUBBED)


def read_request(event: Mapping[str, Any], *, method: str | None, path: str | None) -> RawRequest | None:
    """Find the request in an event's members; None where there is nothing of one."""
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, Mapping) else None
    http = http if isinstance(http, Mapping) else {}
    found_method = method or _text(event, "method", "httpMethod") or _text(http, "method")
    found_path = path or _text(event, "path", "rawPath", "url") or _text(http, "path")
    query = _pairs(_first(event, "query", "query_string", "queryStringParameters", "rawQueryString"))
    headers = _pairs(_first(event, "headers", "multiValueHeaders"))
    body = _first(event, "body", "data")
    if not (found_method or found_path or query or headers or body is not None):
        return None
    return RawRequest(found_method or "", found_path or "", query, headers, None if body is None else _body_text(body))


def show_request(request: RawRequest, cut_fields: Mapping[str, Any]) -> RequestView:
    """Shape a request for the page. `cut_fields` is what the writer says that it cut (`truncated` in the trace)."""
    notes = [
        f"The writer cut {name.removeprefix('event.')}{_of_length(length)}."
        for name, length in list(cut_fields.items())[:20]
        if name.startswith("event.")
    ]
    body, cut = shorten(_pretty(request.body or ""), MAX_BODY)
    if cut:
        notes.append(f"Body {cut}.")
    for name, rows in (("query fields", request.query), ("headers", request.headers)):
        if len(rows) > MAX_ROWS:
            notes.append(f"The first {MAX_ROWS} of {len(rows):,} {name} are shown.")
    return RequestView(
        method=visible(request.method[:MAX_VALUE]),
        path=visible(request.path[:MAX_VALUE]),
        query=_shown(request.query),
        headers=_shown(request.headers),
        body=visible(body),
        notes=tuple(visible(note[:MAX_VALUE]) for note in notes),
    )


def _of_length(length: Any) -> str:
    return f" of {words.size(length)}" if isinstance(length, int) and not isinstance(length, bool) else ""


def _shown(pairs: tuple[tuple[str, str], ...]) -> tuple[Pair, ...]:
    return tuple(
        Pair(visible(name[:MAX_VALUE]), visible(shorten(value, MAX_VALUE)[0]), is_scrubbed(value))
        for name, value in pairs[:MAX_ROWS]
    )


def _first(values: Mapping[str, Any], *names: str) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "", {}, [])), None)


def _text(values: Mapping[str, Any], *names: str) -> str | None:
    found = _first(values, *names)
    return found if isinstance(found, str) else None


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """Names and values out of a dict (values may be lists), a list of pairs, or a query string."""
    if isinstance(value, str):
        return tuple(_parse_query(value))
    if isinstance(value, Mapping):
        rows = list(value.items())
    elif isinstance(value, list):
        rows = [(item[0], item[1]) for item in value if isinstance(item, list) and len(item) == 2]
    else:
        return ()
    return tuple(
        (str(name), _scalar(part))
        for name, content in rows
        for part in (content if isinstance(content, list) else [content])
    )


def _parse_query(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text.lstrip("?"), keep_blank_values=True, max_num_fields=10_000)
    except ValueError:
        return [("", text)]


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent)
    except (RecursionError, ValueError):
        return "(nested too deeply to be written out)"


def _body_text(body: Any) -> str:
    if isinstance(body, str):
        return body
    return _json(body)


def _pretty(body: str) -> str:
    if not body.lstrip().startswith(("{", "[")):
        return body
    try:
        return _json(json.loads(body), indent=2)
    except (ValueError, RecursionError):
        return body


def query_text(query: tuple[tuple[str, str], ...]) -> str:
    """The query string of a request, encoded."""
    return urlencode([(_encodable(name), _encodable(value)) for name, value in query])


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
