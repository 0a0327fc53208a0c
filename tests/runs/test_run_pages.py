"""What the pages of one run tell: its tasks in time, its graph, its artifacts, its code, and what changed before."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dagy_console.audit.models import AuditEntry
from dagy_console.core import artifacts as kept
from dagy_console.runs.drawing import FOLDED_FROM, WIDTH, Span, graph
from dagy_console.runs.models import Deployment, Run, TaskRun, artifact_key
from dagy_console.runs.services import deploying
from tests.runs.support import FLOWS, a_run, bundle


def a_task(task_id: str, depends_on: list[str], *, name: str = "", status: str = "SUCCEEDED", **fields: Any) -> TaskRun:
    return TaskRun(task_id=task_id, name=name or task_id, depends_on=depends_on, status=status, position=0, **fields)


@st.composite
def dags(draw: Any) -> list[TaskRun]:
    count = draw(st.integers(1, 40))
    return [
        a_task(
            f"t{n}",
            [f"t{up}" for up in draw(st.sets(st.integers(0, n - 1), max_size=4))] if n else [],
            name=f"name{n % 5}",
        )
        for n in range(count)
    ]


@given(dags())
def test_a_graph_goes_from_left_to_right_and_no_two_boxes_share_a_place(tasks: list[TaskRun]) -> None:
    drawn = graph(tasks)
    assert sorted(task for box in drawn.boxes for task in box.task_ids) == sorted(task.task_id for task in tasks)
    places = [(box.x, box.y) for box in drawn.boxes]
    assert len(set(places)) == len(places)
    assert all(
        box.x + drawn.box_width <= drawn.width and box.y + drawn.box_height <= drawn.height for box in drawn.boxes
    )
    assert all(x1 < x2 for x1, _, x2, _ in drawn.edges)


def test_many_tasks_of_one_name_are_one_box_that_tells_the_worst() -> None:
    parts = [
        a_task(f"load-{n}", ["extract"], name="load", status="FAILED" if n == 7 else "SUCCEEDED") for n in range(400)
    ]
    drawn = graph([a_task("extract", []), *parts, a_task("report", [part.task_id for part in parts])])
    assert [box.label for box in drawn.boxes] == ["extract", "load × 400", "report"]
    assert (drawn.boxes[1].state, drawn.boxes[1].states) == ("failed", {"succeeded": 399, "failed": 1})
    assert len(drawn.edges) == 2
    assert FOLDED_FROM < 400


def test_a_graph_of_lies_is_drawn_all_the_same() -> None:
    drawn = graph([a_task("a", ["b", "a", "nobody"]), a_task("b", ["a"])])
    assert len(drawn.boxes) == 2


def test_a_timeline_shows_each_attempt_where_it_was() -> None:
    start = timezone.now()
    at = lambda seconds: (start + timedelta(seconds=seconds)).isoformat()  # noqa: E731
    task = a_task("load", [], status="SUCCEEDED")
    task.attempts = [
        {"status": "FAILED", "started_at": at(0), "ended_at": at(25)},
        {"status": "SUCCEEDED", "started_at": at(50), "ended_at": at(100)},
        {"started_at": "nonsense"},
    ]
    bars = Span(start, start + timedelta(seconds=100)).bars(task)
    assert [(bar.x, bar.width, bar.state) for bar in bars] == [(0, 250, "failed"), (500, 500, "succeeded")]
    assert WIDTH == 1000


@pytest.fixture
def run(bob: Any) -> Run:
    run = a_run("org_blue")
    now = timezone.now()
    run.status, run.started_at, run.ended_at = "FAILED", now - timedelta(seconds=10), now
    run.failure = {"task_id": "load-7", "attempt": 2, "error_type": "LookupError", "message": "no such table"}
    run.save()
    tasks = [a_task(f"load-{n}", [], name="load") for n in range(500)]
    tasks[7].status, tasks[7].error_type = "FAILED", "LookupError"
    tasks[7].attempts = [
        {"number": n, "status": "FAILED", "error": {"type": "LookupError", "message": f"<i>{n}", "traceback": "Trace"}}
        for n in (1, 2)
    ]
    tasks[8].status = "SKIPPED"
    for position, task in enumerate(tasks):
        task.run, task.position = run, position
    TaskRun.objects.bulk_create(tasks)
    return run


def test_five_hundred_tasks_show_what_failed_first(browse: Any, run: Run, vera: Any) -> None:
    client = browse(vera)
    url = reverse("runs:run", args=[run.pk])
    page = client.get(url).content.decode()
    names = re.findall(r'class="timeline-name"[^>]*><bdi>([^<]+)', page)
    assert (names[0], len(names)) == ("load-7", 60)
    assert "Show the other 440" in page
    assert "1 task skipped because of it" in page
    assert len(re.findall('class="timeline-name"', client.get(f"{url}?all").content.decode())) == 500
    skipped = client.get(f"{url}?state=skipped").content.decode()
    assert re.findall(r'class="timeline-name"[^>]*><bdi>([^<]+)', skipped) == ["load-8"]
    assert client.get(f"{url}?state=%00").status_code == 200
    drawn = client.get(reverse("runs:graph", args=[run.pk])).content.decode()
    assert "load × 500" in drawn


def test_a_task_shows_each_attempt_with_its_error(browse: Any, run: Run, vera: Any, charlie: Any) -> None:
    url = reverse("runs:task", args=[run.pk])
    page = browse(vera).get(f"{url}?id=load-7").content.decode()
    assert [int(n) for n in re.findall(r"<h3>Attempt (\d)", page)] == [2, 1]
    assert "&lt;i&gt;2" in page
    for query in ("?id=nobody", "?id=%00", ""):
        assert browse(vera).get(f"{url}{query}").status_code == 404
    assert browse(charlie).get(f"{url}?id=load-7").status_code == 404


def test_an_artifact_is_previewed_and_handed_out_on_record(
    browse: Any, api: Any, run: Run, vera: Any, charlie: Any, artifacts: Any
) -> None:
    task = run.task_runs.get(task_id="load-0")
    task.artifacts = [
        {"name": "out put.json", "size_bytes": 12, "content_type": "application/json"},
        {"name": "pic", "size_bytes": 3},
    ]
    task.save()
    kept.save(artifact_key(run, "load-0", "out put.json"), b'{"a": "<b>"}', content_type="application/json")
    kept.save(artifact_key(run, "load-0", "pic"), b"\x89\0\1", content_type="image/png")
    client = browse(vera)
    assert "out put.json" in client.get(reverse("runs:run", args=[run.pk])).content.decode()
    url = reverse("runs:artifact", args=[run.pk])
    assert (
        "{&quot;a&quot;: &quot;&lt;b&gt;&quot;}" in client.get(f"{url}?task=load-0&name=out+put.json").content.decode()
    )
    assert "No text" in client.get(f"{url}?task=load-0&name=pic").content.decode()
    for query in ("?task=load-0&name=..", "?task=load-0", "?task=x&name=pic"):
        assert client.get(f"{url}{query}").status_code == 404
    listed = api(vera).get(f"/runs/{run.pk}/artifacts").json()["items"]
    assert [(one["task_id"], one["name"], one["size_bytes"]) for one in listed] == [
        ("load-0", "out put.json", 12),
        ("load-0", "pic", 3),
    ]
    link = api(vera).get(f"/runs/{run.pk}/artifacts/load-0/pic").json()
    assert (link["filename"], link["expires_in"]) == ("pic", 900)
    answer = client.get(f"{url}download/?task=load-0&name=out+put.json")
    assert (answer.status_code, "out_put.json" in answer["Location"]) == (302, True)
    entries = AuditEntry.objects.filter(action="artifact.downloaded").order_by("at")
    assert [entry.after["name"] for entry in entries] == ["pic", "out put.json"]
    assert api(charlie).get(f"/runs/{run.pk}/artifacts/load-0/pic").status_code == 404
    refused = client.get(f"{url}download/?task=load-0&name=pic", headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403


def test_the_code_is_compared_with_that_of_the_last_run_that_succeeded(
    browse: Any, as_actor: Any, bob: Any, vera: Any, artifacts: Any
) -> None:
    runs = []
    for text, status in ((FLOWS, "SUCCEEDED"), (FLOWS.replace("len(rows)", "len(rows) / 0"), "FAILED")):
        data, sha256 = bundle({"flows.py": text, "data.bin": "\0" + status})
        deployment = deploying.deploy(
            actor=as_actor(bob), org_id="org_blue", bundle=data, sha256=sha256, entrypoint="flows.py:nightly"
        )
        runs.append(
            Run.objects.create(
                organization_id="org_blue",
                flow=deployment.flow,
                deployment=deployment,
                trigger="api",
                triggered_by="bob",
                parameters={},
                status=status,
            )
        )
    client = browse(vera)
    page = client.get(reverse("runs:changes", args=[runs[1].pk])).content.decode()
    assert '<span class="removed">-    return len(rows)</span>' in page
    assert '<span class="added">+    return len(rows) / 0</span>' in page
    assert "no text" in page
    overview = client.get(reverse("runs:run", args=[runs[1].pk])).content.decode()
    assert "what differs in the code" in overview
    assert "flow.deployed" not in overview  # a viewer does not read the audit log
    assert "flow.deployed" in browse(bob).get(reverse("runs:run", args=[runs[1].pk])).content.decode()
    assert "Nothing to compare with" in client.get(reverse("runs:changes", args=[runs[0].pk])).content.decode()
    Run.objects.filter(pk=runs[1].pk).update(deployment=runs[0].deployment)
    assert "The same code" in client.get(reverse("runs:changes", args=[runs[1].pk])).content.decode()
    Deployment.objects.filter(pk=runs[0].deployment_id).update(sha256="0" * 64)
    Run.objects.filter(pk=runs[1].pk).update(deployment=deployment)
    gone = client.get(reverse("runs:changes", args=[runs[1].pk]))
    assert gone.status_code == 200
    assert "The code can't be compared" in gone.content.decode()


def test_a_run_and_its_exceptions_lead_to_each_other(
    browse: Any, run: Run, alice: Any, vera: Any, bucket: Any, indexed: Any
) -> None:
    key = bucket.put(event={"task": {"run_id": str(run.pk)}})
    bucket.put(event={"run_id": "no run of ours"})
    indexed()
    client = browse(alice)
    page = client.get(reverse("runs:run", args=[run.pk])).content.decode()
    assert "1 exception of this run" in page
    assert f"run%3A{run.pk}" in page
    found = client.get(f"/console/exceptions/?q=run:{run.pk}").content.decode()
    assert "1 trace" in found
    trace = client.get(reverse("exceptions:trace"), {"key": key}).content.decode()
    assert reverse("runs:run", args=[run.pk]) in trace
    assert "of this run" not in browse(vera).get(reverse("runs:run", args=[run.pk])).content.decode()
