"""Deletions are exact, and recorded so, whichever server or worker fails on the way."""

import json
import re
from datetime import timedelta
from functools import partial

import pytest
from django.db import DataError
from django.utils import timezone

from dagy_console.audit.models import AuditEntry
from dagy_console.core import jobs, leases, storage
from dagy_console.exceptions.deletions import claims, running
from dagy_console.exceptions.deletions import services as deletion
from dagy_console.exceptions.index import reconciling
from dagy_console.exceptions.models import DeletionClaim, DeletionJob, Trace
from dagy_console.exceptions.search import parse
from tests.exceptions.troubled_s3 import error

COUNT = 12


@pytest.fixture(autouse=True)
def _quick(monkeypatch, settings):
    """Small batches, and short pauses between tries."""
    settings.DELETION_BATCH = 3
    monkeypatch.setattr(running, "THREADS", 2)


@pytest.fixture
def keys(bucket, indexed):
    written = sorted(bucket.put("org_blue") for _ in range(COUNT))
    indexed()
    return written


@pytest.fixture
def job(as_actor, alice, keys):
    return deletion.start_deletion(actor=as_actor(alice), query=parse(""), expected_count=COUNT)


def run(job, pauses=(0.01,)):
    jobs.run(deletion.JOB, job.id, work=partial(running.run, pauses=pauses))
    job.refresh_from_db()


def finished():
    (entry,) = AuditEntry.objects.filter(action="deletion.finished")
    return entry.outcome, entry.after["deleted"], entry.after["failed"]


def answers(*replies):
    """Each deletion gets the next reply: a function of the request; the last one for all that follow."""
    waiting = list(replies)

    def answer(request):
        if not request.is_deletion:
            return request.forward()
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(request)

    return answer


def served(request):
    return request.forward()


def cut_off(request):
    return None


def done_and_cut_off(request):
    request.forward()


def busy_with(keys, code="InternalError"):
    """S3 deletes the others, and answers the code for these keys."""

    def reply(request):
        status, headers, body = request.forward()
        for key in keys:
            failed = f"<Error><Key>{key}</Key><Code>{code}</Code><Message>later</Message></Error>".encode()
            body = re.sub(rb"<Deleted><Key>" + re.escape(key.encode()) + rb"</Key></Deleted>", failed, body)
        return status, headers, body

    return reply


def test_a_job_waits_while_s3_is_away_and_counts_what_went_without_an_answer(bucket, job, troubled):
    troubled.answer = answers(served, done_and_cut_off, cut_off)
    run(job)
    assert (job.state, job.is_final) == ("running", False)
    assert job.waiting_since is not None and "Waiting since" in job.problem and "did not answer" in job.problem
    assert "Nothing was changed" not in job.problem
    assert len(bucket.keys()) < COUNT - job.deleted, "the bucket has lost more than is counted yet"
    assert jobs.unheld(deletion.JOB) == [job.id]
    troubled.answer = served
    run(job)
    assert (job.state, job.deleted, job.failed, job.problem) == ("succeeded", COUNT, 0, "")
    assert bucket.keys() == [] and not Trace.objects.exists() and not DeletionClaim.objects.exists()
    assert finished() == ("success", COUNT, 0)


def test_deleting_by_key_names_the_job_that_goes_on_where_s3_goes_away(api, alice, bucket, keys, troubled):
    troubled.answer = answers(served, done_and_cut_off, cut_off)
    response = api(alice).delete("/admin/exceptions", json.dumps({"keys": keys}), content_type="application/json")
    job = DeletionJob.objects.get()
    assert response.status_code == 503
    assert f"goes on in the background as job {job.id}" in response.json()["detail"]
    assert "Nothing was changed" not in response.json()["detail"]
    troubled.answer = served
    run(job)
    assert (job.state, job.deleted) == ("succeeded", COUNT) and bucket.keys() == []
    assert finished() == ("success", COUNT, 0)


