"""The queue between the threads that fail and S3.

`put()` appends to a bounded queue and returns. Threads started by the first trace take snapshots from it, build the
trace and store it: some attempts with back-off, then the spool directory. While S3 is down, traces go to the spool
without waiting for it, and one thread tries now and then; once S3 answers, it sends what was spooled, oldest first.
Where the queue is half full because S3 is slow, the oldest go to the spool as well. Only when there is no spool, or no
room in it, traces are dropped, and counted.
"""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from datetime import datetime

from dagy.capture import s3
from dagy.capture.config import Config
from dagy.capture.drainer import Drainer
from dagy.capture.exits import before_child_ends
from dagy.capture.health import Health, jittered
from dagy.capture.keys import METADATA_FIELDS
from dagy.capture.quiet import QuietLog
from dagy.capture.snapshot import Snapshot
from dagy.capture.spool import Claim, Spool, SpoolFullError
from dagy.capture.trace import build_trace
from dagy.capture.types import BuiltTrace, S3Client, Stats, StoredTrace

log = logging.getLogger("dagy.capture")
# How many times S3 may refuse a trace before its file is set aside.
_MOST_REFUSALS = 5
_LONGEST_IMPORT_SECONDS = 5.0


class Writer:
    """Stores snapshots in the background. One per configuration; safe in any thread, signal handler and after fork."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.spool = (
            Spool(config.spool_dir, max_bytes=config.spool_max_bytes) if config.spool_dir and config.bucket else None
        )
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        # Reentrant: a signal handler or a finalizer may capture while this thread holds it.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._crowded = threading.Condition(self._lock)
        self._idle = threading.Condition(self._lock)
        self._client_lock = threading.Lock()
        self._stopping = threading.Event()
        self._queue: deque[Snapshot] = deque()
        self._busy: dict[int, Snapshot] = {}
        self._threads: list[threading.Thread] = []
        self._spiller: threading.Thread | None = None
        self._client: S3Client | None = None
        self._health = Health(retry_seconds=self.config.retry_seconds, probe_seconds=self.config.probe_seconds)
        self._sent = self._spooled = self._dropped = self._failed = 0
        self._quiet = QuietLog(log)
        self._drainer = self._make_drainer()

    def _make_drainer(self) -> Drainer | None:
        if self.spool is None:
            return None
        return Drainer(
            self.spool,
            send=self._send,
            seconds_down=self._health.seconds_down,
            pause_seconds=5 * self.config.retry_seconds,
            log=self._quiet,
        )

    def reset_after_fork(self) -> None:
        """In the child: the parent's threads are gone, and what was queued is theirs to send."""
        self._reset()
        if self.spool is not None:
            self.spool.reset_after_fork()

    # --- called by the failing thread ---

    def put(self, snapshot: Snapshot) -> bool:
        """Queue a snapshot; False where there was no room (it is counted)."""
        with self._lock:
            waiting = len(self._queue)
            if waiting >= self.config.queue_size or self._stopping.is_set():
                self._dropped += 1
            else:
                self._queue.append(snapshot)
                if self._threads:
                    self._work.notify()
                else:
                    before_child_ends(lambda: self.shutdown(self.config.exit_timeout))
                    self._start_worker()
                if waiting * 2 >= self.config.queue_size and self.spool is not None:
                    self._wake_spiller()
                return True
        self._quiet.warning(
            "dropped",
            "a trace was dropped: the queue of %d is full",
            self.config.queue_size,
        )
        return False

    def stats(self) -> Stats:
        with self._lock:
            queued = len(self._queue) + len(self._busy)
            return Stats(
                queued,
                self._sent,
                self._spooled,
                self._dropped,
                self._failed,
                self._health.last_error,
                self.spool.rejected if self.spool else 0,
            )

    def flush(self, timeout: float) -> bool:
        """Wait until all that was queued is in S3 or on disk; False where `timeout` seconds did not suffice."""
        deadline = time.monotonic() + timeout
        with self._lock:
            while self._queue or self._busy:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(left)
        return True

    def shutdown(self, timeout: float) -> None:
        """Flush, stop the threads, and put what S3 did not take in time into the spool."""
        if self._stopping.is_set():
            return
        self.flush(timeout)
        self._stopping.set()
        with self._lock:
            self._work.notify_all()
            self._crowded.notify_all()
        deadline = time.monotonic() + min(timeout, 0.5)
        for thread in [*self._threads, self._spiller]:
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        if self._drainer is not None:
            self._drainer.stop(max(0.0, deadline - time.monotonic()))
        # What a thread still hangs on is kept too: the same key twice is one object.
        with self._lock:
            left = [*self._busy.values(), *self._queue]
            self._queue.clear()
        self._keep_all(left, time.monotonic() + max(1.0, timeout))
        _writers.discard(self)

    def _keep_all(self, snapshots: list[Snapshot], deadline: float) -> None:
        for index, snapshot in enumerate(snapshots):
            if self.spool is None or time.monotonic() > deadline:
                with self._lock:
                    self._failed += len(snapshots) - index
                log.warning("%d traces were lost: the process ended before S3 took them", len(snapshots) - index)
                return
            self._keep(build_trace(snapshot, self.config.scrubber))

    def prepare(self) -> None:
        """Make the S3 client now. Raises what boto3 raises where it finds no configuration."""
        if self.config.bucket is not None:
            self._get_client()

    def drain_at_start(self) -> None:
        """Send what an earlier process left in the spool, in the background."""
        if self._drainer is not None and self.spool is not None and self.spool.has_files():
            self._drainer.start()

    # --- the writer's threads ---

    def _start_worker(self) -> None:
        thread = threading.Thread(
            target=self._run_worker,
            name=f"dagy-capture-{len(self._threads)}",
            daemon=True,
        )
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter ends or the system has no more threads: shutdown() deals with the queue.
            self._threads.remove(thread)

    def _run_worker(self) -> None:
        while (snapshot := self._take()) is not None:
            try:
                self._handle(build_trace(snapshot, self.config.scrubber))
            except Exception as error:
                self._count_failed(f"{type(error).__name__} in the writer")
            finally:
                self._finished()

    def _take(self) -> Snapshot | None:
        with self._lock:
            while not self._queue:
                if self._stopping.is_set():
                    return None
                self._work.wait()
            snapshot = self._queue.popleft()
            self._busy[threading.get_ident()] = snapshot
            # Here rather than in put(): starting a thread costs the failing request a tenth of a millisecond.
            if self._queue and len(self._threads) < self.config.threads and not self._stopping.is_set():
                self._start_worker()
            return snapshot

    def _finished(self) -> None:
        with self._lock:
            self._busy.pop(threading.get_ident(), None)
            if not self._queue and not self._busy:
                self._idle.notify_all()

    def _wake_spiller(self) -> None:
        if self._spiller is None:
            self._spiller = threading.Thread(target=self._run_spiller, name="dagy-capture-spill", daemon=True)
            try:
                self._spiller.start()
            except RuntimeError:
                self._spiller = None
        else:
            self._crowded.notify()

    def _run_spiller(self) -> None:
        while (snapshot := self._take_crowded()) is not None:
            try:
                self._keep(build_trace(snapshot, self.config.scrubber))
            finally:
                self._finished()

    def _take_crowded(self) -> Snapshot | None:
        with self._lock:
            while len(self._queue) * 2 <= self.config.queue_size:
                if self._stopping.is_set():
                    return None
                self._crowded.wait()
            if self._stopping.is_set():
                return None
            snapshot = self._queue.popleft()
            self._busy[threading.get_ident()] = snapshot
            return snapshot

    def _handle(self, trace: BuiltTrace) -> None:
        if self.config.bucket is None:
            log.error(
                "exception (not stored: DAGY_TRACES_BUCKET is not set), %s",
                _summary(trace),
            )
            return
        if self.spool is not None and self._health.seconds_down() > 0:
            self._keep(trace)
            return
        try:
            answer = self._put_with_retries(trace)
        except Exception as error:
            self._quiet.warning("s3", "S3 did not take a trace (%s)", self._describe(error))
            self._keep(trace, s3.refusal(error))
        else:
            self._stored(trace, answer)

    def _put_with_retries(self, trace: BuiltTrace) -> tuple[str, datetime]:
        """With back-off and jitter; raises the last error."""
        last = 1 if self._health.failures else self.config.attempts
        attempt = 1
        while True:
            try:
                return self._put(trace.key, trace.metadata, trace.data)
            except Exception as error:
                if attempt >= last or not s3.may_pass_soon(error):
                    raise
                if self._stopping.wait(jittered(self.config.retry_seconds * 2 ** (attempt - 1))):
                    raise
            attempt += 1

    def _put(self, key: str, metadata: dict[str, str], data: bytes) -> tuple[str, datetime]:
        try:
            answer = s3.put(
                self._get_client(),
                bucket=self.config.bucket or "",
                key=key,
                metadata=metadata,
                data=data,
            )
        except Exception as error:
            self._learn(key, error)
            raise
        if self._health.accepted() and self._drainer is not None:
            self._drainer.wake()
        return answer

    def _learn(self, key: str, error: Exception) -> None:
        reason = self._describe(error)
        match s3.refusal(error):
            case s3.Refusal.DOWN:
                self._health.went_down(reason)
            case s3.Refusal.DENIED:
                self._health.denied(key, reason)
            case _:
                self._health.refused(reason)

    def _describe(self, error: Exception) -> str:
        return self.config.scrubber.text(s3.describe(error), [0])

    def _get_client(self) -> S3Client:
        with self._client_lock:
            if self._client is None:
                with _forks.client_making:
                    self._client = self._make_client()
            return self._client

    def _make_client(self) -> S3Client:
        make = self.config.client_factory
        return make() if make else s3.make_client(endpoint_url=self.config.endpoint_url, threads=self.config.threads)

    def _keep(self, trace: BuiltTrace, refusal: s3.Refusal = s3.Refusal.DOWN) -> None:
        """Into the spool, or counted as lost."""
        if self.spool is None:
            self._count_failed(self._health.last_error or "S3 did not take it")
            return
        rejected = refusal is s3.Refusal.NEVER
        try:
            self.spool.write(trace, refused=refusal in (s3.Refusal.DENIED, s3.Refusal.OBJECT), rejected=rejected)
        except SpoolFullError as error:
            with self._lock:
                self._dropped += 1
            self._quiet.warning("full", "a trace was dropped: the spool is full (%s)", error)
        except Exception as error:
            self._count_failed(f"spool: {type(error).__name__}: {error}")
        else:
            with self._lock:
                self._spooled += not rejected
                self._failed += rejected
            if self._drainer is not None:
                self._drainer.start()

    def _count_failed(self, reason: str) -> None:
        with self._lock:
            self._failed += 1
        self._health.refused(reason)
        self._quiet.warning("failed", "a trace was lost (%s)", reason)

    def _stored(self, trace: BuiltTrace, answer: tuple[str, datetime]) -> None:
        with self._lock:
            self._sent += 1
        if self.config.on_stored is None:
            return
        etag, stored_at = answer
        stored = StoredTrace(
            key=trace.key,
            bucket=self.config.bucket or "",
            metadata={name: trace.metadata.get(name, "") for name in METADATA_FIELDS},
            size=len(trace.data),
            etag=etag,
            last_modified=stored_at,
            body=trace.body,
        )
        try:
            self.config.on_stored(stored)
        except Exception as error:
            self._quiet.warning(
                "on_stored",
                "on_stored failed (%s); the trace is in S3",
                type(error).__name__,
            )

    def _send(self, claim: Claim) -> bool:
        trace = claim.trace
        try:
            answer = self._put(trace.key, trace.metadata, trace.data)
        except Exception as error:
            self._put_back(claim, error)
            return self._health.seconds_down() <= 0
        claim.done()
        self._stored(trace, answer)
        return True

    def _put_back(self, claim: Claim, error: Exception) -> None:
        refusal = s3.refusal(error)
        if refusal is s3.Refusal.DOWN:
            claim.release()
            return
        # A denied one may wait for its permission, unless others were taken since it was tried before.
        only_this = refusal is s3.Refusal.OBJECT or self._health.accepted_at > claim.tried_at
        spent = claim.refusals + 1 >= _MOST_REFUSALS and only_this
        if not spent and refusal is not s3.Refusal.NEVER:
            claim.refuse()
            return
        claim.reject()
        with self._lock:
            self._failed += 1
        self._quiet.warning(
            "rejected",
            "S3 refuses a trace (%s); it is set aside: %s.rejected",
            self._describe(error),
            claim.path,
        )


class _Forks:
    """A fork waits until boto3 is imported: a child with half of it could never import the rest."""

    def __init__(self) -> None:
        self.client_making = threading.RLock()
        self._held = False

    def before(self) -> None:
        self._held = self.client_making.acquire(timeout=_LONGEST_IMPORT_SECONDS)

    def in_parent(self) -> None:
        if self._held:
            self.client_making.release()

    def in_child(self) -> None:
        self.client_making = threading.RLock()
        for writer in list(_writers):
            writer.reset_after_fork()


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.in_parent, after_in_child=_forks.in_child)


def _summary(trace: BuiltTrace) -> str:
    body = trace.body
    return f"request {body['request_id']}, {body['http_method'] or '-'} {body['http_path'] or '-'}\n{body['traceback']}"
