"""What the client makes of a server that falters. (Against the real console: test_client_console.py.)"""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from scripted import RUN, Script, send

from dagy import DagyClient
from dagy.client import ApiError, Conflict, ConnectionFailed, Invalid, NotFound, RateLimited, Unavailable, transport


@pytest.fixture
def client(script: Script) -> DagyClient:
    return DagyClient(script.url, "dagy_sk_secret", timeout=0.5)


def test_a_run_is_triggered_once_however_often_it_is_sent(client: DagyClient, script: Script) -> None:
    script.answers = [(503,), lambda handler: handler.connection.close(), (201, RUN)]
    run = client.trigger("nightly", {"day": "2026-01-15"}, org_id="org_blue")
    assert (run.id, run.status, run.flow, run.raw["a_new_field"]) == ("r1", "QUEUED", "nightly", 1)
    assert len(script.asked) == 3
    assert len({asked.headers["idempotency-key"] for asked in script.asked}) == 1
    assert json.loads(script.asked[2].body) == {
        "flow": "nightly",
        "parameters": {"day": "2026-01-15"},
        "org_id": "org_blue",
    }
    script.asked.clear()
    client.trigger("nightly")
    client.trigger("nightly")
    assert script.asked[0].headers["idempotency-key"] != script.asked[1].headers["idempotency-key"]


def test_what_a_repetition_can_not_mend_is_not_repeated(client: DagyClient, script: Script) -> None:
    problem = {
        "title": "Unprocessable",
        "detail": "Some fields are wrong.",
        "errors": [{"field": "flow", "message": "is unknown"}],
    }
    script.answers = [(422, problem, {"X-Request-Id": "req-1"})]
    with pytest.raises(Invalid, match=r"Unprocessable \(422\): Some fields are wrong. flow: is unknown") as caught:
        client.trigger("x")
    assert (caught.value.request_id, caught.value.errors) == ("req-1", problem["errors"])
    assert len(script.asked) == 1
    for status, kind in ((404, NotFound), (409, Conflict), (400, ApiError), (500, ApiError)):
        script.answers = [(status, {"title": "No", "detail": "No."})]
        with pytest.raises(kind):
            client.run("r1")
    assert len(script.asked) == 5


def test_it_gives_up_after_its_retries(client: DagyClient, script: Script) -> None:
    script.answers = [(503, {"title": "Unavailable", "detail": "Redis is down."})]
    with pytest.raises(Unavailable, match="Redis is down"):
        client.run("r1")
    assert len(script.asked) == 4


@pytest.mark.parametrize("after", ["1", "Wed, 01 Jan 2025 00:00:00 GMT"])
def test_retry_after_is_honoured(client: DagyClient, script: Script, after: str) -> None:
    script.answers = [(429, {"title": "Slow down"}, {"Retry-After": after}), (200, RUN)]
    began = time.monotonic()
    client.run("r1")
    assert (time.monotonic() - began > 0.99) == (after == "1")


def test_too_many_requests_say_when_to_come_back(script: Script) -> None:
    script.answers = [(429, {"title": "Too many requests"}, {"Retry-After": "30"})]
    with pytest.raises(RateLimited) as caught:
        DagyClient(script.url, "k", retries=0).run("r1")
    assert caught.value.retry_after == 30


def test_a_server_that_does_not_answer_is_told_with_its_url(client: DagyClient, script: Script) -> None:
    script.answers = [lambda handler: time.sleep(1.5)]
    began = time.monotonic()
    with pytest.raises(ConnectionFailed, match=rf"{script.url} did not answer \(no answer in time\): is it running"):
        DagyClient(script.url, "k", timeout=0.2, retries=1).run("r1")
    assert time.monotonic() - began < 1.2
    with pytest.raises(ConnectionFailed, match="Connection refused"):
        DagyClient("http://127.0.0.1:9", "k", retries=0).me()


def test_redirects_are_not_followed_with_the_key(client: DagyClient, script: Script) -> None:
    script.answers = [(302, {}, {"Location": "http://elsewhere.example/login"})]
    with pytest.raises(ApiError, match=r"redirects to http://elsewhere.example/login: give that address"):
        client.me()
    assert len(script.asked) == 1


