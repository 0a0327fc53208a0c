"""`Idempotency-Key`: a POST that is sent again has no second effect, however often it comes, and whatever breaks."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.urls import path
from django.utils import timezone
from ninja import Status

from dagy_console import urls
from dagy_console.accounts.models import AccessToken, Organization, User
from dagy_console.accounts.tokens import digest
from dagy_console.api import api
from dagy_console.core import idempotency
from dagy_console.core.api import BODY_PROBLEMS, BodyIn, ConsoleApi, IdempotentOperation, StrictRouter
from dagy_console.core.errors import Conflict, Invalid, NotFound, PermissionDenied, Unavailable
from dagy_console.core.models import IdempotentAnswer
from dagy_console.core.permissions import Permission
from dagy_console.core.tasks import remove_old_answers
from dagy_console.exceptions.models import DeletionJob

ROOT = Path(__file__).resolve().parents[2]
started, go_on = threading.Event(), threading.Event()
router = StrictRouter()


class ThingIn(BodyIn):
    name: str
    how: str = ""


@router.post("/things", idempotent=True, response={201: dict, **BODY_PROBLEMS})
def make_thing(request, body: ThingIn):
    """Its effect is a row that cannot come into being twice unnoticed."""
    number = Organization.objects.count() + 1
    Organization.objects.create(id=f"{body.name}{number}", name=body.name)
    match body.how:
        case "slow":
            started.set()
            assert go_on.wait(10)
        case "until killed":
            print("at work", flush=True)
            threading.Event().wait()
        case "conflict":
            raise Conflict("It is so already.")
        case "not found":
            raise NotFound("There is none.")
        case "invalid":
            raise Invalid.field("name", "is no good")
        case "denied":
            raise PermissionDenied(Permission.CUSTOMERS_READ)
        case "unavailable":
            raise Unavailable("S3 did not answer.")
        case "broken":
            raise RuntimeError("a bug")
    return Status(201, {"number": number, "secret": f"dagy_sk_{number}"})


@router.post("/others", idempotent=True, response={201: dict, **BODY_PROBLEMS})
def make_other(request, body: ThingIn):
    return make_thing(request, body)


@router.post("/plain", response={201: dict, **BODY_PROBLEMS})
def make_plain(request, body: ThingIn):
    return make_thing(request, body)


api_of_things = ConsoleApi(title="Things", urls_namespace="things", docs_url=None, openapi_url="/things.json")
api_of_things.add_router("", router)
handler500 = urls.handler500
urlpatterns = [path("", api_of_things.urls), *urls.urlpatterns]
pytestmark = pytest.mark.urls(__name__)


def send(client, key="key-1", *, to="/things", name="org_x", **more):
    headers = {"Idempotency-Key": key} if key is not None else {}
    return client.post(to, {"name": name} | more, content_type="application/json", headers=headers)


def effects():
    return Organization.objects.filter(id__startswith="org_x").count()


@pytest.fixture
def caller(api, alice):
    client = api(alice)
    # What breaks is answered, not raised into the test.
    client.raise_request_exception = False
    return client


def test_the_same_request_gets_the_first_answer(caller):
    first, second = send(caller), send(caller)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content and first["Content-Type"] == second["Content-Type"]
    assert "Idempotent-Replayed" not in first and second["Idempotent-Replayed"] == "true"
    assert first["X-Request-Id"] != second["X-Request-Id"]
    assert effects() == 1


def test_without_a_key_each_request_counts(caller):
    assert [send(caller, None).json()["number"] for _ in range(2)] == [1, 2]


def test_another_key_is_another_request(caller):
    assert [send(caller, key).json()["number"] for key in ("a", "b")] == [1, 2]


def test_the_same_key_with_another_body_or_path_is_refused(caller):
    send(caller)
    for answer in (send(caller, name="org_xy"), send(caller, to="/others")):
        assert answer.status_code == 409
        assert "Idempotency-Key was used" in answer.json()["detail"]
        assert "Retry-After" not in answer
    assert effects() == 1


def test_the_order_and_spacing_of_a_bodys_members_is_no_difference(caller):
    for body in ('{"name": "org_x", "how": ""}', '{"how":"",  "name":"org_x"}'):
        answer = caller.post("/things", body, content_type="application/json", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
    assert effects() == 1


def test_keys_of_other_people_and_of_other_ways_in_are_other_keys(api, browse, alice, bob):
    browser = browse(alice)
    for client in (api(alice), api(bob), browser):
        assert "Idempotent-Replayed" not in send(client)
    assert "Idempotent-Replayed" in send(api(alice)), "a new token of the same person is the same caller"
    assert effects() == 3


def test_who_is_not_signed_in_gets_no_answer_of_anybody(caller, client):
    send(caller)
    assert send(client).status_code == 401


def test_a_browsers_session_must_prove_csrf_for_the_answer_too(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert send(strict).status_code == 403


@pytest.mark.parametrize("key", ["", "x" * 256, "with\ttab", "näme", "new\x7f"])
def test_a_malformed_key_is_refused_before_anything_is_done(caller, key):
    answer = send(caller, key)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert effects() == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, 'a "b" ~!'])
def test_a_key_may_be_any_printable_ascii(caller, key):
    assert send(caller, key).status_code == 201
    assert send(caller, key)["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(("how", "status"), [("conflict", 409), ("not found", 404)])
def test_what_the_handler_found_is_kept_and_what_it_did_before_is_undone(caller, how, status):
    first, second = send(caller, how=how), send(caller, how=how)
    assert first.status_code == second.status_code == status
    assert second["Idempotent-Replayed"] == "true"
    assert second["Content-Type"] == "application/problem+json"
    assert first.json() == second.json()
    assert effects() == 0


@pytest.mark.parametrize(("how", "status"), [("invalid", 422), ("denied", 403), ("unavailable", 503), ("broken", 500)])
def test_what_a_repetition_may_mend_is_not_kept(caller, how, status):
    assert send(caller, how=how).status_code == status
    assert effects() == 0
    assert send(caller).status_code == 201, "the key is free, also for another body"
    assert effects() == 1


def test_a_body_that_is_refused_before_the_handler_leaves_the_key_free(caller):
    assert send(caller, name=7).status_code == 422
    assert send(caller).status_code == 201


def test_after_24_hours_the_key_is_new_and_the_old_answer_goes(caller):
    send(caller)
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert "Idempotent-Replayed" not in send(caller)
    assert send(caller)["Idempotent-Replayed"] == "true"
    assert effects() == 2
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    send(caller, "fresh")
    remove_old_answers()
    assert [row.key for row in IdempotentAnswer.objects.all()] == ["fresh"]


def test_a_secret_in_an_answer_is_not_kept_in_clear(caller):
    assert b"dagy_sk_1" in send(caller).content
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(row)::text FROM core_idempotentanswer AS row")
        assert "dagy_sk_1" not in cursor.fetchone()[0]
    assert b"dagy_sk_1" in send(caller).content


def test_where_the_answer_cannot_be_read_any_more_nothing_is_done_twice_either(caller):
    send(caller)
    IdempotentAnswer.objects.update(body="of another key")
    answer = send(caller)
    assert answer.status_code == 409 and "done before" in answer.json()["detail"]
    assert effects() == 1


def test_an_endpoint_that_knows_no_keys_ignores_them(caller):
    assert [send(caller, to="/plain").json()["number"] for _ in range(2)] == [1, 2]


def test_a_deletion_is_started_once(api, alice, bucket):
    body = {"keys": ["exceptions/org_blue/2026/01/15/103000123456_x.json"], "expected_count": 1}
    answers = [
        api(alice).post(
            "/admin/exceptions/deletions", body, content_type="application/json", headers={"Idempotency-Key": "k"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    job = DeletionJob.objects.get()
    stop = f"/admin/exceptions/deletions/{job.pk}/cancel"
    answers = [api(alice).post(stop, headers={"Idempotency-Key": "stop"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]


def test_the_schema_tells_of_it():
    operation = api_of_things.get_openapi_schema()["paths"]["/things"]["post"]
    (header,) = operation["parameters"]
    assert (header["name"], header["in"], header["required"]) == ("Idempotency-Key", "header", False)
    assert "409" in operation["responses"] or 409 in operation["responses"]


def test_every_post_of_the_product_takes_a_key_but_those_that_make_no_sense_twice():
    operations = [
        (path, operation)
        for _, routers in api._routers
        for path, view in routers.path_operations.items()
        for operation in view.operations
        if "POST" in operation.methods
    ]
    without = {path for path, operation in operations if not isinstance(operation, IdempotentOperation)}
    # A preview keeps nothing.
    preview = "/notifications/rules/preview"
    assert without == {"/auth/login", "/auth/logout", "/demo/error", "/admin/exceptions/events", preview}


@pytest.fixture
def committed(django_db_setup, django_db_blocker):
    """A caller whose rows other connections see. What is committed here is taken away by hand: it enters no audit log,
    from which nothing can be taken."""
    with django_db_blocker.unblock():
        user = User.objects.create(email="concurrent@dagy.example", super_admin=True)
        AccessToken.objects.create(
            user=user, digest=digest("dagy_at_concurrent"), expires_at=timezone.now() + timedelta(hours=1)
        )
        yield Client(headers={"Authorization": "Bearer dagy_at_concurrent"})
        IdempotentAnswer.objects.all().delete()
        Organization.objects.filter(id__startswith="org_x").delete()
        user.delete()
        connection.close()


class TestAtOnce:
    def test_a_second_one_is_told_to_wait_and_then_gets_the_first_answer(self, committed):
        started.clear()
        go_on.clear()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(in_a_thread, committed, how="slow")
            assert started.wait(10)
            second = send(committed, how="slow")
            assert second.status_code == 409
            assert second["Retry-After"] == "1"
            assert effects() == 0
            go_on.set()
            assert first.result().status_code == 201
        third = send(committed, how="slow")
        assert third.content == first.result().content and third["Idempotent-Replayed"] == "true"
        assert effects() == 1

    def test_of_many_at_once_one_is_done(self, committed):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: in_a_thread(committed), range(24)))
        assert effects() == 1
        assert {answer.status_code for answer in answers} <= {201, 409}
        done = [answer for answer in answers if answer.status_code == 201]
        assert len({answer.content for answer in done}) == 1
        assert sum("Idempotent-Replayed" not in answer for answer in done) == 1

    @pytest.mark.slow("a process is killed and its claim ends")
    def test_a_process_that_is_killed_leaves_neither_effect_nor_claim(self, committed):
        with a_request_at_work(committed) as process:
            assert send(committed, how="until killed").status_code == 409
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        assert effects() == 0
        # PostgreSQL notices the closed connection at once; it may take the server's process a moment.
        for _ in range(100):
            answer = send(committed)
            if answer.status_code != 409:
                break
            threading.Event().wait(0.05)
        assert answer.status_code == 201
        assert effects() == 1

    def test_the_claim_of_a_machine_that_is_gone_ends_by_itself(self, committed, monkeypatch):
        assert idempotency.STALE_SECONDS == 60
        # A process that is stopped keeps its connection open and says no word more, as a machine that is gone.
        monkeypatch.setenv("STALE_SECONDS", "1")
        with a_request_at_work(committed) as process:
            process.send_signal(signal.SIGSTOP)
            assert send(committed).status_code == 409
            threading.Event().wait(1.5)
            assert send(committed).status_code == 201
        assert effects() == 1


def in_a_thread(client, **body):
    try:
        return send(client, **body)
    finally:
        connection.close()


class a_request_at_work:  # noqa: N801 - reads as a sentence
    """A process of its own that is in the middle of the handler."""

    PROGRAM = f"""
import django, os, sys
django.setup()
from django.conf import settings
from django.test import Client
from dagy_console.core import idempotency
settings.ROOT_URLCONF = "{__name__}"
settings.ALLOWED_HOSTS = ["testserver"]
idempotency.STALE_SECONDS = int(os.environ.get("STALE_SECONDS", "60"))
from {__name__} import send
send(Client(headers={{"Authorization": sys.argv[1]}}), how="until killed")
"""

    def __init__(self, client):
        database = connection.settings_dict
        url = f"postgresql://{database['USER']}:{database['PASSWORD']}@/{database['NAME']}"
        url += f"?host={database['HOST']}&port={database['PORT']}"
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "dagy_console.settings", "DATABASE_URL": url}
        token = client.defaults["HTTP_AUTHORIZATION"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, token], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "at work\n"
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def test_bodies_that_are_no_json_are_compared_as_they_are():
    assert idempotency._canonical(b"\xff") == b"\xff"
    assert idempotency._canonical(b"") == b""
    assert json.loads(idempotency._canonical(b'{"b": 1, "a": [1.5, null]}')) == {"b": 1, "a": [1.5, None]}
