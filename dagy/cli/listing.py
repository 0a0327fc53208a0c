"""`dagy runs list`."""

from __future__ import annotations

from typing import Any

from dagy.cli import output
from dagy.cli.sources import runs_of

_HEAD = ("RUN", "STATUS", "FLOW", "STARTED", "DURATION", "TASKS", "FIRST FAILURE")


def list_runs(arguments: Any) -> int:
    runs = runs_of(arguments)
    lines = runs.listing(status=arguments.status, flow=arguments.flow, limit=arguments.limit)
    if arguments.json:
        output.say_json({"items": [line._asdict() for line in lines]})
        return 0
    if not lines:
        output.say("No runs match." if arguments.status or arguments.flow else "No runs yet: dagy run path.py:flow")
        return 0
    rows = [
        (
            line.run_id,
            line.status,
            output.harmless(output.short(line.flow, 30)),
            output.local_time(line.started_at),
            output.duration(line.duration_seconds),
            f"{line.succeeded}/{line.tasks}",
            output.harmless(output.short(line.failed_task or "", 30)),
        )
        for line in lines
    ]
    for text in output.table(_HEAD, rows, [line.status for line in lines]):
        output.say(text)
    return 0
