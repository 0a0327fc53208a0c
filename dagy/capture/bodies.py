"""Parts of a request as the server handed them over (bytes, header pairs), decoded by the writer's threads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl

from dagy.capture.snapshot import VALUE_LIMIT, Deferred

BODY_LIMIT = 64 * 1024
HEADERS_LIMIT = 200
FIELDS_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class RawHeaders(Deferred):
    """Header pairs in the order of the request; names that come twice are joined by a comma, cookies by `; `."""

    pairs: Sequence[tuple[bytes, bytes]]

    def resolve(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.pairs[:HEADERS_LIMIT]:
            name = raw_name.decode("latin-1").lower()
            value = raw_value[:VALUE_LIMIT].decode("latin-1")
            glue = "; " if name == "cookie" else ", "
            headers[name] = f"{headers[name]}{glue}{value}" if name in headers else value
        return headers


@dataclass(frozen=True, slots=True)
class EnvironHeaders(Deferred):
    """The headers of a WSGI environment, as (`HTTP_X_NAME`, value); others than headers are left out."""

    pairs: Sequence[tuple[str, object]]

    def resolve(self) -> dict[str, str]:
        headers = {}
        for name, value in self.pairs[:HEADERS_LIMIT]:
            short = name.removeprefix("HTTP_")
            headers[short.replace("_", "-").lower()] = str(value)[:VALUE_LIMIT]
        return headers


@dataclass(frozen=True, slots=True)
class RawQuery(Deferred):
    """A query string. Names that come twice become a list."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text[:BODY_LIMIT])

    def resolve(self) -> dict[str, Any] | str:
        return _fields(
            parse_qsl(
                self.text,
                keep_blank_values=True,
                max_num_fields=FIELDS_LIMIT,
            )
        )


@dataclass(frozen=True, slots=True)
class RawBody(Deferred):
    """The beginning of a request's body. `length` is the whole body's length in bytes, None where it is not known."""

    data: bytes
    content_type: str = ""
    length: int | None = None

    @classmethod
    def beginning(cls, whole: bytes, content_type: str = "", *, limit: int = BODY_LIMIT + 1) -> RawBody:
        """Of a body that is there: its first `limit` bytes alone, and how long it is."""
        return cls(whole[:limit], content_type, len(whole))

    def __post_init__(self) -> None:
        # Whoever makes it: a queue of traces must not hold whole uploads.
        if len(self.data) > BODY_LIMIT + 1:
            object.__setattr__(self, "length", len(self.data) if self.length is None else self.length)
            object.__setattr__(self, "data", self.data[: BODY_LIMIT + 1])

    @property
    def cut(self) -> bool:
        """Whether less is stored than was sent."""
        return len(self.data) > BODY_LIMIT or (self.length is not None and self.length > len(self.data))

    def resolve(self) -> Any:
        data = self.data[:BODY_LIMIT]
        kind = self.content_type.partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json") or (not kind and data[:1] in (b"{", b"[")):
            return _json_or_text(data)
        if kind == "application/x-www-form-urlencoded":
            text = data.decode("utf-8", "replace")
            return _fields(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_LIMIT))
        if kind == "multipart/form-data":
            return _multipart(data, self.content_type)
        return _text_or_note(data, kind)


def _fields(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def _json_or_text(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


def _multipart(data: bytes, content_type: str) -> Any:
    """Fields with their values; of files only name, type and size."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n" + data)
    if not message.is_multipart():
        return f"<{len(data)} bytes of multipart/form-data that could not be read>"
    pairs: list[tuple[str, str]] = []
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            continue
        filename = part.get_filename()
        if filename is None:
            pairs.append((name, content.decode("utf-8", "replace")))
        else:
            pairs.append(
                (
                    name,
                    f"<file {filename!r}, {part.get_content_type()}, {len(content)} bytes>",
                )
            )
    return _fields(pairs)


def _text_or_note(data: bytes, kind: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        # The limit may have split the last character.
        if error.start < len(data) - 3:
            return f"<{len(data)} bytes of {kind or 'binary data'}>"
        text = data[: error.start].decode("utf-8")
    return f"<{len(data)} bytes of {kind or 'binary data'}>" if "\x00" in text else text


def environ_headers(environ: Mapping[str, Any]) -> EnvironHeaders:
    """The headers of a WSGI environment (or Django's `request.META`)."""
    pairs = [
        (name, value)
        for name, value in environ.items()
        if isinstance(name, str) and (name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")) and value
    ]
    return EnvironHeaders(pairs)
