"""One place for all tests that kill or freeze servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import processes
from embedded.ports import kept_ports
from embedded.postgres import Postgres, data_directory
from embedded.profile import Profile
from embedded.redis import Redis
from tests.browser.stack import PEOPLE, running_stack
from tests.capture.capture_support import Proxy
from tests.console import PASSWORD
from tests.faults.place import Place, Server
from tests.runs.support import Caller

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One test process runs all of these, since there is one place; those of runs first: what the others kill, again
    and again, takes its time to find back to the broker, and a run must be taken over within 30 s."""
    here = [item for item in items if item.path.is_relative_to(_HERE)]
    for item in here:
        item.add_marker(pytest.mark.xdist_group("faults"))
    here.sort(key=lambda item: item.path.name != "test_runs.py")
    items[:] = [item for item in items if not item.path.is_relative_to(_HERE)] + here


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("faults")
    profile = Profile("faults", directory)
    profile.prepare()
    ports = kept_ports(profile.directory / "ports.json", {"postgres": "PostgreSQL", "redis": "Redis"})
    postgres = Postgres(profile, ports["postgres"], "owner", "application")
    redis = Redis(profile, ports["redis"], "redis")
    servers = Server(postgres), Server(redis)
    try:
        for server in servers:
            server.start()
        with Proxy(os.environ["AWS_ENDPOINT_URL_S3"]) as s3:
            variables = {
                "DATABASE_URL": postgres.application_url("postgres"),
                "DATABASE_OWNER_URL": postgres.owner_url("postgres"),
                "REDIS_URL": redis.database_url(0),
                "AWS_ENDPOINT_URL_S3": s3.url,
                "DAGY_CHANNEL_ALLOWED_HOSTS": "127.0.0.1",
            }
            with running_stack(directory, lambda _: None, variables) as stack:
                place = Place(stack, *servers, s3, directory, Caller(stack.url, PEOPLE["bob"], PASSWORD))
                place.supervise()
                yield place
                processes.stop([place.second] if place.second else [], seconds=lambda: 3)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(data_directory(profile).parent, ignore_errors=True)
