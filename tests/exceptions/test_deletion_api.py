"""Bulk deletion by API: started with the count that was seen, watched, and stopped."""

import pytest

from dagy_console.audit.models import AuditEntry
from dagy_console.core import jobs
from dagy_console.exceptions.deletions import services
from dagy_console.exceptions.models import DeletionJob, Trace

URL = "/admin/exceptions/deletions"


@pytest.fixture
def keys(bucket, indexed):
    keys = [bucket.put("org_blue"), bucket.put("org_blue"), bucket.put("org_red")]
    indexed()
    return keys


@pytest.fixture
def post(api, alice):
    client = api(alice)
    return lambda body, url=URL: client.post(url, body, content_type="application/json")


def test_a_search_is_deleted_and_its_job_tells_how_far_it_came(api, alice, post, bucket, keys):
    started = post({"q": "org:org_blue", "expected_count": 2})
    assert started.status_code == 202
    job = started.json()
    assert (job["state"], job["q"], job["matched"], job["deleted"]) == ("queued", "org:org_blue", 2, 0)
    assert job["created_by"] == "alice@dagy.example"
    jobs.run(services.JOB, DeletionJob.objects.get().id)
    ended = api(alice).get(f"{URL}/{job['id']}").json()
    assert (ended["state"], ended["deleted"], ended["failed"], ended["skipped"]) == ("succeeded", 2, 0, 0)
    assert ended["errors"] == [] and ended["problem"] == "" and ended["finished_at"].endswith("Z")
    assert bucket.keys() == [keys[2]] == [Trace.objects.get().key]


def test_keys_are_deleted_by_number(post, bucket, keys):
    job = post({"keys": keys[:2], "expected_count": 2}).json()
    assert job["q"] is None and job["matched"] == 2
    jobs.run(services.JOB, DeletionJob.objects.get().id)
    assert bucket.keys() == [keys[2]]


@pytest.mark.parametrize("what", [{"q": "org:org_blue"}, {"q": ""}, {"keys": ["exceptions/org_blue/x.json"]}])
def test_another_count_is_a_409_and_deletes_nothing(post, keys, what):
    answer = post(what | {"expected_count": 7})
    assert answer.status_code == 409
    assert "Nothing was deleted" in answer.json()["detail"]
    assert not DeletionJob.objects.exists() and not AuditEntry.objects.filter(action="deletion.started").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expected_count": 1}, "q"),
        ({"q": "a", "keys": ["exceptions/a/b.json"], "expected_count": 1}, "q"),
        ({"q": "type:", "expected_count": 1}, "q"),
        ({"q": "a" * 4_001, "expected_count": 1}, "q"),
        ({"keys": [], "expected_count": 0}, "keys"),
        ({"keys": ["elsewhere/x.json"], "expected_count": 1}, "keys"),
        ({"keys": ["a\x00b"], "expected_count": 1}, "keys.0"),
        ({"q": "a"}, "expected_count"),
        ({"q": "a", "expected_count": -1}, "expected_count"),
        ({"q": "a", "expected_count": "many"}, "expected_count"),
        ({"q": "a", "expected_count": 1, "force": True}, "force"),
    ],
)
def test_a_wrong_body_is_named(post, db, body, field):
    answer = post(body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_job_is_cancelled_once_and_then_stays_so(post, bucket, keys):
    job = post({"q": "", "expected_count": 3}).json()
    cancelled = post({}, f"{URL}/{job['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert post({}, f"{URL}/{job['id']}/cancel").status_code == 409
    assert len(bucket.keys()) == 3


def test_an_unknown_job_is_a_404(api, alice, db):
    assert api(alice).get(f"{URL}/00000000-0000-7000-8000-000000000000").status_code == 404
    assert api(alice).get(f"{URL}/nonsense").status_code in {404, 422}
