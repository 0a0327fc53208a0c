"""Traces on disk while S3 can't be reached: one file each, complete or absent, shared by any number of processes.

A file is written under another name, flushed to the disk and renamed. Whoever sends it takes it first by a rename,
which only one process can win; a claim whose process is gone is given back. Names start with the time of the trace, so
that the oldest is sent first. A trace that S3 refused comes after all others, each time later; one that is set aside
keeps its file, which no longer is sent, as long as there is room.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagy.capture.types import BuiltTrace

log = logging.getLogger("dagy.capture")

_SUFFIX = ".trace"
_REFUSED = re.compile(r"(?:\.r(\d{1,6}))?\.trace$")
_LONGEST_PAUSE_SECONDS = 60.0
# Of the room, what is set aside may take a tenth; the oldest go first.
_REJECTED_SHARE = 10
_REJECTED_FILES = 1000
_CLAIM = ".claimed-"
_REJECTED = ".rejected"
_TEMPORARY = ".tmp-"
_RESCAN_SECONDS = 5.0
# One PUT with its time-outs takes far less; only a process of another host is judged by it.
_STALE_CLAIM_SECONDS = 120.0
_STALE_TEMPORARY_SECONDS = 3600.0
_LIFE = secrets.token_hex(4)


class SpoolFullError(Exception):
    """The directory holds as many bytes as it may."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A spooled trace that this process alone may send now."""

    spool: Spool
    path: Path
    claimed: Path
    trace: BuiltTrace
    tried_at: float
    """When it was written or last tried, in seconds since 1970."""

    @property
    def refusals(self) -> int:
        """How many times S3 refused it."""
        return _refusals(self.path.name)

    def done(self) -> None:
        """It is in S3: forget it."""
        self.claimed.unlink(missing_ok=True)

    def release(self) -> None:
        """It could not be sent now: somebody else or a later try may."""
        with suppress(FileNotFoundError):
            self.claimed.rename(self.path)

    def refuse(self) -> None:
        """S3 refused it: a later try may do, after the others."""
        with suppress(FileNotFoundError):
            self.claimed.rename(self.path.with_name(_refused_name(self.path.name)))

    def reject(self) -> None:
        """S3 will never take it: keep it for a person, out of the way."""
        self.spool.set_aside(self.claimed, self.path.name)


