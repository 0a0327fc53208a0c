"""One trace to S3, and what becomes of it by S3's answer."""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from dagy.capture import s3
from dagy.capture.config import Config
from dagy.capture.health import Health
from dagy.capture.journal import Journal
from dagy.capture.keys import METADATA_FIELDS
from dagy.capture.quiet import QuietLog
from dagy.capture.segment import Record
from dagy.capture.snapshot import Snapshot
from dagy.capture.trace import build_trace
from dagy.capture.types import BuiltTrace, S3Client, StoredTrace

log = logging.getLogger("dagy.capture")
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS_IF_DOWN = 5.0


class Sending:
    """Safe in any thread."""

    def __init__(self, config: Config, journal: Journal | None, quiet: QuietLog) -> None:
        self.config = config
        self.journal = journal
        self.health = Health(retry_seconds=config.retry_seconds, probe_seconds=config.probe_seconds)
        self.sent = self.failed = 0
        self._quiet = quiet
        self._lock = threading.RLock()
        self._client_lock = threading.Lock()
        self._client: S3Client | None = None

    def send(self, job: Record | Snapshot) -> bool:
        """False where S3 is down and the snapshot waits on; a record is put back here."""
        trace = self._read(job) if isinstance(job, Record) else build_trace(job, self.config.scrubber)
        if trace is None:
            return True
        if self.config.bucket is None:
            log.error("exception (not stored: DAGY_TRACES_BUCKET is not set), %s", _summary(trace))
            return True
        try:
            answer = s3.put(
                self.get_client(),
                bucket=self.config.bucket,
                key=trace.key,
                metadata=trace.metadata,
                data=trace.data,
            )
        except Exception as error:
            return self._not_taken(job, trace, error)
        if self.journal is not None and isinstance(job, Record):
            self.journal.done(job)
        self.health.accepted()
        self._stored(trace, answer)
        return True

    def _read(self, record: Record) -> BuiltTrace | None:
        assert self.journal is not None
        trace = self.journal.read(record)
        if trace is None:
            self.journal.done(record)
            self.count_failed(f"the disk has damaged it: {record.segment.path}")
        return trace

    def _not_taken(self, job: Record | Snapshot, trace: BuiltTrace, error: Exception) -> bool:
        reason = self.config.scrubber.text(s3.describe(error), [0])
        refusal = s3.refusal(error)
        self._quiet.warning("s3", "S3 did not take a trace (%s)", reason)
        if refusal is s3.Refusal.DOWN:
            self.health.went_down(reason, wish_seconds=s3.wished_pause(error))
        else:
            self.health.refused(trace.key, reason)
        if isinstance(job, Record):
            self._put_back(job, trace, refusal, reason)
        elif refusal is s3.Refusal.DOWN:
            return False
        else:
            self.count_failed(reason)
        return True

    def _put_back(self, record: Record, trace: BuiltTrace, refusal: s3.Refusal, reason: str) -> None:
        assert self.journal is not None
        now = time.monotonic()
        if refusal is s3.Refusal.REFUSED:
            record.refused_at = record.refused_at or now
        # It may wait for a permission, unless others were taken since.
        since = record.refused_at or now
        is_spent = now - since >= 75 * self.config.retry_seconds and self.health.accepted_at > since
        if is_spent or refusal is s3.Refusal.NEVER:
            try:
                path = self.journal.set_aside(record, trace)
            except OSError:
                self.journal.put_back(record, _LONGEST_PAUSE_SECONDS)
                return
            with self._lock:
                self.failed += 1
            self._quiet.warning("rejected", "S3 refuses a trace (%s); it is set aside: %s", reason, path)
            return
        longest = _LONGEST_PAUSE_SECONDS_IF_DOWN if refusal is s3.Refusal.DOWN else _LONGEST_PAUSE_SECONDS
        self.journal.put_back(record, min(longest, 5 * self.config.retry_seconds * 2.0 ** min(record.tries, 16)))

    def get_client(self) -> S3Client:
        with self._client_lock:
            if self._client is None:
                made = self.config.client_factory and self.config.client_factory()
                self._client = made or s3.make_client(
                    endpoint_url=self.config.endpoint_url, threads=self.config.threads
                )
            return self._client

    def count_failed(self, reason: str) -> None:
        with self._lock:
            self.failed += 1
        self.health.last_error = reason
        self._quiet.warning("failed", "a trace was lost (%s)", reason)

    def _stored(self, trace: BuiltTrace, answer: tuple[str, datetime]) -> None:
        with self._lock:
            self.sent += 1
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
            self._quiet.warning("on_stored", "on_stored failed (%s); the trace is in S3", type(error).__name__)


def _summary(trace: BuiltTrace) -> str:
    body = trace.body
    return f"request {body['request_id']}, {body['http_method'] or '-'} {body['http_path'] or '-'}\n{body['traceback']}"
