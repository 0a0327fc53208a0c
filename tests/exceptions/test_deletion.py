"""Bulk deletion: what was confirmed is deleted, no more and no less, whoever dies on the way."""

import json
import threading
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from dagy_console.audit.models import AuditEntry
from dagy_console.core import jobs, leases, storage
from dagy_console.core.database import Horizon, horizon
from dagy_console.exceptions.deletions import claims, running, selectors
from dagy_console.exceptions.deletions import services as deletion
from dagy_console.exceptions.models import DeletionError, DeletionJob, Trace
from dagy_console.exceptions.search import parse


def delete(client, keys, **more):
    return client.delete("/admin/exceptions", json.dumps({"keys": keys} | more), content_type="application/json")


def run(job):
    jobs.run(deletion.JOB, job.id)
    job.refresh_from_db()


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

    def test_s3_down_is_a_503_that_names_the_job_which_goes_on(self, api, alice, bucket, five, settings):
        there, settings.S3_ENDPOINT_URL = settings.S3_ENDPOINT_URL, "http://127.0.0.1:9"
        storage.client.cache_clear()
        response = delete(api(alice), five)
        settings.S3_ENDPOINT_URL = there
        storage.client.cache_clear()
        job = DeletionJob.objects.get()
        assert response.status_code == 503 and str(job.id) in response.json()["detail"]
        assert "Nothing was changed" not in response.json()["detail"]
        assert Trace.objects.count() == 5 and not audited("deletion.finished")
        run(job)
        assert (job.state, job.deleted, job.problem) == ("succeeded", 5, "")
        assert bucket.keys() == [] and audited("deletion.finished")[0].after["deleted"] == 5

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


# Whoever indexes a trace waits for who has its group under way; in a test that is never committed, for ever.
OF_ANOTHER_GROUP = {"exception_type": "KeyError", "traceback": ""}


