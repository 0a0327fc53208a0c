"""Servers that the environment names belong to somebody: the tests take only what is their own from them."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from dagy_console.core import storage
from dagy_console.core.health import redis_client
from embedded.profile import Profile
from embedded.stack import Stack
from tests.console import forget_own_keys, remove_bucket


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:20]}"
    yield name
    if exists(name):
        remove_bucket(name, storage.client())


def exists(bucket: str) -> bool:
    try:
        storage.client().head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True


def given(profile: str, state: Path, bucket: str) -> Stack:
    """A stack of which every server is given by the environment."""
    return Stack(
        Profile(profile, state), environ=dict(os.environ) | {"DAGY_TRACES_BUCKET": bucket, "DAGY_ARTIFACTS_BUCKET": ""}
    )


def test_other_keys_of_a_given_redis_stay() -> None:
    client = redis_client()
    client.set("somebody:else", "x", ex=60)
    client.set("dagy:1:ours", "x", ex=60)
    forget_own_keys()
    assert client.exists("somebody:else") and not client.exists("dagy:1:ours")


def test_a_given_s3_server_gets_the_consoles_buckets_from_the_console_and_none_from_the_tests(
    name: str, tmp_path: Path
) -> None:
    given("test", tmp_path, name).prepare_slot(0)
    assert not exists(name)
    given("run", tmp_path, name).prepare_slot(0)
    assert exists(name)


def test_a_program_is_told_which_of_its_servers_are_embedded(name: str, tmp_path: Path) -> None:
    assert given("test", tmp_path, name).environment()["DAGY_EMBEDDED_SERVERS"] == ""


def test_a_bucket_is_removed_with_all_that_is_in_it(name: str) -> None:
    storage.client().create_bucket(Bucket=name)
    for key in ("a", "b/c"):
        storage.client().put_object(Bucket=name, Key=key, Body=b"x")
    remove_bucket(name, storage.client())
    assert not exists(name)
