"""Two traces side by side: what differs in the request and in what they say, and where their tracebacks part."""

import difflib
from dataclasses import dataclass, field

from dagy_console.core import storage
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.groups.bodies import facts
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.reading.fields import read_top_level
from dagy_console.exceptions.reading.json_body import decode_body
from dagy_console.exceptions.trace.stored import READ_SECONDS

MAX_BYTES = 1024 * 1024
MOST_FACTS, MOST_LINES = 100, 400
_COLUMNS = (
    "exception_type", "message", "org_id", "http_method", "http_path", "function_name", "request_id", "run_id",
    "fingerprint",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differing`: (name, first, second), "" where one has no such value; `same` counts what is equal. `traceback`
    holds the lines of a unified diff, none where they are alike."""

    differing: list[tuple[str, str, str]] = field(default_factory=list)
    same: int = 0
    traceback: list[str] = field(default_factory=list)


def compare(first: Trace, second: Trace) -> Comparison:
    """Raises what the S3 server says of either."""
    bodies = [
        storage.get_object(traces_bucket(), trace.key, first_bytes=MAX_BYTES, seconds=READ_SECONDS).body
        for trace in (first, second)
    ]
    one, other = _facts(first, bodies[0]), _facts(second, bodies[1])
    names = list(dict.fromkeys([*one, *other]))
    differing = [(name, one.get(name, ""), other.get(name, "")) for name in names if one.get(name) != other.get(name)]
    lines = list(difflib.unified_diff(_traceback(bodies[0]), _traceback(bodies[1]), lineterm="", n=3))[2:]
    return Comparison(differing[:MOST_FACTS], len(names) - len(differing), lines[:MOST_LINES])


def _traceback(body: bytes) -> list[str]:
    return read_top_level(decode_body(body)).texts.get("traceback", "").splitlines()[:MOST_LINES]


def _facts(trace: Trace, body: bytes) -> dict[str, str]:
    """The row's columns, then what the body says besides them."""
    columns = {name: str(getattr(trace, name)) for name in _COLUMNS}
    said = {name: value for name, value in facts(body, trace.message).items() if name not in columns}
    return columns | said
