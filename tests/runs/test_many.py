"""Cancelling, and starting again, all runs of a search."""

from __future__ import annotations

from typing import Any

import pytest

from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Invalid
from dagy_console.runs.models import Run
from dagy_console.runs.search import RUNS
from dagy_console.runs.services import many
from tests.runs.support import a_run


@pytest.fixture
def runs(bob: Any, charlie: Any) -> list[Run]:
    """Of org_blue: two that wait, two that failed, one that succeeded; of org_red: one that waits."""
    first = a_run("org_blue")
    states = ["QUEUED", "FAILED", "FAILED", "SUCCEEDED"]
    copies = [
        Run(
            organization=first.organization,
            flow=first.flow,
            deployment=first.deployment,
            status=state,
            trigger="api",
            triggered_by="bob",
            parameters={"n": n},
        )
        for n, state in enumerate(states)
    ]
    return [first, *Run.objects.bulk_create(copies), a_run("org_red")]


def test_all_that_match_are_cancelled_after_the_count_was_seen(browse: Any, runs: list[Run], bob: Any) -> None:
    client = browse(bob)
    assert "/console/runs/all/cancel/?q=flow%3Anightly" in client.get("/console/runs/?q=flow:nightly").content.decode()
    page = client.get("/console/runs/all/cancel/?q=flow:nightly").content.decode()
    assert "Cancel 2 runs?" in page
    given = {"q": "flow:nightly", "expected_count": "2"}
    Run.objects.filter(pk=runs[0].pk).update(status="RUNNING")
    Run.objects.filter(pk=runs[1].pk).update(status="SUCCEEDED")
    refused = client.post("/console/runs/all/cancel/", given)
    assert refused.status_code == 422
    assert "1 runs match now, not 2" in refused.content.decode()
    assert not Run.objects.filter(status__in=("CANCELLED", "CANCELLING")).exists()
    answer = client.post("/console/runs/all/cancel/", given | {"expected_count": "1"})
    assert (answer.status_code, answer["Location"]) == (302, "/console/runs/?q=flow%3Anightly")
    assert Run.objects.get(pk=runs[0].pk).status == "CANCELLED"  # nobody held it
    assert Run.objects.get(organization="org_red").status == "QUEUED"  # not bob's
    assert AuditEntry.objects.filter(action="run.cancelled").count() == 1


def test_all_that_failed_are_started_again_once(api: Any, runs: list[Run], bob: Any) -> None:
    client = api(bob)
    body = {"q": "flow:nightly", "expected_count": 2}
    assert client.post("/runs/retry", body, content_type="application/json").json() == {"count": 2}
    retries = Run.objects.filter(retry_of__isnull=False)
    assert sorted(run.parameters["n"] for run in retries) == [1, 2]
    assert all(run.reuses_outputs for run in retries)
    again = client.post("/runs/retry", body, content_type="application/json")
    assert again.status_code == 409
    assert "0 runs match now" in again.json()["detail"]


@pytest.mark.parametrize("deed", ["cancel", "retry"])
def test_searches_that_can_not_be_read_and_deeds_that_are_none(
    browse: Any, api: Any, runs: Any, bob: Any, deed: str
) -> None:
    client = browse(bob)
    refused = client.get(f"/console/runs/all/{deed}/?q=colour:red")
    assert refused.status_code == 422
    assert "The search can&#x27;t be read" in refused.content.decode()
    assert client.get("/console/runs/all/burn/").status_code == 404
    assert client.post(f"/console/runs/all/{deed}/", {"q": "colour:red", "expected_count": "x"}).status_code == 422
    body = {"q": "colour:red", "expected_count": 0}
    assert api(bob).post(f"/runs/{deed}", body, content_type="application/json").status_code == 422


def test_too_many_are_refused(runs: list[Run], as_actor: Any, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "MOST", 1)
    with pytest.raises(Invalid, match="more than 1 runs") as caught:
        many.cancel_matching(actor=as_actor(bob), query=RUNS.parse(""), expected_count=2)
    assert caught.value.errors[0].field == "q"
    assert Run.objects.filter(status="QUEUED").count() == 3


def test_a_viewer_is_not_offered_either(browse: Any, api: Any, runs: list[Run], vera: Any) -> None:
    assert "all that match" not in browse(vera).get("/console/runs/").content.decode()
    for deed in ("cancel", "retry"):
        assert browse(vera).get(f"/console/runs/all/{deed}/").status_code == 403
        body = {"q": "", "expected_count": 2}
        assert api(vera).post(f"/runs/{deed}", body, content_type="application/json").status_code == 403
