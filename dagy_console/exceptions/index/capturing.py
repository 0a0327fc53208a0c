"""This process' own traces are in the index as soon as they are in S3."""

import json

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from dagy import capture
from dagy_console.exceptions.index.indexing import IndexedTrace, put_traces
from dagy_console.exceptions.measures import check_soon
from dagy_console.exceptions.reading.fields import extract_fields

log = structlog.get_logger(__name__)


def start_capture() -> None:
    """Point dagy.capture at the console's bucket; each trace that it stores is indexed at once."""
    capture.configure(
        bucket=settings.TRACES_BUCKET or None,
        function_name=settings.FUNCTION_NAME,
        spool_dir=settings.SPOOL_DIR,
        endpoint_url=settings.S3_ENDPOINT_URL,
        on_stored=index_stored,
    )


def index_stored(stored: capture.StoredTrace) -> None:
    """Called in the writer's thread. A failure is left to reconciliation, which finds the trace within seconds."""
    fields = extract_fields(
        json.dumps(stored.body).encode(), key=stored.key, metadata=stored.metadata, last_modified=stored.last_modified
    )
    close_old_connections()
    try:
        put_traces([IndexedTrace(stored.key, fields, stored.size, stored.etag, stored.last_modified)])
        check_soon()
    except DatabaseError as error:
        log.warning("traces.index_after_capture_failed", key=stored.key, error=str(error).strip())
    finally:
        close_old_connections()
