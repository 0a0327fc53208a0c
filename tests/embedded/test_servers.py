"""The embedded servers, started and killed in profiles of their own, beside those that the other tests use."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import boto3
import psycopg
import pytest
import redis
from mypy_boto3_s3 import S3Client

from embedded import files
from embedded.errors import EmbeddedError
from embedded.postgres import data_directory
from embedded.processes import MARKER, Child, spawn
from embedded.profile import ROOT, STATE, Profile
from embedded.stack import Stack

_NAMED_BY = {
    "postgres": ("DATABASE_URL", "DATABASE_OWNER_URL"),
    "redis": ("REDIS_URL",),
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
}
_NO_BUCKETS = {"DAGY_TRACES_BUCKET": "", "DAGY_ARTIFACTS_BUCKET": ""}


def wait_for(true: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


class Servers:
    """`python -m embedded serve run`, with this test as its user."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._started: list[subprocess.Popen[str]] = []

    def environ(self, own: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
        """Our environment without the `own` servers: the others stay those of this test run, where it has some."""
        named = {name for server in own for name in _NAMED_BY[server]} | {"MAKELEVEL"}
        kept = {name: value for name, value in os.environ.items() if name not in named and not name.startswith("DAGY_")}
        return kept | ({} if "s3" in own else _NO_BUCKETS) | dict(variables)

    def launch(self, *own: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "embedded", "--state", str(self.profile.state), "serve", self.profile.name]
        pipe, out = subprocess.PIPE, subprocess.STDOUT
        env = self.environ(own, variables)
        process = subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=pipe, stderr=out)
        self._started.append(process)
        return process

    def start(self, *own: str) -> subprocess.Popen[str]:
        process = self.launch(*own)
        ready = self.profile.directory / "state.json"
        wait_for(lambda: self._announced_by(ready, process.pid) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        return process

    def fail(self, *own: str, **variables: str) -> str:
        """Start what can't start; the one line that it says."""
        process = self.launch(*own, **variables)
        said = process.communicate(timeout=40)[0].strip()
        assert process.returncode == 1
        assert "\n" not in said
        assert self.processes() == []
        return said

    def stop(self, process: subprocess.Popen[str]) -> None:
        process.terminate()
        assert process.wait(timeout=20) == 0, process.communicate()[0]

    def environment(self, *own: str) -> dict[str, str]:
        """What a user of the running servers gets."""
        stack = Stack(self.profile, environ=self.environ(own, {}))
        stack.attach()
        return stack.environment()

    def processes(self) -> list[int]:
        """The servers that are alive now."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    def kill_all(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate(timeout=20)
        for pid in self.processes():
            # They end with their killed parent, some before we come to them.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _announced_by(self, path: Path, pid: int) -> bool:
        return path.exists() and json.loads(path.read_text())["pid"] == pid

    def _is_ours(self, entry: Path) -> bool:
        try:
            if f"{MARKER}={self.profile.directory}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                return True
            data = data_directory(self.profile)
            return (entry / "exe").readlink().name == "postgres" and (entry / "cwd").readlink() == data
        except OSError:
            return False


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Below `.local`, because PostgreSQL as root runs as `nobody`, who cannot reach pytest's own directories."""
    STATE.mkdir(exist_ok=True)
    state = Path(tempfile.mkdtemp(dir=STATE, prefix="scratch-"))
    state.chmod(0o755)
    profile = Profile("run", state)
    profile.logs.mkdir(parents=True)
    user = files.try_lock(profile.directory / "users.lock", shared=True)
    assert user is not None
    found = Servers(profile)
    yield found
    found.kill_all()
    os.close(user)
    shutil.rmtree(data_directory(profile).parent, ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)


def s3_client(environment: Mapping[str, str]) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )


def kept_ports(servers: Servers) -> dict[str, int]:
    ports: dict[str, int] = json.loads((servers.profile.directory / "ports.json").read_text())
    return ports