def test_a_page_instead_of_an_answer_is_told_as_that(client: DagyClient, script: Script) -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(500)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"<html>")

    script.answers = [page]
    with pytest.raises(ApiError, match="answered 500 with text/html, not as Dagy does: is it the API"):
        client.me()
    script.answers = [(200, b"<html>")]
    with pytest.raises(ApiError, match="is no JSON"):
        client.me()


def test_an_endless_answer_is_cut_off(client: DagyClient, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1024 * 1024)
    script.answers = [(200, b"[" + b" " * 2_000_000 + b"]")]
    with pytest.raises(ApiError, match="larger than 1 MB"):
        client.me()


def test_the_key_is_sent_and_shown_nowhere(client: DagyClient, script: Script) -> None:
    script.answers = [(401, {"title": "Not authenticated", "detail": "The key has ended."})]
    with pytest.raises(ApiError) as caught:
        client.me()
    assert script.asked[0].headers["authorization"] == "Bearer dagy_sk_secret"
    assert "secret" not in f"{client!r} {client._transport!r} {caught.value!r} {caught.value}"


def test_one_connection_serves_many_requests(client: DagyClient, script: Script) -> None:
    ports: set[int] = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        ports.add(handler.client_address[1])
        send(handler, 200, RUN)

    script.answers = [answer]
    for _ in range(5):
        client.run("r1")
    assert len(ports) == 1


def test_lists_go_on_over_all_pages(client: DagyClient, script: Script) -> None:
    script.answers = [
        (200, {"items": [{**RUN, "id": "r1"}, {**RUN, "id": "r2"}], "next_cursor": "c+/="}),
        (200, {"items": [{**RUN, "id": "r3"}], "next_cursor": None}),
    ]
    found = [run.id for run in client.runs(status="FAILED", from_="-2h")]
    assert found == ["r1", "r2", "r3"]
    assert [asked.path for asked in script.asked] == [
        "/runs?status=FAILED&from=-2h",
        "/runs?status=FAILED&from=-2h&cursor=c%2B%2F%3D",
    ]


def test_ids_can_not_leave_their_place_in_the_path(client: DagyClient, script: Script) -> None:
    script.answers = [(200, RUN)]
    client.run("../admin?x=1")
    assert script.asked[0].path == "/runs/..%2Fadmin%3Fx%3D1"


