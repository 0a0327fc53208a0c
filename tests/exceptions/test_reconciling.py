"""The index follows the bucket, whoever writes, changes or deletes there."""

import base64
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from dagy_console.audit.models import AuditEntry
from dagy_console.core import leases, storage
from dagy_console.exceptions.index import indexing, reconciling
from dagy_console.exceptions.index.status import index_status
from dagy_console.exceptions.models import IndexState, Trace
from tests.exceptions.troubled_s3 import error


@pytest.fixture(autouse=True)
def _database(db):
    pass


def test_a_pass_finds_traces_of_any_writer(bucket):
    keys = [
        bucket.put("org_blue"),
        bucket.put("org_red", at=datetime.now(UTC) - timedelta(days=20)),
        bucket.put("_none"),
    ]
    found = reconciling.reconcile()
    assert found.read >= 3
    assert set(Trace.objects.values_list("key", flat=True)) == set(keys)
    assert index_status().complete


def test_what_was_deleted_behind_our_back_goes(bucket):
    gone, kept = bucket.put(), bucket.put()
    reconciling.reconcile()
    bucket.delete(gone)
    reconciling.reconcile()
    assert Trace.objects.get().key == kept


def test_what_was_changed_behind_our_back_is_read_again(bucket):
    key = bucket.put()
    reconciling.reconcile()
    body = {"exception_type": "Changed", "exception_message": "now different"}
    bucket.put_bytes(key, json.dumps(body).encode())
    reconciling.reconcile()
    row = Trace.objects.get()
    assert (row.exception_type, row.message) == ("Changed", "now different")


def test_an_unchanged_bucket_is_not_read_again(bucket):
    bucket.put()
    reconciling.reconcile()
    assert reconciling.reconcile().read == 0


def test_an_object_that_was_put_back_to_an_older_version_is_read_again(bucket):
    key = bucket.put(exception_type="Old")
    reconciling.reconcile()
    later = Trace.objects.get().last_modified + timedelta(minutes=1)
    Trace.objects.update(last_modified=later, etag="newer", exception_type="Newer")
    reconciling.reconcile()
    assert Trace.objects.get(key=key).exception_type == "Old"
    assert reconciling.reconcile().read == 0


def test_a_row_that_the_database_refuses_does_not_keep_the_others_out(bucket, monkeypatch):
    bad, good = bucket.put("org_a"), bucket.put("org_b")
    values = indexing._values
    monkeypatch.setattr(
        indexing, "_values", lambda trace: (None, *values(trace)[1:]) if trace.key == bad else values(trace)
    )
    reconciling.reconcile()
    assert Trace.objects.get().key == good
    assert "PostgreSQL refuses, and no list shows: 1." in index_status().problem
    monkeypatch.undo()
    reconciling.reconcile()
    assert Trace.objects.count() == 2 and not index_status().problem


def test_the_longest_texts_fit_into_the_index(bucket):
    bucket.put(http_path="/" + "世" * 1_500, exception_type="型" * 400, function_name="関" * 400)
    body = json.dumps({"http_path": "界" * 2_000, "request_id": "識" * 600})
    bucket.put_bytes("exceptions/" + "k" * 1_000, body.encode())
    reconciling.reconcile()
    assert Trace.objects.count() == 2


def refusing(troubled, keys, reads):
    """S3 refuses to give these objects; `reads` counts how often it was asked to."""

    def answer(request):
        if any(request.reads(key) for key in keys):
            reads.append(request.path)
            return error(403, "AccessDenied")
        return request.forward()

    troubled.answer = answer


def test_objects_that_cannot_be_read_are_listed_as_such_and_keep_nothing_else_out(bucket, troubled):
    locked, reads = [bucket.put("org_a") for _ in range(12)], []
    refusing(troubled, locked, reads)
    open_one = bucket.put("org_b")
    reconciling.reconcile()
    assert Trace.objects.filter(key__in=locked, problems=["unreadable"]).count() == 12
    assert Trace.objects.get(key=open_one).exception_type == "ValueError"
    assert "by their keys alone: 12." in index_status().problem and index_status().complete
    later = bucket.put("org_a")
    reconciling.reconcile()
    assert Trace.objects.get(key=later).exception_type == "ValueError"