def test_a_cancelled_deletion_counts_the_batch_that_was_under_way(as_actor, alice, bucket, job, keys):
    """Its worker died right after the cancel, with its keys gone from S3 and from the index."""
    row = DeletionJob.objects.filter(id=job.id)
    row.update(state="running", started_at=timezone.now())
    claims.claim(job, keys[:5])
    storage.delete_objects(bucket.name, keys[:4])
    deletion.cancel_deletion(actor=as_actor(alice), job_id=job.id)
    reconciling.reconcile()
    run(job)
    assert (job.state, job.deleted) == ("cancelled", 5)
    assert sorted(bucket.keys()) == keys[5:] == sorted(Trace.objects.values_list("key", flat=True))
    assert not DeletionClaim.objects.exists()
    assert finished() == ("success", 5, 0)


def test_a_cancelled_job_ends_only_when_s3_has_answered_for_what_is_claimed(as_actor, alice, bucket, job, troubled):
    troubled.answer = answers(done_and_cut_off, cut_off)
    run(job)
    deletion.cancel_deletion(actor=as_actor(alice), job_id=job.id)
    run(job)
    assert (job.state, job.deleted) == ("cancelling", 0)
    troubled.answer = served
    run(job)
    assert job.state == "cancelled" and 0 < job.deleted == COUNT - len(bucket.keys()) < COUNT
    assert finished() == ("success", job.deleted, 0)


@pytest.mark.parametrize("code", ["InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"])
def test_keys_that_s3_is_in_trouble_with_are_asked_for_again(bucket, job, keys, troubled, code):
    troubled.answer = answers(busy_with(keys, code), served)
    run(job)
    assert (job.state, job.deleted, job.failed) == ("succeeded", COUNT, 0)
    assert bucket.keys() == [] and finished() == ("success", COUNT, 0)


def test_other_codes_are_final_for_their_key_alone(bucket, job, keys, troubled):
    troubled.answer = answers(busy_with(keys[:2], "MethodNotAllowed"))
    run(job)
    assert (job.state, job.deleted, job.failed) == ("failed", COUNT - 2, 2)
    assert sorted(job.errors.values_list("key", "code")) == [(key, "MethodNotAllowed") for key in keys[:2]]
    assert finished() == ("failed", COUNT - 2, 2)


def test_a_key_that_keeps_s3_in_trouble_is_given_up_after_a_while(job, keys, troubled):
    troubled.answer = answers(busy_with(keys[:1]))
    run(job)
    assert job.state == "running" and list(job.claims.values_list("key", flat=True)) == keys[:1]
    DeletionJob.objects.update(waiting_since=timezone.now() - timedelta(minutes=11))
    run(job)
    assert (job.state, job.deleted, job.failed) == ("failed", COUNT - 1, 1)


def test_two_overlapping_deletions_count_each_trace_once(as_actor, alice, bucket, job, keys):
    other = deletion.start_deletion(actor=as_actor(alice), query=parse("org:org_blue"), expected_count=COUNT)
    claims.claim(job, keys[:5])
    run(other)
    assert (other.state, other.deleted, other.skipped) == ("succeeded", COUNT - 5, 5)
    assert sorted(bucket.keys()) == keys[:5]
    run(job)
    assert (job.state, job.deleted, job.skipped) == ("succeeded", 5, COUNT - 5)
    assert bucket.keys() == []


def test_a_key_that_another_deletion_has_on_its_way_is_an_error(api, alice, job, keys):
    claims.claim(job, keys[:1])
    body = json.dumps({"keys": keys[:2]})
    answer = api(alice).delete("/admin/exceptions", body, content_type="application/json").json()
    assert answer["deleted"] == [keys[1]]
    assert [(failed["key"], failed["code"]) for failed in answer["errors"]] == [(keys[0], "InProgress")]


def test_deleting_by_key_says_what_s3_confirmed_though_somebody_cancels(api, as_actor, alice, bucket, keys, troubled):
    cancelled = []

    def settle_after_a_cancel(held, deleted, errors, settle=claims.settle):
        if not cancelled:
            cancelled.append(deletion.cancel_deletion(actor=as_actor(alice), job_id=DeletionJob.objects.get().id))
        settle(held, deleted, errors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "settle", settle_after_a_cancel)
        body = json.dumps({"keys": keys})
        answer = api(alice).delete("/admin/exceptions", body, content_type="application/json").json()
    assert cancelled and set(answer["deleted"]) == set(keys) - set(bucket.keys())
    assert set(answer["deleted"]) | {failed["key"] for failed in answer["errors"]} == set(keys)


