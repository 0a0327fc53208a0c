"""A run in a process of its own, which tells its parent over a pipe: how the platform's workers run flows.

Its standard input is one line of JSON, see `Request`, and then, while it runs, a byte now and then: a parent that is
silent for too long is gone. What happens is written to the file descriptor `request["fd"]`, a JSON object a line, in
this order of things:

- `{"kind": "graph", "flow": …, "version": …, "parameters": […], "tasks": […]}`: what the flow is, where nothing is run
- `{"kind": "run", "record": …}`, `{"kind": "task", "record": …}`: see `dagy.records`
- `{"kind": "log", "time": …, "level": …, "task_id": …, "message": …}`
- `{"kind": "stored", "task_id": …, "name": …, "path": …, "size_bytes": …, "content_type": …}`: a file in
  `request["spool"]`, which is the parent's from then on
- `{"kind": "refused", "error_type": …, "message": …, "traceback": …}`: the flow can't be loaded, or not with these
  parameters. Nothing was run then

The code of the flow can write there, too: a parent believes none of it beyond what that run may say of itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

from dagy.artifacts import OUTPUT_NAME, LocalArtifact, checked_name, checked_size
from dagy.engine.errors import error_record
from dagy.engine.execution import Options, Reused, execute
from dagy.errors import DagyError
from dagy.loading import load_flow
from dagy.local.writing import replace
from dagy.serialization import loads

if TYPE_CHECKING:
    from dagy.backend import LogEntry
    from dagy.flows import Flow
    from dagy.records import ArtifactRecord, OutputRecord, RunRecord, TaskRunRecord

MAX_MESSAGE_CHARACTERS = 100_000
"""Of one log entry; what is longer is cut, and says so."""


_encoded = json.JSONEncoder(default=repr, separators=(",", ":")).encode
_quoted = json.encoder.encode_basestring_ascii


class Limits(TypedDict, total=False):
    """What the process may use, from before the flow's code is loaded; no entry, no limit."""

    memory_bytes: int
    """Of addresses (RLIMIT_AS): more is a MemoryError in the task that asked for it."""
    file_bytes: int
    """Of each file that is written."""
    cpu_seconds: int
    open_files: int


class RunRequest(TypedDict):
    """What is to be run."""

    run_id: str
    trigger: str
    parameters: dict[str, Any]
    max_workers: int
    fail_fast: bool
    grace_seconds: float
    max_artifact_bytes: int
    reused_from: str | None
    """An earlier run whose outputs are taken over; None: every task is run."""
    reused: dict[str, str]
    """Task id to the directory with its output, and the files in it."""
    secrets: dict[str, str]
    """Set in the environment once the process runs: what it was started with is for others on the machine to see."""
    silence_seconds: float
    """After so long without a byte from its parent, the process ends itself and all that it has started."""


class Request(TypedDict):
    fd: int
    code: str
    """The directory with the flow's code."""
    entrypoint: str
    """`path/in/it.py:variable`."""
    spool: str
    limits: Limits
    run: RunRequest | None
    """None reads what the flow is; nothing is run then."""


def main() -> NoReturn:
    """Exits with 0 where the run succeeded or the graph was read, 1 where it did not, 3 where the flow was refused."""
    request: Request = json.loads(sys.stdin.buffer.readline())
    run = request["run"]
    pipe = Pipe(request["fd"], request["spool"], run["max_artifact_bytes"] if run else 0)
    silence = run["silence_seconds"] if run else None
    threading.Thread(target=_end_with_parent, args=(request["fd"], _heart(), silence), daemon=True).start()
    os.environ.update(run["secrets"] if run else {})
    limit(request["limits"])
    os.chdir(request["code"])
    try:
        flow = load_flow(request["entrypoint"])
        parameters = flow.checked(run["parameters"]) if run else {}
    except DagyError as error:
        pipe.refuse(error)
        os._exit(3)
    succeeded = _run(flow, parameters, pipe, run) if run else _tell_graph(flow, pipe)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if succeeded else 1)  # tasks that were left alone must not keep the process


def _heart() -> int:
    """Standard input from the parent, kept from the flow's code."""
    heart = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return heart


def _end_with_parent(fd: int, heart: int, silence: float | None) -> NoReturn:
    """A run must not go on that nobody can cancel or see: its parent was killed, or hangs, and another worker may take
    the run over."""
    import select
    import signal

    watcher = select.poll()
    watcher.register(fd, 0)  # errors are told of unasked
    if silence is not None:
        watcher.register(heart, select.POLLIN)
    milliseconds = None if silence is None else int(silence * 1000)
    # Where this thread itself was kept from running, what came meanwhile counts.
    while ready := watcher.poll(milliseconds) or watcher.poll(0):
        if ready != [(heart, select.POLLIN)] or not os.read(heart, 4096):
            break
    if os.getpgrp() == os.getpid():  # with all that it has started, where the group is its own
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def limit(limits: Limits) -> None:
    """Children of the process are limited alike. No core file is left behind."""
    import resource

    named = {
        "memory_bytes": resource.RLIMIT_AS,
        "file_bytes": resource.RLIMIT_FSIZE,
        "cpu_seconds": resource.RLIMIT_CPU,
        "open_files": resource.RLIMIT_NOFILE,
    }
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, number in named.items():
        most = limits.get(name)
        if isinstance(most, int):
            resource.setrlimit(number, (most, most))


