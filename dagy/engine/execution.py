"""A flow from its parameters to its result: the graph is built, run, and put on record."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from dagy import graph as graphs
from dagy.arguments import resolve_value
from dagy.backend import LogEntry
from dagy.context import RunContext, current_context, set_context
from dagy.engine import logs
from dagy.engine.clock import Clock
from dagy.engine.errors import error_record, error_type, message_of
from dagy.engine.run import Run
from dagy.engine.words import raised_for
from dagy.errors import ADVICE, DagyError, pattern_of
from dagy.records import SCHEMA_VERSION
from dagy.results import RunResult
from dagy.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from dagy.backend import Backend
    from dagy.flows import Flow
    from dagy.graph import Graph
    from dagy.records import FailureRecord, ProcessRecord, RunRecord, TaskSummary

GRACE_SECONDS = 2.0
"""How long a cancelled run waits for tasks that go on. Their threads can't be ended; their processes are."""

_FILTERED = "[Filtered]"
_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Reused:
    """Outputs of an earlier run, by task id. A task that has one, as all that it waits for have, is not run."""

    run_id: str
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    max_workers: int = 4
    fail_fast: bool = True
    grace_seconds: float = GRACE_SECONDS
    trigger: str = "local"
    reused: Reused | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.max_workers, int) or isinstance(self.max_workers, bool) or self.max_workers < 1:
            raise ValueError(f"max_workers must be a whole number from 1, not {self.max_workers!r}.")


def execute(
    flow: Flow[Any, Any], parameters: dict[str, Any], backend: Backend, run_id: str, options: Options
) -> RunResult:
    """Run a flow with checked parameters. Failures of tasks, and of the flow's own code, are in the result's `error`.

    In the main thread, SIGINT and SIGTERM cancel the run, where nobody else handles them; the second one ends the
    grace time.
    """
    return _Execution(flow, parameters, backend, run_id, options).execute()


class _Execution:
    def __init__(
        self, flow: Flow[Any, Any], parameters: dict[str, Any], backend: Backend, run_id: str, options: Options
    ) -> None:
        self.flow = flow
        self.parameters = parameters
        self.backend = backend
        self.run_id = run_id
        self.options = options
        self.clock = Clock()
        self.began = monotonic()

    def execute(self) -> RunResult:
        self.log(
            "INFO", None, f"Run of flow {self.flow.name!r} began, with up to {self.options.max_workers} tasks at once"
        )
        with self._context():
            try:
                graph, returned = self.flow.build(self.parameters)
                graph.check()
            except BaseException as error:
                return self._broken(error)
            with graphs.building(None):
                return self._run(graph, returned)

    def log(self, level: str, task_id: str | None, message: str) -> None:
        self.backend.log(LogEntry(self.clock.text(), level, task_id, message))

    def _run(self, graph: Graph, returned: Any) -> RunResult:
        log_prints = any(_prints(self.flow, node.task) for node in graph.nodes.values())
        with ExitStack() as stack:
            stack.enter_context(logs.captured(log_prints=log_prints))
            run = Run(
                run_id=self.run_id,
                flow_name=self.flow.name,
                graph=graph,
                backend=self.backend,
                clock=self.clock,
                log=self.log,
                max_workers=self.options.max_workers,
                fail_fast=self.options.fail_fast,
                log_prints=self.flow.log_prints,
                grace_seconds=self.options.grace_seconds,
                nursery=stack.enter_context(_nursery(graph)),
                on_cancelling=lambda reason: self._cancelling(run, reason),
            )
            self._tell(self._record(State.RUNNING, _summaries(run)))
            stack.enter_context(self._signals(run))
            if self.options.reused is not None:
                run.reuse(self.options.reused.run_id, self.options.reused.outputs)
            run.begin()
            return self._ended(run, returned)

    def _cancelling(self, run: Run, reason: str) -> None:
        self.log("WARNING", None, f"Cancelling: {reason}")
        self._tell(self._record(State.CANCELLING, _summaries(run), reason=reason))

    def _ended(self, run: Run, returned: Any) -> RunResult:
        first = run.first_failure
        error = raised_for(first) if first is not None else None
        cancelled = run.cancel_reason is not None and any(s.status is State.CANCELLED for s in run.states.values())
        status = State.CANCELLED if cancelled else State.FAILED if error is not None else State.SUCCEEDED
        failed = None if first is None else f"task {first.task_id!r} ended {first.status}"
        reason = run.cancel_reason if cancelled else failed
        failure = _failure(first.error, first.task_id, len(first.attempts)) if first and first.error else None
        record = self._record(status, _summaries(run), reason=reason, failure=failure, ended=monotonic())
        self.log("INFO" if status is State.SUCCEEDED else "ERROR", None, _told(record))
        self._tell(record)
        return RunResult(
            run_id=self.run_id,
            status=status,
            outputs=dict(run.outputs),
            task_runs={task_id: state.task_run() for task_id, state in run.states.items()},
            value=resolve_value(returned, run.outputs),
            record=record,
            error=error,
            interruption=run.interruption,
        )

    def _broken(self, error: BaseException) -> RunResult:
        """The flow's own code raised, or its graph can't be run: no task has begun."""
        interrupted = isinstance(error, KeyboardInterrupt)
        status = State.CANCELLED if interrupted else State.FAILED
        reason = "interrupted while the flow was built" if interrupted else f"{error_type(error)}: {message_of(error)}"
        failure = None if interrupted else _failure(error, None, None)
        record = self._record(status, [], reason=reason[:500], failure=failure, ended=monotonic())
        self.log("ERROR", None, f"{_told(record)}\n{error_record(error)['traceback'].rstrip()}")
        self._tell(record)
        return RunResult(self.run_id, status, {}, {}, None, record, error)

    def _record(
        self,
        status: State,
        tasks: list[TaskSummary],
        *,
        reason: str | None = None,
        failure: FailureRecord | None = None,
        ended: float | None = None,
    ) -> RunRecord:
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "flow": {"name": self.flow.name, "version": self.flow.version, "source": self.flow.source},
            "status": status.value,
            "reason": reason,
            "trigger": self.options.trigger,
            "parameters": recorded(self.parameters),
            "started_at": self.clock.text(self.began),
            "ended_at": None if ended is None else self.clock.text(ended),
            "duration_seconds": None if ended is None else round(ended - self.began, 6),
            "options": {"max_workers": self.options.max_workers, "fail_fast": self.options.fail_fast},
            "process": _process(),
            "failure": failure,
            "tasks": tasks,
        }

    def _tell(self, record: RunRecord) -> None:
        self.backend.run_changed(record)

    @contextmanager
    def _context(self) -> Iterator[None]:
        """The flow's own code has a RunContext too; a run inside a task gives that task's back."""
        before = current_context()
        set_context(RunContext(run_id=self.run_id, flow_name=self.flow.name, log=self.log, stop=threading.Event()))
        try:
            yield
        finally:
            set_context(before)

    @contextmanager
    def _signals(self, run: Run) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def cancel(number: int, _frame: FrameType | None) -> None:
            run.cancel(KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number))

        ours: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        taken = [number for number, usual in ours.items() if signal.getsignal(number) is usual]
        for number in taken:
            signal.signal(number, cancel)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, ours[number])