def test_cancelling_selected_keys_before_their_turn_lets_them_go(as_actor, alice, bucket, keys):
    actor = as_actor(alice)
    job = deletion.start_key_deletion(actor=actor, keys=keys, expected_count=COUNT)
    assert job.claims.count() == COUNT
    assert deletion.cancel_deletion(actor=actor, job_id=job.id).state == "cancelled"
    assert not DeletionClaim.objects.exists() and len(bucket.keys()) == COUNT


def test_reconciliation_leaves_what_a_deletion_has_on_its_way(job, bucket, keys):
    claims.claim(job, keys[:4])
    storage.delete_objects(bucket.name, keys[:6])
    reconciling.reconcile()
    assert sorted(Trace.objects.values_list("key", flat=True)) == sorted([*keys[:4], *keys[6:]])


def test_an_error_of_the_console_ends_the_job_with_all_that_was_under_way_counted(bucket, job, keys, monkeypatch):
    def broken(job):
        yield keys[:6]
        raise ZeroDivisionError

    monkeypatch.setattr(running, "_pages", broken)
    run(job)
    assert (job.state, job.deleted) == ("failed", 6) and "error of the console itself" in job.problem
    assert len(bucket.keys()) == COUNT - 6 and not DeletionClaim.objects.exists()
    assert finished() == ("failed", 6, 0)


def test_what_cannot_be_written_down_ends_the_job_and_is_told_as_failed(job, keys, monkeypatch):
    def refused(held, deleted, errors):
        raise DataError("value too long")

    monkeypatch.setattr(claims, "settle", refused)
    run(job)
    assert job.state == "failed" and "PostgreSQL refused" in job.problem
    assert job.failed == job.errors.filter(code="Unknown").count() > 0
    assert not DeletionClaim.objects.exists()


def test_a_job_whose_lease_is_lost_is_left_to_its_new_holder(job, keys, monkeypatch):
    def lose(held, deleted, errors, settle=claims.settle):
        DeletionJob.objects.update(lease_owner="00000000-0000-4000-8000-000000000000")
        settle(held, deleted, errors)

    with monkeypatch.context() as patch:
        patch.setattr(claims, "settle", lose)
        run(job)
    assert (job.state, job.problem, job.deleted) == ("running", "", 0)
    DeletionJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    run(job)
    assert (job.state, job.deleted) == ("succeeded", COUNT)


def test_a_job_whose_worker_died_is_taken_over_when_its_lease_ends(bucket, job, keys):
    row = DeletionJob.objects.filter(id=job.id)
    assert leases.take(row, seconds=60)
    row.update(state="running")
    claims.claim(job, keys[:5])
    storage.delete_objects(bucket.name, keys[:5])  # the dead worker's last batch: in S3 only
    reconciling.reconcile()
    assert jobs.unheld(deletion.JOB) == []
    run(job)
    assert job.state == "running"
    row.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert jobs.unheld(deletion.JOB) == [job.id]
    run(job)
    assert (job.state, job.deleted) == ("succeeded", COUNT)
    assert bucket.keys() == [] and not Trace.objects.exists()


def test_a_whole_request_that_is_refused_ends_the_job_and_says_why(bucket, job, troubled):
    troubled.answer = answers(lambda request: error(403, "AccessDenied"))
    run(job)
    assert job.state == "failed" and job.deleted == 0 and "s3:DeleteObject" in job.problem
    assert len(bucket.keys()) == COUNT and not DeletionClaim.objects.exists()


def test_the_rate_is_that_of_the_last_minute(job):
    now = timezone.now()
    job.state, job.started_at, job.deleted, job.matched = "running", now - timedelta(hours=1), 400, 1_000
    job.pace = [[(now - timedelta(seconds=60)).timestamp(), 100], [(now - timedelta(seconds=3)).timestamp(), 380]]
    assert job.rate == pytest.approx(5, rel=0.05)
    assert job.eta.total_seconds() == pytest.approx(120, rel=0.05)
    job.pace = jobs.marked(job, 400)
    assert [done for _, done in job.pace][-2:] == [380, 400]
