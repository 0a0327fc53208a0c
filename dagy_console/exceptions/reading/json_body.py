"""A stored trace's bytes as UTF-8 JSON, with what is wrong with them said in words."""

from __future__ import annotations

import codecs
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

from dagy_console.core.words import size
from dagy_console.exceptions.reading.json_scan import ScanError

MAX_CHECKED = 2_000_000
# Of a body that was stored compressed: a few bytes may stand for gigabytes.
MAX_UNPACKED = 8 * 1024 * 1024
_GZIP, _GZIP_WBITS = b"\x1f\x8b", 31
_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Body:
    """`data` is UTF-8 (or what was meant to be); `start` is the first byte behind a byte order mark.

    `truncated` says that what was stored compressed is longer than was unpacked.
    """

    data: bytes
    start: int
    problems: tuple[str, ...]
    truncated: bool = False


def decode_body(raw: bytes) -> Body:
    """Bring the bytes to UTF-8, unpacked where they are gzip. Never raises."""
    if raw.startswith(_GZIP):
        return _unpacked(raw)
    return _decoded(raw)


def _unpacked(raw: bytes) -> Body:
    unpacker = zlib.decompressobj(_GZIP_WBITS)
    try:
        data = unpacker.decompress(raw, MAX_UNPACKED)
    except zlib.error:
        return Body(raw, 0, ("The body begins as gzip does, and can't be unpacked: it is damaged, or something else.",))
    body, is_cut = _decoded(data), not unpacker.eof
    problems = ["The body is gzip, stored without saying so; it was unpacked to be shown."]
    if unpacker.unconsumed_tail:
        problems.append(f"Only the first {size(MAX_UNPACKED)} of it were unpacked; download the trace for the rest.")
    return replace(body, problems=(*problems, *body.problems), truncated=is_cut)


def _decoded(raw: bytes) -> Body:
    encoding = _utf16(raw)
    if encoding:
        text = raw.decode(encoding, "replace").lstrip("\ufeff")
        return Body(text.encode("utf-8", "replace"), 0, ("The body is UTF-16, not UTF-8; it was decoded to be shown.",))
    start = len(codecs.BOM_UTF8) if raw.startswith(codecs.BOM_UTF8) else 0
    problems = ["The body begins with a byte order mark, which JSON does not allow."] if start else []
    bad = _first_bad_byte(raw)
    if bad is not None:
        problems.append(
            f"The body is not UTF-8: byte {bad:,} is not part of a character; "
            "such bytes are shown as \N{REPLACEMENT CHARACTER}."
        )
    return Body(raw, start, tuple(problems))


def check_json(body: Body) -> str:
    """Say why the body is not strictly JSON, or "". Bodies over 2 MB are not checked here. Never raises."""
    if len(body.data) > MAX_CHECKED:
        return ""
    constants: list[str] = []
    text = body.data[body.start :].decode("utf-8", "replace")
    try:
        json.loads(text, parse_int=len, parse_constant=constants.append)
    except json.JSONDecodeError as error:
        return f"The body is not JSON: line {error.lineno} column {error.colno}: {error.msg}."
    except RecursionError:
        return "The body is nested too deeply to be checked."
    return _constant_words(constants[0]) if constants else ""


def scan_words(body: Body, error: ScanError) -> str:
    """The same sentence for an error that the scanner met."""
    line = body.data.count(b"\n", 0, error.position) + 1
    column = error.position - body.data.rfind(b"\n", 0, error.position)
    return f"The body is not JSON: line {line} column {column}: {error.reason}."


def load_span(data: bytes, span: tuple[int, int] | None, *, limit: int) -> Any:
    """Build the value at `span`. Returns None where there is none, where it is over `limit` bytes, or broken."""
    if span is None or span[1] - span[0] > limit:
        return None
    try:
        return json.loads(data[span[0] : span[1]].decode("utf-8", "replace"), parse_int=_integer)
    except (ValueError, RecursionError):
        return None


def _integer(text: str) -> int | str:
    """Python refuses numbers of more than 4,300 digits; as text they can be shown."""
    return int(text) if len(text) < 4_000 else text


def _constant_words(name: str) -> str:
    return f"The body holds {name}, which JSON does not know; other readers will refuse it."


def _utf16(raw: bytes) -> str | None:
    for mark, encoding in _UTF16:
        if raw.startswith(mark):
            return encoding
    if raw[:1] in (b"{", b"[") and raw[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if raw[:1] == b"\0" and raw[1:2] in (b"{", b"[") else None


def _first_bad_byte(raw: bytes) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    step = 1 << 20
    for start in range(0, len(raw), step):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(raw[start : start + step])
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None