class TestByQuery:
    def start(self, actor, text, *, expected):
        return deletion.start_deletion(actor=actor, query=parse(text), expected_count=expected)

    def test_everything_that_matches_goes_and_nothing_else(self, as_actor, alice, bucket, five, indexed):
        kept = bucket.put("org_red")
        indexed()
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        run(job)
        assert (job.state, job.deleted, job.failed) == ("succeeded", 5, 0)
        assert bucket.keys() == [kept]
        assert list(Trace.objects.values_list("key", flat=True)) == [kept]
        assert [entry.after["state"] for entry in audited("deletion.finished")] == ["succeeded"]

    def test_traces_written_after_the_confirmation_are_not_touched(
        self, index_elsewhere, as_actor, alice, bucket, five
    ):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        late = bucket.put("org_blue", at=datetime.now(UTC) - timedelta(hours=1), **OF_ANOTHER_GROUP)
        index_elsewhere(late)
        run(job)
        assert bucket.keys() == [late]
        assert Trace.objects.get().key == late

    def test_a_trace_that_is_committed_after_the_count_is_neither_counted_nor_deleted(
        self, index_elsewhere, as_actor, alice, bucket, five
    ):
        """Its row is written before the count, and stamped so."""
        late = bucket.put("org_blue", at=datetime.now(UTC) - timedelta(hours=1), **OF_ANOTHER_GROUP)
        before = horizon()
        index_elsewhere(late)
        shown = Horizon(horizon().at + timedelta(milliseconds=1), before.snapshot)
        actor = as_actor(alice)
        assert Trace.objects.get(key=late).indexed_at < shown.at
        assert selectors.plan_deletion(actor, query=parse("org:org_blue"), horizon=shown).count == 5
        job = deletion.start_deletion(actor=actor, query=parse("org:org_blue"), horizon=shown, expected_count=5)
        run(job)
        assert (job.state, job.deleted) == ("succeeded", 5)
        assert bucket.keys() == [late] == [Trace.objects.get().key]

    def test_a_search_that_takes_too_long_is_said_and_starts_nothing(self, as_actor, alice, monkeypatch):
        monkeypatch.setattr(selectors, "LIST_SECONDS", 0.2)
        actor, query, now = as_actor(alice), parse("org:org_blue"), horizon()
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
            other.execute("LOCK TABLE trace IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(selectors.TooBroad):
                selectors.plan_deletion(actor, query=query, horizon=now)
            with pytest.raises(selectors.TooBroad):
                deletion.start_deletion(actor=actor, query=query, horizon=now, expected_count=0)
        assert not DeletionJob.objects.exists()

    def test_a_count_that_differs_starts_nothing(self, as_actor, alice, five):
        with pytest.raises(deletion.CountChanged) as raised:
            self.start(as_actor(alice), "org:org_blue", expected=4)
        assert "confirmed 4 traces, and now 5 match" in raised.value.detail
        assert not DeletionJob.objects.exists() and not audited("deletion.started")

    def test_a_relative_time_means_the_moment_of_the_confirmation(self, as_actor, alice, five):
        actor, now = as_actor(alice), horizon()
        count = selectors.plan_deletion(actor, query=parse("before:-150s"), horizon=now).count
        job = deletion.start_deletion(actor=actor, query=parse("before:-150s"), horizon=now, expected_count=count)
        DeletionJob.objects.filter(id=job.id).update(cutoff=now.at - timedelta(seconds=1))
        assert selectors.frozen(DeletionJob.objects.get(id=job.id)).count() <= count == 3

    def test_cancelling_a_queued_job_deletes_nothing(self, as_actor, alice, bucket, five):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        cancelled = deletion.cancel_deletion(actor=as_actor(alice), job_id=job.id)
        assert cancelled.state == "cancelled" and cancelled.is_final
        run(job)
        assert len(bucket.keys()) == 5

    def test_cancelling_a_running_job_stops_it_between_batches(
        self, as_actor, alice, bucket, five, monkeypatch, settings
    ):
        settings.DELETION_BATCH = 1
        monkeypatch.setattr(running, "THREADS", 1)
        actor = as_actor(alice)
        job = self.start(actor, "org:org_blue", expected=5)
        settle, seen = claims.settle, threading.Event()

        def settle_then_cancel(held, deleted, errors):
            settle(held, deleted, errors)
            if not seen.is_set():
                seen.set()
                deletion.cancel_deletion(actor=actor, job_id=job.id)

        monkeypatch.setattr(claims, "settle", settle_then_cancel)
        run(job)
        assert job.state == "cancelled"
        assert 0 < job.deleted < 5
        assert len(bucket.keys()) == Trace.objects.count() == 5 - job.deleted
        assert not job.claims.exists()

    def test_an_ended_job_cannot_be_cancelled(self, as_actor, alice, five):
        job = self.start(as_actor(alice), "org:org_blue", expected=5)
        run(job)
        with pytest.raises(deletion.Conflict):
            deletion.cancel_deletion(actor=as_actor(alice), job_id=job.id)

    @pytest.mark.parametrize("snapshot", ["", "soon", "9:1:", "1:900000000000000:", "1:1"])
    def test_a_horizon_that_lies_ahead_or_is_none_is_refused(self, as_actor, alice, five, snapshot):
        for wrong in (Horizon(horizon().at + timedelta(hours=1), horizon().snapshot), Horizon(horizon().at, snapshot)):
            with pytest.raises(deletion.Invalid):
                deletion.start_deletion(actor=as_actor(alice), query=parse(""), horizon=wrong, expected_count=5)
        assert not DeletionJob.objects.exists()


class TestTheConfirmationPage:
    def confirm(self, browser, **data):
        return browser.post("/console/exceptions/deletions/confirm/", data, follow=True)

    def fields(self, response):
        form = response.context["form"]
        return {name: form[name].value() or "" for name in ("q", "keys_json", "cutoff", "snapshot", "expected_count")}

    def test_shows_what_would_go_and_asks_for_the_count(self, browse, alice, five):
        response = self.confirm(browse(alice), all="1", q="org:org_blue")
        plan = response.context["plan"]
        assert (plan.count, plan.organizations) == (5, [("org_blue", 5)])
        assert plan.oldest < plan.newest <= plan.horizon.at
        assert "Delete 5 traces" in response.content.decode()

    def test_has_an_address_that_can_be_opened_again_and_leads_back_to_the_search(self, browse, alice, five):
        browser = browse(alice)
        for data in ({"all": "1", "q": "org:org_blue"}, {"key": five[:2], "q": "org:org_blue"}):
            response = self.confirm(browser, **data)
            ((address, _),) = response.redirect_chain
            again = browser.get(address)
            assert again.context["plan"].count == response.context["plan"].count
            assert again.context["back_url"] == "/console/exceptions/?q=org%3Aorg_blue"

    def test_a_long_selection_is_kept_for_an_hour_under_a_name(self, browse, alice, five):
        keys = [*five, *(f"exceptions/org_blue/{'x' * 200}{number}.json" for number in range(20))]
        browser = browse(alice)
        response = self.confirm(browser, key=keys, q="")
        ((address, _),) = response.redirect_chain
        assert "selection=" in address and len(address) < 200
        assert response.context["plan"].count == 25 == browser.get(address).context["plan"].count
        cache.clear()
        assert "The selection is gone" in browser.get(address, follow=True).content.decode()

    def test_says_what_goes_by_type_and_group_and_which_groups_vanish(self, browse, alice, bucket, five, indexed):
        bucket.put("org_red", **OF_ANOTHER_GROUP)
        bucket.put("org_blue", **OF_ANOTHER_GROUP)
        indexed()
        plan = self.confirm(browse(alice), all="1", q="org:org_blue").context["plan"]
        assert plan.types == [("ValueError", 5), ("KeyError", 1)]
        assert [(group.count, group.vanishes) for group in plan.groups] == [(5, True), (1, False)]
        page = self.confirm(browse(alice), all="1", q="org:org_blue").content.decode()
        assert "1 group would lose its last trace" in " ".join(page.split())

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
        run(DeletionJob.objects.get())
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

    def test_a_damaged_snapshot_is_a_422(self, browse, alice, five):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, all="1", q=""))
        for typed in ("5", "4"):
            damaged = fields | {"typed_count": typed, "snapshot": "1:2"}
            assert browser.post("/console/exceptions/deletions/start/", damaged).status_code == 422
        assert not DeletionJob.objects.exists()

    def test_another_count_than_that_of_the_selected_keys_starts_nothing(self, browse, alice, bucket, five):
        browser = browse(alice)
        fields = self.fields(self.confirm(browser, key=five[:2], q=""))
        wrong = {"typed_count": "1", "expected_count": "1"}
        response = browser.post("/console/exceptions/deletions/start/", fields | wrong)
        assert response.status_code == 409
        assert "now 2 match" in response.content.decode()
        assert not DeletionJob.objects.exists() and len(bucket.keys()) == 5

    def test_nothing_selected_goes_back_and_says_so(self, browse, alice, five):
        page = self.confirm(browse(alice), q="org:org_blue")
        assert "Select at least one trace" in page.content.decode()
        assert page.redirect_chain == [("/console/exceptions/?q=org%3Aorg_blue", 302)]

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


