"""A server that lets the console read but not delete: the error names the permission, and nothing is lost."""

import json
import os
import urllib.request

import boto3
import pytest

from dagy_console.audit.models import AuditEntry
from dagy_console.core import jobs, storage
from dagy_console.exceptions.deletions import services as deletion
from dagy_console.exceptions.models import DeletionJob, Trace
from dagy_console.exceptions.search import parse


def grant_reading(bucket_name):
    """Let the user `dagy:reader` list and read the bucket, by Swift's own access list."""
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    headers = {"X-Auth-User": os.environ["AWS_ACCESS_KEY_ID"], "X-Auth-Key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/auth/v1.0", headers=headers), timeout=10) as answer:
        token, url = answer.headers["X-Auth-Token"], answer.headers["X-Storage-Url"]
    headers = {"X-Auth-Token": token, "X-Container-Read": "dagy:reader,.rlistings"}
    request = urllib.request.Request(f"{url}/{bucket_name}", method="POST", headers=headers)
    urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture
def read_only(bucket, indexed, monkeypatch):
    if os.environ["AWS_ACCESS_KEY_ID"] != "dagy:dagy":
        pytest.skip("needs the embedded S3 server's second user")
    keys = [bucket.put() for _ in range(3)]
    indexed()
    grant_reading(bucket.name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dagy:reader")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    storage.client.cache_clear()
    yield keys
    storage.client.cache_clear()


def test_deleting_by_key_names_the_missing_permission_for_each_key(api, alice, read_only):
    body = json.dumps({"keys": read_only})
    answer = api(alice).delete("/admin/exceptions", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["deleted"] == []
    assert {error["code"] for error in answer.json()["errors"]} == {"AccessDenied"}
    assert all("s3:DeleteObject" in error["message"] for error in answer.json()["errors"])
    assert Trace.objects.count() == 3
    assert AuditEntry.objects.get(action="deletion.finished").outcome == "failed"


def test_a_job_stops_at_the_first_batch_and_says_why(as_actor, alice, read_only):
    job = deletion.start_deletion(actor=as_actor(alice), query=parse(""), expected_count=3)
    jobs.run(deletion.JOB, job.id)
    job = DeletionJob.objects.get()
    assert (job.state, job.deleted, job.failed) == ("failed", 0, 3)
    assert "s3:DeleteObject" in job.problem


def test_reading_goes_on(browse, alice, read_only):
    assert browse(alice).get("/console/exceptions/trace", {"key": read_only[0]}).status_code == 200
