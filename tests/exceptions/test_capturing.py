"""The console's own API: an unhandled error is a 500 with its request id, and a trace in S3 and in the index."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from dagy import capture
from dagy_console.core import storage
from dagy_console.exceptions.index import capturing
from dagy_console.exceptions.reading.fields import extract_fields
from dagy_console.exceptions.trace import stored as stored_module


@pytest.fixture
def captured(bucket):
    """What the writer stored; indexing itself runs in its thread, outside of the test's transaction."""
    found = []
    capturing.start_capture()
    capture.configure(bucket=bucket.name, endpoint_url=None, on_stored=found.append)
    yield found
    capture.configure(enabled=False)
    capture.shutdown()


def test_an_unhandled_error_in_an_endpoint_is_a_problem_and_a_trace(api, alice, bucket, captured, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("made to fail, 世界")

    client = api(alice)
    monkeypatch.setattr("dagy_console.exceptions.api.stored_response", broken)
    response = client.get("/admin/exceptions/content?key=exceptions/x.json", headers={"X-Request-Id": "req-broken"})
    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["request_id"] == "req-broken"
    assert "ZeroDivisionError" not in response.content.decode()

    assert capture.flush(10)
    (key,) = bucket.keys()
    trace = json.loads(storage.get_object(bucket.name, key).body)
    assert key.endswith("_req-broken.json") and key.startswith("exceptions/_none/")
    assert (trace["exception_type"], trace["http_method"]) == ("ZeroDivisionError", "GET")
    assert trace["http_path"] == "/admin/exceptions/content"
    assert "made to fail, 世界" in trace["exception_message"]
    assert "Bearer dagy_at_" not in json.dumps(trace)


def test_an_unhandled_error_in_a_page_is_an_error_page_and_a_trace(browse, alice, bucket, captured, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("made to fail")

    browser = browse(alice)
    browser.raise_request_exception = False
    monkeypatch.setattr("dagy_console.listing.page.summarize", broken)
    response = browser.get("/console/exceptions/", headers={"X-Request-Id": "req-page-broken"})
    assert response.status_code == 500
    assert "req-page-broken" in response.content.decode()
    assert capture.flush(10)
    assert [key.rsplit("_", 1)[1] for key in list(bucket.keys())] == ["req-page-broken.json"]


def test_what_a_service_refuses_is_no_trace(api, alice, bob, captured, bucket):
    assert api(bob).get("/admin/exceptions").status_code == 403
    assert api(alice).get("/admin/exceptions?limit=0").status_code == 422
    assert api(alice).get("/nowhere").status_code == 404
    assert capture.flush(10)
    assert bucket.keys() == []


def test_a_captured_trace_reads_in_the_index_as_it_does_from_the_bucket(captured, bucket):
    try:
        raise ValueError("Grüße\x00")
    except ValueError as error:
        capture.capture_exception(error, org_id="org_blue", http_method="POST", http_path="/runs")
    assert capture.flush(10)
    (stored,) = captured
    at_once = extract_fields(
        json.dumps(stored.body).encode(), key=stored.key, metadata=stored.metadata, last_modified=stored.last_modified
    )
    obj = storage.get_object(bucket.name, stored.key)
    from_bucket = extract_fields(
        obj.body, key=obj.key, metadata=capture.decode_metadata(dict(obj.metadata)), last_modified=obj.last_modified
    )
    assert at_once == from_bucket
    assert (obj.etag, obj.size) == (stored.etag.strip('"'), stored.size)


def test_raise_demo_error_stores_a_trace_and_says_how_to_find_it(captured, bucket):
    out = StringIO()
    call_command("raise_demo_error", stdout=out)
    (key,) = bucket.keys()
    request_id = out.getvalue().strip().rsplit("request:", 1)[1]
    assert key.endswith(f"_{request_id}.json")


def test_a_trace_above_the_limit_shows_its_beginning_and_says_so(browse, alice, bucket, indexed, monkeypatch):
    monkeypatch.setattr(stored_module, "WHOLE_BYTES", 1_000)
    monkeypatch.setattr(stored_module, "BEGINNING_BYTES", 1_000)
    key = bucket.put(exception_message="x" * 5_000)
    indexed()
    response = browse(alice).get("/console/exceptions/trace", {"key": key})
    assert response.status_code == 200
    assert response.context["preview"].problems
