"""Runs of somebody's own machine, pushed, so that others read them on the same page."""

import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from dagy import LocalArtifact, flow, task
from dagy.errors import TaskFailedError
from dagy.local.packing import packed
from dagy_console.audit.models import AuditEntry
from dagy_console.core import storage
from dagy_console.runs.models import LogLine, Run
from dagy_console.runs.services import pushing
from tests.runs.place import statuses
from tests.runs.support import a_run


@task
def extract() -> list[LocalArtifact]:
    return [LocalArtifact(data="3 rows", name="how: many.txt")]


@task(retries=1)
def load(rows: Any) -> None:
    raise LookupError("no such table\n\x1b[31mred\x1b[0m")


@flow(name="nightly")
def nightly(day: str = "today") -> None:
    load(extract())


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Of a run that failed on this machine."""
    monkeypatch.setenv("DAGY_LOCAL_DIR", str(tmp_path))
    with pytest.raises(TaskFailedError):
        nightly.run_local(day="2026-01-15")
    (run_id,) = [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir() and path.name[0] != "."]
    return packed(run_id)


@pytest.fixture
def push(api: Any, bob: Any, artifacts: Any) -> Callable[..., Any]:
    def pushed(data: bytes, **options: str) -> Any:
        query = {"sha256": hashlib.sha256(data).hexdigest(), **options}
        path = "/runs/local?" + "&".join(f"{name}={value}" for name, value in query.items())
        return api(bob).post(path, data, content_type="application/zip")

    return pushed


def changed(archive: bytes, *, drop: str = "", **fields: Any) -> bytes:
    """The archive with other fields in the run's record."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.count("/") == 2 and name.endswith("metadata.json"):
                data = json.dumps(json.loads(data) | fields).encode()
            if not drop or drop not in name:
                new.writestr(name, data)
    return buffer.getvalue()


def test_a_local_run_is_kept_with_its_tasks_log_and_artifacts(push: Any, archive: bytes, artifacts: Any) -> None:
    answer = push(archive)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["status"], told["trigger"], told["version"]) == ("FAILED", "local", None)
    assert (told["flow"], told["parameters"], told["triggered_by"]) == (
        "nightly",
        {"day": "2026-01-15"},
        "bob@blue.example",
    )
    assert told["failure"]["task_id"] == "load"
    run = Run.objects.get(pk=told["id"])
    assert statuses(run) == {"extract": "SUCCEEDED", "load": "FAILED"}
    assert [attempt["status"] for attempt in run.task_runs.get(task_id="load").attempts] == ["FAILED", "FAILED"]
    assert run.created_at == run.started_at
    assert run.lease_owner is None
    logged = LogLine.objects.filter(run=run)
    assert logged.filter(task_id="load", message__contains="no such table\n\x1b[31mred").exists()
    assert run.log_lines == logged.count()
    key = f"artifacts/org_blue/{run.pk}/extract/how: many.txt"
    assert storage.get_object(artifacts.name, key).body == b"3 rows"
    assert AuditEntry.objects.get(action="run.pushed").resource_id == str(run.pk)


def test_a_run_that_is_pushed_again_is_answered_as_it_is(push: Any, archive: bytes) -> None:
    assert push(archive).json() == push(archive).json()
    assert AuditEntry.objects.filter(action="run.pushed").count() == 1


def test_its_page_says_that_it_is_local_and_offers_nothing_that_needs_its_code(
    push: Any, archive: bytes, browse: Any, api: Any, bob: Any
) -> None:
    run_id = push(archive).json()["id"]
    page = browse(bob).get(reverse("runs:run", args=[run_id])).content.decode()
    assert '<span class="badge ">local</span>' in page
    assert "First failure" in page and "Run again" not in page
    code = browse(bob).get(reverse("runs:changes", args=[run_id])).content.decode()
    assert "Its code is not here" in code
    answer = api(bob).post(f"/runs/{run_id}/retry", {}, content_type="application/json")
    assert (answer.status_code, "its code is not here" in answer.json()["detail"]) == (409, True)
    assert "badge" in browse(bob).get("/console/runs/?q=trigger:local").content.decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "RUNNING"}, "has not ended: RUNNING"),
        ({"run_id": "1"}, "whose id is none"),
        ({"run_id": str(uuid.uuid4())}, "not that of its directory"),
        ({"flow": {"name": "a\0b"}}, "one that can't be kept"),
        ({"flow": []}, "has no name"),
    ],
)
def test_what_is_no_run_that_has_ended_is_refused(push: Any, archive: bytes, fields: Any, said: str) -> None:
    answer = push(changed(archive, **fields))
    assert (answer.status_code, said in str(answer.json())) == (422, True), answer.json()
    assert not Run.objects.exists()


def test_records_of_a_form_that_nobody_knows_are_left_out(push: Any, archive: bytes) -> None:
    lies = {"tasks": [5, {"task_id": []}], "failure": "x", "process": 5, "parameters": [], "started_at": "9999"}
    answer = push(changed(archive, **lies))
    assert (answer.status_code, answer.json()["failure"]) == (201, None), answer.json()


def test_an_archive_without_a_record_or_with_names_that_leave_it_is_refused(push: Any, archive: bytes) -> None:
    assert "no record of a run" in str(push(changed(archive, drop="metadata.json")).json())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("../x", "")
    assert push(buffer.getvalue()).status_code == 422
    assert push(b"no zip").status_code == 422
    assert push(archive, sha256="0" * 64).status_code == 422


def test_an_id_that_is_another_runs_is_refused_and_that_run_stays(push: Any, archive: bytes, charlie: Any) -> None:
    other = a_run("org_red")
    with zipfile.ZipFile(io.BytesIO(archive)) as told:
        run_id = told.namelist()[-1].split("/")[1]
    Run.objects.filter(pk=other.pk).delete()
    other.pk = uuid.UUID(run_id)
    other.save(force_insert=True)
    assert push(archive).status_code == 409
    assert Run.objects.get().organization_id == "org_red"


def test_who_may_not_start_runs_pushes_none(as_actor: Any, vera: Any, bob: Any, archive: bytes) -> None:
    from dagy_console.core.errors import PermissionDenied

    with pytest.raises(PermissionDenied):
        pushing.push(actor=as_actor(vera), org_id="org_blue", archive=archive, sha256="0" * 64)
