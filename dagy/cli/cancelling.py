"""`dagy cancel`."""

from __future__ import annotations

from typing import Any

from dagy.cli import output
from dagy.cli.sources import runs_of


def cancel(arguments: Any) -> int:
    runs = runs_of(arguments)
    run_id = runs.find(arguments.run)
    status = runs.cancel(run_id, arguments.reason)
    if arguments.json:
        output.say_json({"run_id": run_id, "status": status})
    else:
        output.say(f"{output.mark(status)} {output.paint(status, status)}  run {run_id}")
    return 0
