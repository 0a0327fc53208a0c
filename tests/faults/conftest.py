"""A place for each module that kills servers: what its servers set in the environment ends with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from embedded import processes
from embedded.ports import kept_ports
from embedded.postgres import Postgres, data_directory
from embedded.profile import Profile
from embedded.redis import Redis
from tests.browser.stack import PEOPLE, running_stack
from tests.conftest import PASSWORD
from tests.faults.place import Place, Server
from tests.runs.support import Caller


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("faults")
    profile = Profile("faults", directory)
    profile.prepare()
    ports = kept_ports(profile.directory / "ports.json", {"postgres": "PostgreSQL", "redis": "Redis"})
    postgres = Postgres(profile, ports["postgres"], "owner", "application")
    redis = Redis(profile, ports["redis"], "redis")
    servers = Server(postgres), Server(redis)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for server in servers:
                server.start()
            patch.setenv("DATABASE_URL", postgres.application_url("postgres"))
            patch.setenv("DATABASE_OWNER_URL", postgres.owner_url("postgres"))
            patch.setenv("REDIS_URL", redis.database_url(0))
            patch.setenv("DAGY_CHANNEL_ALLOWED_HOSTS", "127.0.0.1")
            with running_stack(directory, lambda _: None) as stack:
                place = Place(stack, *servers, directory, Caller(stack.url, PEOPLE["bob"], PASSWORD))
                place.supervise()
                yield place
                processes.stop([place.second] if place.second else [], seconds=lambda: 3)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(data_directory(profile).parent, ignore_errors=True)
