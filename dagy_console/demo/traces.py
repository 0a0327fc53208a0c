"""A week of traces: the everyday noise of a platform, and the waves of data/platform.toml in it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

from dagy.capture.scrub import FILTERED
from dagy_console.core.times import to_rfc3339
from dagy_console.demo.objects import DemoObject, trace_object
from dagy_console.demo.odd import odd_objects
from dagy_console.demo.scenario import PLATFORM, SCENARIOS, WAVES, Scenario, Values, Wave, draw_values, fill

_DAY = 86_400.0
_EVERYDAY = [scenario for scenario in SCENARIOS.values() if scenario.share]
_WORKERS = [scenario for scenario in SCENARIOS.values() if scenario.worker]
_ORGS: dict[str, int] = {org_id: org["share"] for org_id, org in PLATFORM["organizations"].items()}


def demo_objects(count: int, *, now: datetime) -> list[DemoObject]:
    """`count` traces, then the odd objects. Always the same but for the times."""
    rng = Random(PLATFORM["seed"])  # noqa: S311
    made = [item for wave in WAVES for item in islice(_wave(rng, wave, now), int(count * wave.share))]
    made += islice(_everyday(rng, now), count - len(made))
    return [*made, *odd_objects(now)]


def _wave(rng: Random, wave: Wave, now: datetime) -> Iterator[DemoObject]:
    start, end = wave.hours
    while True:
        part = rng.random() ** 0.5 if wave.growing else rng.random()
        at = now - timedelta(hours=start + (end - start) * part)
        yield from _request(rng, SCENARIOS[wave.scenario], _pick(rng, wave.organizations or _ORGS), at)


def _everyday(rng: Random, now: datetime) -> Iterator[DemoObject]:
    """Each scenario once, then as common as they are; two of three within a day, the rest up to a week ago."""
    first = list(_EVERYDAY)
    while True:
        scenario = first.pop() if first else rng.choices(_EVERYDAY, [item.share for item in _EVERYDAY])[0]
        age = rng.uniform(30, _DAY) if rng.random() < 0.7 else rng.uniform(_DAY, 7 * _DAY - 600)
        org_id = _pick(rng, {**_ORGS, "": PLATFORM["platform_share"]})
        yield from _request(rng, scenario, org_id, now - timedelta(seconds=age))


def _request(rng: Random, scenario: Scenario, org_id: str, at: datetime) -> Iterator[DemoObject]:
    """The trace of one request, at times with those of the work that it had started."""
    values = draw_values(rng) | {"request_id": f"{rng.getrandbits(128):032x}"}
    yield _trace(rng, scenario, values, org_id=org_id, at=at)
    if scenario.method is None or rng.random() > 0.07:
        return
    for number in range(rng.randint(1, 2)):
        later = at + timedelta(seconds=number * 3 + rng.uniform(0.2, 2.5))
        yield _trace(rng, rng.choice(_WORKERS), values, org_id=org_id, at=later)


def _trace(rng: Random, scenario: Scenario, values: Values, *, org_id: str, at: datetime) -> DemoObject:
    message = scenario.message.format_map(values)
    body: dict[str, Any] = {
        "timestamp": to_rfc3339(at),
        "request_id": values["request_id"],
        "function_name": "dagy-worker-prod" if scenario.worker else "dagy-api-prod",
        "exception_type": scenario.type,
        "exception_message": message,
        "traceback": scenario.traceback.replace("{message}", message),
        "http_method": scenario.method,
        "http_path": scenario.path,
        "org_id": org_id or None,
        "event": _event(rng, scenario, values),
    }
    if scenario.method:
        body["scrubbed"] = str(body["event"]).count(FILTERED)
    return trace_object(body, at=at)


def _event(rng: Random, scenario: Scenario, values: Values) -> dict[str, Any]:
    event: dict[str, Any] = fill(PLATFORM["event"]["request" if scenario.method else "work"], values, rng)
    if scenario.query:
        event["query"] = fill(scenario.query, values, rng)
    if scenario.body:
        event["body"] = fill(scenario.body, values, rng)
        event["headers"]["content-type"] = "application/json"
    return event | {name: values[name] for name in ("run_id", "task_id") if scenario.flow_ids}


def _pick(rng: Random, shares: Mapping[str, int]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]