def recorded(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the record holds them: secrets (by their names, at any depth) filtered, what isn't JSON by its
    repr."""
    return {name: _json_or_repr(_without_secrets(name, value)) for name, value in parameters.items()}


def _without_secrets(name: object, value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict) and depth < _DEPTH:
        return {key: _without_secrets(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and depth < _DEPTH:
        return [_without_secrets(name, item, depth + 1) for item in value]
    return _FILTERED if isinstance(value, (str, bytes)) and _is_secret(str(name)) else value


def _is_secret(name: str) -> bool:
    from dagy.secrecy import secrecy_of  # its patterns take ten milliseconds to compile

    return bool(secrecy_of(name))


def _json_or_repr(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _short_repr(value)
    return value


def _short_repr(value: Any) -> str:
    try:
        return repr(value)[:1000]
    except Exception:
        return f"<{type(value).__qualname__}>"


def _failure(error: BaseException, task_id: str | None, attempt: int | None) -> FailureRecord:
    known = error_record(error)
    return {
        "task_id": task_id,
        "attempt": attempt,
        "error_type": known["type"],
        "message": known["message"],
        "traceback": known["traceback"],
        "advice": _advice(error, known["type"], task_id),
    }


def _advice(error: BaseException, kind: str, task_id: str | None) -> str:
    if task_id is None and not isinstance(error, DagyError):
        return "The flow's own code raised, before any task began: read the traceback."
    return ADVICE[pattern_of(kind)]


def _summaries(run: Run) -> list[TaskSummary]:
    return [state.summary() for state in run.states.values()]


def _told(record: RunRecord) -> str:
    counts: dict[str, int] = {}
    for task in record["tasks"]:
        counts[task["status"]] = counts.get(task["status"], 0) + 1
    listed = ", ".join(f"{count} {status}" for status, count in counts.items())
    reason = f": {record['reason']}" if record["reason"] else ""
    return f"Run {record['status']} after {record['duration_seconds']:.3g} s{reason}" + (
        f" ({listed})" if listed else ""
    )


def _process() -> ProcessRecord:
    from dagy import __version__

    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "dagy": __version__,
    }


def _prints(flow: Flow[Any, Any], task: Any) -> bool:
    return flow.log_prints if task.log_prints is None else task.log_prints


@contextmanager
def _nursery(graph: Graph) -> Iterator[Any]:
    if not any(node.task.isolation == "process" for node in graph.nodes.values()):
        yield None
        return
    from dagy.engine.processes import Nursery

    with Nursery(graph) as nursery:
        yield nursery
