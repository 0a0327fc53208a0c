"""A run on the server, from its trigger to its end."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from dagy_console.accounts.models import Membership, Organization, User
from dagy_console.audit.models import AuditEntry
from dagy_console.core import storage
from dagy_console.core.actors import SYSTEM
from dagy_console.core.errors import Conflict, Invalid, NotFound, PermissionDenied
from dagy_console.core.permissions import Role
from dagy_console.customers.selectors import suspension_preview
from dagy_console.customers.services import suspension
from dagy_console.runs import executing, journal, resuming, stuck, watching
from dagy_console.runs.models import Deployment, LogLine, Run, TaskRun
from dagy_console.runs.services import cancelling, triggering
from tests.runs.place import Place, in_thread, statuses, wait_until


def test_a_run_succeeds_with_its_tasks_its_log_and_its_artifacts(place: Place, artifacts: Any) -> None:
    run = place.run(day="2026-01-15")
    assert (run.status, run.failure, run.worker != "") == ("SUCCEEDED", None, True)
    assert statuses(run) == {"extract": "SUCCEEDED", "load": "SUCCEEDED", "report": "SUCCEEDED"}
    assert (run.task_count, run.succeeded_count) == (3, 3)
    extract = run.task_runs.get(task_id="extract")
    assert [attempt["status"] for attempt in extract.attempts] == ["FAILED", "SUCCEEDED"]
    assert run.task_runs.get(task_id="load").depends_on == ["extract"]
    lines = list(LogLine.objects.filter(run=run).order_by("sequence"))
    assert [line.sequence for line in lines] == list(range(1, len(lines) + 1))
    assert run.log_lines == len(lines)
    assert [line.message for line in lines if line.message.startswith("extracting")] == ["extracting 2026-01-15"] * 2
    key = f"artifacts/org_blue/{run.pk}/load/count.txt"
    assert storage.get_object(artifacts.name, key).body == b"3 rows"
    assert [kept["name"] for kept in run.task_runs.get(task_id="load").artifacts] == ["output.json", "count.txt"]
    assert run.lease_until is None or run.lease_until < timezone.now() + timedelta(seconds=11)


def test_a_failure_names_the_first_failing_task_and_what_to_do(place: Place) -> None:
    run = place.run(how="fails")
    assert (run.status, run.error_type) == ("FAILED", "LookupError")
    assert run.failure["task_id"] == "load"
    assert run.failure["message"] == "'no such table \\x00 \\ud800'" or "no such table" in run.failure["message"]
    assert "read its log" in run.failure["advice"]
    assert statuses(run) == {"extract": "SUCCEEDED", "load": "FAILED", "report": "SKIPPED"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("dies", "its process was ended by SIGKILL, likely because memory ran out"),
        ("exits", "ended with exit code 137"),
    ],
)
def test_a_process_that_dies_is_a_failure_with_what_is_known(place: Place, how: str, said: str) -> None:
    run = place.run(how=how)
    assert run.status == "FAILED"
    assert said in run.reason
    assert statuses(run)["extract"] == "SUCCEEDED"
    assert "RUNNING" not in statuses(run).values()


def test_parameters_of_a_wrong_type_are_refused_where_the_code_is(place: Place) -> None:
    run = place.run(day=5)
    assert (run.status, run.error_type) == ("FAILED", "ParameterError")
    assert "day: expected str, got int 5" in run.failure["message"]


def test_thousands_of_lines_are_kept_in_order(place: Place) -> None:
    run = place.run(how="logs")
    told = LogLine.objects.filter(run=run, message__startswith="line ").order_by("sequence")
    assert [line.message for line in told] == [f"line {n}" for n in range(3000)]


def test_what_a_run_leaves_behind_can_not_keep_it_going(place: Place) -> None:
    began = time.monotonic()
    run = place.run(how="leaves")
    assert time.monotonic() - began < 8
    assert (run.status, run.reason) == ("FAILED", "its process ended with exit code 3 and without a last word")


def test_what_the_code_itself_writes_to_the_pipe_can_not_break_its_worker_nor_its_pages(
    place: Place, browse: Any
) -> None:
    run = place.run(how="lies")
    assert run.status == "SUCCEEDED"
    assert statuses(run) == {
        "extract": "SUCCEEDED",
        "load": "SUCCEEDED",
        "report": "SUCCEEDED",
        "x": "CANCELLED",
        "y": "CANCELLED",
    }
    assert run.task_runs.get(task_id="y").started_at is None
    assert run.task_runs.get(task_id="x").artifacts == [{"name": "ok", "size_bytes": None}]
    for url in (reverse("runs:run", args=[run.pk]), f"{reverse('runs:task', args=[run.pk])}?id=x"):
        assert browse(place.user).get(url).status_code == 200


def test_a_process_that_is_ended_by_a_signal_without_a_name_is_told_of(place: Place) -> None:
    run = place.run(how="signals")
    assert (run.status, run.reason) == ("FAILED", "its process was ended by signal 40")


def test_a_log_without_end_is_cut_and_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_RUN_LINES", 100)
    run = place.run(how="logs")
    assert run.status == "SUCCEEDED"
    lines = list(LogLine.objects.filter(run=run).order_by("sequence"))
    assert len(lines) == run.log_lines == 100
    assert lines[-1].message == "The log has 100 lines: what comes after is not kept."


# --- twice, and never


def test_a_message_that_comes_twice_runs_it_once(place: Place) -> None:
    run = place.run()
    before = run.log_lines
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.log_lines) == ("SUCCEEDED", before)
    going_on, thread = place.begun(how="sleeps")
    executing.execute(going_on.pk)  # held by the other
    going_on.refresh_from_db()
    assert going_on.status == "RUNNING"
    cancelling.cancel(actor=place.actor, run_id=going_on.pk)
    thread.join(20)


def test_a_run_whose_worker_is_gone_is_failed_and_says_so(place: Place) -> None:
    run = place.trigger()
    Run.objects.filter(pk=run.pk).update(
        status="RUNNING",
        worker="host-1:42",
        lease_owner=uuid.uuid4(),
        lease_until=datetime(2026, 1, 15, 3, 0, 10, tzinfo=UTC),
    )
    TaskRun.objects.create(run=run, task_id="load", position=0, name="load", status="RUNNING")
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_type) == ("FAILED", "WorkerLost")
    heard = "last heard of at 2026-01-15T03:00:00.000000Z"
    assert run.reason == f"worker lost: host-1:42 ended without saying so, {heard}"
    assert statuses(run) == {"load": "FAILED"}


def lose_the_worker(run: Run) -> None:
    """As a worker leaves a run that was killed half a minute ago."""
    gone = timezone.now() - timedelta(seconds=30)
    Run.objects.filter(pk=run.pk).update(
        status="RUNNING", worker="host-1:42", executions=F("executions") + 1, started_at=gone, lease_owner=uuid.uuid4(),
        lease_until=gone,
    )  # fmt: skip


def test_a_run_of_a_lost_worker_begins_again_where_its_deployment_says_so(place: Place) -> None:
    run = place.trigger()
    Deployment.objects.update(on_worker_lost="restart")
    lose_the_worker(run)
    TaskRun.objects.create(run=run, task_id="old", position=0, name="old", status="RUNNING")
    LogLine.objects.create(run=run, sequence=1, time=timezone.now(), level="INFO", message="of the lost worker")
    Run.objects.filter(pk=run.pk).update(log_lines=1)
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.executions) == ("SUCCEEDED", 2)
    assert statuses(run) == {"extract": "SUCCEEDED", "load": "SUCCEEDED", "report": "SUCCEEDED"}
    log = list(LogLine.objects.filter(run=run).order_by("sequence").values_list("message", flat=True))
    assert log[0] == "of the lost worker"
    assert log[1].startswith("worker lost: host-1:42 ended without saying so")
    assert "begins again, from its first task" in log[1]
    assert run.log_lines == len(log)


def test_a_run_that_loses_its_worker_again_and_again_fails(place: Place) -> None:
    run = place.trigger()
    Deployment.objects.update(on_worker_lost="restart")
    Run.objects.filter(pk=run.pk).update(executions=2)
    lose_the_worker(run)
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_type) == ("FAILED", "WorkerLost")
    assert run.reason.endswith("It was begun 3 times")


def test_a_run_of_a_dead_worker_is_cancelled_at_once(place: Place) -> None:
    run = place.trigger()
    lose_the_worker(run)
    cancelled = cancelling.cancel(actor=place.actor, run_id=run.pk)
    assert (cancelled.status, cancelled.reason) == ("CANCELLED", "cancelled by bob@blue.example")
    run = place.trigger()
    lose_the_worker(run)
    Run.objects.filter(pk=run.pk).update(status="CANCELLING", reason="cancelled by bob@blue.example")
    assert cancelling.cancel(actor=place.actor, run_id=run.pk).status == "CANCELLED"  # asked again
    assert AuditEntry.objects.filter(action="run.cancelled").count() == 1


def test_runs_that_nobody_works_on_are_handed_over_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.trigger()
    sent: list[Any] = []
    monkeypatch.setattr(resuming, "hand_over", lambda run, **_: sent.append(run.pk))
    resuming.resume()
    assert sent == []
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    resuming.resume()
    assert sent == [run.pk]


# --- cancelling


def test_a_run_that_waits_is_cancelled_at_once_and_never_runs(place: Place) -> None:
    run = place.trigger()
    cancelled = cancelling.cancel(actor=place.actor, run_id=run.pk, reason="wrong day")
    assert (cancelled.status, cancelled.reason) == ("CANCELLED", "cancelled by bob@blue.example: wrong day")
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.log_lines) == ("CANCELLED", 0)


@pytest.mark.parametrize(("how", "most"), [("sleeps", 4.0), ("ignores", 8.0)])
def test_a_run_that_goes_on_is_cancelled_and_its_process_is_gone(place: Place, how: str, most: float) -> None:
    run, thread = place.begun(how=how)
    began = time.monotonic()
    assert cancelling.cancel(actor=place.actor, run_id=run.pk).status == "CANCELLING"
    assert cancelling.cancel(actor=place.actor, run_id=run.pk).status == "CANCELLING"  # twice is no error
    thread.join(20)
    assert time.monotonic() - began < most
    run.refresh_from_db()
    assert (run.status, run.reason) == ("CANCELLED", "cancelled by bob@blue.example")
    assert statuses(run)["load"] == "CANCELLED"
    assert AuditEntry.objects.filter(action="run.cancelled").count() == 1
    with pytest.raises(Conflict, match="has ended already: CANCELLED"):
        cancelling.cancel(actor=place.actor, run_id=run.pk)


@pytest.mark.slow("waits out the grace time")
def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_time(place: Place) -> None:
    run = place.trigger(how="stubborn")
    thread = threading.Thread(target=in_thread, args=(run.pk,))
    thread.start()
    wait_until(lambda: LogLine.objects.filter(run=run).exists())
    time.sleep(0.5)  # it ignores SIGTERM from the line after its first
    began = time.monotonic()
    cancelling.cancel(actor=place.actor, run_id=run.pk)
    thread.join(20)
    assert watching.GRACE_SECONDS < time.monotonic() - began < watching.GRACE_SECONDS + 1.5
    run.refresh_from_db()
    assert (run.status, run.reason) == ("CANCELLED", "cancelled by bob@blue.example")
    assert "was ended by SIGKILL" in LogLine.objects.filter(run=run).latest("sequence").message


# --- suspension


def test_runs_of_a_suspended_organization_wait_and_go_on_when_it_is_lifted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place.trigger()
    suspension.suspend(actor=SYSTEM, org_id="org_blue", reason="unpaid since June")
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.executions) == ("QUEUED", 0)
    Run.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    sent: list[Any] = []
    monkeypatch.setattr(resuming, "hand_over", lambda run, **_: sent.append(run.pk))
    resuming.resume()
    assert sent == []
    assert not any(kind.count for kind in stuck.stuck(Run.objects.all()))  # it waits as it should
    suspension.unsuspend(actor=SYSTEM, org_id="org_blue", reason="they have paid")
    resuming.resume()
    assert sent == [run.pk]
    executing.execute(run.pk)
    run.refresh_from_db()
    assert run.status == "SUCCEEDED"


@pytest.mark.parametrize(("running_runs", "status"), [("cancel", "CANCELLED"), ("finish", "SUCCEEDED")])
def test_a_suspension_cancels_what_runs_or_lets_it_finish(place: Place, running_runs: str, status: str) -> None:
    run, thread = place.begun(how="sleeps" if running_runs == "cancel" else "rests")
    preview = suspension_preview(SYSTEM, "org_blue")
    assert ("running_runs", "running run", 1) in preview.hits
    suspension.suspend(actor=SYSTEM, org_id="org_blue", reason="unpaid", running_runs=running_runs)
    thread.join(20)
    run.refresh_from_db()
    assert run.status == status
    if running_runs == "cancel":
        assert run.reason == "cancelled: its organization is suspended"
        assert AuditEntry.objects.get(action="run.cancelled").reason == "its organization is suspended"


# --- stuck


def test_stuck_runs_are_told_of_by_their_kind(place: Place, api: Any) -> None:
    ago = lambda seconds: timezone.now() - timedelta(seconds=seconds)  # noqa: E731
    held = {"lease_owner": uuid.uuid4(), "lease_until": timezone.now() + timedelta(seconds=60)}
    runs = {kind: place.trigger() for kind in ("queued", "overrun", "cancelling", "lost", "fresh", "running")}
    for _ in range(20):
        Run.objects.filter(pk=place.trigger().pk).update(status="SUCCEEDED", started_at=ago(300), ended_at=ago(200))
    for kind, columns in {
        "queued": {"created_at": ago(61)},
        "overrun": {"status": "RUNNING", "started_at": ago(120), **held},
        "running": {"status": "RUNNING", "started_at": ago(80), **held},
        "cancelling": {"status": "CANCELLING", "cancel_requested_at": ago(31), "started_at": ago(40), **held},
        "lost": {"status": "RUNNING", "started_at": ago(90), "lease_owner": uuid.uuid4(), "lease_until": ago(31)},
    }.items():
        Run.objects.filter(pk=runs[kind].pk).update(**columns)
    found = {kind.kind: [run.pk for run in kind.runs] for kind in stuck.stuck(Run.objects.all())}
    assert found == {kind: [runs[kind].pk] for kind in ("queued", "overrun", "cancelling", "lost")}
    status, message = stuck.check()
    assert (status, message[:14]) == ("degraded", "4 runs stuck: ")
    answered = api(place.user).get("/runs/stuck").json()["items"]
    assert [(kind["kind"], kind["count"]) for kind in answered] == [
        ("queued", 1),
        ("overrun", 1),
        ("cancelling", 1),
        ("lost", 1),
    ]


# --- what is refused


def test_what_can_not_be_triggered_says_why(place: Place) -> None:
    for parameters, field in (({"dya": 1}, "parameters.dya"),):
        with pytest.raises(Invalid) as caught:
            place.trigger(**parameters)
        assert caught.value.errors[0].field == field
    with pytest.raises(Invalid, match="no flow 'other'"):
        triggering.trigger(actor=place.actor, org_id="org_blue", flow="other", parameters={})
    suspension.suspend(actor=SYSTEM, org_id="org_blue", reason="unpaid since June")
    with pytest.raises(Conflict, match="is suspended"):
        triggering.trigger(actor=SYSTEM, org_id="org_blue", flow="nightly", parameters={})
    assert Run.objects.count() == 0


def test_runs_are_seen_and_ended_by_their_organization_alone(place: Place, as_actor: Any) -> None:
    run = place.trigger()
    red = Organization.objects.create(id="org_red", name="Red")
    charlie = User.objects.create(email="charlie@red.example", name="Charlie")
    Membership.objects.create(user=charlie, organization=red, role=Role.OWNER)
    vera = User.objects.create(email="vera@blue.example", name="Vera")
    Membership.objects.create(user=vera, organization_id="org_blue", role=Role.VIEWER)
    with pytest.raises(NotFound):
        cancelling.cancel(actor=as_actor(charlie), run_id=run.pk)
    with pytest.raises(PermissionDenied):
        cancelling.cancel(actor=as_actor(vera), run_id=run.pk)
    with pytest.raises(PermissionDenied):
        triggering.trigger(actor=as_actor(vera), org_id="org_blue", flow="nightly", parameters={})


# --- the API


def test_a_run_by_the_api_from_trigger_to_log(place: Place, api: Any) -> None:
    client = api(place.user)
    asked = client.post(
        "/runs",
        {"flow": "nightly", "parameters": {"how": "fails"}},
        content_type="application/json",
        headers={"Idempotency-Key": "once"},
    )
    assert asked.status_code == 201, asked.content
    run = asked.json()
    assert (run["status"], run["flow"], run["version"], run["triggered_by"]) == (
        "QUEUED",
        "nightly",
        1,
        "bob@blue.example",
    )
    executing.execute(uuid.UUID(run["id"]))
    found = client.get(f"/runs/{run['id']}").json()
    assert (found["status"], found["failure"]["task_id"]) == ("FAILED", "load")
    assert [task["task_id"] for task in found["task_runs"]] == ["extract", "load", "report"]
    assert client.get("/runs?status=FAILED&flow=nightly&error=LookupError").json()["items"][0]["id"] == run["id"]
    errors = client.get(f"/runs/{run['id']}/logs?level=ERROR&task_id=load").json()["items"]
    assert errors[0]["message"].startswith("Failed\nTraceback")
    after = client.get(f"/runs/{run['id']}/logs?after={errors[0]['sequence']}&limit=1").json()["items"]
    assert after[0]["sequence"] == errors[0]["sequence"] + 1
    text = client.get(f"/runs/{run['id']}/logs?q=extracting", headers={"Accept": "text/plain"})
    assert text["Content-Type"].startswith("text/plain")
    assert text.content.decode().count("[extract] extracting today\n") == 2
    assert client.post(f"/runs/{run['id']}/cancel", {}, content_type="application/json").status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"flow": "nightly", "parameters": {"day": "nul \0 in it"}},
        {"flow": "nightly", "parameters": {"day": {"deep": ["\ud800"]}}},
        {"flow": "nightly", "parameters": {"\0": 1}},
        {"flow": "nightly", "parameters": [1]},
        {"flow": "nul\0"},
        {"flow": "nightly", "parameters": {"day": json.loads("[" * 60 + "]" * 60)}},
        {},
    ],
)
def test_bodies_that_can_not_be_kept_are_refused_and_nothing_is_started(place: Place, api: Any, body: Any) -> None:
    answer = api(place.user).post("/runs", json.dumps(body), content_type="application/json")
    assert answer.status_code == 422, answer.content
    assert Run.objects.count() == 0


def test_wrong_queries_of_a_log_are_refused(place: Place, api: Any) -> None:
    run = place.trigger()
    client = api(place.user)
    for query in (
        "level=LOUD",
        "after=-1",
        "after=x",
        "limit=0",
        "limit=5000",
        "regex=.*",
        "task_id=%00",
        "after=99999999999999999999",
    ):
        assert client.get(f"/runs/{run.pk}/logs?{query}").status_code == 422, query
    assert client.get(f"/runs/{run.pk}/logs?q=%5B%28").json() == {"items": []}
    assert client.get(f"/runs/{uuid.uuid4()}/logs").status_code == 404


def test_who_triggers_a_run_is_on_record(place: Place) -> None:
    run = place.trigger(day="2026-01-15")
    entry = AuditEntry.objects.get(action="run.triggered")
    assert (entry.resource_id, entry.resource_name, entry.org_id) == (str(run.pk), "nightly", "org_blue")
    assert entry.after["parameters"] == {"day": "2026-01-15"}


def test_the_tables_of_runs_exist_for_the_application(db: None) -> None:
    """Asks for the test database, which `committed` alone does not make."""
    assert not Run.objects.exists()