def _run(flow: Flow[Any, Any], parameters: dict[str, Any], pipe: Pipe, request: RunRequest) -> bool:
    options = Options(
        max_workers=request["max_workers"],
        fail_fast=request["fail_fast"],
        grace_seconds=request["grace_seconds"],
        trigger=request["trigger"],
        reused=_reused(request),
    )
    return execute(flow, parameters, pipe, request["run_id"], options).status == "SUCCEEDED"


def _reused(request: RunRequest) -> Reused | None:
    if request["reused_from"] is None:
        return None
    outputs = {task_id: _output(Path(directory)) for task_id, directory in request["reused"].items()}
    return Reused(request["reused_from"], outputs)


def _output(directory: Path) -> Any:
    data = (directory / OUTPUT_NAME).read_bytes()
    return loads(data, lambda name: LocalArtifact(directory / checked_name(name), name=name))


def _tell_graph(flow: Flow[Any, Any], pipe: Pipe) -> bool:
    """A flow whose parameters have no defaults has no graph yet: `tasks` is null then, as where its code raises."""
    tasks: list[dict[str, Any]] | None = None
    problem: str | None = None
    if flow.signature.required():
        problem = f"its graph depends on parameters without defaults: {', '.join(flow.signature.required())}"
    else:
        try:
            nodes = flow.graph().nodes
            tasks = [
                {"task_id": task_id, "name": node.task.name, "depends_on": list(node.upstream)}
                for task_id, node in nodes.items()
            ]
        except Exception as error:  # noqa: BLE001
            problem = f"{type(error).__qualname__}: {error}"
    pipe.send(
        {
            "kind": "graph",
            "flow": flow.name,
            "version": flow.version,
            "parameters": flow.signature.described(),
            "tasks": tasks,
            "problem": problem,
        }
    )
    return True


class Pipe:
    """A `dagy.backend.Backend`. A line is written as a whole, whichever thread writes it; a parent that reads slowly
    slows the run down, and loses nothing."""

    def __init__(self, fd: int, spool: str, max_artifact_bytes: int) -> None:
        self.max_artifact_bytes = max_artifact_bytes
        self._fd = fd
        self._spool = Path(spool)
        self._lock = threading.Lock()

    def run_changed(self, record: RunRecord) -> None:
        self.send({"kind": "run", "record": record})

    def task_changed(self, record: TaskRunRecord) -> None:
        self.send({"kind": "task", "record": record})

    def log(self, entry: LogEntry) -> None:
        time, level, task_id, message = entry
        if len(message) > MAX_MESSAGE_CHARACTERS:
            message = f"{message[:MAX_MESSAGE_CHARACTERS]} … ({len(message):,} characters, cut)"
        task = _quoted(task_id) if task_id is not None else "null"
        # A flow may say a lot: assembled here, it takes half the time.
        self._write(
            f'{{"kind":"log","time":"{time}","level":{_quoted(level)},"task_id":{task},"message":{_quoted(message)}}}'
        )

    def store_output(self, task_id: str, data: bytes) -> OutputRecord:
        self._store(task_id, OUTPUT_NAME, data, "application/json")
        return {"path": f"{task_id}/{OUTPUT_NAME}", "size_bytes": len(data)}

    def store_artifact(self, task_id: str, artifact: LocalArtifact, name: str) -> ArtifactRecord:
        checked_size(task_id, artifact, name, self.max_artifact_bytes)
        data = artifact.read_bytes()
        artifact.path = self._store(task_id, name, data, artifact.content_type)
        return {
            "name": name,
            "path": f"{task_id}/{name}",
            "size_bytes": len(data),
            "content_type": artifact.content_type,
            "sha256": hashlib.sha256(data).hexdigest(),
        }

    def refuse(self, error: BaseException) -> None:
        known = error_record(error)
        self.send(
            {
                "kind": "refused",
                "error_type": known["type"],
                "message": known["message"],
                "traceback": known["traceback"],
            }
        )

    def send(self, message: dict[str, Any]) -> None:
        self._write(_encoded(message))

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode()
        with self._lock:
            while data:
                data = data[os.write(self._fd, data) :]

    def _store(self, task_id: str, name: str, data: bytes, content_type: str) -> str:
        """Where the tasks that follow find it. The parent takes away a second link to it, whose name says nothing: only
        the parent decides where that goes."""
        number = hashlib.sha256(f"{task_id}/{name}".encode()).hexdigest()
        kept, path = self._spool / "kept" / number / name, self._spool / number
        kept.parent.mkdir(parents=True, exist_ok=True)
        replace(str(kept), data)
        path.unlink(missing_ok=True)
        os.link(kept, path)
        self.send(
            {
                "kind": "stored",
                "task_id": task_id,
                "name": name,
                "path": str(path),
                "size_bytes": len(data),
                "content_type": content_type,
            }
        )
        return str(kept)


if __name__ == "__main__":
    main()
