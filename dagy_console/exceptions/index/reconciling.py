"""Reconciliation: the index follows the bucket, whoever writes, changes or deletes there.

The bucket's keys are sorted, and so are the index's: a page of the listing is compared with the rows of the same
stretch of keys. What is new or changed is read, what is gone is dropped; what a deletion has on its way is left to it.
A pass does three things, in this order, each of which costs the same however large the bucket is:

- *new*: every organization from a quarter of an hour ago on, where new traces land. Those that had one within the hour
  are looked at in every pass, the others in every third; all of them once a minute while the bucket sends its events
  (`events`), which tell of a trace at once;
- *recent*: a stretch of what landed since yesterday, one organization after the other and round again: what was late,
  written over or deleted;
- *cold*: a stretch of the whole bucket, and round again.

Until the index is complete, and where a stretch was not as the index has it, a walk goes on as far as the time budget
lets it; else for a few pages. A bucket of a few thousand objects is walked whole in every pass. Of one with a million,
what is new is seen as soon as ever; what changed since yesterday within minutes, what changed before within the hour.

What cannot be read, or not be written down, is counted and told; it keeps nothing else from being seen.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Max, QuerySet
from django.utils import timezone

from dagy.capture.keys import decode_metadata
from dagy_console.core import leases, storage
from dagy_console.core.database import database_time
from dagy_console.core.errors import ConsoleError
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.index.grouping import claim_groups
from dagy_console.exceptions.index.indexing import (
    UNREADABLE,
    IndexedTrace,
    forget_transactions,
    indexed,
    put_traces,
    remove_traces,
)
from dagy_console.exceptions.keys import PREFIX
from dagy_console.exceptions.measures import check_soon
from dagy_console.exceptions.models import IndexState, Trace, TraceGroup
from dagy_console.exceptions.reading.fields import extract_fields, unreadable

log = structlog.get_logger(__name__)
READ_BYTES = 256 * 1024
# Of a walk that finds nothing new, in a pass.
RECENT_PAGES, QUIET_PAGES = 8, 2
# Traces of now are written, and listed, within this long.
LANDING = timedelta(minutes=15)
ACTIVE = timedelta(hours=1)
# Passes in which an organization is looked at that has had no trace for an hour.
ONE_IN = 3
# While the bucket's events come in, so often is enough.
WITH_EVENTS, EVENTS_LAST = timedelta(minutes=1), timedelta(minutes=10)
THREADS = 16
PIECE = 250
NAMED_A_PASS = 10
# Index rows that are compared with one page of the listing at most.
MOST_ROWS = 5_000
# What cannot be read is tried again after a while, for somebody may mend it.
TRY_AGAIN = timedelta(minutes=10)
# The key that sorts behind every key of the prefix: "0" follows "/".
END = PREFIX[:-1] + "0"
_Listing = tuple[list[storage.ListedObject], bool]


@dataclass(slots=True)
class Findings:
    """What a pass did."""

    listed: int = 0
    read: int = 0
    removed: int = 0
    refused: int = 0

    @property
    def is_quiet(self) -> bool:
        return not self.read and not self.removed

    def add(self, other: "Findings") -> None:
        self.listed += other.listed
        self.read += other.read
        self.removed += other.removed
        self.refused += other.refused


def reconcile(*, budget_seconds: float = 8) -> Findings | None:
    """One pass. None where another process is at it, or has taken it over. Raises what the S3 server says, after
    noting it in the state."""
    IndexState.objects.get_or_create(pk=1)
    with leases.hold(IndexState.objects.filter(pk=1)) as token:
        if token is None:
            return None
        mine = IndexState.objects.filter(pk=1, lease_owner=token)
        try:
            found = _pass(mine, until=monotonic() + budget_seconds)
            _note(mine, checked_at=timezone.now(), problem=_trouble(leases.held(mine)))
        except leases.Lost:
            log.warning("traces.reconcile_lease_lost")
            return None
        except ConsoleError as error:
            mine.update(problem=error.detail)
            raise
    if found.read or found.removed:
        log.info("traces.reconciled", listed=found.listed, read=found.read, removed=found.removed)
    return found


def _note(mine: QuerySet[IndexState], **values: Any) -> None:
    """Write the state of the index. Raises leases.Lost where it is another's to write by now."""
    if not mine.update(**values):
        raise leases.Lost


def _trouble(state: IndexState) -> str:
    """What keeps traces from being read or written down, and what to do; "" where nothing does."""
    told = []
    unreadable = Trace.objects.filter(etag=UNREADABLE).count()
    if unreadable and not Trace.objects.exclude(etag=UNREADABLE).exists():
        told.append("The S3 server refuses to give any trace: the credentials lack s3:GetObject.")
    elif unreadable:
        told.append(
            f"Traces that cannot be read, and are listed by their keys alone: {unreadable:,}. Look for an archive "
            "class, an encryption key or a policy that s3:GetObject fails at; each is tried again after 10 minutes."
        )
    if refused := max(state.refused, state.refused_so_far):
        told.append(
            f"Traces that PostgreSQL refuses, and no list shows: {refused:,}. See traces.row_refused in the log."
        )
    return " ".join(told)


def _pass(mine: QuerySet[IndexState], *, until: float) -> Findings:
    found = Findings()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reconcile") as pool:
        organizations = storage.list_prefixes(traces_bucket(), PREFIX)
        _new(mine, found, organizations, pool=pool)
        _recent(mine, found, organizations, until=until, pool=pool)
        _cold(mine, found, until=until, pool=pool)
        _name_groups()
    return found