class Spool:
    """A spool directory of at most `max_bytes`. Made on the first write, readable by its owner only."""

    def __init__(self, directory: str | os.PathLike[str], *, max_bytes: int) -> None:
        self.directory = Path(directory)
        self.max_bytes = max_bytes
        self.rejected = 0
        self._lock = threading.Lock()
        self._used = 0
        self._scanned_at = -_RESCAN_SECONDS

    def reset_after_fork(self) -> None:
        """The parent's thread may have held the lock at the moment of the fork."""
        self._lock = threading.Lock()
        self.rejected = 0

    def write(self, trace: BuiltTrace, *, refused: bool = False, rejected: bool = False) -> None:
        """Keep `trace`, which S3 has `refused` once or, `rejected`, for ever. It is on the disk when this returns.
        Raises SpoolFullError or OSError."""
        head = json.dumps({"key": trace.key, "metadata": trace.metadata})
        content = head.encode("utf-8", "replace") + b"\n" + trace.data
        self._take_room(len(content))
        stamp = re.sub(r"[^0-9]", "", trace.metadata.get("timestamp", ""))[:20].ljust(20, "0")
        name = f"{stamp}-{time.monotonic_ns():020d}-{secrets.token_hex(4)}{'.r1' if refused else ''}{_SUFFIX}"
        temporary = self.directory / f"{_TEMPORARY}{name}"
        try:
            self._write_file(temporary, content)
            if rejected:
                self.set_aside(temporary, name)
            else:
                temporary.rename(self.directory / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        self._sync_directory()

    def waiting(self, *, refused_pause: float = 0.0) -> list[Path]:
        """Files that nobody sends now: what was refused least first, and of these the oldest. One that was refused is
        among them `refused_pause` seconds after that, then twice as long, and so on."""
        try:
            with os.scandir(self.directory) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(_SUFFIX)]
        except OSError:
            return []
        ordered = sorted((_refusals(name), name) for name in names if not name.startswith(_TEMPORARY))
        paths = ((refusals, self.directory / name) for refusals, name in ordered)
        return [path for refusals, path in paths if not refusals or _age(path) >= _pause(refusals, refused_pause)]

    def claim(self, path: Path) -> Claim | None:
        """Take one of `waiting()`; None where another process was first, or where it is no trace (it is set aside)."""
        claimed = path.with_name(f"{path.name}{_CLAIM}{_host()}.{os.getpid()}.{_LIFE}")
        try:
            path.rename(claimed)
            tried_at = claimed.stat().st_mtime
            # The age of a claim counts from now.
            os.utime(claimed)
            content = claimed.read_bytes()
        except OSError:
            return None
        trace = _parse(content)
        if trace is None:
            log.warning("a file of the spool is no trace; it is set aside: %s", path)
            self.set_aside(claimed, path.name)
            return None
        return Claim(spool=self, path=path, claimed=claimed, trace=trace, tried_at=tried_at)

    def set_aside(self, path: Path, name: str) -> None:
        """Keep a file for a person, out of the way; the oldest of these make room."""
        with self._lock:
            self.rejected += 1
        with suppress(FileNotFoundError):
            path.rename(self.directory / (name + _REJECTED))
        self._bound_rejected()

    def _bound_rejected(self) -> None:
        """The newest is always kept."""
        kept = sorted((path for path in self._files() if path.name.endswith(_REJECTED)), reverse=True)
        used = 0
        for index, path in enumerate(kept):
            used += _size(path)
            if index and (index >= _REJECTED_FILES or used > self.max_bytes // _REJECTED_SHARE):
                with suppress(OSError):
                    path.unlink()
                # The room is counted anew before the next write.
                self._scanned_at = -_RESCAN_SECONDS

    def recover(self) -> None:
        """Give back what dead processes had claimed, and remove what they left half-written."""
        for path in self._files():
            if _CLAIM in path.name and _is_stale(path):
                with suppress(OSError):
                    path.rename(path.with_name(path.name.partition(_CLAIM)[0]))
            elif path.name.startswith(_TEMPORARY) and _age(path) > _STALE_TEMPORARY_SECONDS:
                with suppress(OSError):
                    path.unlink()

    def has_files(self) -> bool:
        """Whether anything waits or was left claimed."""
        return any(not path.name.endswith(_REJECTED) for path in self._files())

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.directory.iterdir() if _SUFFIX in path.name]
        except OSError:
            return []

    def _take_room(self, size: int) -> None:
        with self._lock:
            if time.monotonic() - self._scanned_at >= _RESCAN_SECONDS:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._used = sum(_size(path) for path in self._files())
                self._scanned_at = time.monotonic()
            if self._used + size > self.max_bytes:
                raise SpoolFullError(f"{self.directory} holds {self._used} of {self.max_bytes} bytes")
            self._used += size

    def _write_file(self, path: Path, content: bytes) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _sync_directory(self) -> None:
        """A rename outlives a power cut only when its directory was flushed too (Windows can't, and need not)."""
        with suppress(OSError):
            descriptor = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _parse(content: bytes) -> BuiltTrace | None:
    head, _, data = content.partition(b"\n")
    try:
        parsed: Any = json.loads(head)
        body: Any = json.loads(data)
        key, metadata = parsed["key"], parsed["metadata"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(key, str) or not isinstance(metadata, dict) or not isinstance(body, dict):
        return None
    return BuiltTrace(
        key=key,
        metadata={str(name): str(value) for name, value in metadata.items()},
        body=body,
        data=data,
    )


def _refusals(name: str) -> int:
    found = _REFUSED.search(name)
    return int(found[1] or 0) if found else 0


def _refused_name(name: str) -> str:
    return _REFUSED.sub(f".r{_refusals(name) + 1}{_SUFFIX}", name)


def _pause(refusals: int, first: float) -> float:
    return min(_LONGEST_PAUSE_SECONDS, first * 2.0 ** min(refusals - 1, 16))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:60]


def _is_stale(path: Path) -> bool:
    host, _, rest = path.name.partition(_CLAIM)[2].partition(".")
    pid, _, life = rest.partition(".")
    if host == _host() and pid.isdigit():
        if int(pid) == os.getpid():
            # Our own claim, or that of an earlier process which had this number (the first in a container).
            return life != _LIFE
        if not _is_alive(int(pid)):
            return True
    return _age(path) > _STALE_CLAIM_SECONDS


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