def test_what_cannot_be_read_is_tried_again_every_ten_minutes_and_not_in_every_pass(bucket, troubled):
    locked, reads = [bucket.put() for _ in range(12)], []
    refusing(troubled, locked, reads)
    reconciling.reconcile()
    asked = len(reads)
    reconciling.reconcile()
    assert len(reads) == asked
    Trace.objects.update(indexed_at=datetime.now(UTC) - timedelta(minutes=11))
    for _ in range(2):
        reconciling.reconcile()
    assert len(reads) == 2 * asked
    refusing(troubled, [], reads)
    Trace.objects.update(indexed_at=datetime.now(UTC) - timedelta(minutes=11))
    reconciling.reconcile()
    assert set(Trace.objects.values_list("exception_type", flat=True)) == {"ValueError"}
    assert not index_status().problem


def test_where_nothing_can_be_read_the_missing_permission_is_named(bucket, troubled):
    refusing(troubled, [bucket.put()], [])
    for _ in range(2):
        reconciling.reconcile()
        assert "s3:GetObject" in index_status().problem
    assert index_status().complete and Trace.objects.count() == 1


def test_a_listing_may_begin_with_an_empty_page(bucket, troubled):
    key, empty = bucket.put(), []

    def answer(request):
        status, headers, body = request.forward()
        if not request.is_listing or "continuation-token" in request.path or b"<Contents>" not in body:
            return status, headers, body
        empty.append(request.path)
        # "Begin behind this key" is what Swift's tokens say.
        token = base64.b64encode(b"exceptions/").decode()
        body = re.sub(rb"<Contents>.*</Contents>", b"", body, flags=re.DOTALL)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>".encode()
        return status, headers, re.sub(rb"<IsTruncated>false</IsTruncated>", more, body)

    troubled.answer = answer
    reconciling.reconcile()
    assert empty and Trace.objects.get().key == key


def test_a_pass_that_has_lost_its_lease_writes_nothing_into_the_state(bucket, troubled):
    bucket.put()
    stolen = []

    def take_it_over(mine, found, organizations, *, pool, new=reconciling._new):
        stolen.append(IndexState.objects.update(lease_owner=uuid.uuid4(), problem="as the new holder has noted"))
        new(mine, found, organizations, pool=pool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconciling, "_new", take_it_over)
        assert reconciling.reconcile() is None
    state = IndexState.objects.get()
    assert stolen and (state.checked_at, state.problem) == (None, "as the new holder has noted")


def test_an_emptied_bucket_is_followed_without_reading_the_whole_index_at_once(bucket, monkeypatch):
    monkeypatch.setattr(reconciling, "MOST_ROWS", 2)
    keys = [bucket.put() for _ in range(5)]
    reconciling.reconcile()
    assert Trace.objects.count() == 5
    storage.delete_objects(bucket.name, keys)
    reconciling.reconcile()
    assert not Trace.objects.exists()


def test_folders_that_s3_browsers_draw_are_no_traces(bucket):
    bucket.put_bytes("exceptions/org_blue/", b"")
    reconciling.reconcile()
    assert not Trace.objects.exists()


@pytest.mark.parametrize(
    ("key", "body", "problem"),
    [
        ("exceptions/org_blue/2026/11/01/101010000000_a.json", b"\x00\xff not json", "not-json"),
        ("exceptions/org_blue/2026/11/01/101010000000_b.json", b"[1, 2]", "not-object"),
        ("exceptions/org_blue/2026/11/01/101010000000_c.json", b"", "not-json"),
        ("exceptions/notes.txt", b"{}", "key-mismatch"),
        ("exceptions/org_blue/2026/13/45/nonsense.json", b"{}", "key-mismatch"),
        ("exceptions/org_blue/0001/01/01/101010000000_d.json", b"{}", "time-implausible"),
    ],
)
def test_odd_objects_are_listed_as_what_they_are(bucket, key, body, problem):
    bucket.put_bytes(key, body)
    reconciling.reconcile()
    row = Trace.objects.get()
    assert row.key == key
    assert problem in row.problems


