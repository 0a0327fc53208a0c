"""The pages of runs."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from dagy_console.runs.models import LogLine, Run, TaskRun
from tests.runs.support import a_run


@pytest.fixture
def run(bob: Any) -> Run:
    """One of org_blue that failed, with names and messages that would be markup."""
    run = a_run("org_blue")
    run.status, run.reason, run.error_type = "FAILED", "task '<b>load' ended FAILED", "ValueError"
    run.failure = {
        "task_id": "<b>load",
        "attempt": 2,
        "error_type": "ValueError",
        "message": "<script>alert(1)</script>",
        "traceback": "Traceback (most recent call last):\nValueError: <script>",
        "advice": "The task raised: read its log.",
    }
    run.parameters = {"day": "2026-01-15", "api_key": "hunter2-hunter2"}
    run.log_lines, run.task_count, run.succeeded_count = 1, 2, 1
    run.save()
    TaskRun.objects.create(
        run=run, task_id="extract", position=0, name="extract", status="SUCCEEDED", duration_seconds=0.25
    )
    TaskRun.objects.create(
        run=run,
        task_id="<b>load",
        position=1,
        name="load",
        status="TIMED_OUT",
        depends_on=["extract"],
        attempts=[{}, {}],
    )
    LogLine.objects.create(
        run=run, sequence=1, time=run.created_at, level="ERROR", task_id="<b>load", message="\x1b[31m<i>"
    )
    return run


def test_the_list_shows_runs_of_ones_own_organizations(
    browse: Any, run: Run, alice: Any, vera: Any, charlie: Any
) -> None:
    for person, sees in ((alice, True), (vera, True), (charlie, False)):
        page = browse(person).get("/console/runs/").content.decode()
        assert (str(run.pk) in page) is sees
    page = browse(vera).get("/console/runs/?q=status:FAILED+error:ValueError").content.decode()
    assert "task &#x27;&lt;b&gt;load&#x27; ended FAILED" in page
    assert "New run" not in page
    assert "Runs" in browse(vera).get("/console/").content.decode()


def test_a_runs_page_shows_failure_tasks_and_log_and_runs_no_markup(browse: Any, run: Run, vera: Any) -> None:
    page = browse(vera).get(reverse("runs:run", args=[run.pk])).content.decode()
    for told in (
        "<bdi>&lt;b&gt;load</bdi></a>, attempt 2",
        "read its log",
        "timed out",
        "× 2",
        "250 ms",
    ):
        assert told in page, told
    assert "<script>alert" not in page
    assert "<b>load" not in page
    assert "hunter2" not in page
    assert "\x1b" not in page
    assert "every 1s" not in page  # it has ended
    assert "Cancel the run" not in page


def test_a_run_that_goes_on_asks_for_its_live_part_until_it_ends(browse: Any, run: Run, bob: Any) -> None:
    lease = {"lease_owner": uuid.uuid4(), "lease_until": timezone.now() + timedelta(minutes=1)}
    Run.objects.filter(pk=run.pk).update(status="RUNNING", failure=None, reason="", **lease)
    client = browse(bob)
    url = reverse("runs:run", args=[run.pk])
    assert 'hx-trigger="every 1s"' in client.get(url).content.decode()
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="live"')
    assert "<html" not in part
    answer = client.post(reverse("runs:cancel", args=[run.pk]))
    assert (answer.status_code, answer["Location"]) == (302, url)
    assert Run.objects.get(pk=run.pk).status == "CANCELLING"


def test_stuck_runs_have_a_page_with_the_deed_that_helps(browse: Any, run: Run, bob: Any, vera: Any) -> None:
    client = browse(bob)
    assert "No run is stuck" in client.get("/console/runs/stuck/").content.decode()
    ago = timezone.now() - timedelta(minutes=2)
    Run.objects.filter(pk=run.pk).update(status="QUEUED", created_at=ago, failure=None, reason="")
    page = client.get("/console/runs/stuck/").content.decode()
    assert "Queued for too long" in page
    assert "Without a worker" not in page
    assert reverse("runs:cancel", args=[run.pk]) in page
    assert reverse("runs:cancel", args=[run.pk]) not in browse(vera).get("/console/runs/stuck/").content.decode()
    answer = client.post(reverse("runs:cancel", args=[run.pk]), {"from": "stuck"})
    assert answer["Location"] == "/console/runs/stuck/"
    assert Run.objects.get(pk=run.pk).status == "CANCELLED"


def test_a_run_is_started_by_a_form(browse: Any, run: Run, bob: Any, vera: Any) -> None:
    Run.objects.all().delete()
    flow = run.flow
    run.deployment.graph["parameters"] = [{"name": "day", "hint": "str", "required": False, "default": None}]
    run.deployment.save()
    flow.latest = run.deployment
    flow.save()
    client = browse(bob)
    assert "nightly · org_blue" in client.get("/console/runs/new/").content.decode()
    for text, said in (
        ("{", "This is no JSON"),
        ("[1]", "Write a JSON object"),
        ('{"dya": 1}', "dya is unknown: nightly takes day"),
    ):
        refused = client.post("/console/runs/new/", {"flow": str(flow.pk), "parameters": text})
        assert refused.status_code == 422
        assert said in refused.content.decode()
        assert text.replace('"', "&quot;") in refused.content.decode()  # nothing is lost
    started = client.post("/console/runs/new/", {"flow": str(flow.pk), "parameters": ""})
    made = Run.objects.get()
    assert started["Location"] == reverse("runs:run", args=[made.pk])
    assert (made.trigger, made.triggered_by, made.parameters) == ("console", "bob@blue.example", {})
    assert browse(vera).get("/console/runs/new/").status_code == 403


def test_home_counts_failed_runs_against_the_day_before(browse: Any, run: Run, vera: Any, charlie: Any) -> None:
    failed = {"status": "FAILED", "reason": "task 'load' ended FAILED"}
    Run.objects.filter(pk=run.pk).update(**failed)
    earlier, pushed, hers = a_run("org_blue", name="hourly"), a_run("org_blue", name="mine"), a_run("org_red")
    Run.objects.exclude(pk=run.pk).update(**failed)
    Run.objects.filter(pk=earlier.pk).update(created_at=timezone.now() - timedelta(hours=30))
    Run.objects.filter(pk=pushed.pk).update(trigger="local")
    page = browse(vera).get("/console/").content.decode()
    tile = " ".join(page.split("Failed runs, 24 h")[1].split("</a>")[0].split())
    assert '<span class="tile-value">1</span> <span class="tile-previous">1 the day before</span>' in tile
    assert str(run.pk) in page and str(earlier.pk) in page
    assert str(pushed.pk) not in page and str(hers.pk) not in page
