"""The queue between the threads that fail and S3.

`put()` appends to a bounded queue and returns. With a spool, one thread builds each trace and appends it to the journal
at once; others send from there. Without a spool, or while the disk takes nothing, these take from the queue themselves.
What S3 does not take goes back and is tried again: nothing is given up while there is room. While S3 is down, one
thread asks now and then. Only what the queue has no room for is dropped, and counted.
"""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from dagy.capture.config import Config
from dagy.capture.exits import before_child_ends
from dagy.capture.journal import Journal
from dagy.capture.quiet import QuietLog
from dagy.capture.segment import Record
from dagy.capture.sending import Sending
from dagy.capture.snapshot import Snapshot
from dagy.capture.trace import build_trace
from dagy.capture.types import Stats

log = logging.getLogger("dagy.capture")
# How often threads look for what processes that are gone have left.
_LOOK_AROUND_SECONDS = 30.0
_DISK_PAUSE_SECONDS = 1.0


class Writer:
    """Stores snapshots in the background. One per configuration; safe in any thread, signal handler and after fork."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.journal = (
            Journal(config.spool_dir, max_bytes=config.spool_max_bytes) if config.spool_dir and config.bucket else None
        )
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        # Reentrant: a signal handler or a finalizer may capture while this thread holds it.
        self._lock = threading.RLock()
        self._to_record = threading.Condition(self._lock)
        self._to_send = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._queue: deque[Snapshot] = deque()
        self._recording: Snapshot | None = None
        self._sending: dict[int, Snapshot | None] = {}
        self._recorder: threading.Thread | None = None
        self._senders: list[threading.Thread] = []
        self._disk_fails = False
        self._looked_around_at = float("-inf")
        self._dropped = 0
        self._quiet = QuietLog(log)
        self._s3 = Sending(self.config, self.journal, self._quiet)
        self._health = self._s3.health
        self._ends_well = False

    def reset_after_fork(self) -> None:
        """In the child: the parent's threads are gone, and what was queued is theirs to send."""
        self._reset()
        if self.journal is not None:
            self.journal.reset_after_fork()

    # --- called by the failing thread ---

    def put(self, snapshot: Snapshot) -> bool:
        """Queue a snapshot; False where there was no room (it is counted)."""
        with self._lock:
            if len(self._queue) < self.config.queue_size and not self._stopping.is_set():
                self._queue.append(snapshot)
                self._wake()
                return True
            self._dropped += 1
        self._quiet.warning("dropped", "a trace was dropped: the queue of %d is full", self.config.queue_size)
        return False

    def stats(self) -> Stats:
        with self._lock:
            return Stats(
                queued=len(self._queue) + (self._recording is not None) + len(self._sending),
                sent=self._s3.sent,
                spooled=self.journal.waiting if self.journal else 0,
                dropped=self._dropped,
                failed=self._s3.failed,
                last_error=self._health.last_error,
                rejected=self.journal.rejected if self.journal else 0,
            )

    def flush(self, timeout: float) -> bool:
        """Wait until S3 has all that was queued, or the spool has it and S3 is down; False where something is in
        neither after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._lock:
            if self.journal is None:
                self._health.ask_now()
                self._to_send.notify_all()
            while not self._is_settled():
                left = deadline - time.monotonic()
                if left <= 0:
                    return self._is_kept()
                self._settled.wait(min(left, 0.05))
        return True

    def _is_kept(self) -> bool:
        """Whether memory alone holds nothing."""
        return not self._queue and self._recording is None and not any(self._sending.values())

    def _is_settled(self) -> bool:
        if not self._is_kept():
            return False
        # One failure may be a connection that was idle for too long: S3 is asked once more.
        is_down = self._health.failures > 1
        return self.journal is None or is_down or (self.journal.unread == 0 and not self._sending)

    def shutdown(self, timeout: float) -> None:
        """Flush, stop the threads, and leave to the spool what S3 did not take in time."""
        if self._stopping.is_set():
            return
        self.send_what_others_left()
        self.flush(timeout)
        self._stopping.set()
        with self._lock:
            self._to_record.notify_all()
            self._to_send.notify_all()
        deadline = time.monotonic() + min(timeout, 0.5)
        for thread in [self._recorder, *self._senders]:
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._keep_rest(time.monotonic() + max(1.0, timeout))
        if self.journal is not None:
            self.journal.close()
        _writers.discard(self)

    def _keep_rest(self, deadline: float) -> None:
        # What a thread still hangs on is kept too: the same key twice is one object.
        with self._lock:
            left = [self._recording, *self._sending.values(), *self._queue]
            self._queue.clear()
        snapshots = [snapshot for snapshot in left if snapshot is not None]
        while snapshots and self.journal is not None and time.monotonic() < deadline:
            try:
                self.journal.append(build_trace(snapshots[0], self.config.scrubber))
            except Exception:
                break
            snapshots.pop(0)
        if snapshots:
            self._s3.failed += len(snapshots)
            log.warning("%d traces were lost: the process ended before S3 took them", len(snapshots))

    def prepare(self) -> None:
        """Make the S3 client now. Raises what boto3 raises where it finds no configuration."""
        if self.config.bucket is not None:
            self._s3.get_client()

    def open_journal(self) -> None:
        """Say at once where the spool's directory can't be used, and send what earlier processes left in it."""
        if self.journal is None:
            return
        try:
            self.journal.open()
        except OSError as error:
            self._health.last_error = f"spool: {error}"
            log.error("the spool directory can't be used (%s): traces wait in memory alone", error)
        self.send_what_others_left()

    def send_what_others_left(self) -> None:
        """In the background."""
        if self.journal is not None and self.journal.has_others():
            self.journal.adopt()
            if self.journal.unread:
                with self._lock:
                    self._wake_sender()

    # --- threads (these three with the lock held) ---

    def _wake(self) -> None:
        if not self._ends_well:
            self._ends_well = True
            before_child_ends(lambda: self.shutdown(self.config.exit_timeout))
        if self._takes_from_queue():
            self._wake_sender()
        if self.journal is None:
            return
        if self._recorder is None or not self._recorder.is_alive():
            self._recorder = _start(self._run_recorder, "dagy-capture-record")
        else:
            self._to_record.notify()

    def _wake_sender(self) -> None:
        self._to_send.notify()
        self._senders = [thread for thread in self._senders if thread.is_alive()]
        if not self._senders:
            self._add_sender()

    def _add_sender(self) -> None:
        thread = _start(self._run_sender, f"dagy-capture-{len(self._senders)}")
        if thread is not None:
            self._senders.append(thread)

    # --- the thread that records ---

    def _run_recorder(self) -> None:
        while (snapshot := self._take_to_record()) is not None:
            try:
                self._record(snapshot)
            except Exception as error:
                self._s3.count_failed(f"{type(error).__name__} in the recorder")

    def _take_to_record(self) -> Snapshot | None:
        with self._lock:
            self._recording = None
            while not self._queue or (self._disk_fails and self._stopping.is_set()):
                self._settled.notify_all()
                if self._stopping.is_set():
                    return None
                self._to_record.wait()
            self._recording = self._queue.popleft()
            return self._recording

    def _record(self, snapshot: Snapshot) -> None:
        assert self.journal is not None
        trace = build_trace(snapshot, self.config.scrubber)
        try:
            self.journal.append(trace)
        except OSError as error:
            self._keep_in_memory(snapshot, error)
            return
        with self._lock:
            self._disk_fails = False
            self._wake_sender()

    def _keep_in_memory(self, snapshot: Snapshot, error: OSError) -> None:
        self._quiet.warning("spool", "the spool takes no traces (%s): they wait in memory", error)
        with self._lock:
            self._recording = None
            self._queue.appendleft(snapshot)
            self._disk_fails = True
            self._health.last_error = self._health.last_error or f"spool: {error}"
            self._wake_sender()
        self._stopping.wait(_DISK_PAUSE_SECONDS)

    # --- the threads that send ---

    def _run_sender(self) -> None:
        while (job := self._take()) is not None:
            was_down = self._is_s3_down()
            try:
                is_over = self._s3.send(job)
            except Exception as error:
                is_over = True
                self._give_up(job, error)
            with self._lock:
                if not is_over and isinstance(job, Snapshot):
                    self._queue.appendleft(job)
                if was_down and not self._is_s3_down():
                    self._to_send.notify_all()
                self._finished()

    def _give_up(self, job: Record | Snapshot, error: Exception) -> None:
        """Something unexpected: what is on disk is tried again, by the next start at the latest."""
        if self.journal is not None and isinstance(job, Record):
            self._quiet.warning("writer", "a trace could not be sent now (%s)", type(error).__name__)
            self.journal.put_back(job, _LOOK_AROUND_SECONDS)
        else:
            self._s3.count_failed(f"{type(error).__name__} in the writer")

    def _take(self) -> Record | Snapshot | None:
        while not self._stopping.is_set():
            self._keep_house()
            with self._lock:
                if not self._begin():
                    self._to_send.wait(self._pause_seconds())
                    continue
                snapshot = self._sending[threading.get_ident()]
            if snapshot is not None:
                return snapshot
            # Not with the lock: the failing thread must never wait for a disk.
            if self.journal is not None and (record := self.journal.next()) is not None:
                return record
            self._finished()
        return None

    def _begin(self) -> bool:
        """With the lock: whether there is something to send, which is noted in `_sending`."""
        if self._health.failures and (self._health.seconds_down() > 0 or self._sending):
            return False
        from_journal = self.journal is not None and self.journal.ready()
        if not from_journal and not (self._queue and self._takes_from_queue()):
            return False
        self._sending[threading.get_ident()] = None if from_journal else self._queue.popleft()
        has_more = self.journal.unread > 1 if self.journal and from_journal else bool(self._queue)
        if has_more and len(self._senders) < self.config.threads:
            # Here rather than in put(): starting a thread costs the failing request a tenth of a millisecond.
            self._add_sender()
        return True

    def _takes_from_queue(self) -> bool:
        return self.journal is None or self._disk_fails

    def _is_s3_down(self) -> bool:
        return self._health.failures > 0

    def _pause_seconds(self) -> float | None:
        """How long there is surely nothing to do, unless somebody says so; None for ever."""
        if not (self._queue or (self.journal and self.journal.waiting)):
            return _LOOK_AROUND_SECONDS if self.journal else None
        if self._is_s3_down():
            return min(max(self._health.seconds_down(), 0.05), 1.0)
        return min(max(self.journal.next_try_at - time.monotonic(), 0.01), 1.0) if self.journal else None

    def _keep_house(self) -> None:
        if self.journal is None:
            return
        try:
            self.journal.sync()
            if time.monotonic() - self._looked_around_at >= _LOOK_AROUND_SECONDS:
                self._looked_around_at = time.monotonic()
                self.journal.adopt()
        except Exception as error:
            self._quiet.warning("house", "the spool could not be read (%s)", type(error).__name__)

    def _finished(self) -> None:
        with self._lock:
            self._sending.pop(threading.get_ident(), None)
            self._settled.notify_all()


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _reset_writers_after_fork() -> None:
    for writer in list(_writers):
        writer.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_writers_after_fork)


def _start(run: Callable[[], None], name: str) -> threading.Thread | None:
    """None where the interpreter ends or the system has no more threads: shutdown() deals with what waits."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
