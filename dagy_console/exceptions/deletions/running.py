"""The work of a deletion, by a worker that may die at any point, on servers that may be away.

Keys are claimed, asked for in S3, and settled with its answer. Whoever takes a job up asks again for what is still
claimed, whatever the job's state, which S3 does not mind; no job ends before S3 has answered for each of its keys.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from dagy_console.core import jobs, leases, storage
from dagy_console.core.errors import Unavailable
from dagy_console.core.storage import FailedKey
from dagy_console.core.words import counted
from dagy_console.exceptions.bucket import BucketUnset, traces_bucket
from dagy_console.exceptions.deletions import claims, selectors
from dagy_console.exceptions.models import DeletionJob

# Requests at a time.
THREADS = 5
# Rows of the job's set that are looked up at once.
PAGE = 2_000
# Seconds between tries of one batch. After the last the job waits, and is taken up again from outside.
PAUSES = (1, 2, 4)
# What S3 says of a key in trouble of its own; all else is final for that key.
TRANSIENT = frozenset(("InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "503", "500"))
# The code of keys whose request S3 refused as a whole.
REFUSED = "Refused"
# A key that keeps S3 in such trouble while the others are answered is given up after this.
GIVE_UP = timedelta(minutes=10)


@dataclass(slots=True)
class Answer:
    """What S3 said of a batch. `refused`: it refuses all such requests, and why. `unanswered`: it did not say what
    became of the other keys, and why; `in_trouble` are those of them of which it said so."""

    deleted: list[str] = field(default_factory=list)
    errors: list[FailedKey] = field(default_factory=list)
    in_trouble: list[FailedKey] = field(default_factory=list)
    refused: str = ""
    unanswered: str = ""


def run(held: QuerySet[DeletionJob], *, pauses: Sequence[float] = PAUSES) -> str:
    """Delete what is left to delete; what went wrong, or "". Raises jobs.Later where S3 does not answer."""
    work = _Work(held, pauses)
    try:
        work.delete(_chunks(claims.left(leases.held(held))))
        if not work.unanswered:
            held.exclude(waiting_since=None).update(waiting_since=None, problem="")
        work.delete(_new(work))
        # What a holder that was cut off has claimed since.
        while not work.unanswered and (late := claims.left(leases.held(held))):
            work.delete(_chunks(late))
    except Exception as error:  # noqa: BLE001 - what is claimed is settled, whatever broke
        work.problem = jobs.explained(error)
        work.delete(_chunks(claims.left(leases.held(held))))
    if work.unanswered:
        raise jobs.Later(work.unanswered)
    failed = leases.held(held).failed
    return work.problem or (f"{counted(failed, 'trace')} could not be deleted." if failed else "")


@dataclass(slots=True)
class _Work:
    held: QuerySet[DeletionJob]
    pauses: Sequence[float]
    problem: str = ""
    unanswered: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether more keys may be claimed."""
        return not (self.problem or self.unanswered) and self.held.filter(state=jobs.JobState.RUNNING).exists()

    def delete(self, batches: Iterator[list[str]]) -> None:
        """Ask for all batches, several under way at once, and settle each as it ends."""
        under_way: set[Future[Answer]] = set()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="deletion") as pool:
            for keys in batches:
                under_way.add(pool.submit(ask, keys, self.pauses))
                if len(under_way) == THREADS:
                    under_way = self._settle(under_way)
            while under_way:
                under_way = self._settle(under_way)

    def _settle(self, under_way: set[Future[Answer]]) -> set[Future[Answer]]:
        done, others = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            answer = future.result()
            self.problem = self.problem or answer.refused
            if answer.in_trouble and self._is_too_long():
                answer.errors += answer.in_trouble
            elif answer.unanswered:
                self.unanswered = answer.unanswered
            claims.settle(self.held, answer.deleted, answer.errors)
        return others

    def _is_too_long(self) -> bool:
        since: datetime | None = leases.held(self.held).waiting_since
        return since is not None and timezone.now() - since > GIVE_UP


def _new(work: _Work) -> Iterator[list[str]]:
    """What else is of the job's set, claimed as its turn comes. Selected keys are claimed from the beginning."""
    job: DeletionJob = leases.held(work.held)
    if job.keys is not None:
        return
    for page in _pages(job):
        for keys in _chunks(page):
            if not work.goes_on:
                return
            if claimed := claims.claim(job, keys):
                yield claimed


def _chunks(keys: Sequence[str]) -> Iterator[list[str]]:
    size = settings.DELETION_BATCH
    return (list(keys[start : start + size]) for start in range(0, len(keys), size))


def _pages(job: DeletionJob) -> Iterator[list[str]]:
    """The keys of the job's set that are left in the index, oldest first."""
    rows = selectors.frozen(job).order_by("timestamp", "key")
    last: tuple[datetime, str] | None = None
    while True:
        after = rows if last is None else selectors.after(rows, *last)
        found = list(after.values_list("timestamp", "key")[:PAGE])
        if not found:
            return
        last = found[-1]
        yield [key for _, key in found]


def ask(keys: Sequence[str], pauses: Sequence[float]) -> Answer:
    """Delete the keys in S3, asking again after each pause for those that it did not answer for. Never raises what S3
    does or says."""
    answer, left = Answer(), list(keys)
    for pause in (0, *pauses):
        time.sleep(pause)
        try:
            told = storage.delete_objects(traces_bucket(), left)
        except (BucketUnset, storage.BucketMissing, storage.StorageDenied) as error:
            answer.refused = error.detail
            answer.errors += [FailedKey(key, REFUSED, error.detail) for key in left]
            return answer
        except Unavailable as error:
            answer.unanswered, answer.in_trouble = error.detail, []
            continue
        answer.deleted += told.deleted
        answer.errors += [error for error in told.errors if error.code not in TRANSIENT]
        answer.in_trouble = [error for error in told.errors if error.code in TRANSIENT]
        left = [error.key for error in answer.in_trouble]
        answer.unanswered = f"The S3 server answers {answer.in_trouble[0].code}." if left else ""
        if not left:
            break
    if not answer.deleted and answer.errors and all(error.code == "AccessDenied" for error in answer.errors):
        answer.refused = answer.errors[0].message
    return answer
