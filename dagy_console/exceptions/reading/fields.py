"""What the index keeps of a trace, out of its key, its metadata and its body, whatever state they are in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dagy.capture.keys import NO_ORG, parse_key
from dagy_console.core.forms import storable
from dagy_console.exceptions.reading.fingerprints import MAX_TEXT, MAX_TITLE, fingerprint
from dagy_console.exceptions.reading.json_body import Body, check_json, decode_body
from dagy_console.exceptions.reading.json_scan import (
    Cursor,
    ScanError,
    read_string,
    read_string_tail,
    skip_space,
    skip_value,
)
from dagy_console.exceptions.reading.stacks import parse

BODY_FIELDS = (
    "timestamp",
    "request_id",
    "function_name",
    "exception_type",
    "exception_message",
    "traceback",
    "http_method",
    "http_path",
    "org_id",
)
METADATA_FIELDS = {
    "exception-type": "exception_type",
    "http-method": "http_method",
    "http-path": "http_path",
    "request-id": "request_id",
    "timestamp": "timestamp",
    "org-id": "org_id",
}
NULLABLE = frozenset(("http_method", "http_path", "org_id", "function_name"))
MAX_MEMBERS = 10_000
MAX_CANONICAL = 8_000
# A time outside of these is a forgery or a broken clock. The index is cut by month: each such month would be a table.
EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
MOST_AHEAD = timedelta(days=1)

_RUN_ID = re.compile(rb'"run_id"\s*:\s*"([A-Za-z0-9_.:-]{1,100})"')
_FRACTION = re.compile(r"(?<=[.,]\d{6})\d+")


@dataclass(frozen=True, slots=True)
class IndexFields:
    """One row of the index. Texts are storable in PostgreSQL and cut to their columns; "" where nothing is known.

    `occurred_at` is aware, UTC. `problems` are codes: not-json, not-object, cut, key-mismatch, metadata-missing,
    time-implausible (then `occurred_at` is when the object was written), field-missing:<name>, field-type:<name>.
    `title` and `canonical` are its group's: what it is called, and why it is one.
    """

    org_id: str
    occurred_at: datetime
    request_id: str
    function_name: str
    run_id: str
    exception_type: str
    message: str
    http_method: str
    http_path: str
    fingerprint: str
    problems: tuple[str, ...]
    title: str = ""
    canonical: str = ""


@dataclass(slots=True)
class TopLevel:
    """The contract's fields of a body. `texts` holds strings, `kinds` the JSON kind of every field that is there.

    `well_formed` says that the value ends where the body ends; `skipped`, that there are more fields than are looked
    at.
    """

    texts: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    is_object: bool = False
    well_formed: bool = False
    skipped: bool = False


def extract_fields(
    raw: bytes, *, key: str, metadata: Mapping[str, str], last_modified: datetime, truncated: bool = False
) -> IndexFields:
    """Read a trace for the index. Never raises.

    `raw` may be only the head of the object (then `truncated`); `metadata` is decoded, its names lower-case. The key
    wins for the organization and the time, metadata for the other fields that it has, the body for message and
    traceback.
    """
    body = decode_body(raw)
    truncated = truncated or body.truncated
    top = read_top_level(body)
    place = parse_key(key)
    values = {name: top.texts.get(name, "") for name in BODY_FIELDS}
    for header, name in METADATA_FIELDS.items():
        values[name] = _prefer(metadata.get(header, ""), values[name])
    exception_type = values["exception_type"] or _type_from_traceback(values["traceback"])
    org_id = place.org_id if place else values["org_id"] or NO_ORG
    claimed = (place.timestamp if place else None) or parse_time(values["timestamp"])
    written = _utc(last_modified)
    plausible = claimed is not None and EARLIEST <= claimed <= written + MOST_AHEAD
    group = fingerprint(exception_type, values["exception_message"], values["traceback"])
    problems = _problems(body, top, metadata, values, key_org=place.org_id if place else None, truncated=truncated)
    return IndexFields(
        org_id=_indexable(org_id, 64),
        occurred_at=claimed if claimed is not None and plausible else written,
        request_id=_indexable(values["request_id"] or (place.request_id if place else ""), 512),
        function_name=_indexable(values["function_name"], 300),
        run_id=_run_id(body),
        exception_type=_indexable(exception_type, 300),
        message=storable(values["exception_message"], 2_000),
        http_method=_indexable(values["http_method"], 20),
        http_path=_indexable(values["http_path"], 1_000),
        fingerprint=group.value,
        title=storable(group.title, MAX_TITLE),
        canonical=storable(group.canonical, MAX_CANONICAL),
        problems=problems if plausible or claimed is None else (*problems, "time-implausible"),
    )


def _run_id(body: Body) -> str:
    """The run that the trace's event names, which may lie at any depth of it."""
    found = _RUN_ID.search(body.data)
    return found[1].decode("ascii") if found else ""


