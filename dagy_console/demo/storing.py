"""Demo traces into the bucket and, at once, into the index."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from django.utils import timezone

from dagy.capture.keys import decode_metadata, encode_metadata
from dagy_console.core import storage
from dagy_console.demo.objects import DemoObject
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.index.indexing import IndexedTrace, put_traces
from dagy_console.exceptions.index.reconciling import READ_BYTES
from dagy_console.exceptions.keys import PREFIX
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.reading.fields import extract_fields

THREADS = 16
BATCH = 300


def has_traces() -> bool:
    """Whether the bucket or the index holds any trace. Raises what the S3 server says."""
    return Trace.objects.exists() or bool(storage.list_page(traces_bucket(), PREFIX, limit=1)[0])


def store(objects: Sequence[DemoObject], *, report: Callable[[int], None]) -> None:
    """Write the newest first, in batches, each indexed as soon as it is in the bucket; `report` gets the count so far.

    Raises what the S3 server says; the batches before stay.
    """
    newest_first = sorted(objects, key=lambda item: item.at, reverse=True)
    count = 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="demo") as pool:
        written = pool.map(_write, newest_first)
        while batch := list(islice(written, BATCH)):
            put_traces(batch)
            count += len(batch)
            report(count)


def _write(item: DemoObject) -> IndexedTrace:
    metadata = encode_metadata(item.metadata)
    etag = storage.put_object(traces_bucket(), item.key, item.body, metadata=metadata, content_type="application/json")
    now = timezone.now()
    fields = extract_fields(
        item.body[:READ_BYTES],
        key=item.key,
        metadata=decode_metadata(metadata),
        last_modified=now,
        truncated=len(item.body) > READ_BYTES,
    )
    return IndexedTrace(item.key, fields, len(item.body), etag, now)