def test_ports_and_data_are_kept_over_a_restart(servers: Servers) -> None:
    first = servers.start("postgres", "redis")
    ports, environment = kept_ports(servers), servers.environment("postgres", "redis")
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as connection:
        connection.execute("create table kept as select 42 as answer")
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        client.set("kept", "42")
    servers.stop(first)
    assert servers.processes() == []

    servers.start("postgres", "redis")

    assert kept_ports(servers) == ports
    assert servers.environment("postgres", "redis") == environment
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        assert client.get("kept") == b"42"


@pytest.mark.slow("the S3 server starts twice")
def test_s3_keeps_objects_with_their_metadata_over_a_restart(servers: Servers) -> None:
    first = servers.start("s3")
    client = s3_client(servers.environment("s3"))
    client.put_object(Bucket="dagy-traces", Key="a/b", Body=b"body", Metadata={"org-id": "org_1"})
    servers.stop(first)
    assert servers.processes() == []

    servers.start("s3")

    found = client.get_object(Bucket="dagy-traces", Key="a/b")
    assert (found["Body"].read(), found["Metadata"]) == (b"body", {"org-id": "org_1"})
    assert "dagy-artifacts" in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def test_a_kept_port_that_is_taken_is_named_with_its_server(servers: Servers) -> None:
    servers.stop(servers.start("redis"))
    port = kept_ports(servers)["redis"]
    with socket.create_server(("127.0.0.1", port)):
        said = servers.fail("redis")
    assert f"Port {port}" in said
    assert "Redis" in said
    assert str(servers.profile.directory / "ports.json") in said


def test_servers_die_with_a_killed_parent_and_the_next_start_recovers(servers: Servers) -> None:
    first = servers.start("postgres", "redis")
    url = servers.environment("postgres", "redis")["DATABASE_OWNER_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 42 as answer")
    assert servers.processes()

    first.kill()
    first.wait()
    wait_for(lambda: not servers.processes(), seconds=10)
    # As if the machine had gone down, and a stranger had the number of the old server since.
    stale = data_directory(servers.profile) / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{stale.parent}\n")

    servers.start("postgres", "redis")
    with psycopg.connect(url) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_a_server_that_an_earlier_start_left_behind_is_stopped(servers: Servers) -> None:
    marked = os.environ | {MARKER: str(servers.profile.directory)}
    leftover = subprocess.Popen(["sleep", "60"], env=marked)
    servers.start("redis")
    assert leftover.wait(timeout=5) == -signal.SIGTERM


def test_an_unfinished_cluster_of_an_interrupted_start_is_made_anew(servers: Servers) -> None:
    unfinished = servers.profile.directory / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    servers.start("postgres")
    assert not unfinished.exists()


def test_a_server_that_does_not_start_says_where_its_log_is(servers: Servers) -> None:
    data = servers.profile.directory / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    said = servers.fail("postgres")
    assert "PostgreSQL stopped while it was starting" in said
    assert str(servers.profile.logs / "postgres.log") in said


def test_data_of_another_postgresql_version_is_refused_and_kept(servers: Servers) -> None:
    data = servers.profile.directory / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9.6\n")
    assert "written by PostgreSQL 9.6" in servers.fail("postgres")
    assert (data / "PG_VERSION").exists()


@pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="`make test` names the external database for this test")
def test_an_external_database_is_used_in_place_of_our_own(servers: Servers) -> None:
    servers.start("redis")
    assert servers.environment("redis")["DATABASE_URL"] == os.environ["DATABASE_URL"]
    assert "postgres" not in kept_ports(servers)
    assert not data_directory(servers.profile).exists()


