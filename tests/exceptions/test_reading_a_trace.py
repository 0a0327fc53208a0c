"""One trace: the page, the stored bytes, the download; and what happens when it is not what it should be."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from dagy_console.audit.models import AuditEntry
from dagy_console.core import storage
from dagy_console.exceptions.trace.services import start_download

CHAINED = """Traceback (most recent call last):
  File "/srv/app/dagy/store.py", line 3, in insert
    cursor.execute(SQL)
  File "/usr/lib/python3.11/site-packages/psycopg/cursor.py", line 117, in execute
    raise ex
psycopg.errors.UniqueViolation: duplicate key

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/app/dagy/runs.py", line 9, in create
    store.insert(run)
IntegrityError: duplicate key <b>runs</b>
"""


@pytest.fixture
def trace(bucket, indexed):
    key = bucket.put(
        request_id="req-page",
        exception_type="IntegrityError",
        exception_message="duplicate key <b>runs</b>",
        traceback=CHAINED,
        event={
            "headers": {"x-test": "<script>alert(1)</script>", "authorization": "[Filtered]"},
            "body": {"flow": "etl"},
        },
    )
    indexed()
    return key


def page_of(browser, key, **params):
    return browser.get("/console/exceptions/trace", {"key": key} | params)


def test_the_page_shows_the_chain_the_request_and_the_json(browse, alice, trace):
    response = page_of(browse(alice), trace)
    page = response.content.decode()
    assert response.status_code == 200
    assert "psycopg.errors.UniqueViolation" in page and "direct cause" in page
    assert "1 library frame" in page
    assert "x-test" in page and "s3://" in page


def test_what_strangers_wrote_is_text_and_never_markup(browse, alice, trace):
    page = page_of(browse(alice), trace).content.decode()
    assert "<script>alert(1)" not in page and "<b>runs" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_newer_and_older_stay_within_the_search(browse, alice, bucket, indexed):
    now = datetime.now(UTC)
    keys = [bucket.put("org_blue", at=now - timedelta(minutes=minute)) for minute in range(3)]
    bucket.put("org_red", at=now - timedelta(seconds=90))
    indexed()
    context = page_of(browse(alice), keys[1], q="org:org_blue").context
    assert context["neighbours"]["newer_url"].count(keys[0].rsplit("_", 1)[1]) == 1
    assert context["neighbours"]["older_url"].count(keys[2].rsplit("_", 1)[1]) == 1
    assert page_of(browse(alice), keys[0], q="org:org_blue").context["neighbours"]["newer_url"] is None


def test_links_lead_to_the_same_request(browse, alice, bucket, indexed):
    now = datetime.now(UTC)
    keys = [bucket.put(at=now - timedelta(seconds=second), request_id="req-same") for second in (1, 2)]
    indexed()
    links = {link["label"]: link for link in page_of(browse(alice), keys[0]).context["links"]}
    assert links["Same request id"]["count"] == 2
    assert links["Same request id"]["url"].endswith("?q=request%3Areq-same")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not JSON"),
        (b'{"exception_type": "Cut', "not JSON"),
        (b"[1, 2, 3]", "not an object"),
        (b"", "empty"),
        (json.dumps({"exception_type": ["x"], "timestamp": 17}).encode(), "timestamp"),
    ],
)
def test_a_broken_object_is_shown_with_what_is_wrong(browse, alice, bucket, indexed, body, said):
    key = "exceptions/org_blue/2026/11/20/101010000000_broken.json"
    bucket.put_bytes(key, body)
    indexed()
    response = page_of(browse(alice), key)
    assert response.status_code == 200
    assert said in " ".join(response.context["preview"].problems)


def test_an_object_that_is_gone_is_a_404_that_says_so(browse, api, alice, bucket, trace):
    bucket.delete(trace)
    response = page_of(browse(alice), trace)
    assert response.status_code == 404
    assert "no longer in storage" in response.content.decode()
    assert api(alice).get("/admin/exceptions/content", {"key": trace}).status_code == 404
    assert api(alice).get("/admin/exceptions/download", {"key": trace}).status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        "exceptions/org_1/2026/01/15/000000000000_forged.json",
        "../secrets",
        "exceptions/../../secrets.json",
        "exceptions/%2e%2e/secrets.json",
        "exceptions/..%2fsecrets.json",
        "other/org_1/x.json",
        "https://evil.example/exceptions/x.json",
        "s3://other-bucket/exceptions/x.json",
        "\x00",
        "",
        "exceptions/" + "é" * 600,
    ],
)
def test_a_forged_key_is_not_found_on_every_door(browse, api, alice, trace, key):
    assert page_of(browse(alice), key).status_code == 404
    assert browse(alice).get("/console/exceptions/content", {"key": key}).status_code == 404
    assert browse(alice).post("/console/exceptions/download", {"key": key}).status_code == 404
    for path in ("content", "download"):
        assert api(alice).get(f"/admin/exceptions/{path}", {"key": key}).status_code in {404, 422}
    assert not AuditEntry.objects.filter(action="trace.downloaded").exists()


class TestContent:
    def test_is_the_stored_bytes_unchanged(self, api, alice, bucket, trace):
        stored = storage.client().get_object(Bucket=bucket.name, Key=trace)["Body"].read()
        response = api(alice).get("/admin/exceptions/content", {"key": trace})
        assert b"".join(response.streaming_content) == stored
        assert response["Content-Type"] == "application/json"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert int(response["Content-Length"]) == len(stored)

    def test_is_for_super_admins(self, api, bob, trace):
        assert api(bob).get("/admin/exceptions/content", {"key": trace}).status_code == 403


class TestDownload:
    def test_the_link_downloads_the_object_under_a_readable_name_without_signing_in(self, api, alice, bucket, trace):
        answer = api(alice).get("/admin/exceptions/download", {"key": trace}).json()
        assert answer["expires_in"] == 900
        left = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
        assert timedelta(minutes=14) < left <= timedelta(minutes=15)
        with urllib.request.urlopen(answer["url"], timeout=10) as response:
            assert json.load(response)["request_id"] == "req-page"
            assert response.headers["Content-Disposition"] == f'attachment; filename="{answer["filename"]}"'
        assert answer["filename"].startswith("IntegrityError_org_blue_") and answer["filename"].endswith(
            "_req-page.json"
        )

    def test_is_audited(self, api, alice, trace):
        answer = api(alice).get("/admin/exceptions/download", {"key": trace}).json()
        entry = AuditEntry.objects.get(action="trace.downloaded")
        assert (entry.resource_id, entry.org_id, entry.actor_email) == (trace, "org_blue", "alice@dagy.example")
        assert "Signature" in answer["url"] and "Signature" not in str(entry.after)

    def test_a_changed_link_is_refused_by_the_server(self, as_actor, alice, trace):
        url = start_download(actor=as_actor(alice), key=trace).url
        for forged in (url.replace("req-page", "req-pagf"), url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000")):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(forged, timeout=10)
            assert refused.value.code == 403

    def test_from_the_page_leads_to_the_same_link(self, browse, alice, trace):
        browser = browse(alice)
        response = browser.post("/console/exceptions/download", {"key": trace})
        assert response.status_code == 303
        server = storage.client().meta.endpoint_url
        assert response["Location"].startswith(server)
        policy = browser.get("/console/exceptions/trace", {"key": trace})["Content-Security-Policy"]
        assert f"form-action 'self' {server};" in f"{policy};", "the page lets its form lead there"
        assert server not in browser.get("/console/exceptions/")["Content-Security-Policy"]

    def test_a_link_of_another_site_hands_out_nothing_and_records_nothing(self, api, browse, alice, trace):
        browser = browse(alice)
        assert browser.get("/console/exceptions/download", {"key": trace}).status_code == 405
        for site in ("cross-site", "same-site"):
            forged = browser.get(
                "/admin/exceptions/download",
                {"key": trace},
                headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"},
            )
            assert (forged.status_code, forged["Content-Type"]) == (403, "application/problem+json")
        assert not AuditEntry.objects.filter(action="trace.downloaded").exists()
        own = browser.get("/admin/exceptions/download", {"key": trace}, headers={"Sec-Fetch-Site": "same-origin"})
        assert own.status_code == 200

    def test_head_hands_out_nothing_and_records_nothing(self, api, alice, trace):
        caller = api(alice)
        for path in ("download", "content"):
            answer = caller.head(f"/admin/exceptions/{path}", {"key": trace})
            assert (answer.status_code, answer.content) == (200, b"")
            assert caller.head(f"/admin/exceptions/{path}", {"key": trace + "x"}).status_code == 404
        assert not AuditEntry.objects.filter(action__startswith="trace.").exists()

    def test_no_transaction_waits_for_s3(self, as_actor, alice, trace, monkeypatch):
        open_when_asked = []
        monkeypatch.setattr(
            storage, "check_object", lambda *_: open_when_asked.append(len(connection.savepoint_ids)) or 0
        )
        before = len(connection.savepoint_ids)
        start_download(actor=as_actor(alice), key=trace)
        assert open_when_asked == [before]

    def test_is_for_super_admins(self, api, browse, bob, trace):
        assert api(bob).get("/admin/exceptions/download", {"key": trace}).status_code == 403
        assert browse(bob).post("/console/exceptions/download", {"key": trace}).status_code == 403
        assert not AuditEntry.objects.filter(action="trace.downloaded").exists()


def readings(trace):
    return [entry.actor_email for entry in AuditEntry.objects.filter(action="trace.read", resource_id=trace)]


def test_reading_a_trace_is_on_record_once_an_hour_for_each_reader(api, browse, alice, bob, trace):
    for _ in range(2):
        assert browse(alice).get("/console/exceptions/trace", {"key": trace}).status_code == 200
        assert b"".join(api(alice).get("/admin/exceptions/content", {"key": trace}))
    assert readings(trace) == [alice.email]
    assert AuditEntry.objects.get(action="trace.read").org_id == "org_blue"
    api(bob).get("/admin/exceptions/content", {"key": trace})
    assert readings(trace) == [alice.email], "who is refused has read nothing"


def test_reading_is_recorded_anew_when_the_hour_is_over(api, alice, trace, monkeypatch):
    monkeypatch.setattr("dagy_console.exceptions.trace.services.READING", timedelta(0))
    for _ in range(2):
        b"".join(api(alice).get("/admin/exceptions/content", {"key": trace}))
    assert len(readings(trace)) == 2


def test_letters_that_reorder_or_hide_are_shown_as_signs(browse, alice, bucket, indexed):
    key = bucket.put(http_path="/admin\u202e/resu/", exception_message="zero\u200bwidth", function_name="f\u2066n")
    indexed()
    page = browse(alice).get("/console/exceptions/trace", {"key": key}).content.decode()
    assert "\u202e" not in page and "\u200b" not in page and "\u2066" not in page
    assert "⟨U+202E⟩" in page and "<bdi>" in page
