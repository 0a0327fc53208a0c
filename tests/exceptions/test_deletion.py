"""Bulk deletion: what was confirmed is deleted, no more and no less, whoever dies on the way."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from dagy_console.audit.models import AuditEntry
from dagy_console.core import leases, storage
from dagy_console.exceptions import selectors
from dagy_console.exceptions.models import DeletionJob, Trace
from dagy_console.exceptions.search import parse
from dagy_console.exceptions.services import deletion, reconciling


def delete(client, keys, **more):
    return client.delete("/admin/exceptions", json.dumps({"keys": keys} | more), content_type="application/json")


def audited(action):
    return list(AuditEntry.objects.filter(action=action).order_by("at"))


@pytest.fixture
def five(bucket, indexed):
    now = datetime.now(UTC)
    keys = [bucket.put("org_blue", at=now - timedelta(minutes=minute)) for minute in range(1, 6)]
    indexed()
    return keys


class TestByKey:
    def test_the_object_the_row_and_the_audit_entry_agree(self, api, alice, bucket, five):
        response = delete(api(alice), five[:2])
        assert response.json() == {"deleted": five[:2], "errors": []}
        assert sorted(bucket.keys()) == sorted(five[2:])
        assert set(Trace.objects.values_list("key", flat=True)) == set(five[2:])
        (started,), (finished,) = audited("deletion.started"), audited("deletion.finished")
        assert started.after["keys"] == five[:2]
        assert finished.after["deleted"] == 2 and finished.after["failed"] == 0
        assert started.actor_email == finished.actor_email == "alice@dagy.example"
        assert finished.request_id == started.request_id != ""

    def test_keys_that_are_gone_count_as_deleted_and_the_audit_says_what_existed(self, api, alice, five):
        gone = five[0].replace("org_blue", "org_never")
        assert delete(api(alice), [gone, five[0]]).json() == {"deleted": [gone, five[0]], "errors": []}
        (started,) = audited("deletion.started")
        assert started.after["in_index"] == [five[0]]

    def test_duplicate_keys_are_deleted_once(self, api, alice, five):
        assert delete(api(alice), [five[0], five[0]]).json() == {"deleted": [five[0]], "errors": []}

    @pytest.mark.parametrize(
        "key",
        [
            "other/org_1/2026/01/15/x.json",
            "exceptions/../secrets.json",
            "exceptions/org_1/./x.json",
            "exceptions//x.json",
            "/exceptions/org_1/x.json",
            "exceptions/",
            "s3://elsewhere/exceptions/org_1/x.json",
            "https://elsewhere.example/exceptions/x.json",
            "exceptions/org_1/\x00.json",
            "exceptions/" + "x" * 1100,
            "",
        ],
    )
    def test_a_key_that_is_none_of_a_trace_is_an_error_and_the_others_are_deleted(self, api, alice, bucket, five, key):
        answer = delete(api(alice), [key, five[0]]).json()
        assert answer["deleted"] == [five[0]]
        told = key if len(key) <= 1024 else key[:1024] + "…"
        assert [(error["key"], error["code"]) for error in answer["errors"]] == [(told, "InvalidKey")]

    def test_an_encoded_path_is_a_plain_key_and_touches_nothing_else(self, api, alice, bucket, five):
        before = bucket.keys()
        assert delete(api(alice), ["exceptions/%2e%2e/%2e%2e/secrets.json"]).status_code == 200
        assert bucket.keys() == before

    @pytest.mark.parametrize("keys", [[], [f"exceptions/org_1/{index}.json" for index in range(1001)]])
    def test_no_keys_or_too_many_are_refused_and_nothing_happens(self, api, alice, five, keys):
        response = delete(api(alice), keys)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "keys"
        assert not DeletionJob.objects.exists()

    def test_an_unset_bucket_is_said(self, api, alice, five, settings):
        settings.TRACES_BUCKET = ""
        response = delete(api(alice), five)
        assert response.status_code == 503
        assert "DAGY_TRACES_BUCKET" in response.json()["detail"]

    def test_a_missing_bucket_is_said_and_the_rows_stay(self, api, alice, five, settings):
        settings.TRACES_BUCKET = "no-such-bucket-here"
        response = delete(api(alice), five)
        assert response.status_code == 503
        assert "no-such-bucket-here does not exist" in response.json()["detail"]
        assert Trace.objects.count() == 5

    def test_s3_down_is_a_503_and_the_rows_stay(self, api, alice, five, settings):
        settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
        storage.client.cache_clear()
        try:
            assert delete(api(alice), five).status_code == 503
        finally:
            storage.client.cache_clear()
        assert Trace.objects.count() == 5
        assert audited("deletion.finished")[0].outcome == "failed"

    def test_only_super_admins_may_and_a_refusal_is_audited(self, api, bob, five):
        response = delete(api(bob), five)
        assert response.status_code == 403
        assert "exceptions.delete" in response.json()["detail"]
        (denied,) = audited("permission.denied")
        assert (denied.actor_email, denied.outcome, denied.resource_id) == (
            "bob@blue.example",
            "denied",
            "exceptions.delete",
        )
        assert Trace.objects.count() == 5


class TestByQuery:
    def start(self, actor, text, *, expected):
        return deletion.start_deletion(actor=actor, query=parse(text), cutoff=timezone.now(), expected_count=expected)

    def test_everything_that_matches_goes_and_nothing_else(self, as_actor, alice, bucket, five, indexed):
        kept = bucket.put("org_red")
        indexed()
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        deletion.run_deletion(job.id)
        job.refresh_from_db()
        assert (job.state, job.deleted, job.failed) == ("succeeded", 5, 0)
        assert bucket.keys() == [kept]
        assert list(Trace.objects.values_list("key", flat=True)) == [kept]
        assert [entry.after["state"] for entry in audited("deletion.finished")] == ["succeeded"]

    def test_traces_written_after_the_confirmation_are_not_touched(self, as_actor, alice, bucket, five, indexed):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        late = bucket.put("org_blue", at=datetime.now(UTC) - timedelta(hours=1))
        indexed()
        deletion.run_deletion(job.id)
        assert bucket.keys() == [late]
        assert Trace.objects.get().key == late

    def test_a_count_that_differs_starts_nothing(self, as_actor, alice, five):
        with pytest.raises(deletion.CountChanged) as raised:
            self.start(as_actor(alice), "org:org_blue", expected=4)
        assert "confirmed 4 traces, and now 5 match" in raised.value.detail
        assert not DeletionJob.objects.exists() and not audited("deletion.started")

    def test_a_relative_time_means_the_moment_of_the_confirmation(self, as_actor, alice, five):
        actor, cutoff = as_actor(alice), timezone.now()
        count = selectors.plan_deletion(actor, query=parse("before:-150s"), cutoff=cutoff).count
        job = deletion.start_deletion(actor=actor, query=parse("before:-150s"), cutoff=cutoff, expected_count=count)
        DeletionJob.objects.filter(id=job.id).update(cutoff=cutoff - timedelta(seconds=1))
        assert selectors.frozen(DeletionJob.objects.get(id=job.id)).count() <= count == 3

    def test_a_job_whose_worker_died_is_taken_over_when_its_lease_ends(self, as_actor, alice, bucket, five):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        row = DeletionJob.objects.filter(id=job.id)
        assert leases.take(row, seconds=60)
        row.update(state="running")
        job.batches.create(keys=five[:2])
        storage.delete_objects(bucket.name, five[:2])  # the dead worker's last batch: in S3 only
        reconciling.reconcile()  # and noticed by others before it is counted
        assert deletion.unfinished_deletions() == []
        deletion.run_deletion(job.id)
        assert row.get().state == "running"
        row.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert deletion.unfinished_deletions() == [job.id]
        deletion.run_deletion(job.id)
        job.refresh_from_db()
        assert (job.state, job.deleted) == ("succeeded", 5)
        assert bucket.keys() == [] and not Trace.objects.exists()

    def test_cancelling_a_queued_job_deletes_nothing(self, as_actor, alice, bucket, five):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        cancelled = deletion.cancel_deletion(actor=as_actor(alice), job_id=job.id)
        assert cancelled.state == "cancelled" and cancelled.is_final
        deletion.run_deletion(job.id)
        assert len(bucket.keys()) == 5

    def test_cancelling_a_running_job_stops_it_between_batches(self, as_actor, alice, bucket, five, monkeypatch):
        monkeypatch.setattr(deletion, "_batch_size", lambda matched: 1)
        monkeypatch.setattr(deletion, "THREADS", 1)
        actor = as_actor(alice)
        job = self.start(actor, "org:org_blue", expected=5)
        settle, seen = deletion._settle, threading.Event()

        def settle_then_cancel(held, batch, outcome):
            settle(held, batch, outcome)
            if not seen.is_set():
                seen.set()
                deletion.cancel_deletion(actor=actor, job_id=job.id)

        monkeypatch.setattr(deletion, "_settle", settle_then_cancel)
        deletion.run_deletion(job.id)
        job.refresh_from_db()
        assert job.state == "cancelled"
        assert 0 < job.deleted < 5
        assert len(bucket.keys()) == Trace.objects.count() == 5 - job.deleted

    def test_an_ended_job_cannot_be_cancelled(self, as_actor, alice, five):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        deletion.run_deletion(job.id)
        with pytest.raises(deletion.Conflict):
            deletion.cancel_deletion(actor=as_actor(alice), job_id=job.id)

    def test_a_cutoff_in_the_future_is_refused(self, as_actor, alice, five):
        with pytest.raises(deletion.Invalid):
            deletion.start_deletion(
                actor=as_actor(alice), query=parse(""), cutoff=timezone.now() + timedelta(hours=1), expected_count=5
            )


class TestTheConfirmationPage:
    def confirm(self, browser, **data):
        return browser.post("/console/exceptions/deletions/confirm/", data)

    def fields(self, response):
        form = response.context["form"]
        return {name: form[name].value() or "" for name in ("q", "keys_json", "cutoff", "expected_count")}

    def test_shows_what_would_go_and_asks_for_the_count(self, browse, alice, five):
        response = self.confirm(browse(alice), all="1", q="org:org_blue")
        plan = response.context["plan"]
        assert (plan.count, plan.organizations) == (5, [("org_blue", 5)])
        assert plan.oldest < plan.newest <= plan.cutoff
        assert "Delete 5 traces" in response.content.decode()

    def test_the_right_count_starts_the_job(self, browse, alice, five):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, all="1", q="org:org_blue"))
        response = browser.post("/console/exceptions/deletions/start/", fields | {"typed_count": "5"})
        job = DeletionJob.objects.get()
        assert response["Location"] == f"/console/exceptions/deletions/{job.id}/"
        assert (job.query, job.matched, job.created_by) == ("org:org_blue", 5, "alice@dagy.example")
        assert browser.get(response["Location"]).status_code == 200

    def test_selected_rows_are_deleted_by_key(self, browse, alice, bucket, five):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, key=five[:2], q=""))
        browser.post("/console/exceptions/deletions/start/", fields | {"typed_count": "2"})
        deletion.run_deletion(DeletionJob.objects.get().id)
        assert sorted(bucket.keys()) == sorted(five[2:])

    @pytest.mark.parametrize("typed", ["4", "", "five"])
    def test_a_wrong_count_asks_again_and_starts_nothing(self, browse, alice, five, typed):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, all="1", q=""))
        response = browser.post("/console/exceptions/deletions/start/", fields | {"typed_count": typed})
        assert response.status_code == 422
        assert not DeletionJob.objects.exists()

    def test_a_count_that_changed_meanwhile_asks_again(self, browse, alice, five):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, all="1", q=""))
        Trace.objects.filter(key=five[0]).delete()
        response = browser.post("/console/exceptions/deletions/start/", fields | {"typed_count": "5"})
        assert response.status_code == 409
        assert response.context["plan"].count == 4
        assert not DeletionJob.objects.exists()

    @pytest.mark.parametrize(
        "damage",
        [{"keys_json": "{"}, {"cutoff": "soon"}, {"expected_count": "x"}, {"q": 'type:"'}, {"keys_json": "[1]"}],
    )
    def test_a_damaged_form_starts_nothing(self, browse, alice, five, damage):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, all="1", q=""))
        response = browser.post("/console/exceptions/deletions/start/", fields | {"typed_count": "5"} | damage)
        assert response.status_code == 302
        assert not DeletionJob.objects.exists()

    def test_nothing_selected_goes_back_and_says_so(self, browse, alice, five):
        assert self.confirm(browse(alice), q="org:org_blue").status_code == 302

    def test_members_of_customers_may_not(self, browse, bob, five):
        assert self.confirm(browse(bob), all="1", q="").status_code == 403


def test_a_lease_is_renewed_while_it_is_held_and_ends_with_the_block(db):
    job = DeletionJob.objects.create(cutoff=timezone.now(), matched=0, actor={})
    row = DeletionJob.objects.filter(id=job.id)
    with leases.hold(row) as token:
        assert token is not None
        with leases.hold(row) as second:
            assert second is None
    assert row.get().lease_owner is None


def test_a_job_that_s3_fails_in_the_middle_says_how_far_it_came(as_actor, alice, bucket, five, monkeypatch):
    monkeypatch.setattr(deletion, "_batch_size", lambda matched: 1)
    monkeypatch.setattr(deletion, "THREADS", 1)
    delete = storage.delete_objects
    served = []

    def two_then_none(bucket_name, keys):
        if len(served) == 2:
            raise storage.StorageUnavailable("The S3 server did not answer.")
        served.extend(keys)
        return delete(bucket_name, keys)

    monkeypatch.setattr(storage, "delete_objects", two_then_none)
    job = deletion.start_deletion(actor=as_actor(alice), query=parse(""), cutoff=timezone.now(), expected_count=5)
    deletion.run_deletion(job.id, retry_after=())
    job.refresh_from_db()
    assert (job.state, job.deleted) == ("failed", 2)
    assert "did not answer" in job.problem
    assert Trace.objects.count() == 3 == len(bucket.keys())


def test_a_trace_that_changed_after_the_confirmation_is_left_and_not_counted(as_actor, alice, bucket, five, indexed):
    job = deletion.start_deletion(actor=as_actor(alice), query=parse(""), cutoff=timezone.now(), expected_count=5)
    bucket.put_bytes(five[0], b'{"exception_type": "Rewritten"}')
    indexed()
    deletion.run_deletion(job.id)
    job.refresh_from_db()
    assert (job.state, job.deleted, job.skipped) == ("succeeded", 4, 1)
    assert bucket.keys() == [five[0]] == [Trace.objects.get().key]


def test_an_unexpected_error_ends_the_job_and_says_so(as_actor, alice, five, monkeypatch):
    def broken(job):
        raise ZeroDivisionError

    job = deletion.start_deletion(actor=as_actor(alice), query=parse(""), cutoff=timezone.now(), expected_count=5)
    monkeypatch.setattr(deletion, "_pages", broken)
    deletion.run_deletion(job.id)
    job.refresh_from_db()
    assert job.state == "failed" and "error of the console itself" in job.problem


def test_no_more_than_two_deletions_run_at_once(as_actor, alice, five):
    jobs = [deletion.start_key_deletion(actor=as_actor(alice), keys=[key]) for key in five[:3]]
    for job in jobs[:2]:
        assert leases.take(DeletionJob.objects.filter(id=job.id), seconds=60)
    deletion.run_next(jobs[2].id)
    assert DeletionJob.objects.get(id=jobs[2].id).state == "queued"
    DeletionJob.objects.filter(id=jobs[0].id).update(lease_until=None)
    deletion.run_next(jobs[2].id)
    assert DeletionJob.objects.get(id=jobs[2].id).state == "succeeded"


@pytest.mark.parametrize(
    "key", ["exceptions//2026/11/20/101010000000_a.json", "exceptions/org\u00a0x/a.json", "exceptions/org/\x01.json"]
)
def test_an_odd_key_that_the_index_knows_can_be_read_and_deleted(api, browse, alice, bucket, indexed, key):
    plain = bucket.put()
    bucket.put_bytes(key, b"{}")
    indexed()
    assert browse(alice).get("/console/exceptions/trace", {"key": key}).status_code == 200
    assert delete(api(alice), [plain, key]).json()["errors"] == []
    assert bucket.keys() == []


def test_a_key_that_is_no_text_is_refused_and_no_500(browse, alice, five):
    browser = browse(alice)
    assert browser.post("/console/exceptions/deletions/confirm/", {"key": "exceptions/a\x00b"}).status_code == 422
    for key in ("exceptions/a\x00b", "exceptions/\ud800"):
        fields = {"q": "", "keys_json": json.dumps([key]), "cutoff": "-1s", "expected_count": "1", "typed_count": "2"}
        assert browser.post("/console/exceptions/deletions/start/", fields).status_code == 302
    assert not DeletionJob.objects.exists()
