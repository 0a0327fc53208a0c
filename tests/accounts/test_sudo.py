"""What destroys or reaches far asks who is there, and then goes on with exactly the form that was sent."""

import json
import re
import time

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from dagy_console.accounts.proving import PROVED_AT
from dagy_console.audit.models import AuditEntry
from dagy_console.core.database import horizon
from dagy_console.core.times import to_rfc3339
from dagy_console.exceptions.models import DeletionJob
from tests.accounts.test_second_factor import code_of, give_totp
from tests.console import PASSWORD

URL = "/console/exceptions/deletions/start/"


@pytest.fixture
def form(bucket, indexed):
    key = bucket.put(request_id='quo"te<b>')
    indexed()
    now = horizon()
    return {
        "q": "",
        "keys_json": json.dumps([key]),
        "cutoff": to_rfc3339(now.at),
        "snapshot": now.snapshot,
        "expected_count": "1",
        "typed_count": "1",
    }


@pytest.fixture
def browser(browse, alice):
    """Signed in 16 minutes ago."""
    browser = browse(alice)
    grow_stale(browser)
    return browser


def grow_stale(browser, seconds=960):
    session = browser.session
    session[PROVED_AT] = time.time() - seconds
    session.save()


def sent_on(page):
    """The form that the page holds, as a browser reads it."""
    inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.content.decode())
    unescaped = {"&quot;": '"', "&lt;": "<", "&gt;": ">", "&#x27;": "'", "&amp;": "&"}
    for entity, character in unescaped.items():
        inputs = [(name, value.replace(entity, character)) for name, value in inputs]
    return {name: value for name, value in inputs if name != "csrfmiddlewaretoken"}


def test_a_fresh_sign_in_is_not_asked(browse, alice, form):
    assert browse(alice).post(URL, form).status_code == 302
    assert DeletionJob.objects.count() == 1


def test_an_old_one_is_asked_and_told_what_will_happen_and_nothing_is_done(browser, form):
    page = browser.post(URL, form)
    assert "Delete 1 trace" in page.content.decode() and "Is it you?" in page.content.decode()
    assert "more than 15 min ago" in page.content.decode()
    assert not DeletionJob.objects.exists()
    assert sent_on(page) == form


def test_the_right_password_goes_on_with_exactly_the_form_that_was_sent(browser, form):
    kept = sent_on(browser.post(URL, form))
    answer = browser.post(URL, kept | {"sudo_password": PASSWORD})
    job = DeletionJob.objects.get()
    assert answer["Location"].endswith(f"/{job.id}/")
    assert json.dumps(job.keys) == form["keys_json"]
    assert AuditEntry.objects.get(action="sudo.granted").resource_name == URL
    assert not AuditEntry.objects.filter(resource_name__contains=PASSWORD).exists()


def test_it_is_not_asked_again_for_a_while(browser, form):
    browser.post(URL, form | {"sudo_password": PASSWORD})
    assert browser.post(URL, form).status_code == 302


def test_a_wrong_password_is_refused_keeps_the_form_and_is_on_record(browser, form):
    page = browser.post(URL, form | {"sudo_password": "not it"})
    assert page.status_code == 422
    assert "That was not right. Nothing was done yet." in page.content.decode()
    assert sent_on(page) == form
    assert not DeletionJob.objects.exists()
    assert AuditEntry.objects.get(action="sudo.denied").outcome == "denied"


def test_guessing_is_slowed_down_even_for_the_right_password(browser, form):
    for _ in range(10):
        browser.post(URL, form | {"sudo_password": "not it"})
    page = browser.post(URL, form | {"sudo_password": PASSWORD})
    assert "Too many tries" in page.content.decode()
    assert not DeletionJob.objects.exists()


def test_the_session_has_a_new_key_afterwards_and_the_old_one_opens_nothing(browser, form):
    old = browser.cookies["dagy"].value
    browser.post(URL, form | {"sudo_password": PASSWORD})
    assert browser.cookies["dagy"].value != old
    assert not Session.objects.filter(pk=old).exists()
    thief = Client()
    thief.cookies["dagy"] = old
    assert thief.get("/console/").status_code == 302
    assert browser.get("/console/").status_code == 200


def test_a_proof_that_lies_ahead_counts_for_nothing(browser, form):
    grow_stale(browser, seconds=-3600)
    assert browser.post(URL, form).status_code == 200
    assert not DeletionJob.objects.exists()


def test_without_the_csrf_token_neither_question_nor_answer_counts(alice, form):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    grow_stale(browser)
    assert browser.post(URL, form | {"sudo_password": PASSWORD}).status_code == 403
    assert not DeletionJob.objects.exists()


def test_an_api_token_rests_on_its_permissions(api, alice, form):
    body = json.dumps({"keys": json.loads(form["keys_json"]), "expected_count": 1})
    assert api(alice).post("/admin/exceptions/deletions", body, content_type="application/json").status_code == 202


class TestWithASecondFactor:
    @pytest.fixture
    def secret(self, alice):
        return give_totp(alice)

    def test_the_code_counts_and_the_password_does_not(self, secret, browser, form):
        page = browser.post(URL, form)
        assert "authenticator app" in page.content.decode() and "Your password" not in page.content.decode()
        refused = browser.post(URL, form | {"sudo_password": PASSWORD})
        assert refused.status_code == 422 and not DeletionJob.objects.exists()
        code = code_of(secret)
        assert browser.post(URL, form | {"sudo_code": code}).status_code == 302
        assert DeletionJob.objects.count() == 1

    def test_a_code_counts_once(self, secret, browser, form):
        code = code_of(secret)
        assert browser.post(URL, form | {"sudo_code": code}).status_code == 302
        grow_stale(browser)
        assert browser.post(URL, form | {"sudo_code": code}).status_code == 422

    @pytest.mark.parametrize("credential", ["{}", "[]", "no json", '{"id": "x", "response": {"clientDataJSON": "eA"}}'])
    def test_a_malformed_passkey_is_a_wrong_one(self, secret, browser, form, credential):
        assert browser.post(URL, form | {"credential": credential}).status_code == 422
        assert not DeletionJob.objects.exists()