def read_top_level(body: Body) -> TopLevel:
    """Find the contract's fields among the members of the body, as far as it can be read; later duplicates win."""
    top = TopLevel()
    start = skip_space(body.data, body.start)
    top.is_object = body.data[start : start + 1] == b"{"
    try:
        end = _read_members(body.data, start, top) if top.is_object else skip_value(body.data, start)
    except ScanError:
        return top
    top.well_formed = top.skipped or skip_space(body.data, end) == len(body.data)
    return top


def _read_members(data: bytes, start: int, top: TopLevel) -> int:
    cursor = Cursor(data, start)
    for _ in range(MAX_MEMBERS):
        if not cursor.advance():
            return cursor.position
        _read_member(data, cursor, top)
    top.skipped = True
    return cursor.position


def _read_member(data: bytes, cursor: Cursor, top: TopLevel) -> None:
    name, begin = cursor.key or "", cursor.position
    kind = kind_of(data, begin)
    try:
        cursor.position = skip_value(data, begin)
    except ScanError:
        if kind == "text" and name in BODY_FIELDS:
            top.kinds[name] = kind
            top.texts[name] = read_string(data, begin, len(data), limit=MAX_TEXT)[0]
        raise
    if name in BODY_FIELDS or name == "event":
        top.kinds[name] = kind
        top.texts.pop(name, None)
        if kind == "text":
            top.texts[name] = read_long_string(data, begin, cursor.position)[0]


def read_long_string(data: bytes, begin: int, end: int) -> tuple[str, bool]:
    """A string literal, of a long one head and tail of 128 kB each with a line that marks the cut. True where cut."""
    if end - begin <= MAX_TEXT:
        return read_string(data, begin, end, limit=MAX_TEXT)
    head = read_string(data, begin, end, limit=MAX_TEXT // 2)[0]
    tail = read_string_tail(data, begin, end, limit=MAX_TEXT // 2)
    head = head[: head.rfind("\n")] if "\n" in head else head
    return f"{head}\n[… the middle is left out …]\n{tail}", True


def kind_of(data: bytes, position: int) -> str:
    """What kind of JSON value begins here, in a word that fits into a sentence."""
    kinds = {b'"': "text", b"{": "an object", b"[": "a list", b"n": "null", b"t": "true", b"f": "false"}
    return kinds.get(data[position : position + 1], "a number")


def parse_time(text: str) -> datetime | None:
    """Read an RFC 3339 time, or seconds since 1970; without a zone it is UTC. None where it is neither."""
    text = text.strip()[:64]
    try:
        return _utc(datetime.fromisoformat(_FRACTION.sub("", text)))
    except ValueError:
        pass
    except OverflowError:
        return None
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _indexable(text: str, limit: int) -> str:
    """Storable text of at most `limit` bytes: beside a key of 1,024 bytes, an index entry takes some 2,700 in all."""
    return storable(text, limit).encode()[:limit].decode(errors="ignore")


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    # An offset can carry the first and the last day of the calendar out of it.
    if (
        not timedelta(days=2)
        < moment.replace(tzinfo=None) - datetime.min
        < datetime.max - datetime.min - timedelta(days=2)
    ):
        raise ValueError("the time is out of range")
    return moment.astimezone(UTC)


def _prefer(metadata: str, body: str) -> str:
    """Metadata wins, except where it is only the beginning of the body's: S3 holds 2 KB, longer values are cut."""
    if not metadata or (metadata == NO_ORG and not body):
        return body
    return body if body.startswith(metadata) else metadata


def _type_from_traceback(text: str) -> str:
    chain = parse(text[-MAX_TEXT:]) if text else ()
    return chain[-1].type if chain else ""


def _problems(
    body: Body,
    top: TopLevel,
    metadata: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    key_org: str | None,
    truncated: bool,
) -> tuple[str, ...]:
    codes: list[str] = []
    if key_org is None or (values["org_id"] or NO_ORG) != key_org:
        codes.append("key-mismatch")
    if not any(metadata.get(header) for header in METADATA_FIELDS):
        codes.append("metadata-missing")
    whole = not truncated and not top.skipped
    if not whole:
        codes.append("cut")
    if not truncated and not (top.well_formed and _is_json(body)):
        return (*codes, "not-json")
    if not top.is_object:
        return (*codes, "not-object")
    for name in BODY_FIELDS:
        kind = top.kinds.get(name)
        if kind is None and whole:
            codes.append(f"field-missing:{name}")
        elif kind is not None and kind != "text" and not (kind == "null" and name in NULLABLE):
            codes.append(f"field-type:{name}")
    return tuple(codes)


def _is_json(body: Body) -> bool:
    return not check_json(body).startswith("The body is not JSON") and bool(body.data.strip())


def unreadable(*, key: str, last_modified: datetime) -> IndexFields:
    """What the key alone says of an object that cannot be read."""
    fields = extract_fields(b"", key=key, metadata={}, last_modified=last_modified)
    return replace(fields, problems=("unreadable",))
