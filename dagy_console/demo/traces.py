"""A week of traces: the everyday noise of a platform, and an incident in its last two hours."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

from dagy.capture.scrub import FILTERED
from dagy_console.demo.api_scenarios import API_SCENARIOS, DUPLICATE_RUN
from dagy_console.demo.flow_scenarios import FLOW_SCENARIOS
from dagy_console.demo.objects import DemoObject, trace_object, written
from dagy_console.demo.odd import odd_objects
from dagy_console.demo.scenario import Scenario, Values, draw_values
from dagy_console.demo.text import with_message
from dagy_console.demo.worker_scenarios import WORKER_SCENARIOS

EVERYDAY = (*API_SCENARIOS, *FLOW_SCENARIOS, *WORKER_SCENARIOS)
SCENARIOS = (DUPLICATE_RUN, *EVERYDAY)

_SEED = 20260115
_ORGS: dict[str | None, int] = {
    "org_acme": 38,
    "org_globex": 20,
    "org_initech": 12,
    "org_umbrella": 9,
    "org_hooli": 7,
    "org_stark": 5,
    "org_wayne": 4,
    "org_tyrell": 3,
    "org_blue": 3,
    None: 1,
}
_INCIDENT_ORGS: dict[str | None, int] = {
    "org_acme": 50,
    "org_globex": 24,
    "org_initech": 13,
    "org_umbrella": 8,
    "org_stark": 5,
}
_AGENTS = (
    "dagy-python/2.4.1 CPython/3.11.9",
    "dagy-cli/2.4.0 (linux; x86_64)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "GitHub-Hookshot/4f2c1a9",
)


def demo_objects(count: int, *, now: datetime) -> list[DemoObject]:
    """`count` traces, a quarter of them the incident's, then the odd objects. Always the same but for the times."""
    rng = Random(_SEED)  # noqa: S311
    incident = list(islice(_incident(rng, now), count // 4))
    everyday = list(islice(_everyday(rng, now), count - len(incident)))
    return [*incident, *everyday, *odd_objects(now)]


def _incident(rng: Random, now: datetime) -> Iterator[DemoObject]:
    """Denser towards now: it still goes on."""
    while True:
        at = now - timedelta(seconds=20 + 6_900 * (1 - rng.random() ** 0.5))
        yield from _request(rng, DUPLICATE_RUN, _pick(rng, _INCIDENT_ORGS), at)


def _everyday(rng: Random, now: datetime) -> Iterator[DemoObject]:
    weights = [scenario.weight for scenario in EVERYDAY]
    first = list(EVERYDAY)
    while True:
        scenario = first.pop() if first else rng.choices(EVERYDAY, weights)[0]
        yield from _request(rng, scenario, _pick(rng, _ORGS), now - timedelta(seconds=_age(rng)))


def _age(rng: Random) -> float:
    """Seconds: two of three within a day, the rest up to a week."""
    day = 86_400.0
    return rng.uniform(30, day) if rng.random() < 0.66 else rng.uniform(day, 7 * day - 600)


def _request(rng: Random, scenario: Scenario, org_id: str | None, at: datetime) -> Iterator[DemoObject]:
    """The trace of one request, at times with those of the work that it had started."""
    request_id = f"{rng.getrandbits(128):032x}"
    values = draw_values(rng)
    yield _trace(rng, scenario, values, org_id=org_id, request_id=request_id, at=at)
    if scenario.method is None or rng.random() > 0.07:
        return
    for number in range(rng.randint(1, 2)):
        later = at + timedelta(seconds=number * 3 + rng.uniform(0.2, 2.5))
        yield _trace(rng, rng.choice(WORKER_SCENARIOS), values, org_id=org_id, request_id=request_id, at=later)


def _trace(
    rng: Random, scenario: Scenario, values: Values, *, org_id: str | None, request_id: str, at: datetime
) -> DemoObject:
    message = scenario.message.format_map(values)
    body: dict[str, Any] = {
        "timestamp": written(at),
        "request_id": request_id,
        "function_name": scenario.function,
        "exception_type": scenario.type,
        "exception_message": message,
        "traceback": with_message(scenario.traceback, message),
        "http_method": scenario.method,
        "http_path": scenario.path,
        "org_id": org_id,
        "event": _event(rng, scenario, values, request_id),
    }
    if scenario.method:
        body["scrubbed"] = str(body["event"]).count(FILTERED)
    return trace_object(body, at=at)


def _event(rng: Random, scenario: Scenario, values: Values, request_id: str) -> dict[str, Any]:
    event = _http(rng, scenario, values, request_id) if scenario.method else _work(rng, values)
    if scenario.flow_ids:
        event |= {"run_id": values["run_id"], "task_id": values["task_id"]}
    return event


def _http(rng: Random, scenario: Scenario, values: Values, request_id: str) -> dict[str, Any]:
    address = f"203.0.113.{rng.randint(2, 250)}"
    event: dict[str, Any] = {
        "headers": {
            "host": "api.dagy.example",
            "user-agent": rng.choice(_AGENTS),
            "accept": "application/json",
            "authorization": f"Bearer {FILTERED}",
            "x-forwarded-for": address,
            "x-forwarded-proto": "https",
            "x-request-id": request_id,
        }
    }
    if scenario.query:
        event["query"] = scenario.query(values)
    if scenario.body:
        event["body"] = scenario.body(values)
        event["headers"]["content-type"] = "application/json"
    return event | {"remote_addr": address}


def _work(rng: Random, values: Values) -> dict[str, Any]:
    return {
        "flow": values["flow"],
        "task": values["task"],
        "attempt": values["attempt"],
        "queue": "default",
        "worker": f"worker-{rng.randint(1, 6)}@dagy-prod",
    }


def _pick(rng: Random, weights: dict[str | None, int]) -> str | None:
    return rng.choices(list(weights), list(weights.values()))[0]
