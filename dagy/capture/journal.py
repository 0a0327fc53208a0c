"""Traces on disk until S3 has them: one append-only file a process, which its process alone writes, sends and removes.

A file that grows past a sixteenth of the room is followed by another, so that what is sent makes room. The files of
processes that are gone are adopted by any that live and share the directory. What S3 refuses for good is set aside:
kept in a file of its own, which no longer is sent, as long as there is room.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path

from dagy.capture.segment import HEADER_BYTES, Record, Segment, decode, encode
from dagy.capture.types import BuiltTrace

log = logging.getLogger("dagy.capture")

_SUFFIX = ".journal"
# A file with one trace, as it is set aside or as version 0.1.0 left it.
_SINGLE = ".trace"
_REJECTED = ".rejected"
# Of the room, what is set aside may take a tenth; the oldest go first.
_REJECTED_SHARE = 10
_REJECTED_FILES = 1000
_SEGMENT_SHARE = 16
_SMALLEST_SEGMENT = 64 * 1024
_SYNC_SECONDS = 1.0
_RECOUNT_SECONDS = 5.0


class SpoolFullError(OSError):
    """The directory holds as many bytes as it may."""


class Journal:
    """In `directory`, at most `max_bytes` with those of other processes. Safe in any thread. Methods that touch the
    disk are for the writer's threads alone; `ready()` and what it counts are for all."""

    def __init__(self, directory: str | os.PathLike[str], *, max_bytes: int) -> None:
        self.directory = Path(directory)
        self.max_bytes = max_bytes
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._again: list[tuple[float, int, Record]] = []
        self._count = 0
        self._used = 0
        self._counted_at = self._synced_at = float("-inf")
        self.waiting = 0
        """Traces that S3 has not taken yet."""
        self.unread = 0
        """Of these, how many no thread has tried to send."""
        self.rejected = 0
        self.next_try_at = float("inf")
        """When one that S3 did not take is due again (monotonic)."""

    def reset_after_fork(self) -> None:
        """In the child: the parent's files are the parent's. Closing them here leaves them locked there."""
        for segment in self._segments:
            segment.close()
        self._reset()

    def open(self) -> None:
        """Make this process's file, readable by its owner only. Raises OSError where that cannot be."""
        with self._lock:
            if self._current is None or self._current.end >= max(_SMALLEST_SEGMENT, self.max_bytes // _SEGMENT_SHARE):
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
                self._current = Segment.create(self.directory / name)
                self._segments.append(self._current)

    def append(self, trace: BuiltTrace) -> None:
        """It outlives this process when this returns, and a power cut soon after. Raises OSError and SpoolFullError."""
        content = encode(trace)
        with self._lock:
            self.open()
            assert self._current is not None
            self._take_room(HEADER_BYTES + len(content))
            self._current.append(content)
            self.waiting += 1
            self.unread += 1

    def ready(self) -> bool:
        """Whether `next()` has something."""
        return self.unread > 0 or self.next_try_at <= time.monotonic()

    def next(self) -> Record | None:
        """What is to be sent now: what is due again, else the oldest that was not tried yet."""
        with self._lock:
            if self._again and self._again[0][0] <= time.monotonic():
                record = heappop(self._again)[2]
                self._set_next_try()
                return record
            for segment in list(self._segments):
                if (found := segment.next()) is not None:
                    self.unread -= 1
                    return found
                self._tidy(segment)
            self.unread = 0
            return None

    def read(self, record: Record) -> BuiltTrace | None:
        """None where the disk has damaged it."""
        with self._lock:
            content = record.segment.read(record)
        return None if content is None else decode(content)

    def done(self, record: Record) -> None:
        """S3 has it, or it was set aside: take it away."""
        with self._lock:
            self.waiting -= 1
            # Where the disk fails now, it is sent once more: the same key twice is one object.
            with suppress(OSError):
                record.segment.done(record)
                self._tidy(record.segment)

    def put_back(self, record: Record, seconds: float) -> None:
        """Try it again in so many seconds; others go before."""
        with self._lock:
            record.tries += 1
            self._count += 1
            heappush(self._again, (time.monotonic() + seconds, self._count, record))
            self._set_next_try()

    def set_aside(self, record: Record, trace: BuiltTrace) -> Path:
        """S3 will never take it: keep it for a person, out of the way; the oldest of these make room.
        Raises OSError."""
        stamp = "".join(filter(str.isdigit, trace.metadata.get("timestamp", "")))[:20].ljust(20, "0")
        name = f"{stamp}-{time.monotonic_ns():020d}-{secrets.token_hex(4)}{_SINGLE}{_REJECTED}"
        path = self.directory / name
        try:
            path.touch(mode=0o600)
            path.write_bytes(encode(trace))
        except OSError:
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self.rejected += 1
        self.done(record)
        self._bound_rejected()
        return path

    def has_others(self) -> bool:
        """Whether there may be something to adopt."""
        own = {segment.path.name for segment in self._segments}
        return any(name not in own and not name.endswith(_REJECTED) for name in self._names())

    def adopt(self) -> None:
        """Take over what processes that are gone have left."""
        with self._lock:
            own = {segment.path.name for segment in self._segments}
            for name in self._names():
                if name in own or name.endswith(_REJECTED):
                    continue
                if name.endswith(_SUFFIX):
                    self._adopt(self.directory / name)
                elif _SINGLE in name:
                    self._take_in(self.directory / name)

    def sync(self, *, now: bool = False) -> None:
        """To the disk itself, where something has waited for a second, or `now`."""
        with self._lock:
            if not now and time.monotonic() - self._synced_at < _SYNC_SECONDS:
                return
            self._synced_at = time.monotonic()
            segments = list(self._segments)
        # Outside the lock: it may take long, and others append meanwhile.
        for segment in segments:
            segment.sync()

    def close(self) -> None:
        """What waits is left to the next start."""
        self.sync(now=True)
        with self._lock:
            for segment in self._segments:
                if segment.is_finished:
                    segment.remove()
                else:
                    segment.close()
            self._segments, self._current = [], None

    def _tidy(self, segment: Segment) -> None:
        if not segment.is_finished or segment not in self._segments:
            return
        if segment is not self._current:
            self._segments.remove(segment)
            segment.remove()
        elif segment.end:
            self._used -= segment.end
            segment.empty()

    def _adopt(self, path: Path) -> None:
        segment = Segment.adopt(path)
        if segment is None:
            return
        waiting = segment.recover()
        if not waiting:
            segment.remove()
            return
        self.waiting += waiting
        self.unread += waiting
        self._segments.insert(0, segment)

    def _take_in(self, path: Path) -> None:
        """A file with one trace goes into the journal."""
        segment = Segment.adopt(path)
        if segment is None:
            return
        try:
            trace = decode(path.read_bytes())
            if trace is None:
                log.warning("a file of the spool is no trace; it is set aside: %s", path)
                path.rename(f"{path}{_REJECTED}")
                segment.close()
            else:
                self.append(trace)
                segment.remove()
        except OSError:
            segment.close()

    def _set_next_try(self) -> None:
        self.next_try_at = self._again[0][0] if self._again else float("inf")

    def _take_room(self, size: int) -> None:
        if self._used + size > self.max_bytes or time.monotonic() - self._counted_at >= _RECOUNT_SECONDS:
            self._used = sum(_size(self.directory / name) for name in self._names())
            self._counted_at = time.monotonic()
        if self._used + size > self.max_bytes:
            raise SpoolFullError(f"the spool is full: {self.directory} holds {self._used} of {self.max_bytes} bytes")
        self._used += size

    def _bound_rejected(self) -> None:
        """The newest is always kept."""
        kept = sorted((name for name in self._names() if name.endswith(_REJECTED)), reverse=True)
        used = 0
        for index, name in enumerate(kept):
            used += _size(self.directory / name)
            if index and (index >= _REJECTED_FILES or used > self.max_bytes // _REJECTED_SHARE):
                with suppress(OSError):
                    (self.directory / name).unlink()

    def _names(self) -> list[str]:
        try:
            return sorted(
                path.name for path in self.directory.iterdir() if _SUFFIX in path.name or _SINGLE in path.name
            )
        except OSError:
            return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
