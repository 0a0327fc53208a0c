"""What a rule would have done is what checks of those days would have done."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from dagy_console.alerts import checking, measures
from dagy_console.alerts.history import Firing, history
from dagy_console.alerts.models import Alert, Rule
from dagy_console.core.errors import Invalid
from dagy_console.exceptions.index.indexing import put_traces
from dagy_console.runs.models import Run
from tests.alerts.conftest import look
from tests.runs.support import a_run
from tests.traces import NOW, a_trace

# On the grid of checks, as history has it.
END = NOW.replace(second=0, microsecond=0)
SECOND = timedelta(seconds=1)


def a_rule(**terms: Any) -> Rule:
    usual = {"name": "r", "measure": "exception_count", "window_seconds": 300, "op": "above", "value": 2.0}
    return Rule(**(usual | {"severity": "warning", "group_by": [], "created_by": "alice"} | terms))


def traces_at(*moments: datetime, first: int = 0) -> None:
    put_traces([a_trace(first + number, at, random.Random(number)) for number, at in enumerate(moments)])


def test_it_fires_as_long_as_the_window_holds_enough(db: None) -> None:
    began = END - timedelta(days=2)
    traces_at(*(began + number * SECOND for number in range(3)))
    found = history(a_rule(), END)
    assert found.firings == [Firing({}, began + 10 * SECOND, began + 310 * SECOND, 3.0)]
    assert found.share == pytest.approx(300 / (7 * 86_400))
    assert max(value or 0 for _, value in found.points) == found.worst(a_rule()) == 3.0
    assert history(a_rule(for_seconds=120), END).firings[0].since == began + 130 * SECOND
    assert history(a_rule(for_seconds=300), END).firings == []
    assert history(a_rule(value=3.0), END).firings == []


def test_what_still_holds_has_no_end(db: None) -> None:
    traces_at(*(END - number * SECOND for number in range(30, 34)))
    (firing,) = history(a_rule(), END).firings
    assert firing.until is None


def test_hours_keep_it_from_beginning(db: None) -> None:
    began = END - timedelta(days=2)
    traces_at(*(began + number * SECOND for number in range(3)))
    hours = {"days": ["mon"], "from": "00:00", "to": "00:00", "time_zone": "UTC"}
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    other = [day for day in days if day != days[began.weekday()]]
    assert history(a_rule(hours=hours | {"days": days}), END).firings
    assert not history(a_rule(hours=hours | {"days": other}), END).firings


def test_below_is_what_nothing_is_most_of_the_time(db: None) -> None:
    found = history(a_rule(op="below", value=1.0), END)
    assert [firing.until for firing in found.firings] == [None] and found.share == 1.0
    assert found.worst(a_rule(op="below", value=1.0)) == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_the_checks_of_those_hours_found(db: None, clock: Any, seed: int) -> None:
    chance = random.Random(seed)
    look(NOW + timedelta(days=1))
    terms = {
        "op": chance.choice(["above", "above", "below", "change"]),
        "value": chance.choice([1.0, 2.0]),
        "window_seconds": chance.choice([60, 120]),
        "for_seconds": chance.choice([0, 20]),
    }
    terms["group_by"] = [] if terms["op"] == "below" else chance.choice([[], ["type"]])
    began = END - timedelta(minutes=12)
    traces_at(*(began + timedelta(seconds=chance.random() * 660) for _ in range(25)))
    rule = a_rule(**terms)
    rule.save()
    for number in range(73):
        clock(began + timedelta(seconds=10 * number))
        checking.check_due()
    fired = {
        (alert.label, alert.fired_at, alert.resolved_at, alert.peak)
        for alert in Alert.objects.filter(fired_at__isnull=False)
    }
    found = history(rule, END)
    would = {(one.label, one.since, one.until, one.peak) for one in found.firings if one.since >= began}
    if terms["op"] != "below":
        assert would == fired
    else:
        # A check can't know of what was before the first one.
        assert {one.until for one in found.firings} >= {one[2] for one in fired}


def test_what_does_not_add_up_is_asked_for_at_moments(db: None, bob: Any) -> None:
    run = a_run("org_blue")
    began = END - timedelta(days=3)
    Run.objects.filter(pk=run.pk).update(
        status="SUCCEEDED", trigger="manual", started_at=began, ended_at=began + timedelta(hours=5)
    )
    rule = a_rule(measure="run_duration", value=3_600.0 * 3, window_seconds=3_600)
    (firing,) = history(rule, END).firings
    assert abs(firing.since - (began + timedelta(hours=3))) < timedelta(minutes=25)
    assert firing.until and abs(firing.until - (began + timedelta(hours=6))) < timedelta(minutes=25)


def test_without_data_it_does_what_the_rule_says(db: None) -> None:
    rate = {"measure": "failure_rate", "value": 10.0}
    assert history(a_rule(**rate), END).firings == [] and history(a_rule(**rate), END).worst(a_rule(**rate)) is None
    (firing,) = history(a_rule(**rate, no_data="alert"), END).firings
    assert firing.until is None


def test_measures_of_the_moment_have_no_history(db: None) -> None:
    for measure in measures.known():
        if not measure.has_history:
            with pytest.raises(Invalid, match="no history"):
                history(a_rule(measure=measure.name), END)


def test_where_there_is_very_much_it_looks_at_coarser_steps(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagy_console.alerts.history.MOST_BUCKETS", 20)
    traces_at(*(END - number * timedelta(minutes=1, seconds=7) for number in range(1, 60)))
    found: Callable[..., Any] = lambda: history(a_rule(window_seconds=3_600), END)  # noqa: E731
    assert found().step == timedelta(seconds=360) and found().firings
