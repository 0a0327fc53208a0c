"""A bucket of its own for every test, and capture set back to nothing after it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from capture_support import Bucket

from dagy import capture
from embedded.profile import Profile
from embedded.shared import shared_servers


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """The test servers, started by the first test that needs one where `make test` was asked for capture alone."""
    if os.environ.get("AWS_ENDPOINT_URL_S3"):
        yield
        return
    with shared_servers(Profile("test")) as environment, pytest.MonkeyPatch.context() as patch:
        for name in environment.keys() - os.environ.keys() | {"NO_PROXY", "no_proxy"}:
            patch.setenv(name, environment[name])
        yield


@pytest.fixture(scope="session")
def s3_client(servers: None) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client("s3", config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def bucket(s3_client: Any) -> Iterator[Bucket]:
    name = f"capture-{uuid.uuid4().hex[:16]}"
    s3_client.create_bucket(Bucket=name)
    bucket = Bucket(name, s3_client)
    yield bucket
    # The embedded server is thrown away with all that is in it; one that the environment gave is somebody's.
    if "s3" not in os.environ.get("DAGY_EMBEDDED_SERVERS", "").split(","):
        for key in bucket.keys():
            s3_client.delete_object(Bucket=name, Key=key)
        s3_client.delete_bucket(Bucket=name)


@pytest.fixture(autouse=True)
def fresh_capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DAGY_TRACES_BUCKET", "DAGY_SPOOL_DIR", "DAGY_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    yield
    capture.configure(enabled=False)
    capture.shutdown()


@pytest.fixture
def stored_in(bucket: Bucket) -> Callable[..., Bucket]:
    """Configure capture for the test's bucket."""

    def configure(**options: Any) -> Bucket:
        capture.configure(bucket=bucket.name, **options)
        return bucket

    return configure
