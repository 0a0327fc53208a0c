"""S3 in trouble, and a second process that writes to the index."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from dagy_console.core import storage
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.index.indexing import put_traces, remove_traces
from dagy_console.exceptions.index.reconciling import read_trace
from dagy_console.exceptions.models import TraceGroup
from tests.exceptions.troubled_s3 import TroubledS3


@pytest.fixture
def troubled(bucket: Any, settings: Any) -> Iterator[TroubledS3]:
    """What stands between the console and its S3 server from here on."""
    with TroubledS3(settings.S3_ENDPOINT_URL) as server:
        settings.S3_ENDPOINT_URL = server.url
        storage.client.cache_clear()
        yield server
    storage.client.cache_clear()


def in_a_thread(work: Callable[[], Any]) -> None:
    """Run it on a database connection of its own, committed when it returns."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


@pytest.fixture
def index_elsewhere(django_db_setup: None, django_db_blocker: Any) -> Iterator[Callable[..., None]]:
    """Index keys as another process does: committed at once. Ask for it before every other fixture, so that its rows
    are taken away when the test's transaction has ended."""
    written: list[str] = []

    def index(*keys: str) -> None:
        written.extend(keys)
        objects = [item for item in storage.list_page(traces_bucket(), "exceptions/")[0] if item.key in keys]
        traces = [trace for trace in map(read_trace, objects) if trace]
        in_a_thread(lambda: put_traces(traces))

    yield index
    with django_db_blocker.unblock():
        in_a_thread(lambda: (remove_traces(written), TraceGroup.objects.filter(count=0).delete()))
