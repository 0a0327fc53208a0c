"""`dagy doctor`: what failed first, its last words, what to do, and where its files lie."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from dagy.cli import output
from dagy.cli.logging import painted
from dagy.cli.showing import say_failure, say_head
from dagy.cli.sources import runs_of
from dagy.errors import pattern_of
from dagy.local import places

if TYPE_CHECKING:
    from dagy.cli.sources import Runs
    from dagy.local.reading import LoggedEntry
    from dagy.records import RunRecord

_LINES = 20


def diagnose(arguments: Any) -> int:
    runs = runs_of(arguments)
    record = runs.record(runs.find(arguments.run))
    failure = record["failure"]
    entries = _last_lines(runs, record)
    if arguments.json:
        output.say_json(_as_json(runs, record, entries))
        return 0
    say_head(record)
    if failure is None:
        output.say("Nothing failed." if record["status"] == "SUCCEEDED" else "No task has failed.")
        return 0
    say_failure(failure)
    output.say(f"  Pattern: {pattern_of(failure['error_type'])}")
    _say_block("Traceback", failure["traceback"].rstrip().split("\n") if failure["traceback"] else [])
    _say_block(f"Last lines of its log ({_LINES} at most)", [painted(entry) for entry in entries])
    _say_block("Not run because of it", [output.short(text, 100) for text in _cascade(record)])
    _say_block("Files", _files(runs, record))
    return 0


def _last_lines(runs: Runs, record: RunRecord) -> list[LoggedEntry]:
    task_id = record["failure"] and record["failure"]["task_id"]
    return list(deque(runs.log(record["run_id"], task_id, None, follow=False), _LINES))


def _cascade(record: RunRecord) -> list[str]:
    return [
        f"{task['task_id']}: {task['status']}" for task in record["tasks"] if task["status"] in ("SKIPPED", "CANCELLED")
    ]


def _files(runs: Runs, record: RunRecord) -> list[str]:
    if runs.where != "local":
        return []
    task_id = record["failure"] and record["failure"]["task_id"]
    run = places.run_dir(record["run_id"])
    task = (
        [str(places.task_dir(record["run_id"], task_id)), str(places.artifacts_dir(record["run_id"], task_id))]
        if task_id
        else []
    )
    return [str(run), *task]


def _as_json(runs: Runs, record: RunRecord, entries: list[LoggedEntry]) -> dict[str, Any]:
    failure = record["failure"]
    return {
        "run_id": record["run_id"],
        "status": record["status"],
        "reason": record["reason"],
        "failure": failure and {**failure, "pattern": pattern_of(failure["error_type"])},
        "log": [entry._asdict() for entry in entries],
        "not_run": _cascade(record),
        "files": _files(runs, record),
    }


def _say_block(title: str, lines: list[str]) -> None:
    if not lines:
        return
    output.say()
    output.say(output.paint(title, "1"))
    for line in lines:
        output.say(f"  {line if output.has_colour() and line.startswith(chr(27)) else output.harmless(line)}")
