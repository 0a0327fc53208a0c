"""What the bucket tells by itself: an object was written or is gone.

Events come at least once and in any order, and whoever sends them may be anybody who has the token. So an event only
says which object to look at: the index takes what lies in the bucket now, and a repeated or late event changes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.core.signing import BadSignature, Signer
from django.db.models import Q
from django.utils import timezone

from dagy_console.core import storage
from dagy_console.core.database import database_time
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import is_storable
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.index.indexing import put_traces, remove_traces
from dagy_console.exceptions.index.reconciling import read_trace
from dagy_console.exceptions.keys import PREFIX
from dagy_console.exceptions.measures import check_soon
from dagy_console.exceptions.models import IndexState

MOST_EVENTS = 1_000
# The state of the index says when the last event came; not every one of a flood writes it.
NOTED_EVERY = timedelta(seconds=10)
_signer = Signer(salt="dagy_console.exceptions.index.events")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the objects that were told of; `ignored` are not of this bucket's traces."""

    indexed: int
    removed: int
    ignored: int


def token() -> str:
    """What a sender of events proves itself with: good for this bucket, as long as DAGY_SECRET_KEY is."""
    return f"dagy_ev_{_signer.signature(traces_bucket())}"


def is_token(given: str) -> bool:
    try:
        _signer.unsign(f"{traces_bucket()}:{given.removeprefix('dagy_ev_')}")
    except BadSignature:
        return False
    return True


def settle(body: Mapping[str, Any]) -> Settled:
    """Bring the index up to date with the objects that an event of S3, MinIO or EventBridge names.

    Raises Invalid for what is none, StorageUnavailable where an object cannot be read now: the sender tries again.
    """
    told = list(_objects(body))
    if len(told) > MOST_EVENTS:
        raise Invalid.field("Records", f"these are {len(told):,}; send at most {MOST_EVENTS:,} at once")
    keys = sorted({key for bucket, key in told if bucket == traces_bucket() and _is_a_traces(key)})
    asked_at = database_time()
    # One after the other: of a web process' calls to S3 only a few may go on at once. What cannot be read is listed all
    # the same, as of now.
    found = {key: read_trace(storage.ListedObject(key, "", 0, timezone.now())) for key in keys}
    traces = [trace for trace in found.values() if trace]
    refused = put_traces(traces)
    if traces:
        check_soon()
    removed = remove_traces([key for key, trace in found.items() if trace is None], vanished_at=asked_at)
    _note_event()
    return Settled(len(traces) - refused, removed, len({*told}) - len(keys))


def _note_event() -> None:
    now = timezone.now()
    IndexState.objects.filter(Q(event_at=None) | Q(event_at__lt=now - NOTED_EVERY), pk=1).update(event_at=now)


def _is_a_traces(key: str) -> bool:
    return key.startswith(PREFIX) and not key.endswith("/") and is_storable(key)


def _objects(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Bucket and key of each object that the event tells of."""
    if body.get("Event") == "s3:TestEvent":
        return  # sent when notifications are set up
    if body.get("detail") is not None:
        yield _named(body["detail"], "detail")
    elif isinstance(body.get("Records"), list):
        for number, record in enumerate(body["Records"]):
            told = record.get("s3") if isinstance(record, dict) else None
            bucket, key = _named(told, f"Records[{number}].s3")
            # EventBridge's are plain; these are as in the query of a URL.
            yield bucket, unquote_plus(key)
    else:
        raise Invalid.field("Records", "this is no event of S3, MinIO (Records) or EventBridge (detail)")


def _named(told: Any, where: str) -> tuple[str, str]:
    try:
        bucket, key = told["bucket"]["name"], told["object"]["key"]
    except (KeyError, TypeError):
        raise Invalid.field(where, "names no bucket.name and object.key") from None
    if not isinstance(bucket, str) or not isinstance(key, str):
        raise Invalid.field(where, "bucket.name and object.key are texts")
    return bucket, key
