"""Which run is next: fair between organizations, within the limits of flows, by queue."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from dagy_console.accounts.models import Organization
from dagy_console.accounts.services.people import create_organization
from dagy_console.core.actors import SYSTEM
from dagy_console.customers.services import suspension
from dagy_console.runs import executing, queueing, resuming, stuck
from dagy_console.runs.models import Deployment, Flow, Run, RunStatus
from tests.runs.place import Place, in_thread, wait_until
from tests.runs.support import a_run, bundle


def again(run: Run, **columns: Any) -> Run:
    """Another run of the same flow."""
    told = {"trigger": "api", "triggered_by": "bob", "parameters": {}, **columns}
    return Run.objects.create(
        organization_id=run.organization_id, flow=run.flow, deployment=run.deployment, queue=run.queue, **told
    )


def limited(run: Run, limit: int | None) -> None:
    Deployment.objects.filter(pk=run.deployment_id).update(concurrency_limit=limit)
    Flow.objects.filter(pk=run.flow_id).update(latest=run.deployment_id)


@pytest.fixture
def others(db: None) -> Organization:
    return create_organization(actor=SYSTEM, org_id="org_red", name="Red")


def test_an_organization_with_many_runs_does_not_keep_anothers_one_waiting(bob: Any, others: Organization) -> None:
    first = a_run("org_blue")
    for _ in range(20):
        again(first)
    only = a_run("org_red")
    assert queueing.next_run("default") == first.pk  # nobody has any under way: the oldest
    Run.objects.filter(pk=first.pk).update(status=RunStatus.RUNNING)
    assert queueing.next_run("default") == only.pk
    Run.objects.filter(pk=only.pk).update(status=RunStatus.CANCELLING)
    assert Run.objects.get(pk=queueing.next_run("default")).organization_id == "org_blue"


def test_each_queue_has_its_own_next_run(bob: Any) -> None:
    run = a_run("org_blue")
    Run.objects.filter(pk=run.pk).update(queue="heavy")
    assert (queueing.next_run("default"), queueing.next_run("heavy")) == (None, run.pk)


def test_what_is_held_or_suspended_or_over_is_not_next(bob: Any) -> None:
    run = a_run("org_blue")
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() + timedelta(seconds=9))
    assert queueing.next_run("default") is None
    Run.objects.filter(pk=run.pk).update(lease_until=None)
    suspension.suspend(actor=SYSTEM, org_id="org_blue", reason="unpaid since June")
    assert queueing.next_run("default") is None
    suspension.unsuspend(actor=SYSTEM, org_id="org_blue", reason="they have paid")
    assert queueing.next_run("default") == run.pk
    Run.objects.filter(pk=run.pk).update(status=RunStatus.SUCCEEDED)
    assert queueing.next_run("default") is None


def test_a_flow_that_is_full_lets_others_pass(browse: Any, bob: Any, monkeypatch: Any) -> None:
    full, other = a_run("org_blue"), a_run("org_blue", name="hourly")
    Run.objects.filter(pk=full.pk).update(status=RunStatus.RUNNING)
    waiting = again(full)
    Run.objects.filter(pk__in=[full.pk, waiting.pk]).update(created_at=timezone.now() - timedelta(minutes=5))
    limited(full, 1)
    assert queueing.next_run("default") == other.pk
    page = browse(bob).get(reverse("runs:run", args=[waiting.pk])).content.decode()
    assert "As many runs of nightly are under way as there may be at once" in page
    assert [kind.kind for kind in stuck.stuck(Run.objects.all()) if kind.count] == []  # it waits as it should
    sent: list[Any] = []
    monkeypatch.setattr(resuming, "hand_over", lambda run, **_: sent.append(run.pk))
    resuming.resume()
    assert sent == [full.pk]  # nobody works on it: another worker is to tell of it
    Run.objects.filter(pk=full.pk).update(status=RunStatus.FAILED)
    assert queueing.next_run("default") == waiting.pk


def test_of_many_workers_that_take_at_once_no_more_begin_than_may(place: Place) -> None:
    Deployment.objects.update(concurrency_limit=2)
    runs = [place.trigger(how="rests") for _ in range(4)]
    threads = [threading.Thread(target=in_thread, args=(run.pk,)) for run in runs]
    for thread in threads:
        thread.start()
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, Run.objects.filter(status="RUNNING").count())
        return not any(thread.is_alive() for thread in threads)

    wait_until(is_over, 30)
    assert most == 2
    # Those that found no room have ended, and each of the first two passed its place on: the messages for that wait.
    assert sorted(Run.objects.values_list("status", flat=True)) == ["QUEUED", "QUEUED", "SUCCEEDED", "SUCCEEDED"]


def test_a_place_is_passed_on_to_the_run_that_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    Deployment.objects.update(concurrency_limit=1)
    first, second = place.trigger(), place.trigger()
    sent: list[Any] = []
    monkeypatch.setattr(executing, "hand_over", lambda run, **_: sent.append(run.pk))
    executing.execute(second.pk)  # whichever message it is: the oldest begins
    assert sent == [second.pk]
    assert dict(Run.objects.values_list("pk", "status")) == {first.pk: "SUCCEEDED", second.pk: "QUEUED"}
    executing.execute(second.pk)
    assert set(Run.objects.values_list("status", flat=True)) == {"SUCCEEDED"}


def test_a_deployment_says_where_and_how_often_its_runs_run(api: Any, place: Place, settings: Any) -> None:
    settings.RUN_QUEUES = ["default", "heavy"]
    data, sha256 = bundle()
    query = f"/deployments?entrypoint=flows.py:nightly&sha256={sha256}"
    client = api(place.user)

    def deploy(options: str) -> Any:
        return client.post(f"{query}{options}", data, content_type="application/zip")

    made = deploy("&queue=heavy&concurrency_limit=3").json()
    assert (made["queue"], made["concurrency_limit"], made["version"]) == ("heavy", 3, 2)
    assert place.trigger(day="x").queue == "heavy"
    assert deploy("&queue=heavy&concurrency_limit=3").json()["version"] == 2
    assert deploy("").json()["version"] == 3  # another limit is another version
    for options, said in {
        "&queue=gpu": "there is no queue 'gpu': default, heavy",
        "&concurrency_limit=0": "greater than or equal to 1",
        "&concurrency_limit=many": "integer",
    }.items():
        answer = deploy(options)
        assert (answer.status_code, said in str(answer.json())) == (422, True), answer.json()
