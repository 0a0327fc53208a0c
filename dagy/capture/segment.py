"""One file of the journal: records one after the other, each with a header that tells whole from torn.

A header is the mark `DGT1`, one byte that becomes `-` once the record is done, the length of what follows and its
CRC-32. What follows is one line of JSON (key and metadata) and the trace. The file is locked as long as its process
lives, so that others can tell who is gone.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagy.capture.types import BuiltTrace

log = logging.getLogger("dagy.capture")

HEADER_BYTES = 13
_HEADER = struct.Struct(">4scII")
_MARK, _WAITS, _DONE = b"DGT1", b"+", b"-"
_BINARY = getattr(os, "O_BINARY", 0)

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 40, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(slots=True)
class Record:
    """A trace on disk that one thread of this process may send now."""

    segment: Segment
    offset: int
    size: int
    checksum: int
    tries: int = 0
    refused_at: float | None = None
    """When S3 first refused it (monotonic)."""


class Segment:
    """An open and locked file. Not safe in several threads: the journal's lock guards it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.end = 0
        self.out = 0
        """How many records were handed out and are not done."""
        self._descriptor = descriptor
        self._at = 0
        self._is_dirty = False

    @classmethod
    def create(cls, path: Path) -> Segment:
        """Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
        with suppress(OSError):
            # Some file systems have no locks: what lies there is found by nobody else, but kept.
            _lock(descriptor)
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a process that is gone; None where it lives, or another was first."""
        try:
            descriptor = os.open(path, os.O_RDWR | _BINARY)
        except OSError:
            return None
        try:
            _lock(descriptor)
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
        except OSError:
            pass
        os.close(descriptor)
        return None

    @property
    def is_finished(self) -> bool:
        """Whether nothing in it waits."""
        return self._at >= self.end and self.out == 0

    def recover(self) -> int:
        """Find the end of what was written whole; how many records wait."""
        size, waiting = os.lseek(self._descriptor, 0, os.SEEK_END), 0
        while (header := self._header(self.end, size)) is not None:
            waiting += header[1] == _WAITS
            self.end += _HEADER.size + header[2]
        if self.end < size:
            log.warning("the last %d bytes of %s were not written whole; they are left out", size - self.end, self.path)
        return waiting

    def append(self, content: bytes) -> None:
        """Whole or not at all. Raises OSError."""
        data = memoryview(_HEADER.pack(_MARK, _WAITS, len(content), zlib.crc32(content)) + content)
        os.lseek(self._descriptor, self.end, os.SEEK_SET)
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            os.ftruncate(self._descriptor, self.end)
            raise
        self.end += _HEADER.size + len(content)
        self._is_dirty = True

    def next(self) -> Record | None:
        """The oldest record that was not handed out yet."""
        while (header := self._header(self._at, self.end)) is not None:
            record = Record(self, self._at, header[2], header[3])
            self._at += _HEADER.size + record.size
            if header[1] == _WAITS:
                self.out += 1
                return record
        self._at = self.end
        return None

    def read(self, record: Record) -> bytes | None:
        """What was appended; None where the disk gives back something else."""
        content = self._read(record.offset + _HEADER.size, record.size)
        return content if zlib.crc32(content) == record.checksum else None

    def done(self, record: Record) -> None:
        """Forget a record."""
        self.out -= 1
        if not self.is_finished:
            os.lseek(self._descriptor, record.offset + len(_MARK), os.SEEK_SET)
            os.write(self._descriptor, _DONE)

    def empty(self) -> None:
        """Take away what is done."""
        self.end = self._at = 0
        os.ftruncate(self._descriptor, 0)

    def sync(self) -> None:
        """What waits, to the disk itself, for a power cut."""
        if self._is_dirty and not self.is_finished:
            self._is_dirty = False
            with suppress(OSError):
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Others may adopt it then."""
        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):
            os.close(descriptor)

    def remove(self) -> None:
        """All in it is done."""
        self.close()
        with suppress(OSError):
            self.path.unlink()

    def _header(self, at: int, end: int) -> tuple[bytes, bytes, int, int] | None:
        if at + _HEADER.size > end:
            return None
        data = self._read(at, _HEADER.size)
        if len(data) < _HEADER.size or not data.startswith(_MARK):
            return None
        header: tuple[bytes, bytes, int, int] = _HEADER.unpack(data)
        return header if at + _HEADER.size + header[2] <= end else None

    def _read(self, at: int, size: int) -> bytes:
        os.lseek(self._descriptor, at, os.SEEK_SET)
        return os.read(self._descriptor, size)


def encode(trace: BuiltTrace) -> bytes:
    """Key and metadata as one line of JSON, then the trace."""
    head = json.dumps({"key": trace.key, "metadata": trace.metadata})
    return head.encode("utf-8", "replace") + b"\n" + trace.data


def decode(content: bytes) -> BuiltTrace | None:
    """None where `content` is no trace."""
    head, _, data = content.partition(b"\n")
    try:
        parsed: Any = json.loads(head)
        body: Any = json.loads(data)
        key, metadata = parsed["key"], parsed["metadata"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(key, str) or not isinstance(metadata, dict) or not isinstance(body, dict):
        return None
    return BuiltTrace(key, {str(name): str(value) for name, value in metadata.items()}, body, data)
