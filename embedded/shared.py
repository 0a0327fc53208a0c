"""Servers of the test profile, shared by all commands of a checkout that need them at the same time.

A background process holds the servers. Every user holds a shared lock on `users.lock`; when the background process
gets that lock for itself, nobody is left, and it stops them. Locks end with their process, so a killed user counts
as gone.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import last_line, try_lock
from embedded.processes import adopt_orphans, end_orphans
from embedded.profile import ROOT, Profile
from embedded.signals import StopSignals
from embedded.stack import Stack

SLOTS = 16
_START_SECONDS = 90


@contextmanager
def shared_servers(profile: Profile) -> Iterator[dict[str, str]]:
    """The environment to use the servers with, started where they do not run; stopped after the last user.

    Raises EmbeddedError where they do not start.
    """
    profile.prepare()
    users = os.open(profile.directory / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(users, fcntl.LOCK_SH)
    slot_lock = None
    background = None
    try:
        background = _require_running(profile)
        stack = Stack(profile)
        stack.attach()
        slot, slot_lock = _take_slot(profile)
        stack.prepare_slot(slot)
        yield stack.environment(slot) | {"DAGY_SECRET_KEY": profile.secrets()["django_secret_key"]}
    finally:
        if slot_lock is not None:
            os.close(slot_lock)
        os.close(users)
        if _wait_for_end(profile) and background is not None:
            background.wait(timeout=5)


def serve(profile: Profile) -> int:
    """The background process: start the servers, keep them while they have users. Returns its exit code."""
    profile.prepare()
    lock = try_lock(profile.directory / "lock")
    if lock is None:
        return 0
    signals = StopSignals()
    adopt_orphans()
    stack = Stack(profile)
    try:
        stack.launch()
        stack.wait_for_databases(signals.check)
        stack.wait_for_s3(signals.check)
        stack.announce()
        _keep(stack, signals)
    finally:
        stack.stop(seconds=lambda: signals.patience(5))
        end_orphans()
        os.close(lock)
    return 0


def is_running(profile: Profile) -> bool:
    """Whether some process holds the servers of `profile`, ready for use."""
    if not (profile.directory / "state.json").exists():
        return False
    lock = try_lock(profile.directory / "lock")
    if lock is not None:
        os.close(lock)
    return lock is None


def _keep(stack: Stack, signals: StopSignals) -> None:
    while not signals.asked:
        if dead := stack.dead():
            raise EmbeddedError(f"{dead.name} stopped {dead.describe_end()}.")
        users = try_lock(stack.profile.directory / "users.lock")
        if users is not None:
            # Kept until this process ends: who comes now waits, and then starts the servers anew.
            stack.withdraw()
            return
        time.sleep(0.2)


def _require_running(profile: Profile) -> subprocess.Popen[bytes] | None:
    """Start the servers where they do not run; the process that holds them, where it is our child."""
    deadline = time.monotonic() + _START_SECONDS
    background: subprocess.Popen[bytes] | None = None
    while not is_running(profile):
        if background is None:
            background = _start_background(profile)
        code = background.poll()
        if code:
            raise EmbeddedError(
                last_line(_log(profile)).removeprefix("error: ")
                or f"The servers did not start; the log is {_log(profile)}."
            )
        if code == 0:
            # Another command was first and holds them; should that one fail, it is our turn.
            background = None
        if time.monotonic() > deadline:
            raise EmbeddedError(f"The servers were not ready after {_START_SECONDS} s; the logs are in {profile.logs}.")
        time.sleep(0.1)
    return background


def _start_background(profile: Profile) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "embedded", "--state", str(profile.state), "serve", profile.name]
    environ = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
    with _log(profile).open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=environ, start_new_session=True
        )


def _log(profile: Profile) -> Path:
    return profile.logs / "servers.log"


def _take_slot(profile: Profile) -> tuple[int, int]:
    for slot in range(SLOTS):
        lock = try_lock(profile.directory / f"slot-{slot}.lock")
        if lock is not None:
            return slot, lock
    raise EmbeddedError(f"{SLOTS} commands use the {profile.name} servers already: wait for one of them to end.")


def _wait_for_end(profile: Profile) -> bool:
    """Wait until the servers have stopped, unless others use them; whether they have."""
    deadline = time.monotonic() + 15
    others_would_show_by = time.monotonic() + 1
    while time.monotonic() < deadline:
        lock = try_lock(profile.directory / "lock")
        if lock is not None:
            os.close(lock)
            return True
        if (profile.directory / "state.json").exists() and time.monotonic() > others_would_show_by:
            return False
        time.sleep(0.05)
    return False
