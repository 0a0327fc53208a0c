"""The tree of a run's tasks on a terminal, drawn again at most ten times a second."""

from __future__ import annotations

import shutil
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING

from dagy.cli import output
from dagy.cli.running import Quiet
from dagy.local.reading import brought_up_to_date
from dagy.states import State

if TYPE_CHECKING:
    from dagy.records import RunRecord, TaskRunRecord, TaskSummary

_INTERVAL = 0.1
_UP, _CLEAR_BELOW = "\x1b[{}A", "\x1b[0J"


class Live(Quiet):
    """Warnings and errors of the log stay above the tree, which has the terminal's height at most: what runs or has
    failed comes first then."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskSummary] = {}
        self._said: list[str] = []
        self._drawn = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, daemon=True)
        self._began = monotonic()

    def run_changed(self, record: RunRecord) -> None:
        with self._lock:
            self.record = record
            self._tasks = {task["task_id"]: task for task in record["tasks"]}
        if record["status"] == State.RUNNING and not self._thread.is_alive() and not self._over.is_set():
            self._thread.start()

    def task_changed(self, record: TaskRunRecord) -> None:
        with self._lock:
            task = self._tasks.get(record["task_id"])
            if task is None:
                return
            self._tasks[record["task_id"]] = brought_up_to_date(task, record)

    def logged(self, line: str) -> None:
        level = line[28:36].strip()
        if level in ("WARNING", "ERROR", "CRITICAL"):
            with self._lock:
                self._said.append(output.paint(output.harmless(line.split("\n")[0]), level))

    def close(self) -> None:
        """Take the tree away: what is printed after it has the last word."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._draw([])

    def _keep_drawing(self) -> None:
        while not self._over.wait(_INTERVAL):
            with self._lock:
                self._draw(self._lines())

    def _draw(self, lines: list[str]) -> None:
        """With the lock held, so that no other thread prints in between."""
        up = _UP.format(self._drawn) if self._drawn else ""
        text = "".join(f"{line}\n" for line in [*self._said, *lines])
        sys.stdout.write(f"{up}\r{_CLEAR_BELOW}{text}")
        sys.stdout.flush()
        self._said.clear()
        self._drawn = len(lines)

    def _lines(self) -> list[str]:
        columns, height = shutil.get_terminal_size((100, 24))
        tasks = list(self._tasks.values())
        room = max(3, height - 4)
        shown = output.tree(tasks) if len(tasks) <= room else [("", task) for task in _worth_seeing(tasks)[:room]]
        wide = max((len(prefix) + len(task["task_id"]) for prefix, task in shown), default=0) + 2
        lines = [_cut(output.task_line(prefix, task, wide), columns) for prefix, task in shown]
        return [*lines, output.paint(self._counts(tasks), "2")]

    def _counts(self, tasks: list[TaskSummary]) -> str:
        counts: dict[str, int] = {}
        for task in tasks:
            counts[task["status"]] = counts.get(task["status"], 0) + 1
        told = ", ".join(f"{count} {status.lower().replace('_', ' ')}" for status, count in counts.items())
        return f"{told} · {output.duration(monotonic() - self._began)}"


def _worth_seeing(tasks: list[TaskSummary]) -> list[TaskSummary]:
    order = {"FAILED": 0, "TIMED_OUT": 0, "RUNNING": 1, "PENDING": 2, "SKIPPED": 3, "CANCELLED": 3, "SUCCEEDED": 4}
    return sorted(tasks, key=lambda task: order.get(task["status"], 2))


def _cut(line: str, columns: int) -> str:
    """A line that wraps would spoil the drawing. Colours take no room: they are counted out roughly."""
    limit = columns - 1 + (20 if output.has_colour() else 0)
    return line if len(line) <= limit else f"{line[: limit - 1]}\x1b[0m" if output.has_colour() else line[:limit]