def test_a_key_without_a_time_moves_when_its_object_says_another(bucket):
    key = "exceptions/org_blue/handwritten.json"
    for day in ("2026-11-01", "2026-10-02"):
        bucket.put_bytes(key, json.dumps({"timestamp": f"{day}T00:00:00Z"}).encode())
        reconciling.reconcile()
    assert Trace.objects.get().timestamp == datetime(2026, 10, 2, tzinfo=UTC)


def test_objects_beside_the_prefix_are_left_alone(bucket):
    bucket.put_bytes("exports/one.json", b"{}")
    bucket.put_bytes("exceptions.json", b"{}")
    bucket.put_bytes("exceptions0/x.json", b"{}")
    reconciling.reconcile()
    assert not Trace.objects.exists()


def test_two_passes_never_run_at_once(bucket):
    IndexState.objects.create(pk=1)
    with leases.hold(IndexState.objects.filter(pk=1)):
        assert reconciling.reconcile() is None
    assert reconciling.reconcile() is not None


def test_a_pass_that_runs_out_of_time_goes_on_in_the_next(bucket, monkeypatch):
    listing = storage.list_page
    monkeypatch.setattr(
        storage, "list_page", lambda *place, start_after="": listing(*place, start_after=start_after, limit=2)
    )
    old = datetime.now(UTC) - timedelta(days=9)
    for minute in range(5):
        bucket.put(at=old + timedelta(minutes=minute))
    reconciling.reconcile(budget_seconds=0)
    assert Trace.objects.count() == 2
    assert not index_status().complete
    for _ in range(2):
        reconciling.reconcile(budget_seconds=0)
    assert Trace.objects.count() == 5
    assert index_status().complete


def test_a_pass_that_finds_nothing_new_walks_a_few_pages_and_one_that_does_goes_on(bucket, monkeypatch):
    listing = storage.list_page
    monkeypatch.setattr(
        storage, "list_page", lambda *place, start_after="": listing(*place, start_after=start_after, limit=1)
    )
    old = datetime.now(UTC) - timedelta(days=9)
    keys = sorted(bucket.put(at=old + timedelta(minutes=minute)) for minute in range(6))
    assert reconciling.reconcile().listed == 6  # it is not complete yet
    assert [reconciling.reconcile().listed for _ in range(3)] == [2, 2, 2]
    for key in (keys[0], keys[5]):
        bucket.delete(key)
    assert reconciling.reconcile().removed == 2
    assert index_status().complete


def test_a_server_that_refuses_is_noted_and_rows_stay(bucket, settings):
    bucket.put()
    reconciling.reconcile()
    settings.TRACES_BUCKET = "no-such-bucket-here"
    with pytest.raises(storage.StorageUnavailable):
        reconciling.reconcile()
    assert "no-such-bucket-here does not exist" in index_status().problem
    assert Trace.objects.count() == 1


def test_reindex_rebuilds_a_lost_index_and_says_how_far_it_is(bucket, capsys):
    for _ in range(3):
        bucket.put()
    call_command("reindex_traces")
    assert Trace.objects.count() == 3
    out = capsys.readouterr().out
    assert "3 listed, 3 read" in out and "Done: 3 objects" in out
    actions = AuditEntry.objects.order_by("at").values_list("action", flat=True)
    assert list(actions) == ["trace_index.rebuild_started", "trace_index.rebuild_finished"]


def test_reindex_resumes_where_it_was_stopped(bucket, capsys):
    keys = sorted(bucket.put("org_blue", at=datetime.now(UTC) - timedelta(minutes=minute)) for minute in range(4))
    IndexState.objects.create(pk=1, rebuild_position=keys[1], rebuild_started_at=datetime.now(UTC))
    call_command("reindex_traces")
    assert sorted(Trace.objects.values_list("key", flat=True)) == keys[2:]
    call_command("reindex_traces", "--restart")
    assert Trace.objects.count() == 4


def test_reindex_without_a_bucket_says_so(settings):
    settings.TRACES_BUCKET = ""
    with pytest.raises(CommandError, match="DAGY_TRACES_BUCKET is not set"):
        call_command("reindex_traces")
