"""A run again: as a whole, or from its failure on with the outputs that are there."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from dagy_console.audit.models import AuditEntry
from dagy_console.core import artifacts as kept
from dagy_console.core.errors import Conflict, NotFound
from dagy_console.runs import executing
from dagy_console.runs.models import Deployment, LogLine, Run, artifact_key
from dagy_console.runs.services import deploying, triggering
from tests.runs.place import Place, statuses
from tests.runs.support import a_run, bundle

CODE = """
import os
from dagy import LocalArtifact, flow, task

def effect(path, name):
    with open(path, "a") as effects:
        effects.write(name + "\\n")

@task
def extract(path):
    effect(path, "extract")
    return {"rows": [1, 2], "file": LocalArtifact(data="1\\n2\\n", name="rows.csv")}

@task
def beside(path):
    effect(path, "beside")
    return 7

@task
def load(extracted, path):
    effect(path, "load")
    with open(extracted["file"].path) as rows:
        found = rows.read().split()
    if not os.path.exists(path + ".fixed"):
        raise LookupError("no such table")
    return [int(row) for row in found]

@task
def report(loaded, seven, path):
    effect(path, "report")
    return sum(loaded) + seven

@flow
def healing(path: str):
    seven = beside(path)
    report(load(extract(path), path), seven, path)
"""


@pytest.fixture
def healing(place: Place, tmp_path: Path) -> tuple[Run, Path]:
    """A run that failed in its third task, and would not a second time; and the file with its tasks' effects."""
    data, sha256 = bundle({"flows.py": CODE})
    deploying.deploy(actor=place.actor, org_id="org_blue", bundle=data, sha256=sha256, entrypoint="flows.py:healing")
    effects = tmp_path / "effects"
    run = triggering.trigger(actor=place.actor, org_id="org_blue", flow="healing", parameters={"path": str(effects)})
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_type) == ("FAILED", "LookupError")
    Path(f"{effects}.fixed").touch()
    effects.unlink()
    return run, effects


def again(place: Place, run: Run, *, from_failure: bool) -> Run:
    retry = triggering.retry(actor=place.actor, run_id=run.pk, from_failure=from_failure)
    executing.execute(retry.pk)
    retry.refresh_from_db()
    return retry


def test_a_retry_from_the_failure_runs_only_what_had_not_succeeded(place: Place, healing: tuple[Run, Path]) -> None:
    run, effects = healing
    retry = again(place, run, from_failure=True)
    assert (retry.status, retry.retry_of_id, retry.reuses_outputs) == ("SUCCEEDED", run.pk, True), retry.reason
    assert effects.read_text().split() == ["load", "report"]
    assert set(statuses(retry).values()) == {"SUCCEEDED"}
    assert retry.task_runs.get(task_id="extract").reason == f"its output of run {run.pk} is reused"
    assert retry.task_runs.get(task_id="extract").attempts == []
    # It has all outputs of its own, so that it can be retried itself.
    assert kept.read(artifact_key(retry, "extract", "rows.csv")) == b"1\n2\n"
    assert kept.read(artifact_key(retry, "report", "output.json")) == b"10"
    entry = AuditEntry.objects.get(action="run.retried")
    assert (entry.after["retry_of"], entry.after["reuses_outputs"]) == (str(run.pk), True)


def test_a_retry_as_a_whole_runs_every_task(place: Place, healing: tuple[Run, Path]) -> None:
    run, effects = healing
    retry = again(place, run, from_failure=False)
    assert (retry.status, retry.parameters, retry.deployment_id) == ("SUCCEEDED", run.parameters, run.deployment_id)
    assert sorted(effects.read_text().split()) == ["beside", "extract", "load", "report"]


def test_what_has_gone_from_storage_is_run_again(place: Place, healing: tuple[Run, Path], artifacts: Any) -> None:
    run, effects = healing
    kept_key = artifact_key(run, "extract", "rows.csv")
    artifacts.delete(kept_key)
    retry = again(place, run, from_failure=True)
    assert retry.status == "SUCCEEDED"
    assert sorted(effects.read_text().split()) == ["extract", "load", "report"]
    assert LogLine.objects.filter(run=retry, message__startswith="Reused the output").count() == 1


def test_what_can_not_be_retried_says_why(place: Place, as_actor: Any, charlie_committed: Any) -> None:
    run = place.trigger()
    with pytest.raises(Conflict, match="goes on"):
        triggering.retry(actor=place.actor, run_id=run.pk)
    executing.execute(run.pk)
    with pytest.raises(Conflict, match="no failure to go on from"):
        triggering.retry(actor=place.actor, run_id=run.pk, from_failure=True)
    with pytest.raises(NotFound):
        triggering.retry(actor=charlie_committed, run_id=run.pk)
    with pytest.raises(NotFound):
        triggering.retry(actor=place.actor, run_id=uuid.uuid4())


@pytest.fixture
def charlie_committed(place: Place, as_actor: Any) -> Any:
    from dagy_console.accounts.models import Membership, Organization, User
    from dagy_console.core.permissions import Role

    red = Organization.objects.create(id="org_red", name="Red")
    charlie = User.objects.create(email="charlie@red.example", name="Charlie")
    Membership.objects.create(user=charlie, organization=red, role=Role.OWNER)
    return as_actor(charlie)


def test_a_failed_run_offers_both_ways_and_leads_to_what_came_of_it(browse: Any, bob: Any, vera: Any) -> None:
    run = a_run("org_blue")
    Run.objects.filter(pk=run.pk).update(status="FAILED", task_count=4, succeeded_count=2)
    client = browse(bob)
    url = reverse("runs:run", args=[run.pk])
    page = client.get(url).content.decode()
    assert "The outputs of 2 tasks are reused; the other 2 run again." in page
    assert "Run again" not in browse(vera).get(url).content.decode()
    answer = client.post(reverse("runs:retry", args=[run.pk]), {"from_failure": "1"})
    retry = Run.objects.get(retry_of=run)
    assert (answer["Location"], retry.reuses_outputs, retry.trigger) == (
        reverse("runs:run", args=[retry.pk]),
        True,
        "console",
    )
    assert reverse("runs:run", args=[retry.pk]) in client.get(url).content.decode()
    assert url in client.get(reverse("runs:run", args=[retry.pk])).content.decode()
    client.post(reverse("runs:retry", args=[retry.pk]))  # it waits: nothing is started
    assert Run.objects.count() == 2
    assert Deployment.objects.count() == 1
