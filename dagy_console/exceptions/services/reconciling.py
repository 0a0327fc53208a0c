"""Reconciliation: the index follows the bucket, whoever writes, changes or deletes there.

The bucket's keys are sorted, and so are the index's: a page of the listing is compared with the rows of the same
stretch of keys. What is new or changed is read, what is gone is dropped. A pass does two things:

- *hot*: every organization from yesterday on, where new traces land;
- *cold*: the whole bucket, a stretch a pass, as far as the time budget goes, and round again. A bucket of a few
  thousand objects is walked whole in every pass; one of millions in the background.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from dagy.capture.keys import decode_metadata
from dagy_console.core import leases, storage
from dagy_console.core.errors import ConsoleError
from dagy_console.exceptions.keys import PREFIX
from dagy_console.exceptions.models import IndexState, Trace
from dagy_console.exceptions.reading import extract_fields
from dagy_console.exceptions.services.indexing import IndexedTrace, indexed, put_traces

log = structlog.get_logger(__name__)
READ_BYTES = 256 * 1024
THREADS = 16
LEASE_SECONDS = 120
# The key that sorts behind every key of the prefix: "0" follows "/".
END = PREFIX[:-1] + "0"


@dataclass(slots=True)
class Findings:
    """What a pass did."""

    listed: int = 0
    read: int = 0
    removed: int = 0

    def add(self, other: "Findings") -> None:
        self.listed += other.listed
        self.read += other.read
        self.removed += other.removed


def reconcile(*, budget_seconds: float = 8) -> Findings | None:
    """One pass. None where another process is at it. Raises what the S3 server says, after noting it in the state."""
    IndexState.objects.get_or_create(pk=1)
    this = IndexState.objects.filter(pk=1)
    token = leases.take(this, seconds=LEASE_SECONDS)
    if token is None:
        return None
    try:
        found = _pass(this, until=monotonic() + budget_seconds)
        this.update(checked_at=timezone.now(), problem="")
    except ConsoleError as error:
        this.update(problem=error.detail)
        raise
    finally:
        leases.give_back(this, token)
    if found.read or found.removed:
        log.info("traces.reconciled", listed=found.listed, read=found.read, removed=found.removed)
    return found


def _pass(this: QuerySet[IndexState], *, until: float) -> Findings:
    found = Findings()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reconcile") as pool:
        yesterday = timezone.now() - timedelta(days=1)
        for org in storage.list_prefixes(PREFIX):
            for stretch in walk(org, start_after=f"{org}{yesterday:%Y/%m/%d}/", pool=pool):
                found.add(stretch.findings)
        found.add(_cold(this, until=until, pool=pool))
    return found


def _cold(this: QuerySet[IndexState], *, until: float, pool: ThreadPoolExecutor) -> Findings:
    found = Findings()
    state = this.get()
    if not state.position or state.cycle_started_at is None:
        this.update(position="", cycle_started_at=timezone.now())
    for stretch in walk(PREFIX, start_after=state.position, pool=pool):
        found.add(stretch.findings)
        this.update(position=stretch.upto)
        if monotonic() > until and stretch.upto != END:
            return found
    this.update(position="", complete_at=F("cycle_started_at"))
    return found


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of the listing, compared and settled, up to and with the key `upto`."""

    upto: str
    findings: Findings


def walk(prefix: str, *, start_after: str, pool: ThreadPoolExecutor) -> Iterator[Stretch]:
    """Settle everything under `prefix` behind `start_after`, a page of the listing at a time."""
    more = True
    while more:
        asked_at = _database_time()
        objects, more = storage.list_page(prefix, start_after=start_after)
        upto = objects[-1].key if more else prefix[:-1] + "0"
        yield Stretch(upto, _settle(objects, after=start_after or prefix, upto=upto, asked_at=asked_at, pool=pool))
        start_after = upto


def _settle(
    objects: list[storage.ListedObject], *, after: str, upto: str, asked_at: datetime, pool: ThreadPoolExecutor
) -> Findings:
    rows = Trace.objects.filter(key__gt=after, key__lte=upto)
    known = {key: (etag, at) for key, etag, at in rows.values_list("key", "etag", "indexed_at")}
    listed = {item.key for item in objects}
    wanted = [
        item.key for item in objects if item.key.startswith(PREFIX) and known.get(item.key, ("",))[0] != item.etag
    ]
    put_traces([trace for trace in pool.map(read_trace, wanted) if trace])
    gone = [key for key, (_, at) in known.items() if key not in listed and at < asked_at]
    removed = Trace.objects.filter(key__in=gone, indexed_at__lt=asked_at).delete()[0] if gone else 0
    return Findings(listed=len(objects), read=len(wanted), removed=removed)


def read_trace(key: str) -> IndexedTrace | None:
    """What the index keeps of the object; None where it went since it was listed."""
    try:
        stored = storage.get_object(key, first_bytes=READ_BYTES)
    except storage.ObjectGone:
        return None
    fields = extract_fields(
        stored.body,
        key=key,
        metadata=decode_metadata(dict(stored.metadata)),
        last_modified=stored.last_modified,
        truncated=stored.truncated,
    )
    return indexed(stored, fields)


def _database_time() -> datetime:
    """`indexed_at` is the database's clock, so what is compared with it must be too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def rebuild(*, restart: bool, report: Callable[[Findings, str], None]) -> Findings:
    """Settle the whole bucket now, from where the last try stopped (`restart`: from the beginning).

    Calls `report` after each page of the listing. Waits for no other process: what two of them do agrees.
    """
    IndexState.objects.get_or_create(pk=1)
    this = IndexState.objects.filter(pk=1)
    if restart:
        this.update(position="", cycle_started_at=None)
    state = this.get()
    if not state.position or state.cycle_started_at is None:
        this.update(position="", cycle_started_at=timezone.now())
    total = Findings()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reindex") as pool:
        for stretch in walk(PREFIX, start_after=state.position if not restart else "", pool=pool):
            total.add(stretch.findings)
            this.update(position=stretch.upto)
            report(total, stretch.upto)
    this.update(position="", complete_at=F("cycle_started_at"), checked_at=timezone.now(), problem="")
    return total
