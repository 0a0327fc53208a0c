"""Flows that are run by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import SYSTEM
from dagy_console.core.errors import Conflict, Invalid, NotFound, PermissionDenied
from dagy_console.customers.services import suspension
from dagy_console.runs.models import Flow, Run, Schedule
from dagy_console.runs.schedules import cron, services
from tests.console import at_the_same_moment
from tests.runs.support import a_run, a_schedule


@pytest.fixture
def flow(bob: Any) -> Flow:
    """`nightly` of org_blue, which takes a day."""
    run = a_run("org_blue")
    run.deployment.graph["parameters"] = [{"name": "day", "hint": "str", "required": False, "default": None}]
    run.deployment.save()
    run.flow.latest = run.deployment
    run.flow.save()
    run.delete()
    return run.flow


@pytest.fixture
def schedule(flow: Flow) -> Schedule:
    """One that has been due for two hours and a half: three of its times have come, the last one half an hour ago."""
    schedule = a_schedule(flow)
    now = timezone.now()
    schedule.cron = f"{(now - timedelta(minutes=30)).minute} * * * *"
    schedule.next_at = cron.next_time(schedule.cron, "UTC", now - timedelta(hours=3, minutes=1))
    schedule.save()
    return schedule


def due_now(schedule: Schedule) -> datetime:
    moment = timezone.now().replace(second=0, microsecond=0)
    Schedule.objects.filter(pk=schedule.pk).update(next_at=moment, cron="* * * * *")
    return moment


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "times"),
    [
        # Clocks go forward at 2:00 on 2026-03-29 in Berlin: 2:30 does not exist, and runs at 3:00 (1:00 UTC).
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # They go back at 3:00 on 2026-10-25: 2:30 comes twice, and runs once.
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        # What runs every hour runs through the hour that comes twice.
        ("0 * * * *", "2026-10-24T23:30", ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"]),
        ("0 6 * * 1-5", "2026-07-03T12:00", ["2026-07-06T04:00"]),
    ],
)
def test_times_are_right_where_clocks_change(expression: str, after: str, times: list[str]) -> None:
    found = cron.times_after(expression, "Europe/Berlin", utc(after), count=len(times))
    assert found == list(map(utc, times))


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("* * * *", "UTC", "cron"),
        ("* * * * * *", "UTC", "cron"),
        ("61 * * * *", "UTC", "cron"),
        ("0 0 30 2 *", "UTC", "cron"),
        ("@daily", "UTC", "cron"),
        ("0 0 * * *", "Mars/Olympus", "time_zone"),
        ("0 0 * * *", "../etc/passwd", "time_zone"),
    ],
)
def test_what_is_no_time_is_refused(
    flow: Flow, as_actor: Any, bob: Any, expression: str, zone: str, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        services.create_schedule(
            actor=as_actor(bob), org_id="org_blue", flow="nightly", expression=expression, time_zone=zone
        )
    assert [error.field for error in caught.value.errors] == [field]
    assert not Schedule.objects.exists()


def test_what_is_due_is_started_for_its_time_and_on_record(schedule: Schedule) -> None:
    moment = due_now(schedule)
    assert services.start_due() == 1
    run = Run.objects.get()
    assert (run.trigger, run.scheduled_for, run.schedule_id, run.status) == ("schedule", moment, schedule.pk, "QUEUED")
    assert AuditEntry.objects.get(action="run.triggered").actor_kind == "system"
    schedule.refresh_from_db()
    assert schedule.next_at > timezone.now() - timedelta(seconds=1)
    assert services.start_due() == 0


def test_times_that_were_missed_are_made_up_for_where_the_schedule_asks_for_it(schedule: Schedule) -> None:
    missed = schedule.next_at
    assert services.start_due() == 0
    schedule.refresh_from_db()
    assert schedule.next_at > timezone.now()
    Schedule.objects.update(next_at=missed, catch_up=True)
    assert services.start_due() == 3
    times = list(Run.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True))
    assert times == [missed, missed + timedelta(hours=1), missed + timedelta(hours=2)]


def test_of_a_long_time_without_a_beat_the_latest_times_are_made_up_for(schedule: Schedule) -> None:
    last = due_now(schedule)
    Schedule.objects.update(catch_up=True, next_at=last - timedelta(days=8))
    assert services.start_due() == services.MOST_MISSED
    times = Run.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True)
    assert times[len(times) - 1] >= last
    assert times[0] >= last - timedelta(minutes=services.MOST_MISSED)


def test_neither_a_paused_schedule_nor_one_of_a_suspended_organization_is_started(schedule: Schedule) -> None:
    due_now(schedule)
    Schedule.objects.update(paused=True)
    assert services.start_due() == 0
    Schedule.objects.update(paused=False)
    suspension.suspend(actor=SYSTEM, org_id="org_blue", reason="unpaid since June")
    assert services.start_due() == 0
    suspension.unsuspend(actor=SYSTEM, org_id="org_blue", reason="they have paid")
    assert services.start_due() == 0  # what fell into it is not made up for
    schedule.refresh_from_db()
    assert schedule.next_at > timezone.now() - timedelta(seconds=1)


def test_a_schedule_whose_flow_takes_other_parameters_by_now_says_so_and_stops_no_other(
    schedule: Schedule, flow: Flow
) -> None:
    other = a_schedule(flow)
    due_now(other)
    Schedule.objects.filter(pk=schedule.pk).update(parameters={"dya": 1})
    due_now(schedule)
    assert services.start_due() == 1
    schedule.refresh_from_db()
    assert "parameters.dya is unknown: nightly takes day" in schedule.problem
    assert schedule.next_at > timezone.now() - timedelta(seconds=1)


def test_two_beats_start_each_time_once(committed: None) -> None:
    from dagy_console.accounts.models import Organization

    Organization.objects.create(id="org_blue", name="Blue")
    run = a_run("org_blue")
    run.flow.latest = run.deployment
    run.flow.save()
    run.delete()
    try:
        for _ in range(12):
            due_now(a_schedule(run.flow))
        started = at_the_same_moment(services.start_due, services.start_due, services.start_due)
        assert sum(started) == Run.objects.count() == 12
        assert Run.objects.values("schedule_id").distinct().count() == 12
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM runs_run; DELETE FROM runs_schedule; UPDATE runs_flow SET latest_id = NULL")
            cursor.execute("DELETE FROM runs_deployment; DELETE FROM runs_flow")


def test_a_schedule_by_the_api_from_its_making_to_its_end(api: Any, flow: Flow, bob: Any, vera: Any) -> None:
    client = api(bob)
    body = {"flow": "nightly", "cron": "30  6 * * 1-5", "time_zone": "Europe/Berlin", "parameters": {"day": "today"}}
    made = client.post("/schedules", body, content_type="application/json")
    assert made.status_code == 201, made.content
    schedule = made.json()
    assert (schedule["cron"], len(schedule["next_times"]), schedule["paused"]) == ("30 6 * * 1-5", 5, False)
    url = f"/schedules/{schedule['id']}"
    paused = client.patch(url, {"paused": True}, content_type="application/json").json()
    assert (paused["paused"], paused["next_times"], paused["time_zone"]) == (True, [], "Europe/Berlin")
    for wrong, field in (
        ({"cron": "x"}, "cron"),
        ({"time_zone": "x"}, "time_zone"),
        ({"parameters": {"x": 1}}, "parameters.x"),
        ({"flow": "x"}, "flow"),
    ):
        refused = client.patch(url, wrong, content_type="application/json")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field), refused.content
    assert api(vera).get("/schedules?flow=nightly").json()["items"][0]["id"] == schedule["id"]
    assert api(vera).delete(url).status_code == 403
    assert client.delete(url).status_code == 204
    assert client.delete(url).status_code == 404
    actions = list(AuditEntry.objects.filter(resource_type="schedule").order_by("at").values_list("action", flat=True))
    assert actions == ["schedule.created", "schedule.changed", "schedule.deleted"]
    assert AuditEntry.objects.get(action="schedule.changed").changes == {"paused": [False, True]}


def test_schedules_are_ones_organizations_own(schedule: Schedule, as_actor: Any, charlie: Any, vera: Any) -> None:
    with pytest.raises(NotFound):
        services.change_schedule(actor=as_actor(charlie), schedule_id=schedule.pk, paused=True)
    with pytest.raises(PermissionDenied):
        services.delete_schedule(actor=as_actor(vera), schedule_id=schedule.pk)
    Flow.objects.update(latest=None)
    with pytest.raises(Conflict, match="Nothing of nightly is deployed"):
        services.create_schedule(actor=SYSTEM, org_id="org_blue", flow="nightly", expression="0 0 * * *")


def test_a_schedule_by_its_pages(browse: Any, flow: Flow, bob: Any, vera: Any) -> None:
    client = browse(bob)
    assert "No schedules yet" in client.get("/console/runs/schedules/").content.decode()
    given = {"flow": str(flow.pk), "cron": "0 3 1 * *", "time_zone": "UTC", "parameters": "{}"}
    preview = client.post("/console/runs/schedules/new/", given | {"preview": "1"}).content.decode()
    assert preview.count("03:00:00") >= 5
    assert not Schedule.objects.exists()
    refused = client.post("/console/runs/schedules/new/", given | {"cron": "0 3 1 *"})
    assert refused.status_code == 422
    assert "Is no cron expression" in refused.content.decode()
    made = client.post("/console/runs/schedules/new/", given)
    schedule = Schedule.objects.get()
    url = f"/console/runs/schedules/{schedule.pk}/"
    assert made["Location"] == url
    page = client.get(url).content.decode()
    assert 'value="0 3 1 * *"' in page
    client.post(url, {"cron": "0 4 * * *", "time_zone": "Asia/Tokyo", "parameters": '{"day": "x"}', "catch_up": "on"})
    schedule.refresh_from_db()
    assert (schedule.cron, schedule.time_zone, schedule.parameters, schedule.catch_up) == (
        "0 4 * * *",
        "Asia/Tokyo",
        {"day": "x"},
        True,
    )
    client.post(f"{url}pause/", {"paused": "1"})
    assert "paused" in client.get("/console/runs/schedules/").content.decode()
    looked_at = browse(vera).get(url).content.decode()
    assert "Delete the schedule" not in looked_at
    assert "Asia/Tokyo" in looked_at
    assert client.post(f"{url}delete/")["Location"] == "/console/runs/schedules/"
    assert not Schedule.objects.exists()