def test_a_log_is_followed_until_the_run_has_ended(
    client: DagyClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagy.client.api._FOLLOW_SECONDS", (0.01, 0.02))

    def lines(*numbers: int) -> Any:
        items = [{"sequence": n, "time": "t", "level": "INFO", "task_id": "a", "message": f"m{n}"} for n in numbers]
        return (200, {"items": items})

    running, ended = (200, {**RUN, "status": "RUNNING"}), (200, {**RUN, "status": "FAILED"})
    script.answers = [lines(1, 2), running, lines(), running, (503,), lines(3), ended, lines(4), ended]
    assert [line.message for line in client.follow("r1", level="INFO")] == ["m1", "m2", "m3", "m4"]
    asked = [a.path for a in script.asked if "/logs" in a.path]
    assert asked[0] == "/runs/r1/logs?level=INFO&limit=200"
    assert asked[1].startswith("/runs/r1/logs?level=INFO&after=2")


def test_waiting_ends_with_the_run_or_the_time(
    client: DagyClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagy.client.api._FOLLOW_SECONDS", (0.01, 0.02))
    script.answers = [(200, {**RUN, "status": "RUNNING"}), (200, {**RUN, "status": "SUCCEEDED"})]
    assert client.wait("r1").status == "SUCCEEDED"
    script.answers = [(200, {**RUN, "status": "RUNNING"})]
    with pytest.raises(TimeoutError, match=r"is still RUNNING after 0.05 s"):
        client.wait("r1", timeout=0.05)


def test_a_run_is_typed_with_its_tasks_and_its_failure(client: DagyClient, script: Script) -> None:
    full = {
        **RUN,
        "status": "FAILED",
        "failure": {"task_id": "load", "attempt": 2, "error_type": "ValueError", "message": "bad", "advice": "read"},
        "task_runs": [{"task_id": "load", "status": "FAILED", "depends_on": ["extract"], "attempts": [{}, {}]}],
    }
    script.answers = [(200, full)]
    run = client.run("r1")
    assert run.failure is not None
    assert (run.failure.task_id, run.failure.attempt, run.failure.advice) == ("load", 2, "read")
    (task,) = run.task_runs
    assert (task.task_id, task.depends_on, task.attempts) == ("load", ["extract"], 2)


def test_schedules_secrets_and_artifacts_have_their_calls(client: DagyClient, script: Script) -> None:
    script.answers = [(200, {"id": "s1", "name": "n", "url": "u", "items": [{"task_id": "t", "name": "a.csv"}]})]
    client.create_schedule(flow="nightly", cron="0 3 * * *")
    client.update_schedule("s1", paused=True)
    client.put_secret("DB", "hunter2")
    assert client.artifact_url("r1", "t", "a b.csv") == "u"
    assert client.artifacts("r1")[0].name == "a.csv"
    client.delete_secret("DB")
    script.answers = [(201, RUN)]
    assert client.retry("r1").id == "r1"
    assert [(a.method, a.path, a.body) for a in script.asked] == [
        ("POST", "/schedules", b'{"flow": "nightly", "cron": "0 3 * * *"}'),
        ("PATCH", "/schedules/s1", b'{"paused": true}'),
        ("PUT", "/secrets/DB", b'{"value": "hunter2"}'),
        ("GET", "/runs/r1/artifacts/t/a%20b.csv", b""),
        ("GET", "/runs/r1/artifacts", b""),
        ("DELETE", "/secrets/DB", b""),
        ("POST", "/runs/r1/retry", b'{"from_failure": true}'),
    ]


@pytest.mark.parametrize("url", ["dagy.example.com", "ftp://x", "https://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ApiError, match=r"must look like https://dagy.example.com"):
        DagyClient(url, "k")


def test_without_a_server_it_says_how_to_name_one() -> None:
    with pytest.raises(ApiError, match="set DAGY_API_URL, or sign in with `dagy login"):
        DagyClient()


def test_the_environment_names_server_and_key(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGY_API_URL", script.url + "/")
    monkeypatch.setenv("DAGY_API_KEY", "dagy_sk_env")
    script.answers = [(200, RUN)]
    DagyClient().run("r1")
    assert (script.asked[0].path, script.asked[0].headers["authorization"]) == ("/runs/r1", "Bearer dagy_sk_env")


def test_kept_credentials_that_others_can_read_are_refused(local_dir: Path, script: Script) -> None:
    script.answers = [(200, {"access_token": "dagy_at_1", "expires_at": "2026-12-01T00:00:00Z"})]
    DagyClient(script.url, "-").login("a@b.example", "pw")
    kept = local_dir / "credentials.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    script.answers = [(200, RUN)]
    assert DagyClient().run("r1").id == "r1"
    assert script.asked[-1].headers["authorization"] == "Bearer dagy_at_1"
    kept.chmod(0o644)
    with pytest.raises(ApiError, match="can be read by others: sign in again after `chmod 600"):
        DagyClient()
    kept.chmod(0o600)
    kept.write_text("{")
    with pytest.raises(ApiError, match="is not what `dagy login` wrote"):
        DagyClient()


def test_a_bundle_is_the_body_of_its_deployment(client: DagyClient, script: Script) -> None:
    script.answers = [(201, {"id": "d1", "version": 4})]
    made = client.deploy(b"PK...", flow="nightly", entrypoint="flows.py:nightly", sha256="ab", version=None)
    assert (made.id, made.version) == ("d1", 4)
    assert script.asked[0].path == "/deployments?flow=nightly&entrypoint=flows.py%3Anightly&sha256=ab"
    assert (script.asked[0].headers["content-type"], script.asked[0].body) == ("application/zip", b"PK...")
