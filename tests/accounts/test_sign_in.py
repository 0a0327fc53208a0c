"""Who gets in, by browser and by token, and what each of them may do."""

import json
import re
import time
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from dagy_console.accounts.models import AccessToken
from dagy_console.audit.models import AuditEntry
from tests.console import PASSWORD


def login(client, email, password, **headers):
    body = json.dumps({"email": email, "password": password})
    return client.post("/auth/login", body, content_type="application/json", **headers)


def without_token(page):
    """The page without its CSRF token, which is masked anew each time."""
    return re.sub(rb"[A-Za-z0-9]{64}", b"", page)


class TestTheBrowser:
    def sign_in(self, client, email, password, next_url=""):
        return client.post("/accounts/login/", {"login": email, "password": password, "next": next_url})

    def test_right_password_opens_the_console_and_is_recorded(self, client, alice):
        response = self.sign_in(client, "alice@dagy.example", PASSWORD)
        assert response["Location"] == "/console/"
        assert client.get("/console/").status_code == 200
        entry = AuditEntry.objects.get(action="session.created")
        assert (entry.actor_email, entry.ip) == ("alice@dagy.example", "127.0.0.1")
        assert Session.objects.get().session_key not in entry.session_id

    def test_the_email_counts_whatever_its_case(self, client, alice):
        assert self.sign_in(client, "Alice@Dagy.Example", PASSWORD).status_code == 302

    @pytest.mark.parametrize("email", ["alice@dagy.example", "nobody@dagy.example"])
    def test_wrong_password_and_unknown_email_say_the_same(self, client, alice, email):
        response = self.sign_in(client, email, "wrong password")
        assert response.status_code == 200
        assert "not correct" in response.content.decode()
        entry = AuditEntry.objects.get(action="session.denied")
        assert (entry.outcome, entry.resource_type, entry.resource_id) == ("denied", "user", email)

    def test_a_stranger_is_sent_to_sign_in_and_back(self, client, alice):
        response = client.get("/console/exceptions/?q=type%3AKeyError")
        assert response["Location"].startswith("/accounts/login/?next=%2Fconsole%2Fexceptions%2F%3Fq%3D")
        wanted = "/console/exceptions/?q=type%3AKeyError"
        assert self.sign_in(client, "alice@dagy.example", PASSWORD, wanted)["Location"] == wanted

    def test_never_back_to_another_site(self, client, alice):
        response = self.sign_in(client, "alice@dagy.example", PASSWORD, "https://evil.example/")
        assert response["Location"] == "/console/"

    def test_signing_out_ends_the_session_and_is_recorded(self, browse, alice):
        browser = browse(alice)
        browser.post("/accounts/logout/")
        assert browser.get("/console/").status_code == 302
        assert AuditEntry.objects.filter(action="session.ended").count() == 1

    def test_htmx_is_told_to_load_the_sign_in_page(self, client, db):
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/console/audit/"}
        response = client.get("/console/audit/", headers=headers)
        assert response.status_code == 401
        assert response["HX-Redirect"] == "/accounts/login/?next=%2Fconsole%2Faudit%2F"

    def test_nobody_signs_up(self, client, db):
        assert client.get("/accounts/signup/").status_code == 404

    def test_a_deactivated_user_is_out_at_the_next_request(self, browse, alice):
        browser = browse(alice)
        alice.is_active = False
        alice.save()
        assert browser.get("/console/").status_code == 302

    def test_many_wrong_passwords_are_slowed_down(self, client, alice):
        for _ in range(6):
            last = self.sign_in(client, "alice@dagy.example", "wrong password")
        assert "Too many failed" in last.content.decode()

    def test_a_deactivated_users_right_password_says_the_same_as_a_wrong_one(self, client, alice):
        wrong = self.sign_in(client, "alice@dagy.example", "wrong password").content
        alice.is_active = False
        alice.save()
        right = self.sign_in(client, "alice@dagy.example", PASSWORD)
        assert right.status_code == 200
        assert without_token(right.content) == without_token(wrong)
        assert AuditEntry.objects.filter(action="session.denied").count() == 2
        assert not Session.objects.exists()


