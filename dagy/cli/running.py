"""`dagy run`: a flow on this machine, with a live tree of its tasks on a terminal, or plain lines in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagy.cli import output
from dagy.cli.exits import Exit
from dagy.cli.parameters import parameters_of
from dagy.cli.showing import say_failure, say_head
from dagy.errors import DependencyCycleError, TaskFailedError
from dagy.loading import load_flow
from dagy.local import run as run_locally
from dagy.states import State

if TYPE_CHECKING:
    from dagy.records import RunRecord, TaskRunRecord


def run(arguments: Any) -> int:
    flow = load_flow(arguments.target)
    parameters = parameters_of(arguments, flow.signature)
    watch = _watch(as_json=arguments.json)
    try:
        run_locally(flow, parameters, max_workers=arguments.max_workers, fail_fast=arguments.fail_fast, watch=watch)
    except TaskFailedError:
        pass
    except (KeyboardInterrupt, DependencyCycleError):
        if watch.record is None:
            raise
    except Exception:
        if watch.record is None or watch.record["failure"] is None:
            raise
    finally:
        watch.close()
    return _ended(watch.record, as_json=arguments.json)


def _ended(record: RunRecord | None, *, as_json: bool) -> int:
    assert record is not None
    if as_json:
        output.say_json(record)
    else:
        output.say()
        _say_end(record)
    if record["status"] == State.CANCELLED:
        return Exit.CANCELLED
    return Exit.OK if record["status"] == State.SUCCEEDED else Exit.RUN_FAILED


def _say_end(record: RunRecord) -> None:
    if output.is_terminal():
        say_head(record)
        for line in output.task_lines(record["tasks"])[:200]:
            output.say(line)
    if record["failure"]:
        output.say()
        say_failure(record["failure"])
    status = record["status"]
    output.say(
        f"{output.mark(status)} {output.paint(status, status)} in {output.duration(record['duration_seconds'])}"
        f"  run {record['run_id']}"
    )
    if record["failure"]:
        output.say(f"More: dagy doctor {record['run_id']}")


def _watch(*, as_json: bool) -> Quiet:
    if as_json:
        return Quiet()
    if output.is_terminal():
        from dagy.cli.live import Live

        return Live()
    return Lines()


class Quiet:
    """Keeps the run's record, and shows nothing."""

    record: RunRecord | None = None

    def run_changed(self, record: RunRecord) -> None:
        self.record = record

    def task_changed(self, record: TaskRunRecord) -> None: ...

    def logged(self, line: str) -> None: ...

    def close(self) -> None: ...


class Lines(Quiet):
    """The log's lines, as they come."""

    def logged(self, line: str) -> None:
        try:
            output.say(line)
            output.flush()
        except BrokenPipeError:  # `dagy run … | head`: the run goes on, and its exit code stands
            output.silence()
