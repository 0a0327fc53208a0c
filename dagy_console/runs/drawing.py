"""A run's tasks as pictures: when each ran, and what waited for what. Numbers for SVG; templates draw them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dagy_console.runs.models import TaskRun

# A timeline is so many units wide, whatever its time.
WIDTH = 1_000
# In a column, tasks of one name are drawn as one from this many on: a map over 400 parts is one box that counts them.
FOLDED_FROM = 7
_BOX, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 176, 40, 48, 10, 8
_WORST = ("failed", "timed_out", "running", "cancelled", "skipped", "pending", "succeeded")


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt of a task, in units of the timeline's width."""

    x: float
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a timeline shows."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return max((self.end - self.start).total_seconds(), 0.001)

    def at(self, when: datetime) -> float:
        return max(0.0, min(1.0, (when - self.start).total_seconds() / self.seconds)) * WIDTH

    def bars(self, task: TaskRun) -> list[Bar]:
        """One for each attempt; a task that goes on reaches to the end."""
        times = [(_moment(one.get("started_at")), _moment(one.get("ended_at")), one) for one in task.attempts]
        found = [self._bar(start, end, str(one.get("status", ""))) for start, end, one in times if start]
        if not found and task.started_at:
            return [self._bar(task.started_at, task.ended_at, task.status)]
        return found

    def _bar(self, start: datetime, end: datetime | None, state: str) -> Bar:
        x = self.at(start)
        return Bar(round(x, 1), round(max(self.at(end or self.end) - x, 2.0), 1), state.lower())


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


@dataclass(slots=True)
class Box:
    """A task, or all tasks of one name in a column."""

    label: str
    task_ids: list[str]
    states: dict[str, int]
    column: int
    x: int = 0
    y: int = 0

    @property
    def state(self) -> str:
        """The worst of its tasks'."""
        return next((state for state in _WORST if self.states.get(state)), "pending")


@dataclass(slots=True)
class Graph:
    boxes: list[Box] = field(default_factory=list)
    # Where each line begins and ends.
    edges: list[tuple[int, int, int, int]] = field(default_factory=list)
    width: int = 0
    height: int = 0
    box_width: int = _BOX
    box_height: int = _HEIGHT


def graph(tasks: Sequence[TaskRun]) -> Graph:
    """The DAG from left to right: a task stands right of all that it waits for, near to their heights."""
    upstream = _upstream(tasks)
    columns = _columns(upstream)
    boxes = _boxes(tasks, columns)
    of_task = {task_id: box for box in boxes for task_id in box.task_ids}
    links = {(id(of_task[up]), id(of_task[task])) for task, ups in upstream.items() for up in ups}
    by_id = {id(box): box for box in boxes}
    pairs = [(by_id[start], by_id[end]) for start, end in links if start != end]
    drawn = Graph(boxes)
    _place(drawn, pairs)
    half = _HEIGHT // 2
    drawn.edges = sorted((start.x + _BOX, start.y + half, end.x, end.y + half) for start, end in pairs)
    return drawn


def _upstream(tasks: Iterable[TaskRun]) -> dict[str, list[str]]:
    """Only what is a task of the run: its process may tell anything."""
    known = {task.task_id for task in tasks}
    return {task.task_id: [up for up in task.depends_on if up in known and up != task.task_id] for task in tasks}


def _columns(upstream: dict[str, list[str]]) -> dict[str, int]:
    """The longest way to each task; what waits in a circle is left in column 0."""
    waiting = {task: len(set(ups)) for task, ups in upstream.items()}
    downstream: dict[str, list[str]] = defaultdict(list)
    for task, ups in upstream.items():
        for up in set(ups):
            downstream[up].append(task)
    columns = dict.fromkeys(upstream, 0)
    ready = [task for task, count in waiting.items() if not count]
    while ready:
        task = ready.pop()
        for following in downstream[task]:
            columns[following] = max(columns[following], columns[task] + 1)
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
    return columns


def _boxes(tasks: Sequence[TaskRun], columns: dict[str, int]) -> list[Box]:
    groups: dict[tuple[int, str], list[TaskRun]] = defaultdict(list)
    for task in tasks:
        groups[columns[task.task_id], task.name].append(task)
    boxes = []
    for (column, name), members in groups.items():
        if len(members) >= FOLDED_FROM:
            boxes.append(_box(f"{name} × {len(members)}", members, column))
        else:
            boxes += [_box(task.task_id, [task], column) for task in members]
    return boxes


def _box(label: str, members: list[TaskRun], column: int) -> Box:
    states: dict[str, int] = defaultdict(int)
    for task in members:
        states[task.status.lower()] += 1
    return Box(label, [task.task_id for task in members], dict(states), column)


def _place(drawn: Graph, pairs: list[tuple[Box, Box]]) -> None:
    above: dict[int, list[Box]] = defaultdict(list)
    for start, end in pairs:
        above[id(end)].append(start)
    columns: dict[int, list[Box]] = defaultdict(list)
    for box in drawn.boxes:
        columns[box.column].append(box)
    step = _HEIGHT + _GAP_Y
    tallest = max((len(boxes) for boxes in columns.values()), default=0)
    for column in sorted(columns):
        boxes = columns[column]
        boxes.sort(key=lambda box: _mean([up.y for up in above[id(box)]]))
        top = _MARGIN + (tallest - len(boxes)) * step // 2
        for row, box in enumerate(boxes):
            box.x, box.y = _MARGIN + column * (_BOX + _GAP_X), top + row * step
    drawn.width = 2 * _MARGIN + len(columns) * (_BOX + _GAP_X) - _GAP_X if columns else 0
    drawn.height = 2 * _MARGIN + tallest * step - _GAP_Y if columns else 0


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0
