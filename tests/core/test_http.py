"""What every answer has: a request id, headers, and a plain reason when something is wrong."""

import gzip
import json
import re

import pytest
from django.db import OperationalError
from django.test import Client

from dagy_console.core import health, problems
from tests.console import Bucket

MALFORMED = ["", "{", "[1", "\x00", '"text"', "{'keys': []}", "\xff\xfe"]


def test_every_answer_carries_the_callers_request_id_or_a_new_one(client, db):
    assert client.get("/health/live", headers={"X-Request-Id": "abc-123"})["X-Request-Id"] == "abc-123"
    assert re.fullmatch(r"[0-9a-f]{32}", client.get("/health/live")["X-Request-Id"])
    odd = client.get("/health/live", headers={"X-Request-Id": "a b\r\nX: y"})
    assert re.fullmatch(r"[0-9a-f]{32}", odd["X-Request-Id"])


@pytest.mark.parametrize("path", ["/health/live", "/console/", "/accounts/login/", "/me", "/nowhere", "/docs"])
def test_every_answer_has_the_headers_that_protect_it(client, db, path):
    response = client.get(path)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["Cache-Control"].startswith(("no-store", "max-age=0"))
    policy = response["Content-Security-Policy"]
    for directive in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "unsafe" not in policy


def test_an_unknown_address_is_a_problem_at_the_api_and_a_page_in_the_console(client, browse, alice):
    response = client.get("/nowhere")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    problem = response.json()
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    page = browse(alice).get("/console/nowhere/")
    assert page.status_code == 404 and "text/html" in page["Content-Type"]


