"""What traces say in their bodies, as flat facts: `event.query.shard` -> "7"."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from dagy_console.core import storage
from dagy_console.core.errors import ConsoleError
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.reading.fields import BODY_FIELDS
from dagy_console.exceptions.trace.preview.request import is_scrubbed

# A web process lends few threads to S3 (core/storage.py).
THREADS = 2
MAX_BYTES = 256 * 1024
MAX_FACTS, MAX_DEPTH = 500, 8
_NAMED = re.compile(
    r"""(?<![\w.])([A-Za-z_][\w.-]{0,40}) ?[=:] ?("[^"\n]{1,80}"|'[^'\n]{1,80}'|[\w./+-]{1,80}(?![\w./+=-]))"""
)
# What the index knows, and what the writer says of its own work.
_LEFT_OUT = frozenset((*BODY_FIELDS, "scrubbed", "truncated"))

Facts = Mapping[str, str]


def read_facts(traces: Sequence[Trace], *, seconds: float) -> list[Facts]:
    """The facts of those that can be read within the time; of one that cannot, none. The S3 server's errors are no
    matter here: what is read is a sample."""
    until = monotonic() + seconds

    def read(trace: Trace) -> Facts | None:
        left = until - monotonic()
        return facts_of(trace, seconds=left) if left > 0 else None

    with ThreadPoolExecutor(THREADS, thread_name_prefix="sample") as pool:
        return [facts for facts in pool.map(read, traces) if facts]


def facts_of(trace: Trace, *, seconds: float) -> Facts | None:
    try:
        stored = storage.get_object(traces_bucket(), trace.key, first_bytes=MAX_BYTES, seconds=seconds)
    except ConsoleError:
        return None
    return facts(stored.body, trace.message)


def facts(body: bytes, message: str) -> Facts:
    """Of a stored body, however it is formed: its scalars by their path, and what the message names (`shard=7`)."""
    found = {f"message {name}": value.strip("\"'") for name, value in _NAMED.findall(message[:2_000])}
    for path, value in _flat(_loaded(body), "", 0):
        if path.partition(".")[0] not in _LEFT_OUT and not is_scrubbed(value):
            found[path] = value
        if len(found) >= MAX_FACTS:
            break
    return found


def _loaded(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _flat(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH or value is None:
        return
    if isinstance(value, str) and value[:1] in {"{", "["} and (inner := _loaded(value)) is not None:
        value = inner
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _flat(member, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list):
        for number, member in enumerate(value[:20]):
            yield from _flat(member, f"{path}[{number}]", depth + 1)
    elif path:
        yield path[:200], value[:500] if isinstance(value, str) else json.dumps(value)
