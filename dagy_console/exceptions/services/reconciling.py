"""Reconciliation: the index follows the bucket, whoever writes, changes or deletes there.

The bucket's keys are sorted, and so are the index's: a page of the listing is compared with the rows of the same
stretch of keys. What is new or changed is read, what is gone is dropped. A pass does two things:

- *hot*: every organization from yesterday on, where new traces land;
- *cold*: the whole bucket, a stretch a pass, as far as the time budget goes, and round again. A bucket of a few
  thousand objects is walked whole in every pass; one of millions in the background.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.db.models import F, QuerySet
from django.utils import timezone

from dagy.capture.keys import decode_metadata
from dagy_console.core import leases, storage
from dagy_console.core.database import database_time
from dagy_console.core.errors import ConsoleError
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.keys import PREFIX
from dagy_console.exceptions.models import IndexState, Trace
from dagy_console.exceptions.reading import extract_fields, unreadable
from dagy_console.exceptions.services.indexing import IndexedTrace, indexed, put_traces

log = structlog.get_logger(__name__)
READ_BYTES = 256 * 1024
THREADS = 16
PIECE = 250
# Index rows that are compared with one page of the listing at most.
MOST_ROWS = 5_000
# In place of an ETag: the object could not be read. It is tried again after a while, for somebody may mend it.
UNREADABLE = "unreadable"
TRY_AGAIN = timedelta(minutes=10)
MANY = 10
# The key that sorts behind every key of the prefix: "0" follows "/".
END = PREFIX[:-1] + "0"
_Listing = tuple[list[storage.ListedObject], bool]


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
    with leases.hold(this) as token:
        if token is None:
            return None
        try:
            found = _pass(this, until=monotonic() + budget_seconds)
        except ConsoleError as error:
            this.update(problem=error.detail)
            raise
        this.update(checked_at=timezone.now(), problem="")
    if found.read or found.removed:
        log.info("traces.reconciled", listed=found.listed, read=found.read, removed=found.removed)
    return found


def _pass(this: QuerySet[IndexState], *, until: float) -> Findings:
    found = Findings()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reconcile") as pool:
        fresh = not this.get().position
        # A small bucket is seen whole by the cold walk alone.
        if not (fresh and _cold(this, found, until=until, pool=pool)):
            _hot(found, pool=pool)
        if not fresh:
            _cold(this, found, until=until, pool=pool)
    return found


def _hot(found: Findings, *, pool: ThreadPoolExecutor) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    asked_at = database_time()
    starts = {org: f"{org}{yesterday:%Y/%m/%d}/" for org in storage.list_prefixes(traces_bucket(), PREFIX)}
    # Asked for all at once: one after the other, a thousand organizations would take longer than a pass may.
    first = {
        org: pool.submit(storage.list_page, traces_bucket(), org, start_after=start) for org, start in starts.items()
    }
    for org, start in starts.items():
        for stretch in walk(org, start_after=start, pool=pool, first=(asked_at, first[org])):
            found.add(stretch.findings)


def _cold(this: QuerySet[IndexState], found: Findings, *, until: float, pool: ThreadPoolExecutor) -> bool:
    """A stretch of the walk round the bucket; True where the round ended in it."""
    state = this.get()
    if not state.position or state.cycle_started_at is None:
        this.update(position="", cycle_started_at=timezone.now())
    for stretch in walk(PREFIX, start_after=state.position, pool=pool):
        found.add(stretch.findings)
        this.update(position=stretch.upto)
        if monotonic() > until and stretch.upto != END:
            return False
    this.update(position="", complete_at=F("cycle_started_at"))
    return True


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of the listing, compared and settled, up to and with the key `upto`."""

    upto: str
    findings: Findings


