"""Customers' code runs in child processes alone: in a process group of its own, within limits, and with an environment
that holds nothing of the server's."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.conf import settings

from dagy_console.core.errors import Invalid
from dagy_console.runs import bundles
from dagy_console.runs.journal import plain

if TYPE_CHECKING:
    from dagy.child import Limits, Request, RunRequest

READING_SECONDS = 15
_ENDING_SECONDS = 10
_PIPE_BYTES = 1 << 20
_PR_SET_DUMPABLE = 4
_READING_LIMITS: Limits = {
    "memory_bytes": 1 << 30,
    "file_bytes": 10 << 20,
    "cpu_seconds": READING_SECONDS,
    "open_files": 256,
}
_MAX_ANSWER = 4 << 20


def read_graph(bundle: bytes, entrypoint: str) -> dict[str, Any]:
    """What a flow is, as `dagy.child` tells it. Raises Invalid: its code can't be imported, takes too long, or dies."""
    with started(bundle, entrypoint, limits=_READING_LIMITS) as child:
        answer = _first_line(child.messages, READING_SECONDS)
        exit_code = child.process.wait(5) if answer == b"" else None
    return _understood(answer, exit_code)


@dataclass(frozen=True, slots=True)
class Child:
    """`messages` is the descriptor that its lines come from, `spool` the directory with the files it hands over."""

    process: subprocess.Popen[bytes]
    messages: int
    spool: Path

    def reassure(self) -> None:
        """Tell it that its parent lives. What it does not hear, it does not need to: it may be gone."""
        assert self.process.stdin is not None
        with suppress(OSError):
            os.write(self.process.stdin.fileno(), b".")


@contextmanager
def started(bundle: bytes, entrypoint: str, *, limits: Limits, run: RunRequest | None = None) -> Iterator[Child]:
    """A child that was given the code, in a directory of its own. It does not outlive the block, and nothing that it
    has started does, nor its directory. Raises OSError: no process, or no room on the disk."""
    with tempfile.TemporaryDirectory(prefix="dagy-run-", ignore_cleanup_errors=True) as name:
        code, spool, home = (Path(name) / part for part in ("code", "spool", "home"))
        for made in (code, spool, home):
            made.mkdir()
        bundles.unpack(bundle, code)
        request: Request = {
            "fd": -1,
            "code": str(code),
            "entrypoint": entrypoint,
            "spool": str(spool),
            "limits": limits,
            "run": run,
        }
        with _process(request, home) as (process, messages):
            yield Child(process, messages, spool)


@contextmanager
def _process(request: Request, home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    _hide_own_environment()
    read, write = os.pipe()
    with suppress(OSError, AttributeError):  # Linux, and where the user may: the child goes on while a batch is written
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagy.child"],
            env=_environment(home),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[write],
            start_new_session=True,
        )
    finally:
        os.close(write)
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request | {"fd": write}).encode() + b"\n")
            process.stdin.flush()
        os.set_blocking(process.stdin.fileno(), False)
        yield process, read
    finally:
        os.close(read)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    """One that the system itself can't end (it waits for a disk) must not keep its worker."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDING_SECONDS)
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()


@cache
def _hide_own_environment() -> None:
    """Processes of one user read each other's environment in /proc, but for those that may not be dumped. Linux; root
    reads all the same."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": str(settings.BASE_DIR),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _first_line(answers: int, seconds: float) -> bytes | None:
    """None where none comes in time, b"" where the child ends without one."""
    deadline = monotonic() + seconds
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ)
        while b"\n" not in data and len(data) <= _MAX_ANSWER:
            if not selector.select(max(0.0, deadline - monotonic())):
                return None
            piece = os.read(answers, 1 << 16)
            if not piece:
                return b""
            data += piece
    return data.partition(b"\n")[0]


def _understood(answer: bytes | None, code: int | None) -> dict[str, Any]:
    """The code may write there, too: what it says is taken for its own flow, and only in the form that is known."""
    try:
        found = json.loads(answer or b"")
    except (ValueError, RecursionError):
        fate = f"it took more than {READING_SECONDS} s" if answer is None else f"its process ended with code {code}"
        raise Invalid.field(
            "entrypoint", f"can't be read: {fate}. Importing a flow's file must not do its work"
        ) from None
    if not isinstance(found, dict) or found.get("kind") not in ("graph", "refused"):
        raise Invalid.field("entrypoint", "can't be read: its process said something else than its graph")
    if found["kind"] == "refused":
        raise Invalid.field("entrypoint", str(found.get("message"))[:2000])
    return _graph(found)


def _graph(found: dict[str, Any]) -> dict[str, Any]:
    name = found.get("flow")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 200 or "\0" in name:
        raise Invalid.field("entrypoint", "has a flow whose name is empty, or longer than 200 characters")
    version, problem = found.get("version"), found.get("problem")
    graph: dict[str, Any] = {
        "flow": name.strip(),
        "version": str(version)[:100] if version is not None else None,
        "tasks": _tasks(found.get("tasks")),
        "parameters": _parameters(found.get("parameters")),
        "problem": str(problem)[:2000] if problem is not None else None,
    }
    return plain(graph)  # type: ignore[no-any-return]


def _tasks(found: Any) -> list[dict[str, Any]] | None:
    if found is None:
        return None
    try:
        return [
            {
                "task_id": str(task["task_id"])[:100],
                "name": str(task["name"])[:200],
                "depends_on": [str(upstream)[:100] for upstream in task["depends_on"]],
            }
            for task in found[:10_000]
        ]
    except (TypeError, KeyError):
        raise Invalid.field("entrypoint", "has a graph that can't be understood") from None


def _parameters(found: Any) -> list[dict[str, Any]]:
    try:
        return [
            {
                "name": str(parameter["name"])[:100],
                "hint": str(parameter["hint"])[:200] if parameter["hint"] is not None else None,
                "required": bool(parameter["required"]),
                "default": str(parameter["default"])[:200] if parameter["default"] is not None else None,
            }
            for parameter in found[:200]
        ]
    except (TypeError, KeyError):
        raise Invalid.field("entrypoint", "has parameters that can't be understood") from None
