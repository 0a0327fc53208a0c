"""Each measure says what it promises, for all rows, for one organization, and for each value of a dimension."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dagy_console.accounts.models import Organization
from dagy_console.alerts import heartbeat, measures
from dagy_console.alerts.measures import Asked, Broken, Values
from dagy_console.alerts.models import Channel, CheckerState
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import health
from dagy_console.core.errors import Invalid
from dagy_console.exceptions.index.indexing import put_traces
from dagy_console.exceptions.models import Trace, TraceGroup
from dagy_console.runs.models import Run
from tests.runs.support import a_run
from tests.traces import NOW, a_trace

HOUR = timedelta(hours=1)


def ask(name: str, query: str = "", *, org_id: str = "", by: tuple[str, ...] = (), end: datetime = NOW) -> Values:
    """What it was in the hour before `end`."""
    (found,) = measures.get(name).values([Asked(query, org_id, by, end - HOUR, end)])
    assert not isinstance(found, Broken), found.problem
    return found


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.fixture
def traces(db: None) -> None:
    """Of the last hour 40, of the one before 10."""
    put_traces([a_trace(number, ago(5 if number < 40 else 90), random.Random(number)) for number in range(50)])


@pytest.fixture
def a_flow_run(bob: Any) -> Callable[..., Run]:
    def make(flow: str = "nightly", **fields: Any) -> Run:
        known = Run.objects.filter(flow__name=flow).first()
        run = a_run("org_blue", name=flow) if known is None else _another(known)
        Run.objects.filter(pk=run.pk).update(**({"trigger": "manual"} | fields))
        run.refresh_from_db()
        return run

    return make


def _another(known: Run) -> Run:
    return Run.objects.create(
        organization_id=known.organization_id, flow=known.flow, deployment=known.deployment, parameters={}
    )


def test_exceptions_are_counted(traces: None) -> None:
    assert ask("exception_count") == {(): 40.0}
    keys = Trace.objects.filter(timestamp__gte=ago(60), exception_type="KeyError")
    assert ask("exception_count", "type:KeyError") == {(): keys.count()}
    assert ask("exception_count", org_id="org_1") == {
        (): Trace.objects.filter(timestamp__gte=ago(60), org_id="org_1").count()
    }
    by_both = ask("exception_count", "-type:KeyError", by=("org", "method"))
    assert sum(by_both.values()) == 40 - keys.count() and ("org_2", "POST") in by_both
    assert ask("exception_count", "type:None") == {(): 0.0}
    assert ask("exception_count", "type:None", by=("org",)) == {}


def test_organizations_that_are_hit_are_counted_once(traces: None) -> None:
    assert ask("organizations_affected") == {(): 3.0}
    assert ask("organizations_affected", "org:org_1") == {(): 1.0}


def test_new_groups_and_regressions(traces: None) -> None:
    TraceGroup.objects.filter(fingerprint="f1").update(first_seen=ago(10))
    TraceGroup.objects.filter(fingerprint="f2").update(first_seen=ago(100), regressed_at=ago(20))
    assert ask("new_group") == ask("new_group", org_id="org_1") == {(): 1.0}
    assert ask("new_group", by=("group",)) == {("f1",): 1.0}
    assert ask("regression", by=("group",)) == {("f2",): 1.0}
    assert ask("new_group", org_id="org_9") == {(): 0.0}
    with pytest.raises(Invalid, match="no key first"):
        measures.get("new_group").parse("first:-1h")


def test_runs_that_failed_and_their_share_but_for_those_of_ones_own_machine(a_flow_run: Any) -> None:
    assert ask("run_failed") == {(): 0.0} and ask("failure_rate") == {}
    for minutes in (5, 10, 90):
        a_flow_run(status="FAILED", ended_at=ago(minutes))
    for number in range(6):
        a_flow_run("hourly", status="SUCCEEDED", ended_at=ago(number + 1))
    a_flow_run(status="FAILED", ended_at=ago(5), trigger="local")
    assert ask("run_failed") == ask("run_failed", org_id="org_blue") == {(): 2.0}
    assert ask("run_failed", by=("flow",)) == {("nightly",): 2.0}
    assert ask("failure_rate") == {(): 25.0}
    assert ask("failure_rate", by=("flow",)) == {("nightly",): 100.0, ("hourly",): 0.0}


def test_a_run_counts_when_it_ends_however_long_ago_it_was_made(a_flow_run: Any) -> None:
    a_flow_run(status="FAILED", created_at=ago(60 * 30), ended_at=ago(1))
    assert ask("run_failed") == {(): 1.0}


def test_the_longest_run_is_also_one_that_still_goes_on(a_flow_run: Any) -> None:
    assert ask("run_duration") == {}
    a_flow_run(status="SUCCEEDED", started_at=ago(35), ended_at=ago(5))
    a_flow_run(status="SUCCEEDED", started_at=ago(300), ended_at=ago(100))
    assert ask("run_duration") == {(): 1_800.0}
    a_flow_run("hourly", status="RUNNING", started_at=ago(120), ended_at=None)
    assert ask("run_duration", by=("flow",)) == {("nightly",): 1_800.0, ("hourly",): 7_200.0}
    # As it was then, not as it is by now.
    assert ask("run_duration", "flow:hourly", end=ago(60)) == {(): 3_600.0}


def test_the_longest_wait_is_also_one_that_still_goes_on(a_flow_run: Any) -> None:
    a_flow_run(status="SUCCEEDED", created_at=ago(30), started_at=ago(20), ended_at=ago(5))
    assert ask("queue_wait") == {(): 600.0}
    a_flow_run(status="QUEUED", created_at=ago(15), started_at=None)
    a_flow_run(status="CANCELLED", created_at=ago(500), started_at=None, ended_at=ago(3))
    assert ask("queue_wait") == {(): 900.0}


def test_the_time_without_a_success_looks_back_as_far_as_the_window(a_flow_run: Any) -> None:
    assert ask("no_success_since", "flow:nightly") == {(): 3_600.0}
    a_flow_run(status="SUCCEEDED", ended_at=ago(20))
    a_flow_run(status="FAILED", ended_at=ago(2))
    a_flow_run("hourly", status="FAILED", ended_at=ago(2))
    assert ask("no_success_since", "flow:nightly") == {(): 1_200.0}
    assert ask("no_success_since", by=("flow",)) == {("nightly",): 1_200.0, ("hourly",): 3_600.0}


def test_runs_that_are_stuck_are_those_of_the_page(a_flow_run: Any) -> None:
    assert ask("run_stuck") == {(): 0.0}
    run = a_flow_run(status="QUEUED", created_at=ago(60 * 3))
    assert ask("run_stuck", by=("flow",)) == {("nightly",): 1.0}
    Run.objects.filter(pk=run.pk).update(status="RUNNING", lease_until=ago(60), started_at=ago(90))
    assert ask("run_stuck") == {(): 1.0}


def test_audit_entries_are_counted_and_members_can_not_ask_for_what_they_do_not_see(
    as_actor: Any, alice: Any, bob: Any
) -> None:
    end = datetime.now(NOW.tzinfo) + HOUR / 60
    for who, org in ((alice, "org_blue"), (bob, "org_blue"), (alice, "")):
        record(Action.RULE_CHANGED, actor=as_actor(who), resource_type="rule", resource_id="1", org_id=org)
    asked: Callable[..., Values] = lambda *given, **more: ask("audit_count", *given, end=end, **more)  # noqa: E731
    assert asked("action:rule.changed") == {(): 3.0}
    assert asked("action:rule.changed actor:alice@dagy.example") == {(): 2.0}
    assert asked("action:rule.*", org_id="org_blue") == {(): 2.0}
    assert asked("actor:alice@dagy.example", org_id="org_blue") == {(): 0.0}
    assert asked("action:rule.* ip:10.0.0.0/8") == {(): 0.0}


def test_parts_that_are_not_well_are_told_by_name(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    parts = [("database", "healthy"), ("redis", "unhealthy"), ("runs", "degraded")]
    found = health.Health(
        health.Status.UNHEALTHY, [health.Component(name, health.Status(status), "") for name, status in parts]
    )
    monkeypatch.setattr(health, "report", lambda: found)
    assert ask("health_down") == {(): 2.0}
    assert ask("health_down", by=("component",)) == {("redis",): 1.0, ("runs",): 1.0}
    assert ask("health_down", "component:r* -status:degraded") == {(): 1.0}
    with pytest.raises(Invalid, match="no free text"):
        measures.get("health_down").parse("redis")


def test_channels_that_fail_are_told_by_name(db: None) -> None:
    blue = Organization.objects.create(id="org_7", name="Seven")
    for name, organization, since in (("a", None, None), ("b", None, NOW), ("c", blue, NOW)):
        Channel.objects.create(
            name=name, organization=organization, channel_type="email", encrypted="", failing_since=since
        )
    assert ask("channel_failing", by=("channel",)) == {("b",): 1.0, ("c",): 1.0}
    assert ask("channel_failing", org_id="org_7") == {(): 1.0}


def test_how_long_rules_were_not_checked_is_told_when_they_are_again(db: None) -> None:
    heartbeat.begin(ago(100))
    heartbeat.begin(ago(99.9))
    assert ask("checker_heartbeat") == {(): 0.0}
    heartbeat.begin(ago(20))
    heartbeat.begin(ago(19.9))
    assert ask("checker_heartbeat") == {(): pytest.approx(79.9 * 60)}
    assert ask("checker_heartbeat", end=ago(-60)) == {(): 0.0}
    assert CheckerState.objects.count() == 1


def test_all_rules_of_one_shape_are_one_statement(traces: None) -> None:
    asked = [
        Asked(f"type:{kind} path:/{path}*", org, (), ago(60), NOW)
        for kind in ("KeyError", "ValueError")
        for path in ("runs", "flows", "x")
        for org in ("org_1", "org_2", "org_3")
    ]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answers = measures.get("exception_count").values(asked)
    assert len([one for one in queries if "LATERAL" in one["sql"]]) == 1
    assert sum(answer[()] for answer in answers if not isinstance(answer, Broken)) == 40


def test_what_can_be_no_column_is_asked_with_its_like_alone(db: None) -> None:
    asked = [Asked(f"ip:{ip}", "", (), ago(60), NOW) for ip in ("10.0.0.1", "10.0.0.2", "10.0.0.0/8", "::1")]
    assert measures.get("audit_count").values(asked) == [{(): 0.0}] * 4
