"""`dagy runs show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dagy.cli import output
from dagy.cli.sources import runs_of

if TYPE_CHECKING:
    from dagy.records import FailureRecord, RunRecord


def show(arguments: Any) -> int:
    runs = runs_of(arguments)
    record = runs.record(runs.find(arguments.run))
    if arguments.json:
        output.say_json(record)
        return 0
    say_head(record)
    for line in output.task_lines(record["tasks"]):
        output.say(line)
    if record["failure"]:
        output.say()
        say_failure(record["failure"])
        output.say(f"More: dagy doctor {record['run_id']}")
    return 0


def say_head(record: RunRecord) -> None:
    flow = record["flow"]
    version = f" (version {flow['version']})" if flow["version"] else ""
    output.say(
        f"{output.mark(record['status'])} {output.paint(record['status'], record['status'])}  run {record['run_id']}"
    )
    output.say(output.harmless(f"  flow        {flow['name']}{version}"))
    output.say(f"  started     {output.local_time(record['started_at'])}")
    output.say(f"  duration    {output.duration(record['duration_seconds'])}")
    if record["parameters"]:
        given = ", ".join(
            f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in record["parameters"].items()
        )
        output.say(output.harmless(f"  parameters  {output.short(given, 200)}"))
    if record["reason"]:
        output.say(output.harmless(f"  reason      {output.short(record['reason'], 200)}"))
    output.say()


def say_failure(failure: FailureRecord) -> None:
    """The first failure: where, what, and what to do."""
    where = f"task {failure['task_id']}, attempt {failure['attempt']}" if failure["task_id"] else "the flow itself"
    output.say(output.paint(f"First failure: {where}", "1"))
    message = output.short(failure["message"], 400)
    said = message if message.startswith(failure["error_type"]) else f"{failure['error_type']}: {message}"
    output.say(f"  {output.paint(output.harmless(said), 'ERROR')}")
    output.say(f"  {failure['advice']}")
    if failure["task_id"] is None:
        for line in failure["traceback"].rstrip().split("\n"):
            output.say(output.harmless(f"  {line}"))
