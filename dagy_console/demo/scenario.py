"""What goes wrong and when, as the data says it, and the values that differ between two traces of one bug."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dagy_console.demo.data import load
from dagy_console.demo.tracebacks import expand

PLATFORM = load("platform")
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One bug. `message`, `query` and `body` are filled with `Values`; `traceback` prints `{message}`.

    Without a `method` it is work that no request started; `flow_ids` adds run_id and task_id to the event.
    """

    name: str
    type: str
    message: str
    traceback: str
    share: int = 0
    method: str | None = None
    path: str | None = None
    worker: bool = False
    flow_ids: bool = False
    query: Any = None
    body: Any = None


@dataclass(frozen=True, slots=True)
class Wave:
    """`share` of all traces, of one scenario, between two times ago in `hours`."""

    scenario: str
    share: float
    hours: tuple[float, float]
    growing: bool = False
    organizations: Mapping[str, int] = field(default_factory=dict)


SCENARIOS = {
    table["name"]: Scenario(**table | {"traceback": expand(table["traceback"])})
    for table in load("scenarios")["scenario"]
}
WAVES = [Wave(**table) for table in PLATFORM["wave"]]


def draw_values(rng: Random) -> dict[str, Any]:
    return {name: _draw(rng, choice) for name, choice in PLATFORM["values"].items()}


def fill(template: Any, values: Values, rng: Random) -> Any:
    """`template` with each {name} filled in. `{repeat = 500, of = …}` is a list whose values are drawn anew."""
    if isinstance(template, str):
        whole = template[1:-1] if template.startswith("{") and template.endswith("}") else ""
        return values[whole] if whole in values else template.format_map(values)
    if isinstance(template, list):
        return [fill(item, values, rng) for item in template]
    if isinstance(template, dict) and "repeat" in template:
        numbers = range(template["repeat"])
        return [fill(template["of"], draw_values(rng) | {"number": number}, rng) for number in numbers]
    if isinstance(template, dict):
        return {name: fill(item, values, rng) for name, item in template.items()}
    return template


def _draw(rng: Random, choice: list[Any]) -> Any:
    if isinstance(choice[0], int):
        return rng.randint(*choice)
    return "".join(f"{rng.getrandbits(4):x}" if sign == "#" else sign for sign in rng.choice(choice))
