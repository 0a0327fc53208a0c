"""Look into JSON of any size without building it.

`json.loads` of a 20 MB body makes up to 600 MB of objects. Here values are skipped over by one regular expression at C
speed, on the bytes as they are, and only what is asked for is decoded. The patterns are possessive: no backtracking,
linear time. What is skipped is checked for brackets and quotes only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

MAX_SKIP_STEPS = 200_000

_STRING_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = rb'[^"\[\]{}]*+'
_FLAT = _PLAIN + rb"(?:" + _STRING_TEXT + _PLAIN + rb")*+"


def _balanced(levels: int) -> bytes:
    if levels == 0:
        return _FLAT
    return _FLAT + rb"(?:[\[{]" + _balanced(levels - 1) + rb"[\]}]" + _FLAT + rb")*+"


# Six levels of nesting in one match: real traces seldom have more, and each deeper bracket costs one step in Python.
_RUN = re.compile(_balanced(6), re.DOTALL)
_STRING = re.compile(_STRING_TEXT, re.DOTALL)
_KEY = re.compile(rb"(" + _STRING_TEXT + rb")[ \t\r\n]*+:[ \t\r\n]*+", re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb"true|false|null|NaN|-?Infinity|-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?")
_BROKEN_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$")
_LINE_END = re.compile(rb"[^\\]\\n")
_DECODER = json.JSONDecoder(strict=False)
_OPEN = b"[{"
_CLOSE = b"]}"


class ScanError(Exception):
    """The JSON can't be read on. `position` is a byte offset, `reason` a short phrase such as "expected a value"."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"{reason} at byte {position}")
        self.position = position
        self.reason = reason


@dataclass(slots=True)
class Cursor:
    """Steps through the members of one object or list.

    After `advance` returned True, `key` (None in a list) is set and `position` is the first byte of the value; the
    caller moves `position` to the value's end (with `skip_value`, or after reading it) before it advances again. After
    False, `position` is behind the closing bracket.
    """

    raw: bytes
    position: int
    key: str | None = None
    is_object: bool = field(init=False)
    _first: bool = True

    def __post_init__(self) -> None:
        self.is_object = self.raw[self.position : self.position + 1] == b"{"
        self.position += 1

    def advance(self) -> bool:
        raw = self.raw
        position = skip_space(raw, self.position)
        byte = raw[position : position + 1]
        if byte and byte in _CLOSE:
            self.position = position + 1
            return False
        if not self._first:
            if byte != b",":
                raise ScanError(position, "expected a comma or the end" if byte else "the text ends too early")
            position = skip_space(raw, position + 1)
        self._first = False
        if self.is_object:
            position = self._read_key(position)
        self.position = position
        return True

    def _read_key(self, position: int) -> int:
        raw = self.raw
        if match := _KEY.match(raw, position):
            self.key = read_string(raw, position, match.end(1), limit=1_000)[0]
            return match.end()
        match = _STRING.match(raw, position)
        if match is None:
            raise ScanError(
                position, "expected a key in double quotes" if position < len(raw) else "the text ends too early"
            )
        position = skip_space(raw, match.end())
        raise ScanError(position, "expected a colon" if position < len(raw) else "the text ends too early")


def skip_space(raw: bytes, position: int) -> int:
    if position < len(raw) and raw[position] > 0x20:
        return position
    match = _SPACE.match(raw, position)
    return match.end() if match else position


def skip_value(raw: bytes, position: int) -> int:
    """Return the offset behind the value that begins here. Raises ScanError."""
    byte = raw[position : position + 1]
    if byte and byte in _OPEN:
        return skip_rest(raw, position + 1)
    match = (_STRING if byte == b'"' else _SCALAR).match(raw, position)
    if match is None:
        raise ScanError(position, "the text ends too early" if not byte or byte == b'"' else "expected a value")
    return match.end()


def skip_rest(raw: bytes, position: int) -> int:
    """Return the offset behind the bracket that closes the value in which `position` lies. Raises ScanError."""
    depth = 1
    for _ in range(MAX_SKIP_STEPS):
        match = _RUN.match(raw, position)
        position = match.end() if match else position
        byte = raw[position : position + 1]
        if byte and byte in _OPEN:
            depth += 1
        elif byte and byte in _CLOSE:
            depth -= 1
        else:
            raise ScanError(position, "the text ends too early")
        position += 1
        if depth == 0:
            return position
    raise ScanError(position, "nested too deeply to be read")


def read_string(raw: bytes, start: int, end: int, *, limit: int) -> tuple[str, bool]:
    """Decode the string literal in raw[start:end] to at most `limit` characters; the second value says that it was cut.

    `end` may lie inside the string where the text itself was cut.
    """
    closed = end - start >= 2 and raw[end - 1 : end] == b'"'
    body = raw[start + 1 : min(end - 1 if closed else end, start + 1 + limit * 6)]
    whole = closed and len(body) == end - start - 2
    if whole and len(body) <= limit and b"\\" not in body:
        return body.decode("utf-8", "replace"), False
    text = _unescape(body if whole else _trim(body))
    return text[:limit], not whole or len(text) > limit


def read_string_tail(raw: bytes, start: int, end: int, *, limit: int) -> str:
    """Decode the end of a long string literal, from a line's start where there is one."""
    window = raw[max(start + 1, end - 1 - limit) : end - 1]
    match = _LINE_END.search(window)
    return _unescape(window[match.end() :] if match else window.lstrip(b"\\"))


def _trim(body: bytes) -> bytes:
    return body[:-64] + _BROKEN_ESCAPE.sub(rb"\1", body[-64:])


def _unescape(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    try:
        return str(_DECODER.decode(f'"{text}"'))
    except ValueError:
        return text