def test_a_trace_that_changed_after_the_confirmation_is_left_and_not_counted(index_elsewhere, as_actor, alice, bucket):
    keys = [bucket.put() for _ in range(5)]
    index_elsewhere(*keys)
    job = deletion.start_deletion(actor=as_actor(alice), query=parse(""), expected_count=5)
    bucket.put_bytes(keys[0], b'{"exception_type": "Rewritten"}')
    index_elsewhere(keys[0])
    run(job)
    assert (job.state, job.deleted, job.skipped) == ("succeeded", 4, 1)
    assert bucket.keys() == [keys[0]] == [Trace.objects.get().key]


def test_the_end_is_recorded_for_each_organization_with_its_own_count(as_actor, alice, bob, bucket, five, indexed):
    for org in ("org_red", "org_red", "_none"):
        bucket.put(org)
    indexed()
    job = deletion.start_deletion(actor=as_actor(alice), query=parse(""), expected_count=8)
    run(job)
    total, blue, red = audited("deletion.finished")
    assert (total.org_id, total.resource_name, total.after["deleted"]) == ("", "8 of 8 traces: all", 8)
    assert (blue.org_id, blue.resource_name, blue.after["deleted"]) == ("org_blue", "5 traces of org_blue", 5)
    assert (red.org_id, red.resource_name, red.after["deleted"]) == ("org_red", "2 traces of org_red", 2)
    assert "query" not in blue.after
    assert {entry.resource_id for entry in (total, blue, red)} == {str(job.id)}


def test_the_end_of_one_organizations_deletion_is_one_entry_of_it(as_actor, alice, five):
    run(deletion.start_key_deletion(actor=as_actor(alice), keys=five[:2], expected_count=2))
    (finished,) = audited("deletion.finished")
    assert (finished.org_id, finished.resource_name) == ("org_blue", "2 of 2 traces: picked by key")


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
    assert (
        browser.post("/console/exceptions/deletions/confirm/", {"key": "exceptions/a\x00b"}, follow=True).status_code
        == 422
    )
    for key in ("exceptions/a\x00b", "exceptions/\ud800"):
        fields = {
            "q": "",
            "keys_json": json.dumps([key]),
            "cutoff": "-1s",
            "snapshot": "1:1:",
            "expected_count": "1",
            "typed_count": "2",
        }
        assert browser.post("/console/exceptions/deletions/start/", fields).status_code == 302
    assert not DeletionJob.objects.exists()


def test_what_could_not_be_deleted_is_told_by_code_and_tried_again(browse, as_actor, alice, five):
    job = deletion.start_key_deletion(actor=as_actor(alice), keys=five, expected_count=5)
    for number, key in enumerate(five[:3]):
        code = "AccessDenied" if number else "SlowDown"
        DeletionError.objects.create(job=job, key=key, code=code, message="The policy denies it")
    job.claims.all().delete()
    DeletionJob.objects.filter(pk=job.pk).update(state="failed", failed=3, deleted=2, finished_at=timezone.now())
    browser = browse(alice)
    page = browser.get(f"/console/exceptions/deletions/{job.pk}/")
    assert [(code["code"], code["count"]) for code in page.context["codes"]] == [("AccessDenied", 2), ("SlowDown", 1)]
    assert "Try these 3 again" in page.content.decode()
    again = browser.get(f"/console/exceptions/deletions/confirm/?failed_of={job.pk}")
    assert sorted(again.context["plan"].keys) == sorted(five[:3])
    for wrong in ("", "x", str(uuid.uuid4())):
        assert browser.get(f"/console/exceptions/deletions/confirm/?failed_of={wrong}").status_code == 302
    listed = browser.get("/console/exceptions/deletions/", {"q": "chosen:rows"}).content.decode()
    assert str(job.pk) in listed
    assert str(job.pk) not in browser.get("/console/exceptions/deletions/", {"q": "chosen:search"}).content.decode()
