"""What a person does at /console/account/ to their own password, second factors and passkeys."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client, RequestFactory

from dagy_console.accounts.account_places import ACCOUNT_PLACES, AccountPlace
from dagy_console.accounts.guard import changes_credentials, refuse_while_impersonating
from dagy_console.accounts.models import User
from dagy_console.accounts.second_factor import SecondFactorRequired
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.recorder import NotWhileImpersonating
from dagy_console.core.actors import Actor, ActorKind, Impersonator
from dagy_console.core.models import OutgoingMail
from tests.accounts.test_second_factor import code_of, give_totp, recovery_codes, send_code, sign_in
from tests.console import PASSWORD

NEW_PASSWORD = "a wholly other long sentence"


@pytest.fixture
def signed_in(client):
    """A browser whose person has just typed the password."""

    def with_password(user):
        sign_in(client, user)
        return client

    return with_password


def later(browser, seconds=901):
    """The browser, `seconds` after its person last proved who they are."""
    session = browser.session
    session["account_authentication_methods"] = [
        record | {"at": record["at"] - seconds} for record in session["account_authentication_methods"]
    ]
    session.save()
    return browser


def give_passkey(user, name="Laptop"):
    """One that cannot sign in: for that it takes a browser (tests/browser)."""
    return Authenticator.objects.create(user=user, type="webauthn", data={"name": name, "credential": {}})


def actions(user):
    found = AuditEntry.objects.filter(actor_email=user.email).exclude(action="session.created")
    return list(found.order_by("at").values_list("action", flat=True))


def set_up_totp(browser):
    page = browser.get("/console/account/totp/").content.decode()
    secret = re.search(r'data-copy="([A-Z2-7]{32})"', page)[1]
    return secret, browser.post("/console/account/totp/", {"code": code_of(secret)})


class TestTheOverview:
    def test_it_says_who_one_is_and_what_is_on(self, browse, bob):
        give_totp(bob)
        give_passkey(bob, "Bob's <phone>")
        page = browse(bob).get("/console/account/").content.decode()
        assert "bob@blue.example" in page and "owner in org_blue" in page
        assert "10 of 10 unused" in page and "Bob&#x27;s &lt;phone&gt;" in page

    def test_apps_have_their_place_in_it(self, browse, bob, monkeypatch):
        monkeypatch.setattr(
            "dagy_console.accounts.account_places.ACCOUNT_PLACES",
            [*ACCOUNT_PLACES, AccountPlace("Sessions", "home", "Where you are signed in.")],
        )
        page = browse(bob).get("/console/account/").content.decode()
        assert "Where you are signed in." in page

    def test_it_asks_the_database_little(self, browse, bob, django_assert_max_num_queries):
        for number in range(20):
            give_passkey(bob, f"Key {number}")
        browser = browse(bob)
        browser.get("/console/account/")
        with django_assert_max_num_queries(8):
            browser.get("/console/account/")


class TestThePassword:
    def change(self, browser, old=PASSWORD, new=NEW_PASSWORD, again=None):
        form = {"oldpassword": old, "password1": new, "password2": new if again is None else again}
        return browser.post("/console/account/password/", form)

    def test_it_is_changed_and_everything_else_ends(self, signed_in, bob, api, browse):
        elsewhere, by_token, browser = browse(bob), api(bob), signed_in(bob)
        assert elsewhere.get("/console/").status_code == 200 and by_token.get("/me").status_code == 200
        assert self.change(browser)["Location"] == "/console/account/"
        assert browser.get("/console/").status_code == 200, "here one stays signed in"
        assert elsewhere.get("/console/").status_code == 302
        assert by_token.get("/me").status_code == 401
        assert sign_in(Client(), bob, password=PASSWORD).status_code == 200
        assert sign_in(Client(), bob, password=NEW_PASSWORD).status_code == 302
        entry = AuditEntry.objects.get(action="user.password_set")
        assert (entry.actor_email, entry.org_id) == ("bob@blue.example", "org_blue")
        assert NEW_PASSWORD not in str(list(AuditEntry.objects.values()))

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ({"old": "wrong"}, "current password"),
            ({"new": "short"}, "at least 12 characters"),
            ({"new": "password1234"}, "too common"),
            ({"new": "bob@blue.example"}, "too similar"),
            ({"again": "something else"}, "same password"),
            ({"new": "x\x00" * 8}, "Null characters"),
            ({"new": ""}, "required"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_changes(self, signed_in, bob, form, said):
        response = self.change(signed_in(bob), **form)
        assert response.status_code == 200 and said in unescape(response.content.decode())
        assert User.objects.get(pk=bob.pk).check_password(PASSWORD)
        assert actions(bob) == []

    def test_guessing_the_present_password_is_slowed_down(self, signed_in, bob):
        browser = signed_in(bob)
        for _ in range(5):
            self.change(browser, old="wrong")
        refused = self.change(browser)
        assert (refused.status_code, refused["Retry-After"]) == (429, "60")
        assert "try again in a minute" in refused.content.decode()

    def test_without_a_password_there_is_none_to_change(self, browse, bob):
        bob.set_unusable_password()
        bob.save()
        assert browse(bob).get("/console/account/password/").status_code == 409


class TestTheAuthenticatorApp:
    def test_it_is_set_up_and_the_codes_are_shown_once(self, signed_in, bob):
        browser = signed_in(bob)
        secret, response = set_up_totp(browser)
        assert response["Location"] == "/console/account/recovery-codes/"
        page = browser.get(response["Location"]).content.decode()
        codes = recovery_codes(bob)
        assert len(codes) == 10 and all(f"<code>{code}</code>" in page for code in codes)
        assert "data:text/plain;charset=utf-8," + "".join(f"{code}%0A" for code in codes) in page
        again = browser.get(response["Location"]).content.decode()
        assert not any(code in again for code in codes) and "10 of 10 are unused" in again
        assert browser.get("/console/account/recovery-codes/download/").status_code == 404
        assert actions(bob) == ["user.mfa_enabled", "user.recovery_codes_made"]
        assert secret not in str(list(AuditEntry.objects.values()))

    def test_the_seed_that_waits_for_its_first_code_is_encrypted(self, signed_in, bob):
        browser = signed_in(bob)
        page = browser.get("/console/account/totp/").content.decode()
        secret = re.search(r'data-copy="([A-Z2-7]{32})"', page)[1]
        assert secret not in browser.session[SECRET_SESSION_KEY]
        assert '<svg class="qr"' in page and "style=" not in page

    def test_a_wrong_code_keeps_the_seed_and_turns_nothing_on(self, signed_in, bob):
        browser = signed_in(bob)
        first = browser.get("/console/account/totp/").content.decode()
        secret = re.search(r'data-copy="([A-Z2-7]{32})"', first)[1]
        page = browser.post("/console/account/totp/", {"code": code_of(secret, steps=2)}).content.decode()
        assert secret in page and 'aria-invalid="true"' in page
        assert not Authenticator.objects.exists() and actions(bob) == []

    def test_a_second_set_up_changes_nothing(self, signed_in, bob):
        browser = signed_in(bob)
        secret, _ = set_up_totp(browser)
        response = browser.post("/console/account/totp/", {"code": code_of(secret)})
        assert response["Location"] == "/console/account/totp/off/"
        assert Authenticator.objects.filter(type="totp").count() == 1

    def test_it_is_turned_off_and_its_codes_go_with_it(self, signed_in, bob):
        browser = signed_in(bob)
        set_up_totp(browser)
        assert browser.get("/console/account/totp/off/").status_code == 200
        assert browser.post("/console/account/totp/off/")["Location"] == "/console/account/"
        assert not Authenticator.objects.exists()
        assert actions(bob)[-1] == "user.mfa_disabled"

    def test_an_entry_that_cannot_be_written_keeps_the_change_from_happening(self, signed_in, bob, monkeypatch):
        browser = signed_in(bob)
        page = browser.get("/console/account/totp/").content.decode()
        secret = re.search(r'data-copy="([A-Z2-7]{32})"', page)[1]

        def fail(*args, **kwargs):
            raise RuntimeError("the record is full")

        monkeypatch.setattr("dagy_console.accounts.account_pages.record_for_each_organization", fail)
        browser.raise_request_exception = False
        assert browser.post("/console/account/totp/", {"code": code_of(secret)}).status_code == 500
        assert not Authenticator.objects.exists()


class TestTheMailAboutIt:
    def test_each_change_is_told_once_and_names_no_secret(self, signed_in, bob):
        browser = signed_in(bob)
        secret, _ = set_up_totp(browser)
        browser.post("/console/account/recovery-codes/make/")
        passkey = give_passkey(bob, "Bob's <phone>\n")
        browser.post(f"/console/account/passkeys/{passkey.pk}/remove/")
        browser.post("/console/account/totp/off/")
        form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
        browser.post("/console/account/password/", form)
        mails = list(OutgoingMail.objects.order_by("pk"))
        assert [mail.to for mail in mails] == [[bob.email]] * 5
        told = [mail.text.splitlines()[0] for mail in mails]
        assert told[0] == "An authenticator app was set up." and "Bob's <phone>" in told[2]
        assert all("127.0.0.1" in mail.text and "If not: change your password" in mail.text for mail in mails)
        texts = "".join(mail.text for mail in mails)
        assert secret not in texts and NEW_PASSWORD not in texts

    def test_what_did_not_happen_is_not_told(self, signed_in, bob):
        browser = signed_in(bob)
        browser.get("/console/account/totp/")
        browser.post("/console/account/totp/", {"code": "000000"})
        assert not OutgoingMail.objects.exists()


class TestRecoveryCodes:
    def test_new_ones_end_the_old(self, signed_in, bob):
        browser = signed_in(bob)
        set_up_totp(browser)
        old = recovery_codes(bob)
        assert browser.post("/console/account/recovery-codes/make/")["Location"] == "/console/account/recovery-codes/"
        new = recovery_codes(bob)
        assert not set(old) & set(new)
        assert new[0] in browser.get("/console/account/recovery-codes/").content.decode()
        assert actions(bob)[-1] == "user.recovery_codes_made"
        other = Client()
        sign_in(other, bob)
        assert send_code(other, old[0]).status_code == 200
        assert send_code(other, new[0]).status_code == 302

    def test_without_a_second_factor_there_are_none(self, signed_in, bob):
        browser = signed_in(bob)
        page = browser.post("/console/account/recovery-codes/make/").content.decode()
        assert "set one up first" in page and not Authenticator.objects.exists()


class TestPasskeys:
    def test_one_is_renamed_and_removed(self, signed_in, bob):
        browser = signed_in(bob)
        passkey = give_passkey(bob)
        assert browser.post(f"/console/account/passkeys/{passkey.pk}/rename/", {"name": "Phone"}).status_code == 302
        entry = AuditEntry.objects.get(action="user.passkey_renamed")
        assert entry.changes == {"name": ["Laptop", "Phone"]}
        assert browser.post(f"/console/account/passkeys/{passkey.pk}/remove/")["Location"] == "/console/account/"
        assert AuditEntry.objects.get(action="user.passkey_removed").before == {"name": "Phone"}
        assert not Authenticator.objects.exists()

    @pytest.mark.parametrize("name", ["", "x" * 61, "\x00"])
    def test_an_odd_name_is_refused(self, signed_in, bob, name):
        browser = signed_in(bob)
        passkey = give_passkey(bob)
        page = browser.post(f"/console/account/passkeys/{passkey.pk}/rename/", {"name": name})
        assert page.status_code == 200 and 'aria-invalid="true"' in page.content.decode()
        assert Authenticator.objects.get().data["name"] == "Laptop"

    def test_those_of_others_are_not_there(self, signed_in, bob, vera):
        passkey = give_passkey(vera)
        browser = signed_in(bob)
        for what in ("rename", "remove"):
            assert browser.post(f"/console/account/passkeys/{passkey.pk}/{what}/", {"name": "x"}).status_code == 404
        assert Authenticator.objects.get().data["name"] == "Laptop"

    @pytest.mark.parametrize(
        "credential", ["", "[]", "{}", '{"response": {}}', '{"id": 7, "response": {"x": "\\u0000"}}']
    )
    def test_what_is_no_credential_adds_none(self, signed_in, bob, credential):
        browser = signed_in(bob)
        page = browser.get("/console/account/passkeys/add/")
        assert b'id="passkey-options" type="application/json"' in page.content
        form = {"name": "x", "credential": credential, "passwordless": "on"}
        assert browser.post("/console/account/passkeys/add/", form).status_code == 200
        assert not Authenticator.objects.exists() and actions(bob) == []


class TestTheLastFactorOfASuperAdmin:
    @pytest.fixture(autouse=True)
    def _required(self, settings):
        settings.REQUIRE_MFA = True

    def test_the_app_stays_until_there_is_a_passkey(self, signed_in, alice):
        browser = signed_in(alice)
        set_up_totp(browser)
        assert "It stays on" in browser.get("/console/account/totp/off/").content.decode()
        assert browser.post("/console/account/totp/off/").status_code == 200
        assert Authenticator.objects.filter(type="totp").exists() and "user.mfa_disabled" not in actions(alice)
        give_passkey(alice)
        assert browser.post("/console/account/totp/off/").status_code == 302
        assert not Authenticator.objects.filter(type="totp").exists()

    def test_the_passkey_stays_until_there_is_an_app(self, signed_in, alice):
        browser = signed_in(alice)
        passkey = give_passkey(alice)
        address = f"/console/account/passkeys/{passkey.pk}/remove/"
        assert "It stays" in browser.get(address).content.decode()
        assert browser.post(address).status_code == 409
        assert actions(alice) == []
        give_totp(alice)
        assert browser.post(address).status_code == 302

    def test_where_it_is_not_required_it_goes(self, signed_in, alice, settings):
        settings.REQUIRE_MFA = False
        browser = signed_in(alice)
        set_up_totp(browser)
        assert browser.post("/console/account/totp/off/").status_code == 302

    def test_the_first_one_opens_the_console(self, signed_in, alice):
        browser = signed_in(alice)
        assert browser.get("/console/")["Location"] == "/console/account/"
        set_up_totp(browser)
        assert browser.get("/console/").status_code == 200

    def test_the_refusal_says_where(self):
        assert SecondFactorRequired.to_be_set_up().detail.endswith("/console/account/.")


class TestProvingAnewWhoOneIs:
    def test_after_a_quarter_of_an_hour_the_password_is_asked_for(self, signed_in, bob):
        browser = later(signed_in(bob))
        response = browser.get("/console/account/totp/")
        assert response["Location"] == "/accounts/reauthenticate/?next=%2Fconsole%2Faccount%2Ftotp%2F"
        form = {"password": PASSWORD, "next": "/console/account/totp/"}
        assert browser.post("/accounts/reauthenticate/", form)["Location"] == "/console/account/totp/"
        assert browser.get("/console/account/totp/").status_code == 200

    def test_a_right_answer_gives_the_session_a_new_key_and_is_on_record(self, signed_in, bob):
        browser = later(signed_in(bob))
        browser.get("/console/")
        before = browser.session.session_key
        browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/console/account/totp/"})
        after = browser.session.session_key
        assert before != after and not Session.objects.filter(session_key=before).exists()
        assert UserSession.objects.get(user=bob).session_key == after
        assert AuditEntry.objects.get(action="sudo.granted").resource_name == "/console/account/totp/"

    def test_just_before_that_it_is_not(self, signed_in, bob):
        assert later(signed_in(bob), seconds=890).get("/console/account/totp/").status_code == 200

    def test_what_was_posted_goes_on_and_is_done_once(self, signed_in, bob):
        browser = signed_in(bob)
        passkey = give_passkey(bob)
        give_totp(bob)
        address = f"/console/account/passkeys/{passkey.pk}/rename/"
        response = later(browser).post(address, {"name": "Phone"})
        assert response["Location"].startswith("/accounts/reauthenticate/code/?next=")
        form = {"code": recovery_codes(bob)[0], "next": address}
        assert browser.post("/accounts/reauthenticate/code/", form)["Location"] == "/console/account/"
        assert Authenticator.objects.get(pk=passkey.pk).data["name"] == "Phone"
        browser.post("/accounts/reauthenticate/code/", form | {"code": recovery_codes(bob)[0]})
        assert AuditEntry.objects.filter(action="user.passkey_renamed").count() == 1

    def test_a_wrong_password_does_not_do_and_is_recorded(self, signed_in, bob):
        browser = later(signed_in(bob))
        browser.get("/console/account/totp/")
        response = browser.post("/accounts/reauthenticate/", {"password": "wrong", "next": "/console/account/totp/"})
        assert response.status_code == 200
        assert browser.get("/console/account/totp/").status_code == 302
        assert AuditEntry.objects.filter(action="session.denied").count() == 1

    def test_with_a_second_factor_the_password_alone_does_not_do(self, signed_in, bob):
        browser = signed_in(bob)
        set_up_totp(browser)
        later(browser)
        assert browser.get("/accounts/reauthenticate/")["Location"] == "/accounts/reauthenticate/code/"
        response = browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert response["Location"] == "/accounts/reauthenticate/code/"
        assert browser.post("/console/account/totp/off/").status_code == 302
        assert Authenticator.objects.filter(type="totp").exists()

    def test_never_on_to_another_site(self, signed_in, bob):
        browser = later(signed_in(bob))
        response = browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "https://evil.example/"})
        assert response["Location"] == "/console/"

    def test_strangers_are_sent_to_sign_in(self, client, db):
        for path in ("", "code/", "passkey/"):
            assert client.get(f"/accounts/reauthenticate/{path}")["Location"].startswith("/accounts/login/?next=")


class TestWhileImpersonating:
    @pytest.fixture
    def request_of(self, bob):
        def made(impersonated):
            request = RequestFactory().post("/console/account/totp/off/")
            until = datetime.now(UTC) + timedelta(minutes=30)
            by = Impersonator(id="1", email="alice@dagy.example", expires_at=until, read_only=False)
            request.actor = Actor(
                kind=ActorKind.USER, id=str(bob.pk), email=bob.email, impersonator=by if impersonated else None
            )
            request.user = bob
            return request

        return made

    def test_credentials_are_not_touched(self, request_of):
        touched = []
        view = changes_credentials(lambda request: touched.append(1) or HttpResponse())
        with pytest.raises(NotWhileImpersonating, match="are theirs alone"):
            view(request_of(impersonated=True))
        assert not touched
        assert view(request_of(impersonated=False)).status_code == 200 and touched

    def test_every_view_that_changes_credentials_is_guarded(self):
        from dagy_console.accounts.account_urls import urlpatterns

        open_to_all = {
            "account",
            "account_login",
            "account_logout",
            "account_reset_password",
            "account_reset_password_done",
            "account_reset_password_from_key_done",
            "mfa_authenticate",
            "mfa_login_webauthn",
        }
        for pattern in urlpatterns:
            names = pattern.callback.__code__.co_names if hasattr(pattern.callback, "__code__") else ()
            guarded = refuse_while_impersonating.__name__ in names
            assert guarded != (pattern.name in open_to_all), pattern.name
