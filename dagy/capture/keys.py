"""Where a trace lies in S3, and its six metadata fields as headers that every S3 server accepts.

    exceptions/<org_id>/YYYY/MM/DD/HHMMSSffffff_<request_id>.json      (UTC; no organization: `_none`)

S3 carries metadata in HTTP headers, so values must be US-ASCII and short. Values that are not plain printable ASCII
are written as RFC 2047 encoded words (`=?UTF-8?B?…?=`), which is also what S3 itself answers for such values.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

PREFIX = "exceptions/"
NO_ORG = "_none"
METADATA_FIELDS = (
    "exception-type",
    "http-method",
    "http-path",
    "request-id",
    "timestamp",
    "org-id",
)
# S3's limit is 2 KB for names and values together; the `x-amz-meta-` prefix is counted too, as some servers do.
METADATA_LIMIT = 2048
_HEADER_PREFIX = len("x-amz-meta-")

_ORG_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9._-]")
_KEY = re.compile(
    r"exceptions/(?P<org>[A-Za-z0-9_-]{1,64})/(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/(?P<time>[0-9]{12})_"
    r"(?P<request>[^/\x00-\x1f\x7f]{1,512})\.json"
)
# One blank at a time only: request signing folds runs of blanks, and servers differ in how.
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_WORD = re.compile(r"=\?([A-Za-z0-9._-]+)(?:\*[A-Za-z0-9-]*)?\?([bBqQ])\?([^?\s]*)\?=")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# An encoded word may have 75 characters: 12 of frame leave 63, of which 60 are whole base64 quads: 45 bytes.
_WORD_BYTES = 45


class ParsedKey(NamedTuple):
    """What a trace's key alone says. `org_id` is `_none` where there was no organization; `timestamp` is aware, UTC."""

    org_id: str
    timestamp: datetime
    request_id: str


def is_org_id(value: object) -> bool:
    """Whether `value` is an organization id that may stand in a key."""
    return isinstance(value, str) and _ORG_ID.fullmatch(value) is not None


def is_request_id(value: object) -> bool:
    """Whether `value` is a request id that may stand in a key and a header."""
    return isinstance(value, str) and _REQUEST_ID.fullmatch(value) is not None


def new_request_id() -> str:
    """A request id that nobody else has: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def s3_key(*, org_id: str | None, timestamp: datetime, request_id: str) -> str:
    """The key of a trace. Always a safe key: another kind of `org_id` becomes `_none`, other characters of the
    request id `-`. A time without zone is taken as UTC."""
    when = timestamp.astimezone(UTC) if timestamp.tzinfo else timestamp
    org = org_id if org_id is not None and is_org_id(org_id) else NO_ORG
    request = _UNSAFE_IN_ID.sub("-", request_id)[:128] or "-"
    # strftime's %Y does not pad years below 1000 on every platform.
    return f"{PREFIX}{org}/{when.year:04d}/{when:%m/%d/%H%M%S%f}_{request}.json"


def parse_key(key: str) -> ParsedKey | None:
    """The parts of a trace's key, or None where it is not one (other writers may put anything into the bucket)."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    try:
        moment = datetime.strptime(f"{match['day']} {match['time']}", "%Y/%m/%d %H%M%S%f")
    except ValueError:
        return None
    return ParsedKey(match["org"], moment.replace(tzinfo=UTC), match["request"])


def encode_metadata(metadata: Mapping[str, str | None], *, limit: int = METADATA_LIMIT) -> dict[str, str]:
    """`metadata` as boto3's `Metadata=` argument: ASCII only, no control characters, at most `limit` bytes in all.

    Values that are None or empty are left out (S3 servers differ in whether they keep an empty header). Where the
    whole is too long, the longest values are cut until it fits, so that short ones stay whole.
    """
    values = {name: _without_surrogates(value) for name, value in metadata.items() if value}
    encoded = {name: _encode(value) for name, value in values.items()}
    room = limit - sum(_HEADER_PREFIX + len(name) for name in encoded)
    if sum(map(len, encoded.values())) <= room:
        return encoded
    longest = _cap(sorted(map(len, encoded.values())), room)
    cut = {
        name: text if len(text) <= longest else _encode_prefix(values[name], longest) for name, text in encoded.items()
    }
    return {name: text for name, text in cut.items() if text}


def decode_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """What `encode_metadata` was given, from the `Metadata` that boto3 answers. Names are lower-cased; what is not
    a valid encoded word stays as it is; raw UTF-8 that HTTP libraries read as Latin-1 is repaired."""
    return {name.lower(): _decode(value) for name, value in metadata.items()}


def _without_surrogates(value: str) -> str:
    return _SURROGATE.sub("\ufffd", value)


def _cap(lengths: list[int], room: int) -> int:
    """The greatest length L for which the sum of min(length, L) fits into `room`; `lengths` ascend."""
    for index, length in enumerate(lengths):
        share = room // (len(lengths) - index)
        if length > share:
            return max(share, 0)
        room -= length
    return lengths[-1]


def _encode(value: str) -> str:
    if _PLAIN.fullmatch(value) and "=?" not in value:
        return value
    return " ".join(f"=?UTF-8?B?{base64.b64encode(chunk).decode()}?=" for chunk in _chunks(value))


def _chunks(value: str) -> list[bytes]:
    """UTF-8 in pieces of at most 45 bytes, none of which splits a character."""
    data = value.encode()
    chunks = []
    start = 0
    while start < len(data):
        end = min(start + _WORD_BYTES, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        chunks.append(data[start:end])
        start = end
    return chunks


def _encode_prefix(value: str, room: int) -> str:
    """The longest beginning of `value` whose encoded form has at most `room` characters."""
    low, high = 0, min(len(value), room)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_encode(value[:middle].rstrip())) <= room:
            low = middle
        else:
            high = middle - 1
    return _encode(value[:low].rstrip())


def _decode(value: str) -> str:
    if not value.isascii():
        return _repair_latin1(value)
    if "=?" not in value:
        return value
    parts: list[str] = []
    pending: list[tuple[str, bytes]] = []
    position = 0
    for word in _WORD.finditer(value):
        content = _word_bytes(word[2], word[3])
        if content is None:
            continue
        between = value[position : word.start()]
        # Blanks between two encoded words belong to the encoding, not to the value.
        if between.strip() or not pending:
            parts += [_joined(pending), between]
            pending = []
        pending.append((word[1], content))
        position = word.end()
    return "".join([*parts, _joined(pending), value[position:]])


def _word_bytes(encoding: str, text: str) -> bytes | None:
    if encoding in "qQ":
        return quopri.decodestring(text.replace("_", " ").encode(), header=False)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _joined(words: list[tuple[str, bytes]]) -> str:
    """Words of one charset are joined as bytes first: other writers split in the middle of a character."""
    text = ""
    index = 0
    while index < len(words):
        charset = words[index][0]
        data = b""
        while index < len(words) and words[index][0].lower() == charset.lower():
            data += words[index][1]
            index += 1
        text += _text(data, charset)
    return text


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset, "replace")
    except (LookupError, ValueError, TypeError):
        return data.decode("utf-8", "replace")


def _repair_latin1(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return value