def _name_groups() -> None:
    """Some of the groups that were made before titles were kept, each by its latest trace."""
    unnamed = TraceGroup.objects.filter(canonical="", count__gt=0).order_by("?")[:NAMED_A_PASS]
    for fingerprint in unnamed.values_list("fingerprint", flat=True):
        row = Trace.objects.filter(fingerprint=fingerprint).order_by("-timestamp", "-key").first()
        read = read_trace(storage.ListedObject(row.key, row.etag, row.size, row.last_modified)) if row else None
        if read and read.fields.fingerprint == fingerprint:
            with transaction.atomic():
                claim_groups([read.fields])


def _new(mine: QuerySet[IndexState], found: Findings, organizations: list[str], *, pool: ThreadPoolExecutor) -> None:
    """What landed in the last minutes, of the organizations whose turn it is."""
    due = _due(leases.held(mine), organizations)
    bucket = traces_bucket()
    # Asked for some at a time: one after the other takes longer than a pass may, all at once more memory than is good.
    for start in range(0, len(due), THREADS):
        asked_at = database_time()
        since = {org: _key_of(org, timezone.now() - LANDING) for org in due[start : start + THREADS]}
        first = {org: pool.submit(storage.list_page, bucket, org, start_after=key) for org, key in since.items()}
        for org, key in since.items():
            for stretch in walk(org, start_after=key, pool=pool, first=(asked_at, first.pop(org))):
                found.add(stretch.findings)
    _note(mine, passes=F("passes") + 1, **({"looked_for_new_at": timezone.now()} if due else {}))


def _due(state: IndexState, organizations: list[str]) -> list[str]:
    """The organizations whose turn it is to be looked at."""
    now = timezone.now()
    if state.event_at and state.event_at > now - EVENTS_LAST:
        just_looked = state.looked_for_new_at and state.looked_for_new_at > now - WITH_EVENTS
        return [] if just_looked else organizations
    lately = Trace.objects.filter(timestamp__gte=now - ACTIVE).order_by().values("org_id").annotate(key=Max("key"))
    active = {f"{key.rsplit('/', 4)[0]}/" for key in lately.values_list("key", flat=True)}
    return [org for number, org in enumerate(organizations) if (number + state.passes) % ONE_IN == 0 or org in active]


def _key_of(organization: str, moment: datetime) -> str:
    return f"{organization}{moment:%Y/%m/%d/%H%M%S}"


@dataclass(slots=True)
class _Walked:
    """How far a walk has gone in this pass: a few pages where it finds nothing new, else until the time is over."""

    quiet_pages: int
    until: float
    is_quiet: bool = True
    pages: int = 0

    def enough(self, stretch: "Stretch") -> bool:
        self.pages += 1
        self.is_quiet = self.is_quiet and stretch.findings.is_quiet
        return monotonic() > self.until or (self.is_quiet and self.pages >= self.quiet_pages)


def _recent(
    mine: QuerySet[IndexState], found: Findings, organizations: list[str], *, until: float, pool: ThreadPoolExecutor
) -> None:
    """A stretch of the walk over what landed since yesterday."""
    yesterday = timezone.now() - timedelta(days=1)
    position, walked = leases.held(mine).recent_position, _Walked(RECENT_PAGES, until)
    for org in organizations:
        if position >= f"{org[:-1]}0":
            continue
        start_after = max(position, f"{org}{yesterday:%Y/%m/%d}/")
        for stretch in walk(org, start_after=start_after, pool=pool):
            found.add(stretch.findings)
            if walked.enough(stretch):
                _note(mine, recent_position=stretch.upto)
                return
    _note(mine, recent_position="")


def _cold(mine: QuerySet[IndexState], found: Findings, *, until: float, pool: ThreadPoolExecutor) -> None:
    """A stretch of the walk round the bucket."""
    state: IndexState = leases.held(mine)
    walked = _Walked(QUIET_PAGES, until, is_quiet=state.complete_at is not None)
    if not state.position or state.cycle_started_at is None:
        _note(mine, position="", cycle_started_at=timezone.now(), refused_so_far=0)
    for stretch in walk(PREFIX, start_after=state.position, pool=pool):
        found.add(stretch.findings)
        _note(mine, position=stretch.upto, refused_so_far=F("refused_so_far") + stretch.findings.refused)
        if walked.enough(stretch) and stretch.upto != END:
            return
    _note(mine, position="", complete_at=F("cycle_started_at"), refused=F("refused_so_far"))


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
    refused = 0
    try:
        # In pieces, so that rows are written while the page's other objects are still being read.
        for start in range(0, len(page.reads), PIECE):
            read = [read.result() for read in page.reads[start : start + PIECE]]
            refused += put_traces([trace for trace in read if trace])
    finally:
        page.leave()
    if page.reads:
        check_soon()
    removed = remove_traces(page.gone, vanished_at=page.asked_at)
    return Stretch(page.upto, Findings(len(page.listed), len(page.reads), removed, refused))


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
    """Settle the whole bucket now, from where the last try stopped.

    With `restart` from the beginning. Calls `report` after each page of the listing. It keeps a place of its own and
    waits for no other process: what two of them do agrees.
    """
    IndexState.objects.get_or_create(pk=1)
    this = IndexState.objects.filter(pk=1)
    if restart:
        forget_transactions()
    if restart or not this.get().rebuild_position:
        this.update(rebuild_position="", rebuild_started_at=timezone.now())
    total = Findings()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reindex") as pool:
        for stretch in walk(PREFIX, start_after=this.get().rebuild_position, pool=pool):
            total.add(stretch.findings)
            this.update(rebuild_position=stretch.upto)
            report(total, stretch.upto)
    this.update(rebuild_position="", complete_at=F("rebuild_started_at"), refused=total.refused, refused_so_far=0)
    this.update(checked_at=timezone.now(), problem=_trouble(this.get()))
    return total
