"""How things look on a terminal, and in a pipe."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagy.records import TaskSummary

_COLOURS = {
    "SUCCEEDED": "32",
    "FAILED": "31",
    "TIMED_OUT": "31",
    "RUNNING": "36",
    "CANCELLING": "33",
    "CANCELLED": "33",
    "ERROR": "31",
    "CRITICAL": "31",
    "WARNING": "33",
    "SKIPPED": "2",
    "PENDING": "2",
    "QUEUED": "2",
    "DEBUG": "2",
}
MARKS = {
    "SUCCEEDED": "✓",
    "FAILED": "✗",
    "TIMED_OUT": "✗",
    "RUNNING": "●",
    "CANCELLING": "●",
    "CANCELLED": "⊘",
    "SKIPPED": "↷",
    "PENDING": "·",
    "QUEUED": "·",
}
_PLAIN_MARKS = {"✓": "+", "✗": "x", "●": "*", "⊘": "-", "↷": ">", "·": "."}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def is_terminal(stream: TextIO | None = None) -> bool:
    stream = stream or sys.stdout
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO | None = None) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`style` is a status, a level, or codes such as `1` for bold."""
    codes = _COLOURS.get(style, style)
    return f"\x1b[{codes}m{text}\x1b[0m" if has_colour(stream) and codes[:1].isdigit() else text


def mark(status: str, stream: TextIO | None = None) -> str:
    found = MARKS.get(status, "?")
    encoding = (stream or sys.stdout).encoding or "ascii"
    try:
        found.encode(encoding)
    except UnicodeEncodeError:
        found = _PLAIN_MARKS.get(found, found)
    return paint(found, status, stream)


def say(text: str = "") -> None:
    """Print what may come from anybody: control characters are made visible on a terminal."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def harmless(text: str) -> str:
    """A text without what a terminal would obey."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text) if is_terminal() else text


def flush() -> None:
    sys.stdout.flush()


def silence() -> None:
    """Nobody reads any more: what is printed from now on goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_json(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def say_json_line(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False, default=str))


def short(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: max(1, length - 1)]}…"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def local_time(text: str | None) -> str:
    """In the machine's own time zone, to the second."""
    try:
        return datetime.fromisoformat(text or "").astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text or "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], statuses: Sequence[str] = ()) -> list[str]:
    """Lines of a table; the cell that says a row's status has its colour."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [paint("  ".join(cell.ljust(w) for cell, w in zip(head, widths, strict=True)).rstrip(), "2")]
    for n, row in enumerate(rows):
        cells = [cell.ljust(w) for cell, w in zip(row, widths, strict=True)]
        if statuses:
            cells = [paint(c, statuses[n]) if row[i] == statuses[n] else c for i, c in enumerate(cells)]
        lines.append("  ".join(cells).rstrip())
    return lines


def tree(tasks: Sequence[TaskSummary]) -> list[tuple[str, TaskSummary]]:
    """Tasks as a tree: each below the last of those that it waits for, with the prefix that draws the branch."""
    ids = {task["task_id"]: n for n, task in enumerate(tasks)}
    children: dict[str | None, list[TaskSummary]] = {}
    for task in tasks:
        upstream = [up for up in task["depends_on"] if up in ids]
        parent = max(upstream, key=ids.__getitem__, default=None)
        children.setdefault(parent, []).append(task)
    drawn: list[tuple[str, TaskSummary]] = []
    waiting = [("", True, task, True) for task in reversed(children.get(None, []))]
    while waiting:
        indent, last, task, top = waiting.pop()
        drawn.append((indent if top else f"{indent}{'└ ' if last else '├ '}", task))
        below = children.pop(task["task_id"], [])
        inner = indent if top else f"{indent}{'  ' if last else '│ '}"
        if len(inner) > 40:  # a long chain stays on the screen
            inner = inner[:40]
        for n, child in enumerate(reversed(below)):
            waiting.append((inner, n == 0, child, False))
    return drawn


def task_line(prefix: str, task: TaskSummary, name_width: int) -> str:
    retried = f"{task['attempts']} attempts" if task["attempts"] > 1 else ""
    note = task["error_type"] if task["error_type"] and task["status"] != "SUCCEEDED" else ""
    if task["status"] in ("SKIPPED", "CANCELLED") and task["reason"]:
        note = task["reason"]
    label = f"{prefix}{mark(task['status'])} {task['task_id']}"
    padding = " " * max(1, name_width - len(prefix) - len(task["task_id"]))
    parts = [f"{task['status']:<9}", f"{duration(task['duration_seconds']):>9}", retried, short(note, 60)]
    return f"{label}{padding}{paint(parts[0], task['status'])} " + harmless("  ".join(filter(None, parts[1:])))


def task_lines(tasks: Sequence[TaskSummary]) -> list[str]:
    drawn = tree(tasks)
    wide = max((len(prefix) + len(task["task_id"]) for prefix, task in drawn), default=0) + 2
    return [task_line(prefix, task, wide) for prefix, task in drawn]