class TestTheToken:
    def test_a_token_acts_as_its_user_for_a_day(self, client, alice):
        answer = login(client, "alice@dagy.example", PASSWORD).json()
        assert answer["access_token"].startswith("dagy_at_")
        assert answer["token_type"] == "Bearer"
        me = Client(headers={"Authorization": f"Bearer {answer['access_token']}"}).get("/me").json()
        assert (me["email"], me["super_admin"]) == ("alice@dagy.example", True)
        assert "exceptions.delete" in me["permissions"] and "billing.write" not in me["permissions"]
        left = AccessToken.objects.get().expires_at - timezone.now()
        assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)

    def test_only_its_hash_is_kept_and_the_audit_log_never_sees_it(self, client, alice):
        token = login(client, "alice@dagy.example", PASSWORD).json()["access_token"]
        assert token not in str(list(AccessToken.objects.values())) + str(list(AuditEntry.objects.values()))
        assert AuditEntry.objects.filter(action="access_token.created").count() == 1

    @pytest.mark.parametrize("email", ["alice@dagy.example", "nobody@dagy.example"])
    def test_wrong_password_and_unknown_email_are_the_same_401(self, client, alice, email):
        response = login(client, email, "wrong")
        assert response.status_code == 401
        assert response.json()["detail"] == "The email or the password is wrong."
        assert AuditEntry.objects.filter(action="session.denied").count() == 1

    def test_logout_ends_the_token_at_once(self, api, alice):
        client = api(alice)
        assert client.post("/auth/logout").status_code == 204
        assert client.get("/me").status_code == 401
        assert AuditEntry.objects.filter(action="access_token.revoked").count() == 1

    def test_an_expired_token_is_refused(self, api, alice):
        client = api(alice)
        AccessToken.objects.update(expires_at=timezone.now())
        assert client.get("/me").status_code == 401

    @pytest.mark.parametrize("header", ["Bearer dagy_at_wrong", "Bearer", "Basic YTpi", "dagy_at_x", "Bearer x\x00y"])
    def test_a_bad_header_is_a_401_even_beside_a_session(self, browse, alice, header):
        response = browse(alice).get("/me", headers={"Authorization": header})
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response["Content-Type"] == "application/problem+json"

    def test_many_wrong_passwords_are_slowed_down(self, client, alice):
        answers = [login(client, "alice@dagy.example", "wrong") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
        # 5 a minute: the first of them leaves the window a minute after it was made.
        assert 50 <= int(answers[-1]["Retry-After"]) <= 60
        assert answers[-1]["Retry-After"] in answers[-1].json()["detail"]

    @pytest.mark.slow("waits as long as it is told to")
    def test_the_wait_that_is_told_is_the_wait_that_it_takes(self, client, alice, settings):
        settings.ACCOUNT_RATE_LIMITS = {"login_failed": "1/5s/key"}
        for _ in range(2):
            last = login(client, "alice@dagy.example", "wrong")
        time.sleep(int(last["Retry-After"]))
        assert login(client, "alice@dagy.example", PASSWORD).status_code == 200

    def test_neither_the_host_header_nor_the_case_of_the_address_opens_a_new_count(self, client, alice):
        emails = ["alice@dagy.example", "Alice@dagy.example", "ALICE@DAGY.EXAMPLE"]
        answers = [
            login(client, emails[port % 3], "wrong", headers={"Host": f"127.0.0.1:{port + 1}"}).status_code
            for port in range(9)
        ]
        assert answers == [401] * 5 + [429] * 4

    def test_who_guesses_elsewhere_does_not_lock_the_owner_out(self, client, alice, settings):
        settings.TRUSTED_PROXIES = 1
        for _ in range(6):
            guess = login(client, "alice@dagy.example", "wrong", headers={"X-Forwarded-For": "6.6.6.6"})
        assert guess.status_code == 429
        own = login(client, "alice@dagy.example", PASSWORD, headers={"X-Forwarded-For": "8.8.8.8"})
        assert own.status_code == 200

    def test_a_deactivated_users_right_password_says_the_same_as_a_wrong_one_and_counts_as_one(self, client, alice):
        alice.is_active = False
        alice.save()
        answers = [login(client, "alice@dagy.example", PASSWORD) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert answers[0].json()["detail"] == "The email or the password is wrong."
        assert AuditEntry.objects.filter(action="session.denied").count() == 5


class TestTheBrowsersSessionAtTheApi:
    def test_reads_without_more(self, browse, alice):
        assert browse(alice).get("/me").status_code == 200

    def test_writes_with_the_csrf_token_only(self, alice):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
        body = json.dumps({"keys": ["exceptions/x.json"]})
        refused = browser.delete("/admin/exceptions", body, content_type="application/json")
        assert refused.status_code == 403
        assert "X-CSRFToken" in refused.json()["detail"]

    def test_cannot_end_a_token_that_it_does_not_have(self, browse, alice):
        assert browse(alice).post("/auth/logout").status_code == 409


def test_a_viewer_reads_runs_and_no_more(api, vera):
    me = api(vera).get("/users/me").json()
    assert me["memberships"] == [{"org_id": "org_blue", "role": "viewer"}]
    assert me["permissions"] == ["flows.read", "runs.read", "schedules.read"]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "8.8.8.8", "127.0.0.1"),
        (1, "8.8.8.8", "8.8.8.8"),
        (1, "6.6.6.6, 8.8.8.8", "8.8.8.8"),
        (2, "6.6.6.6, 8.8.8.8, 10.0.0.1", "8.8.8.8"),
        (1, "rubbish", None),
    ],
)
def test_the_recorded_address_is_what_a_trusted_proxy_saw(client, alice, settings, proxies, forwarded, seen):
    settings.TRUSTED_PROXIES = proxies
    login(client, "alice@dagy.example", "wrong", headers={"X-Forwarded-For": forwarded})
    assert AuditEntry.objects.get().ip == seen
