"""A trace as it lies in S3: for the page, and byte by byte."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from dagy.capture.keys import decode_metadata
from dagy_console.core import storage
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError, NotFound
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.selectors import get_trace, problems_with_keys
from dagy_console.exceptions.trace.preview import Preview, build_preview

# Above this the page shows the beginning only; the download is always whole.
WHOLE_BYTES = 32 * 1024 * 1024
BEGINNING_BYTES = 256 * 1024
# What has not come by then is not waited for: the page shows what it has.
READ_SECONDS = 1.6


@dataclass(frozen=True, slots=True)
class Reading:
    """A preview, or (preview None) the problem that kept it from being made, with the page's status.

    `origin` is where its download leads to.
    """

    bucket: str
    s3_uri: str
    origin: list[str]
    preview: Preview | None = None
    problem: dict[str, str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


def read_preview(trace: Trace) -> Reading:
    bucket = settings.TRACES_BUCKET
    uri = f"s3://{bucket}/{trace.key}"
    origin = list(filter(None, [storage.public_origin(bucket)])) if bucket else []
    try:
        stored = storage.get_object(
            traces_bucket(),
            trace.key,
            first_bytes=None if trace.size <= WHOLE_BYTES else BEGINNING_BYTES,
            seconds=READ_SECONDS,
        )
    except ConsoleError as error:
        return Reading(bucket, uri, origin, problem={"title": error.title, "detail": error.detail}, status=error.status)
    metadata = decode_metadata(dict(stored.metadata))
    preview = build_preview(
        stored.body,
        key=trace.key,
        size=stored.size,
        truncated=stored.truncated,
        metadata=metadata,
        base_url=settings.BASE_URL,
    )
    return Reading(bucket, uri, origin, preview=preview, metadata=metadata)


def downloadable(actor: Actor, key: str) -> Trace:
    """The trace, which is in storage, too. Raises PermissionDenied, NotFound, Unavailable."""
    actor.require(Permission.EXCEPTIONS_DOWNLOAD)
    trace = get_trace(actor, key)
    storage.check_object(traces_bucket(), key)
    return trace


def stored_size(actor: Actor, key: str) -> int:
    """In bytes, of any object that may be a trace. Raises PermissionDenied, NotFound, Unavailable."""
    _require_readable(actor, key)
    return storage.check_object(traces_bucket(), key)


def open_stored(actor: Actor, key: str) -> storage.Stream:
    """The object's bytes as they are; to be closed. Raises PermissionDenied, NotFound, Unavailable."""
    _require_readable(actor, key)
    return storage.stream_object(traces_bucket(), key)


def _require_readable(actor: Actor, key: str) -> None:
    actor.require(Permission.EXCEPTIONS_READ)
    for problem in problems_with_keys(actor, [key]).values():
        raise NotFound(f"There is no such trace. {problem}")
