"""Customers' code runs in child processes alone: in a process group of its own, within limits, and with an environment
that holds nothing of the server's."""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings

from dagy_console.core.errors import Invalid
from dagy_console.runs import bundles
from dagy_console.runs.journal import plain

READING_SECONDS = 15
_PR_SET_DUMPABLE = 4
_READING_LIMITS = {"memory_bytes": 1 << 30, "file_bytes": 10 << 20, "cpu_seconds": READING_SECONDS, "open_files": 256}
_MAX_ANSWER = 4 << 20


def read_graph(bundle: bytes, entrypoint: str) -> dict[str, Any]:
    """What a flow is, as `dagy.child` tells it. Raises Invalid: its code can't be imported, takes too long, or dies."""
    with tempfile.TemporaryDirectory(prefix="dagy-bundle-") as name:
        directory = Path(name)
        code, spool = directory / "code", directory / "spool"
        code.mkdir()
        spool.mkdir()
        bundles.unpack(bundle, code)
        request = {
            "mode": "graph",
            "code": str(code),
            "entrypoint": entrypoint,
            "parameters": {},
            "run_id": "",
            "trigger": "",
            "spool": str(spool),
            "max_workers": 1,
            "fail_fast": True,
            "grace_seconds": 1.0,
            "max_artifact_bytes": 0,
            "limits": _READING_LIMITS,
        }
        with started(request, home=directory) as (process, answers):
            answer = _first_line(answers, READING_SECONDS)
            exit_code = process.wait(5) if answer == b"" else None
    return _understood(answer, exit_code)


@contextmanager
def started(request: dict[str, Any], *, home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A child that was given the request, and the descriptor that its messages come from. It does not outlive the
    block, and nothing that it has started does."""
    _hide_own_environment()
    read, write = os.pipe()
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
            process.stdin.write(json.dumps(request | {"fd": write}).encode())
            process.stdin.close()
        yield process, read
    finally:
        os.close(read)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


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
    except ValueError:
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