@pytest.mark.parametrize(("body", "kind"), [("null", "null"), ("[]", "an array"), ('"x"', "text"), ("3", "a number")])
def test_a_body_that_is_json_but_no_object_is_called_what_it_is(api, alice, body, kind):
    response = api(alice).delete("/admin/exceptions", body, content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (422, "application/problem+json")
    assert response.json()["errors"] == [{"field": "body", "message": f"send a JSON object; this is {kind}"}]


def test_an_unknown_member_of_a_body_is_refused(api, alice, client):
    body = json.dumps({"keys": ["exceptions/a/b.json"], "dry_run": True})
    response = api(alice).delete("/admin/exceptions", body, content_type="application/json")
    assert response.status_code == 422
    assert response.json()["errors"] == [{"field": "dry_run", "message": "unknown field"}]
    body = json.dumps({"email": "alice@dagy.example", "password": "x", "remember": True})
    response = client.post("/auth/login", body, content_type="application/json")
    assert [error["field"] for error in response.json()["errors"]] == ["remember"]


def test_a_key_that_is_too_long_is_not_sent_back_whole(api, alice, bucket):
    body = json.dumps({"keys": ["exceptions/" + "é" * 50_000]})
    response = api(alice).delete("/admin/exceptions", body, content_type="application/json")
    assert response.json()["errors"][0]["code"] == "InvalidKey"
    assert len(response.content) < 12_000
    assert api(alice).get("/admin/exceptions/content", {"key": "exceptions/" + "x" * 50_000}).status_code == 422


def test_a_chunked_body_is_refused_for_what_it_is(api, alice):
    headers = {"Transfer-Encoding": "chunked"}
    response = api(alice).generic("DELETE", "/admin/exceptions", b"", "application/json", headers=headers)
    assert (response.status_code, response["Content-Type"]) == (411, "application/problem+json")
    assert "Content-Length" in response.json()["detail"]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_body_that_is_no_json_object_is_refused_clearly(api, alice, body):
    response = api(alice).delete("/admin/exceptions", body.encode("latin-1"), content_type="application/json")
    assert response.status_code in {400, 422}
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"]


def test_a_field_of_a_wrong_type_is_named(api, alice):
    response = api(alice).delete("/admin/exceptions", json.dumps({"keys": ["a", 3]}), content_type="application/json")
    assert response.json()["errors"][0]["field"] == "keys.1"


def test_a_body_of_5_mb_is_too_large(api, alice):
    body = json.dumps({"keys": ["x" * 5_000_000]})
    response = api(alice).delete("/admin/exceptions", body, content_type="application/json")
    assert response.status_code == 413
    assert "Nothing was changed" in response.json()["detail"]


def test_nul_bytes_anywhere_are_no_500(api, alice):
    client = api(alice)
    for path in (
        "/admin/exceptions/content?key=%00",
        "/admin/exceptions?org_id=%00",
        "/me%00",
        "/audit-logs?actor=%00",
    ):
        assert client.get(path).status_code in {404, 422}, path
    body = json.dumps({"email": "a\x00b", "password": "x\x00"})
    assert client.post("/auth/login", body, content_type="application/json").status_code in {401, 422}


def test_a_wrong_method_says_so(api, alice):
    response = api(alice).put("/admin/exceptions")
    assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
    assert response["Allow"] == "DELETE, GET, HEAD"
    assert "PUT" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/docs", "/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_only_shows_refuses_every_other_method_as_such(path, method):
    response = Client(enforce_csrf_checks=True).generic(method, path)
    assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
    assert "GET" in response["Allow"]


def test_a_wrong_method_in_the_console_is_a_page(browse, alice):
    response = browse(alice).get("/console/preferences/")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert "Method not allowed" in response.content.decode()


def test_head_answers_as_get_does(api, alice):
    response = api(alice).head("/me")
    assert (response.status_code, response.content) == (200, b"")
    assert response.wsgi_request.method == "HEAD", "logs and traces name the method that was asked for"
    refused = api(alice).head("/auth/login")
    assert (refused.status_code, refused["Allow"]) == (405, "POST")


def test_health_tells_strangers_nothing_of_the_inside(client, monkeypatch):
    def refuse():
        raise OperationalError('connection to server at "10.1.2.3", port 5432 failed for user "dagy"')

    monkeypatch.setitem(health._checks, "database", refuse)
    health.make_report()
    response = client.get("/health")
    assert response.status_code == 503
    assert "10.1.2.3" not in response.content.decode() and "OperationalError" in response.content.decode()


def test_docs_and_schema_need_no_sign_in(client, db):
    assert client.get("/docs").status_code == 200
    schema = client.get("/openapi.json").json()
    assert "/admin/exceptions" in schema["paths"] and "/demo/error" not in schema["paths"]
    names = {parameter["name"] for parameter in schema["paths"]["/admin/exceptions"]["get"]["parameters"]}
    assert {"limit", "cursor", "q", "org_id", "exception_type", "from", "to"} <= names


def test_the_schema_is_sent_once_to_who_keeps_it(client, db):
    whole = client.get("/openapi.json")
    compressed = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(compressed.content) == whole.content
    assert compressed["Vary"] == "Accept-Encoding" and whole["Cache-Control"] == "no-cache"
    kept = client.get("/openapi.json", headers={"If-None-Match": whole["ETag"]})
    assert (kept.status_code, kept.content) == (304, b"")


def test_the_schema_tells_generated_clients_what_is_sent(client, db):
    schema = client.get("/openapi.json").json()
    ((name, *_),) = schema["paths"]["/me"]["get"]["security"]
    ((events, *_),) = schema["paths"]["/admin/exceptions/events"]["post"]["security"]
    assert schema["components"]["securitySchemes"].keys() == {name, events}
    for scheme in schema["components"]["securitySchemes"].values():
        assert scheme | {"description": ""} == {"type": "http", "scheme": "bearer", "description": ""}
    assert "security" not in schema["paths"]["/auth/login"]["post"]
    for path in schema["paths"].values():
        for operation in path.values():
            problems = {code: answer for code, answer in operation["responses"].items() if code >= "400"}
            assert {"401", "405", "422", "503"} <= problems.keys()
            assert {"411", "413"} <= problems.keys() or "requestBody" not in operation
            assert all(list(answer["content"]) == ["application/problem+json"] for answer in problems.values())
    assert "429" in schema["paths"]["/auth/login"]["post"]["responses"]
    assert "409" in schema["paths"]["/auth/logout"]["post"]["responses"]
    stored = schema["paths"]["/admin/exceptions/content"]["get"]["responses"]["200"]
    assert stored["content"] == {"application/json": {"schema": {}}}


def test_health_names_each_part(client, db, bucket):
    health.make_report()
    report = client.get("/health").json()
    parts = {part["name"]: part["status"] for part in report["components"]}
    assert set(parts) == {
        "database",
        "redis",
        "s3",
        "mail",
        "workers",
        "beat",
        "trace index",
        "runs",
        "alerts",
        "alert rules",
        "periodic tasks",
        "rate limit",
        "checks",
    }
    assert parts["database"] == parts["redis"] == parts["s3"] == "healthy"
    assert report["status"] == "degraded", "no worker and no beat run here, and the worst part counts"
    assert report["timestamp"].endswith("Z") and report["version"]


def test_health_says_what_is_wrong_with_the_bucket(client, db, settings):
    settings.TRACES_BUCKET = "no-such-bucket-here"
    health.make_report()
    parts = {part["name"]: part for part in client.get("/health").json()["components"]}
    assert parts["s3"]["status"] == "degraded"
    assert "no-such-bucket-here does not exist" in parts["s3"]["message"]


def test_the_database_down_is_a_503_that_says_so(client, api, alice, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("connection refused")

    caller = api(alice)
    monkeypatch.setattr("dagy_console.exceptions.selectors.visible_to", refuse)
    response = caller.get("/admin/exceptions")
    assert response.status_code == 503
    assert response["Retry-After"] and "did not answer" in response.json()["detail"]


def test_nobody_says_that_nothing_was_changed_where_nobody_knows(api, alice, bucket, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("dagy_console.exceptions.api.delete_keys", refuse)
    body = json.dumps({"keys": ["exceptions/a/b.json"]})
    response = api(alice).delete("/admin/exceptions", body, content_type="application/json")
    assert response.status_code == 503
    assert "look before you try again" in response.json()["detail"]
    assert "Nothing was changed" not in response.json()["detail"]


class TestPreferences:
    def test_are_kept_in_cookies_and_shown_at_once(self, browse, alice):
        browser = browse(alice)
        response = browser.post("/console/preferences/", {"theme": "dark", "next": "/console/audit/"})
        assert response["Location"] == "/console/audit/"
        assert 'data-theme="dark"' in browser.get("/console/").content.decode()

    def test_never_lead_to_another_site_and_keep_only_what_is_known(self, browse, alice):
        browser = browse(alice)
        response = browser.post("/console/preferences/", {"theme": "<script>", "next": "https://evil.example/"})
        assert response["Location"] == "/console/"
        assert "dagy-theme" not in browser.cookies


def test_a_form_without_its_csrf_token_is_refused_with_a_page(alice):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert browser.post("/console/preferences/", {"theme": "dark"}).status_code == 403


def test_errors_never_show_the_inside(rf):
    request = rf.get("/console/x")
    page = problems.internal_error(request)
    assert page.status_code == 500
    assert "Traceback" not in page.content.decode()


def test_an_unset_bucket_is_said_everywhere(api, browse, alice, bucket: Bucket, indexed, settings):
    key = bucket.put()
    indexed()
    settings.TRACES_BUCKET = ""
    health.make_report()
    assert "DAGY_TRACES_BUCKET" in browse(alice).get("/console/exceptions/").content.decode()
    assert "DAGY_TRACES_BUCKET" in api(alice).get("/admin/exceptions/content", {"key": key}).json()["detail"]
    assert "DAGY_TRACES_BUCKET" in api(alice).get("/health").content.decode()


def test_the_database_down_before_any_view_is_a_503_too(client, db, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("connection refused")

    client.raise_request_exception = False
    monkeypatch.setattr("dagy_console.accounts.middleware.actor_of", refuse)
    response = client.get("/me")
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert client.get("/console/").status_code == 503
