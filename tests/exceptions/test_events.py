"""The bucket says that a trace came or went; the index looks, and takes what lies there now."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from dagy_console.core import storage
from dagy_console.exceptions.index import events, reconciling
from dagy_console.exceptions.models import IndexState, Trace
from tests.exceptions.troubled_s3 import error


@pytest.fixture
def send(bucket: Any, db: None) -> Any:
    client = Client(headers={"Authorization": f"Bearer {events.token()}"})

    def post(body: Any) -> Any:
        return client.post("/admin/exceptions/events", body, content_type="application/json")

    return post


def of_s3(bucket: Any, *keys: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """As AWS documents it, and MinIO sends it with its own fields beside."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": name,
            "s3": {
                "bucket": {"name": bucket.name},
                "object": {"key": quote_plus(key), "sequencer": "0055AED6DCD90281E5"},
            },
        }
        for key in keys
    ]
    return {"EventName": f"s3:{name}", "Key": f"{bucket.name}/{keys[0]}", "Records": records}


def of_eventbridge(bucket: Any, key: str, kind: str = "Object Created") -> dict[str, Any]:
    detail = {"version": "0", "bucket": {"name": bucket.name}, "object": {"key": key, "size": 5}}
    return {"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail}


def test_a_foreign_trace_is_in_the_list_as_soon_as_its_event_came(bucket, send, api, alice):
    keys = [bucket.put("org_a", request_id="a b+c"), bucket.put("org_b")]
    assert send(of_s3(bucket, *keys)).json() == {"indexed": 2, "removed": 0, "ignored": 0}
    third = bucket.put("org_c", exception_type="KeyError")
    assert send(of_eventbridge(bucket, third)).json()["indexed"] == 1
    items = api(alice).get("/admin/exceptions").json()["items"]
    assert {item["key"] for item in items} == {*keys, third}
    assert items[0]["exception_type"] == "KeyError"


def test_repeated_and_late_events_change_nothing(bucket, send):
    key = bucket.put()
    for _ in range(2):
        assert send(of_s3(bucket, key)).status_code == 200
    assert send(of_s3(bucket, key, name="ObjectRemoved:Delete")).json()["removed"] == 0  # it lies there again
    assert Trace.objects.get().key == key
    bucket.delete(key)
    assert send(of_s3(bucket, key)).json() == {"indexed": 0, "removed": 1, "ignored": 0}  # gone since it was written
    assert send(of_eventbridge(bucket, key, "Object Deleted")).json()["removed"] == 0
    assert not Trace.objects.exists()


def test_what_is_no_trace_of_this_bucket_is_left_alone(bucket, send):
    key = bucket.put()
    body = of_s3(bucket, key, "artifacts/x.json", "exceptions/org/")
    body["Records"].append(of_s3(type("Other", (), {"name": "another"}), key)["Records"][0])
    assert send(body).json() == {"indexed": 1, "removed": 0, "ignored": 3}
    assert send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket.name}).json()["indexed"] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "no event of S3"),
        ({"Records": "x"}, "no event of S3"),
        ({"Records": [1]}, "Records[0].s3"),
        ({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {}}}]}, "Records[0].s3"),
        ({"detail": {"bucket": {"name": 5}, "object": {"key": "k"}}}, "are texts"),
        ({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}] * 1_001}, "at most 1,000"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(send, body, said):
    answer = send(body)
    assert answer.status_code == 422 and said in answer.json()["detail"]


def test_an_event_is_sent_again_where_the_object_cannot_be_read_now(bucket, send, troubled):
    key = bucket.put()
    troubled.answer = lambda request: error(503, "SlowDown")
    answer = send(of_s3(bucket, key))
    assert answer.status_code == 503 and answer["Retry-After"]
    assert not Trace.objects.exists()


def test_many_events_at_once_ask_no_more_of_s3_than_a_web_process_may(bucket, send, monkeypatch):
    web = threading.Event()
    web.set()
    monkeypatch.setattr(storage, "_web_process", web)
    keys = [bucket.put() for _ in range(20)]
    assert send(of_s3(bucket, *keys)).json()["indexed"] == 20


@pytest.mark.parametrize("given", ["", "Bearer dagy_ev_x", "Bearer ", "Basic {token}", "Bearer {token}x"])
def test_nobody_without_the_token_gets_in(bucket, db, given):
    header = given.format(token=events.token())
    answer = Client().post(
        "/admin/exceptions/events",
        of_s3(bucket, bucket.put()),
        content_type="application/json",
        headers={"Authorization": header},
    )
    assert answer.status_code == 401 and "manage.py events_token" in answer.json()["detail"]
    assert not Trace.objects.exists()


def test_the_token_is_good_for_this_bucket_alone(bucket, settings, capsys):
    call_command("events_token")
    token = capsys.readouterr().out.strip()
    assert events.is_token(token)
    settings.TRACES_BUCKET = "another-bucket"
    assert not events.is_token(token)


def test_while_events_come_new_traces_are_looked_for_once_a_minute(bucket, send):
    send(of_s3(bucket, bucket.put()))
    reconciling.reconcile()
    for _ in range(2):
        send(of_s3(bucket, bucket.put()))
    state = IndexState.objects.get()
    assert state.event_at > datetime.now(UTC) - timedelta(seconds=30)
    assert reconciling._due(state, ["exceptions/org_blue/"]) == []
    state.looked_for_new_at -= reconciling.WITH_EVENTS
    assert reconciling._due(state, ["exceptions/org_blue/"]) == ["exceptions/org_blue/"]
    state.event_at -= reconciling.EVENTS_LAST
    assert reconciling._due(state, ["exceptions/org_blue/"]) == ["exceptions/org_blue/"]


def test_an_organization_without_a_late_trace_is_looked_at_in_every_third_pass(bucket, db):
    reconciling.put_traces([reconciling.read_trace(storage.list_page(bucket.name, bucket.put("org_a"))[0][0])])
    organizations = ["exceptions/org_a/", "exceptions/org_b/", "exceptions/org_c/", "exceptions/org_d/"]
    turns = [reconciling._due(IndexState(passes=number), organizations) for number in range(3)]
    assert all(turn[0] == "exceptions/org_a/" for turn in turns)
    assert sorted(org for turn in turns for org in turn[1:]) == organizations[1:]


def test_what_changed_since_yesterday_is_seen_by_a_walk_that_stops_after_a_few_pages(bucket, db, monkeypatch):
    earlier = timezone.now() - timedelta(hours=5)
    keys = [bucket.put(f"org_{number}", at=earlier) for number in range(5)]
    bucket.put("org_4", at=earlier)
    reconciling.reconcile()
    assert Trace.objects.count() == 6
    monkeypatch.setattr(reconciling, "RECENT_PAGES", 2)
    monkeypatch.setattr(reconciling, "_cold", lambda *_, **__: None)
    bucket.delete(keys[4])
    left = []
    for _ in range(4):
        left.append(reconciling.reconcile() and Trace.objects.count())
    assert left == [6, 6, 5, 5]
