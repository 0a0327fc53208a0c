"""`dagy logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagy.cli import output
from dagy.cli.sources import runs_of

if TYPE_CHECKING:
    from dagy.local.reading import LoggedEntry


def print_log(arguments: Any) -> int:
    runs = runs_of(arguments)
    run_id = runs.find(arguments.run)
    for entry in runs.log(run_id, arguments.task, arguments.level, follow=arguments.follow):
        if arguments.json:
            output.say_json_line(entry._asdict())
        else:
            output.say(painted(entry))
        if arguments.follow:
            output.flush()
    return 0


def painted(entry: LoggedEntry) -> str:
    line = "\n".join(map(output.harmless, entry.line.split("\n")))
    if not output.has_colour() or not entry.time:
        return line
    level = f"{entry.level:<8}"
    return line.replace(entry.time, output.paint(entry.time, "2"), 1).replace(
        level, output.paint(level, entry.level), 1
    )