def test_an_external_database_that_does_not_answer_is_named_without_its_password(servers: Servers) -> None:
    said = servers.fail("postgres", "redis", DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/console")
    assert "DATABASE_URL (127.0.0.1:1)" in said
    assert "hunter2" not in said


def test_a_nearly_full_disk_is_said_before_anything_starts(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "NEEDED_BYTES", 2**60)
    with pytest.raises(EmbeddedError, match=r"Only \d+ MB are free on the disk"):
        servers.profile.prepare()


def test_passwords_are_for_their_owner_alone(servers: Servers) -> None:
    made = servers.profile.secrets()
    assert (servers.profile.directory / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert len(set(made.values())) == len(made)
    assert servers.profile.secrets() == made


def test_two_commands_share_the_test_servers_with_a_database_each(servers: Servers) -> None:
    command = [sys.executable, "-m", "embedded", "--state", str(servers.profile.state), "shell", "--", "sh", "-c"]
    env = servers.environ(["postgres", "redis"], {})
    first = subprocess.Popen(
        [*command, 'echo "$DATABASE_URL $REDIS_URL"; cat'],
        cwd=ROOT,
        env=env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdout is not None
    database, cache = first.stdout.readline().split()

    script = 'echo "$DATABASE_URL $REDIS_URL"'
    second = subprocess.run([*command, script], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, check=True)

    assert first.poll() is None
    other_database, other_cache = second.stdout.split()
    assert (other_database, other_cache) == (f"{database}_1", cache.removesuffix("/0") + "/16")
    first.communicate(timeout=40)
    assert first.returncode == 0
    assert Servers(Profile("test", servers.profile.state)).processes() == []


_ASK = """
import sys, time, django
django.setup()
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from dagy_console.core import database
database.ANSWER_SECONDS = 1
connection_created.connect(database.limit_waiting)
connection.ensure_connection()
info = {option.keyword.decode(): option.val for option in connection.connection.pgconn.info}
print(info["tcp_user_timeout"].decode(), info["keepalives_idle"].decode(), flush=True)
input()
began = time.monotonic()
for _ in range(2):
    try:
        connection.cursor().execute("SELECT 1")
    except OperationalError as error:
        print(error, round(time.monotonic() - began), flush=True)
    connection.close_if_unusable_or_obsolete()
input()
connection.cursor().execute("SELECT 1")
print("well", flush=True)
"""


@pytest.mark.slow("waits until the frozen server is given up")
def test_a_frozen_postgresql_is_given_up_and_used_again_when_it_thaws(servers: Servers) -> None:
    servers.start("postgres")
    url = servers.environment("postgres")["DATABASE_OWNER_URL"] + "?connect_timeout=2"
    environment = os.environ | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "dagy_console.settings",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DAGY_SECRET_KEY": "k" * 50,
    }
    asking = subprocess.Popen(
        [sys.executable, "-c", _ASK],
        cwd=ROOT,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert asking.stdin and asking.stdout
    assert asking.stdout.readline() == "30000 10\n"
    frozen = servers.processes()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        print(file=asking.stdin, flush=True)
        assert asking.stdout.readline() == "PostgreSQL did not answer for 1 s. 1\n"
        assert "timeout expired" in asking.stdout.readline()
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    print(file=asking.stdin, flush=True)
    assert asking.stdout.readline() == "well\n"
    assert asking.wait(timeout=10) == 0


def child(script: str, log: Path) -> Child:
    found = spawn("it", ["sh", "-c", script], log=log, env=os.environ, cwd=ROOT)
    found.process.wait()
    return found


def test_a_killed_process_is_not_explained_by_the_last_line_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    assert child("echo all is well; kill -9 $$", log).describe_end() == f"(killed by SIGKILL); its log is {log}"
    assert (
        child("echo no such option; exit 3", log).describe_end() == f"(exit code 3: no such option); its log is {log}"
    )


def test_a_log_is_cut_while_its_process_goes_on_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_LOG_BYTES", 10)
    log = tmp_path / "it.log"
    writer = spawn("it", ["sh", "-c", "echo long enough a line; sleep 1; echo next"], log=log, env=os.environ, cwd=ROOT)
    wait_for(lambda: log.stat().st_size > 10, seconds=5)
    files.rotate(log)
    writer.process.wait()
    assert (log.read_text(), log.with_name("it.log.1").read_text()) == ("next\n", "long enough a line\n")
