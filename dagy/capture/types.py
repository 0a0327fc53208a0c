"""What callers of the capture package get and give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class S3Client(Protocol):
    """The one method of a boto3 S3 client that is used. Must be safe to call from several threads."""

    def put_object(self, **kwargs: Any) -> Any:
        """Store an object; answers at least `ETag` and `ResponseMetadata`."""


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """A trace that S3 has acknowledged.

    `metadata` holds all six fields, decoded, "" where there is no value. `size` is in bytes. `last_modified` is what
    S3 said in its answer (whole seconds, UTC). `body` is the trace as it lies in S3.
    """

    key: str
    bucket: str
    metadata: dict[str, str]
    size: int
    etag: str
    last_modified: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since `configure()`, and of what waits now: `queued` in memory or being sent, `spooled` on disk.

    `failed` counts traces that S3 refused for good or that could not be kept anywhere; `dropped` those for which the
    queue had no room. `last_error` says what S3 or the disk answered last, None where all is well. `rejected` counts
    the traces that were set aside.
    """

    queued: int
    sent: int
    spooled: int
    dropped: int
    failed: int
    last_error: str | None
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class BuiltTrace:
    """A trace ready to be stored: `data` is `body` as JSON in UTF-8, `metadata` is decoded."""

    key: str
    metadata: dict[str, str]
    body: dict[str, Any]
    data: bytes
