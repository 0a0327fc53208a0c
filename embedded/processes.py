"""Child processes that never outlive us: started, watched, stopped, and found again after a crash."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import last_line, rotate

MARKER = "DAGY_EMBEDDED_OWNER"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Child:
    """A running process that leads a session of its own, so that a Ctrl-C in the terminal reaches only us."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals
    started: float

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def describe_end(self) -> str:
        """How it ended, in a person's words, with the place of its log, and its last line where it ended by itself."""
        code = self.process.poll()
        if code is not None and code < 0:
            return f"(killed by {signal.Signals(-code).name}); its log is {self.log}"
        said = last_line(self.log)
        return f"(exit code {code}{f': {said}' if said else ''}); its log is {self.log}"


def die_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send `death_signal` to this process when the thread that started it ends, even by SIGKILL."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
    stop_signal: signal.Signals = signal.SIGTERM,
    account: pwd.struct_passwd | None = None,
) -> Child:
    """Start `command` with its output added to `log`; `account` is the user to become (as root only).

    Call it from the main thread: the child dies with the *thread* that started it.
    """
    parent = os.getpid()

    def before_exec() -> None:
        die_with_parent(stop_signal)
        if os.getppid() != parent:
            os._exit(1)

    rotate(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
            preexec_fn=before_exec,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    return Child(name=name, process=process, log=log, stop_signal=stop_signal, started=time.monotonic())


def wait_until(
    ready: Callable[[], bool], child: Child, *, seconds: float = 60, stopping: Callable[[], None] = lambda: None
) -> None:
    """Wait for `ready()`. `stopping` is called often and may raise.

    Raises EmbeddedError where the child ends first or the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        stopping()
        if not child.is_alive:
            raise EmbeddedError(f"{child.name} stopped while it was starting {child.describe_end()}.")
        if ready():
            return
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{child.name} was not ready after {seconds:.0f} s; its log is {child.log}.")
        time.sleep(0.05)


def stop(children: Sequence[Child], *, seconds: Callable[[], float]) -> None:
    """Ask all `children` to stop, and kill what is left of their process groups once `seconds()` have passed.

    `seconds` is asked again and again, so that an impatient person can shorten it.
    """
    began = time.monotonic()
    for child in children:
        if child.is_alive:
            child.process.send_signal(child.stop_signal)
    while any(child.is_alive for child in children) and time.monotonic() - began < seconds():
        time.sleep(0.05)
    for child in children:
        _kill_group(child.process.pid)
        child.process.wait()


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can slip away."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> None:
    """Kill and collect all children, for at most 2 s; the last thing to do before this process ends."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            collected, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not collected:
            for pid in _children():
                _signal(pid, signal.SIGKILL)
            time.sleep(0.02)


def _children() -> list[int]:
    mine = f"PPid:\t{os.getpid()}\n"
    return [pid for pid in _process_ids() if mine in _status(pid)]


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return ""


def stop_leftovers(owner: Path, *, postgres_data: Path) -> list[int]:
    """Stop servers that an earlier start of the same profile left behind; their process ids.

    They are known by the marker in their environment. PostgreSQL writes its title over that: it is known by its
    program and working directory.
    """
    found = [pid for pid in _process_ids() if _is_leftover(pid, owner, postgres_data)]
    deadline = time.monotonic() + 5
    for pid in found:
        _signal(pid, signal.SIGINT if _program(pid) == "postgres" else signal.SIGTERM)
    while any(_is_leftover(pid, owner, postgres_data) for pid in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in found:
        if _is_leftover(pid, owner, postgres_data):
            _signal(pid, signal.SIGKILL)
    return found


def _process_ids() -> list[int]:
    mine = os.getpid()
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != mine]


def _is_leftover(pid: int, owner: Path, postgres_data: Path) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"{MARKER}={owner}".encode() in environment:
            return True
        return _program(pid) == "postgres" and Path(f"/proc/{pid}/cwd").readlink() == postgres_data
    except OSError:
        return False


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
