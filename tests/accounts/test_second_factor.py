"""Signing in with a second factor, by browser and by token, and who cannot do without."""

import json
import statistics
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from dagy_console.accounts.services.tokens import create_access_token
from dagy_console.audit.models import AuditEntry
from dagy_console.core import encryption
from tests.console import PASSWORD
from tests.timing import LONG


def code_of(secret, *, steps=0):
    """What an authenticator app shows, now or `steps` half minutes later. Never a code that is about to end."""
    left = 30 - time.time() % 30
    if left < 2:
        time.sleep(left)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def give_totp(user):
    """An authenticator app and recovery codes; the app's seed."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


def recovery_codes(user):
    return Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()


def sign_in(client, user, next_url="", password=PASSWORD):
    return client.post("/accounts/login/", {"login": user.email, "password": password, "next": next_url})


def send_code(client, code):
    return client.post("/accounts/2fa/", {"code": code})


def login(client, user, otp=None, password=PASSWORD):
    body = {"email": user if isinstance(user, str) else user.email, "password": password}
    return client.post("/auth/login", body | ({"otp": otp} if otp else {}), content_type="application/json")


class TestTheBrowser:
    def test_password_and_code_open_the_console_where_one_wanted(self, client, bob):
        secret = give_totp(bob)
        response = sign_in(client, bob, "/console/audit/")
        assert response["Location"].startswith("/accounts/2fa/")
        assert client.get("/console/")["Location"].startswith("/accounts/login/"), "half a sign-in opens nothing"
        assert send_code(client, code_of(secret))["Location"] == "/console/audit/"
        assert client.get("/console/").status_code == 200
        entry = AuditEntry.objects.get(action="session.created")
        assert (entry.after, entry.org_id) == ({"factors": ["password", "totp"]}, "org_blue")

    def test_a_wrong_and_an_old_code_are_refused_and_recorded(self, client, bob):
        secret = give_totp(bob)
        sign_in(client, bob)
        for code in ["000000" if code_of(secret) != "000000" else "111111", code_of(secret, steps=-1), "", "x\x00"]:
            response = send_code(client, code)
            assert response.status_code == 200 and 'aria-invalid="true"' in response.content.decode()
        entries = AuditEntry.objects.filter(action="session.denied")
        assert {(one.actor_kind, one.resource_id, one.after["factor"]) for one in entries} == {
            ("anonymous", bob.email, "totp")
        }
        assert entries.count() == 2

    def test_a_code_counts_once(self, client, bob, browse):
        code = code_of(give_totp(bob))
        sign_in(client, bob)
        assert send_code(client, code).status_code == 302
        client.post("/accounts/logout/")
        sign_in(client, bob)
        assert send_code(client, code).status_code == 200

    def test_a_recovery_code_counts_once(self, client, bob):
        give_totp(bob)
        code = recovery_codes(bob)[3]
        sign_in(client, bob)
        assert send_code(client, code).status_code == 302
        client.post("/accounts/logout/")
        sign_in(client, bob)
        assert send_code(client, code).status_code == 200
        assert code not in recovery_codes(bob) and len(recovery_codes(bob)) == 9

    def test_guessing_codes_is_slowed_down(self, client, bob):
        secret = give_totp(bob)
        sign_in(client, bob)
        for _ in range(5):
            send_code(client, "000000")
        response = send_code(client, code_of(secret))
        assert response.status_code == 200 and "Too many failed sign-ins" in response.content.decode()

    def test_one_can_start_again(self, client, bob):
        give_totp(bob)
        sign_in(client, bob)
        assert client.get("/accounts/login/")["Location"] == "/accounts/2fa/"
        assert client.post("/accounts/logout/", {"next": "/accounts/login/"})["Location"] == "/accounts/login/"
        assert client.get("/accounts/login/").status_code == 200

    def test_without_a_first_factor_there_is_no_second(self, client, bob):
        give_totp(bob)
        assert send_code(client, recovery_codes(bob)[0])["Location"] == "/accounts/login/"
        assert len(recovery_codes(bob)) == 10

    def test_the_session_key_changes_at_each_step_that_gives_power(self, client, bob):
        secret = give_totp(bob)
        client.get("/accounts/login/")
        sign_in(client, bob)
        planted = client.session.session_key
        send_code(client, code_of(secret))
        assert client.session.session_key != planted
        assert not Session.objects.filter(session_key=planted).exists()

    def test_a_planted_session_does_not_become_the_victims(self, client, bob):
        session = client.session
        session["planted"] = True
        session.save()
        planted = session.session_key
        sign_in(client, bob)
        assert client.session.session_key != planted
        assert not Session.objects.filter(session_key=planted).exists()

    @pytest.mark.parametrize(
        "credential",
        [
            "",
            "{",
            "[]",
            "{}",
            "null",
            '"x"',
            '{"response": {}}',
            '{"response": {"userHandle": "MQ"}}',
            '{"id": "x", "rawId": "x", "type": "public-key", "response": {"userHandle": 7, "clientDataJSON": "é"}}',
            json.dumps(
                {
                    "id": "QQ",
                    "rawId": "QQ",
                    "type": "public-key",
                    "clientExtensionResults": {},
                    "response": {
                        "userHandle": "MQ",
                        "clientDataJSON": "e30",
                        "authenticatorData": "QQ",
                        "signature": "QQ",
                    },
                }
            ),
            '{"id": "\\u0000", "response": {}}',
            "[" * 5_000,
        ],
    )
    def test_no_malformed_passkey_signs_in_or_breaks(self, client, bob, credential):
        client.get("/accounts/2fa/passkey/", headers={"Accept": "application/json"})
        response = client.post("/accounts/2fa/passkey/", {"credential": credential})
        assert response["Location"] == "/accounts/login/"
        give_totp(bob)
        sign_in(client, bob)
        assert client.post("/accounts/2fa/", {"credential": credential}).status_code == 200
        assert "_auth_user_id" not in client.session


class TestTheToken:
    def test_without_a_code_it_says_what_is_missing(self, client, bob):
        give_totp(bob)
        response = login(client, bob)
        assert response.status_code == 401
        assert response.json()["title"] == "Second factor required"
        assert "otp" in response.json()["detail"]

    def test_with_a_code_it_is_given_and_the_code_counts_once(self, client, bob):
        code = code_of(give_totp(bob))
        assert login(client, bob, code).status_code == 200
        again = login(client, bob, code)
        assert (again.status_code, again.json()["title"]) == (401, "Second factor required")

    def test_with_a_recovery_code_too_once(self, client, bob):
        give_totp(bob)
        code = recovery_codes(bob)[0]
        assert [login(client, bob, code).status_code for _ in range(2)] == [200, 401]

    def test_a_code_that_was_used_in_the_browser_is_used(self, client, bob):
        code = code_of(give_totp(bob))
        sign_in(client, bob)
        send_code(client, code)
        assert login(client, bob, code).status_code == 401

    def test_an_old_and_a_future_code_are_refused(self, client, bob):
        secret = give_totp(bob)
        assert login(client, bob, code_of(secret, steps=-1)).status_code == 401
        assert login(client, bob, code_of(secret, steps=1)).status_code == 401
        assert AuditEntry.objects.filter(action="session.denied", after={"factor": "totp"}).count() == 2

    def test_wrong_codes_are_slowed_down_like_wrong_passwords(self, client, bob):
        secret = give_totp(bob)
        answers = [login(client, bob, "000000") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert 50 <= int(answers[-1]["Retry-After"]) <= 60
        assert login(client, bob, code_of(secret)).status_code == 429

    def test_a_wrong_password_says_nothing_of_a_second_factor(self, client, bob):
        secret = give_totp(bob)
        response = login(client, bob, code_of(secret), password="wrong")
        assert response.json()["detail"] == "The email or the password is wrong."
        assert login(client, bob, code_of(secret)).status_code == 200, "the code was not used up"

    def test_who_has_no_second_factor_needs_no_code(self, client, bob):
        assert login(client, bob).status_code == 200
        assert login(client, bob, "123456").status_code == 200

    @pytest.mark.parametrize(("otp", "status"), [("1" * 101, 422), (7, 422), ("1\x00", 422), ("é" * 6, 401)])
    def test_odd_codes_are_refused(self, client, bob, otp, status):
        give_totp(bob)
        assert login(client, bob, otp).status_code == status


class TestWhereItIsRequired:
    @pytest.fixture(autouse=True)
    def _required(self, settings):
        settings.REQUIRE_MFA = True

    @pytest.mark.parametrize("path", ["/console/", "/console/exceptions/", "/console/audit/", "/console/system/"])
    def test_a_super_admin_without_one_is_sent_to_set_it_up(self, browse, alice, path):
        browser = browse(alice)
        assert browser.get(path)["Location"] == "/console/account/"
        assert browser.post("/console/exceptions/download/")["Location"] == "/console/account/"
        page = browser.get("/console/account/")
        assert page.status_code == 200 and "Set up a second factor to go on" in page.content.decode()

    def test_htmx_is_sent_there_as_a_page(self, browse, alice):
        response = browse(alice).get("/console/audit/", headers={"HX-Request": "true"})
        assert (response.status_code, response["HX-Redirect"]) == (403, "/console/account/")

    def test_the_api_refuses_session_and_token_and_says_where(self, browse, alice, as_actor, client):
        token, _ = create_access_token(actor=as_actor(alice), user=alice)
        answers = [
            browse(alice).get("/me"),
            client.get("/me", headers={"Authorization": f"Bearer {token}"}),
            client.get("/audit-logs", headers={"Authorization": f"Bearer {token}"}),
            login(client, alice),
        ]
        for answer in answers:
            problem = answer.json()
            assert (answer.status_code, problem["title"]) == (403, "Second factor required")
            assert "/console/account/" in problem["detail"]

    def test_they_may_still_leave(self, browse, alice, api):
        assert browse(alice).post("/accounts/logout/").status_code == 302
        assert api(alice).post("/auth/logout").status_code == 204

    def test_with_one_the_console_opens(self, browse, alice, client):
        browser = browse(alice)
        secret = give_totp(alice)
        assert browser.get("/console/").status_code == 200
        assert login(client, alice, code_of(secret)).status_code == 200

    def test_recovery_codes_alone_are_none(self, browse, alice):
        RecoveryCodes.activate(alice)
        assert browse(alice).get("/console/").status_code == 302

    def test_nobody_else_needs_one(self, browse, bob, client):
        assert browse(bob).get("/console/").status_code == 200
        assert login(client, bob).status_code == 200

    def test_it_is_required_unless_it_is_switched_off(self, monkeypatch):
        from dagy_console.core import environment

        monkeypatch.delenv("DAGY_REQUIRE_MFA", raising=False)
        assert environment.flag("DAGY_REQUIRE_MFA", default=True)


class TestEncryption:
    OLD, NEW = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=", "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU="

    def test_seeds_are_unreadable_in_the_database(self, bob):
        secret = give_totp(bob)
        kept = str(list(Authenticator.objects.values()))
        assert secret not in kept
        assert not any(code in kept for code in recovery_codes(bob))

    def test_the_first_key_encrypts_and_all_decrypt(self, settings):
        derived = encryption.encrypt("by the key of DAGY_SECRET_KEY")
        settings.ENCRYPTION_KEYS = [self.OLD]
        old = encryption.encrypt("é")
        settings.ENCRYPTION_KEYS = [self.NEW, self.OLD]
        assert encryption.decrypt(old) == "é"
        assert encryption.decrypt(derived) == "by the key of DAGY_SECRET_KEY"
        new = encryption.encrypt("é")
        settings.ENCRYPTION_KEYS = [self.OLD]
        with pytest.raises(encryption.NotDecryptable):
            encryption.decrypt(new)

    @pytest.mark.parametrize("text", ["", "plain", "gAAAAA", "é"])
    def test_what_was_not_encrypted_is_an_error(self, text):
        with pytest.raises(encryption.NotDecryptable, match="DAGY_ENCRYPTION_KEYS"):
            encryption.decrypt(text)

    def test_a_malformed_key_stops_the_start_and_is_not_repeated(self):
        with pytest.raises(ImproperlyConfigured, match="Key 2 of DAGY_ENCRYPTION_KEYS") as raised:
            encryption.checked_keys([self.OLD, "hunter2"])
        assert "hunter2" not in str(raised.value)


class TestNobodyLearnsWhoExists:
    @pytest.mark.parametrize("door", ["page", "api"])
    @pytest.mark.slow("passwords are hashed as in production")
    def test_unknown_and_known_emails_take_the_same_time(self, client, bob, door, settings, real_hashers):
        settings.ACCOUNT_RATE_LIMITS = {"login_failed": "10000/m/ip", "login": "10000/m/ip"}
        settings.RATE_LIMIT_PER_MINUTE = 0
        bob.set_password(PASSWORD)
        bob.save()
        took = {"bob@blue.example": [], "nobody@blue.example": []}
        for _ in range(12 if LONG else 5):
            for email, times in took.items():
                # Of this process alone: comparing is what takes it, and the machine is busy with other tests.
                began = time.process_time()
                if door == "page":
                    client.post("/accounts/login/", {"login": email, "password": "wrong"})
                else:
                    login(client, email, password="wrong")
                times.append(time.process_time() - began)
        known, unknown = (statistics.median(times) for times in took.values())
        assert 0.75 < known / unknown < 1.33


class TestWhoLostThemAll:
    def test_a_command_takes_them_away_and_says_so_in_the_record(self, client, alice):
        give_totp(alice)
        call_command("remove_second_factors", "Alice@dagy.example")
        assert not Authenticator.objects.exists()
        entry = AuditEntry.objects.get(action="user.mfa_disabled")
        assert (entry.actor_kind, entry.before) == ("system", {"factors": ["recovery_codes", "totp"]})
        assert sign_in(client, alice)["Location"] == "/console/"

    def test_it_knows_who_is_nobody(self, db):
        with pytest.raises(CommandError, match=r"nobody@dagy\.example"):
            call_command("remove_second_factors", "nobody@dagy.example")


def test_the_checks_of_a_deployment_have_nothing_to_say(settings):
    settings.DEBUG = False
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.TRACES_BUCKET, settings.SECRET_KEY = "traces", "0123456789abcdefghijklmnopqrstuvwxyz" * 2
    call_command("check", deploy=True, fail_level="WARNING")