def walk(
    prefix: str, *, start_after: str, pool: ThreadPoolExecutor, first: tuple[datetime, Future[_Listing]] | None = None
) -> Iterator[Stretch]:
    """Settle everything under `prefix` behind `start_after`, a page of the listing at a time.

    `first` is the first page and when it was asked for, where that was done already. The next page is asked for before
    this one is settled, so that the S3 server is never left waiting for PostgreSQL.
    """
    before: _Page | None = None
    more = True
    try:
        while more:
            asked_at = first[0] if first else database_time()
            listing = (
                first[1].result() if first else storage.list_page(traces_bucket(), prefix, start_after=start_after)
            )
            page, more = _compare(listing, prefix=prefix, start_after=start_after, asked_at=asked_at, pool=pool)
            settled, before, start_after, first = before, page, page.upto, None
            if settled:
                yield _settle(settled)
        if before:
            yield _settle(before)
    finally:
        if before:
            before.leave()


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of the listing, with what the index knew when it was asked for; its unknown objects are being read."""

    upto: str
    listed: set[str]
    gone: list[str]
    asked_at: datetime
    reads: list[Future[IndexedTrace | None]]

    def leave(self) -> None:
        """Whoever stops walking, or fails, does not wait for what has not begun to be read."""
        for read in self.reads:
            read.cancel()


def _compare(
    listing: _Listing, *, prefix: str, start_after: str, asked_at: datetime, pool: ThreadPoolExecutor
) -> tuple[_Page, bool]:
    """The listing beside the index, and whether there is more behind it. Reading what is new begins here."""
    objects, more = listing
    upto = objects[-1].key if more else prefix[:-1] + "0"
    rows = Trace.objects.filter(key__gt=start_after or prefix, key__lte=upto).order_by("key")
    known = {key: (etag, at) for key, etag, at in rows.values_list("key", "etag", "indexed_at")[:MOST_ROWS]}
    if len(known) == MOST_ROWS:
        # Far more rows than objects: a bucket that was emptied. The stretch ends where this many rows do.
        upto, more = max(known), True
        objects = [item for item in objects if item.key <= upto]
    listed = {item.key for item in objects}
    gone = [key for key, (_, at) in known.items() if key not in listed and at < asked_at]
    reads = [pool.submit(read_trace, item) for item in objects if _is_news(item, known.get(item.key), asked_at)]
    return _Page(upto, listed, gone, asked_at, reads), more


def _is_news(item: storage.ListedObject, row: tuple[str, datetime] | None, asked_at: datetime) -> bool:
    if not item.key.startswith(PREFIX) or (item.key.endswith("/") and not item.size):
        return False  # beside the prefix, or a folder that some S3 browser has drawn
    if row is None or row[0] == item.etag:
        return row is None
    return row[0] != UNREADABLE or row[1] < asked_at - TRY_AGAIN


def _settle(page: _Page) -> Stretch:
    try:
        # In pieces, so that rows are written while the page's other objects are still being read.
        for start in range(0, len(page.reads), PIECE):
            put_traces(_readable([read.result() for read in page.reads[start : start + PIECE]]))
    finally:
        page.leave()
    removed = 0
    if page.gone:
        removed = Trace.objects.filter(key__in=page.gone, indexed_at__lt=page.asked_at).delete()[0]
    return Stretch(page.upto, Findings(listed=len(page.listed), read=len(page.reads), removed=removed))


def _readable(read: list[IndexedTrace | None]) -> list[IndexedTrace]:
    """What is still there. Raises where nothing at all can be read: then it is the permission, not the objects."""
    there = [trace for trace in read if trace]
    if len(there) >= MANY and all(trace.etag == UNREADABLE for trace in there):
        raise storage.StorageDenied("The S3 server refuses to give any trace: the credentials lack s3:GetObject.")
    return there


def read_trace(item: storage.ListedObject) -> IndexedTrace | None:
    """What the index keeps of the object; None where it went since it was listed."""
    try:
        stored = storage.get_object(traces_bucket(), item.key, first_bytes=READ_BYTES)
    except storage.ObjectGone:
        return None
    except storage.ObjectDenied:
        fields = unreadable(key=item.key, last_modified=item.last_modified)
        return IndexedTrace(item.key, fields, item.size, UNREADABLE, item.last_modified)
    fields = extract_fields(
        stored.body,
        key=item.key,
        metadata=decode_metadata(dict(stored.metadata)),
        last_modified=stored.last_modified,
        truncated=stored.truncated,
    )
    return indexed(stored, fields)


def rebuild(*, restart: bool, report: Callable[[Findings, str], None]) -> Findings:
    """Settle the whole bucket now, from where the last try stopped (`restart`: from the beginning).

    Calls `report` after each page of the listing. It keeps a place of its own and waits for no other process: what two
    of them do agrees.
    """
    IndexState.objects.get_or_create(pk=1)
    this = IndexState.objects.filter(pk=1)
    if restart or not this.get().rebuild_position:
        this.update(rebuild_position="", rebuild_started_at=timezone.now())
    total = Findings()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reindex") as pool:
        for stretch in walk(PREFIX, start_after=this.get().rebuild_position, pool=pool):
            total.add(stretch.findings)
            this.update(rebuild_position=stretch.upto)
            report(total, stretch.upto)
    this.update(rebuild_position="", complete_at=F("rebuild_started_at"), checked_at=timezone.now(), problem="")
    return total
