"""Who belongs to an organization: invited by mail, joining, changing roles, leaving. There is always an owner."""

import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dagy_console.accounts.models import Invitation, Membership, Organization, User
from dagy_console.accounts.team.services import remove
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Conflict
from dagy_console.core.models import OutgoingMail
from dagy_console.core.permissions import Role
from tests.console import PASSWORD, at_the_same_moment


def call(client, method, path, **body):
    return client.generic(method, path, json.dumps(body), content_type="application/json")


def invite(client, email="new@blue.example", role="developer", **more):
    return call(client, "POST", "/team/invitations", email=email, role=role, **more)


def mailed_link():
    return re.search(r"https?://[^/]+(/accounts/invitations/\S+)", OutgoingMail.objects.latest("id").text)[1]


def role_of(user):
    return Membership.objects.get(user=user, organization="org_blue").role


@pytest.fixture
def ada(db, bob):
    """An admin of org_blue."""
    user = User.objects.create(email="ada@blue.example", name="ada")
    Membership.objects.create(user=user, organization_id="org_blue", role=Role.ADMIN)
    return user


class TestInviting:
    def test_mails_a_link_and_is_on_record_without_it(self, api, bob):
        answer = invite(api(bob))
        assert answer.status_code == 201 and answer.json()["email"] == "new@blue.example"
        assert OutgoingMail.objects.get().to == ["new@blue.example"]
        token = mailed_link().strip("/").split("/")[-1]
        entry = AuditEntry.objects.get(action="invitation.created")
        assert (entry.org_id, entry.after["role"]) == ("org_blue", "developer")
        assert token not in str(list(AuditEntry.objects.values())) + str(list(Invitation.objects.values()))

    def test_by_page(self, browse, bob):
        browser = browse(bob)
        given = {"email": "New@Blue.example", "role": "viewer"}
        assert browser.post("/console/team/org_blue/invite/", given)["Location"] == "/console/team/"
        page = browser.get("/console/team/").content.decode()
        assert "new@blue.example" in page and "Invited, and not here yet" in page

    def test_anew_withdraws_the_one_before(self, api, client, bob):
        invite(api(bob))
        before = mailed_link()
        invite(api(bob), role="viewer")
        assert client.get(before).status_code == 404 and client.get(mailed_link()).status_code == 200

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ({"email": "vera@blue.example"}, 409),
            ({"email": "no address"}, 422),
            ({"email": "x@y.example\r\nBcc: z@z.example"}, 422),
            ({"role": "king"}, 422),
            ({"org_id": "org_none"}, 404),
            ({"org_id": "org_red"}, 403),
        ],
    )
    def test_bad_input_sends_nothing(self, api, bob, vera, charlie, given, status):
        assert invite(api(bob), **given).status_code == status
        assert not OutgoingMail.objects.exists()

    def test_is_for_owners_and_admins_and_an_owner_is_made_by_an_owner(self, api, ada, vera):
        assert invite(api(vera)).status_code == 403
        assert invite(api(ada), role="owner").status_code == 403
        assert invite(api(ada)).status_code == 201

    def test_says_so_where_no_mails_are_sent(self, api, bob, settings):
        settings.MAIL = None
        answer = invite(api(bob))
        assert answer.status_code == 409 and "DAGY_EMAIL_URL" in answer.json()["detail"]


class TestJoining:
    @pytest.fixture
    def link(self, api, bob):
        invite(api(bob))
        return mailed_link()

    def test_a_new_person_chooses_a_password_and_signs_in_with_it(self, client, link):
        page = client.get(link).content.decode()
        assert "new@blue.example" in page
        client.post(link, {"name": "New", "password": "a long enough one 42"})
        user = User.objects.get(email="new@blue.example")
        assert role_of(user) == "developer"
        signed = client.post("/accounts/login/", {"login": user.email, "password": "a long enough one 42"})
        assert signed["Location"] == "/console/"
        told = list(AuditEntry.objects.filter(org_id="org_blue").order_by("at", "id").values_list("action", flat=True))
        assert {"user.created", "invitation.accepted", "membership.created"} <= set(told)

    @pytest.mark.parametrize("password", ["short", "password1234", "new@blue.example"])
    def test_a_password_that_is_weak_is_refused_with_the_reason(self, client, link, password):
        page = client.post(link, {"name": "New", "password": password})
        assert page.status_code == 422 and 'class="error"' in page.content.decode()
        assert not User.objects.filter(email="new@blue.example").exists()

    def test_who_has_an_account_signs_in_and_joins(self, client, api, browse, bob, charlie):
        invite(api(bob), email=charlie.email)
        link = mailed_link()
        assert client.get(link)["Location"].startswith("/accounts/login/?next=")
        browser = browse(charlie)
        assert "Join" in browser.get(link).content.decode()
        browser.post(link)
        assert role_of(charlie) == "developer"

    def test_another_persons_link_opens_nothing(self, api, browse, bob, vera, charlie):
        invite(api(bob), email=charlie.email)
        browser = browse(vera)
        assert "signed in as somebody else" in browser.get(mailed_link()).content.decode()
        browser.post(mailed_link())
        assert not Membership.objects.filter(user=charlie, organization="org_blue").exists()

    def test_a_link_opens_once_for_seven_days_and_not_once_withdrawn(self, client, link, browse, bob):
        Invitation.objects.update(expires_at=timezone.now())
        assert client.get(link).status_code == 404
        Invitation.objects.update(expires_at=timezone.now() + timedelta(days=1))
        browse(bob).post(f"/console/team/invitations/{Invitation.objects.get().pk}/withdraw/")
        assert client.post(link, {"name": "New", "password": "a long enough one 42"}).status_code == 404
        assert AuditEntry.objects.filter(action="invitation.withdrawn").count() == 1

    def test_an_invented_link_is_not_found(self, client, db):
        assert client.get("/accounts/invitations/dagy_in_x/").status_code == 404


class TestRoles:
    def test_change_at_the_next_request_with_before_and_after_on_record(self, api, bob, vera):
        theirs = api(vera)
        answer = call(api(bob), "PATCH", f"/team/members/{vera.pk}", role="admin")
        assert answer.json()["role"] == "admin"
        assert "team.write" in theirs.get("/me").json()["permissions"]
        entry = AuditEntry.objects.get(action="membership.changed")
        assert entry.changes == {"role": ["viewer", "admin"]}

    def test_the_last_owner_keeps_the_role_and_the_place(self, api, browse, bob, vera):
        client = api(bob)
        assert call(client, "PATCH", f"/team/members/{bob.pk}", role="admin").status_code == 409
        assert client.delete(f"/team/members/{bob.pk}").status_code == 409
        page = browse(bob).post(f"/console/team/org_blue/{bob.pk}/", {"role": "viewer"}, follow=True)
        assert "last owner" in page.content.decode() and role_of(bob) == "owner"

    def test_an_admin_makes_and_unmakes_no_owner(self, api, ada, bob, vera):
        client = api(ada)
        assert call(client, "PATCH", f"/team/members/{vera.pk}", role="owner").status_code == 403
        assert call(client, "PATCH", f"/team/members/{bob.pk}", role="viewer").status_code == 403
        assert client.delete(f"/team/members/{bob.pk}").status_code == 403
        assert call(client, "PATCH", f"/team/members/{vera.pk}", role="developer").status_code == 200

    def test_of_another_organization_are_none_of_ones_business(self, api, bob, charlie):
        client = api(bob)
        assert call(client, "PATCH", f"/team/members/{charlie.pk}", role="viewer").status_code == 404
        assert call(client, "PATCH", f"/team/members/{charlie.pk}", role="viewer", org_id="org_red").status_code == 403
        emails = [item["email"] for item in client.get("/team/members").json()["items"]]
        assert emails == [bob.email]

    def test_the_same_role_again_is_no_change(self, api, bob, vera):
        call(api(bob), "PATCH", f"/team/members/{vera.pk}", role="viewer")
        assert not AuditEntry.objects.filter(action="membership.changed").exists()


class TestLeaving:
    def test_who_is_removed_is_out_at_the_next_request(self, api, browse, bob, vera):
        theirs = api(vera)
        assert browse(bob).post(f"/console/team/org_blue/{vera.pk}/remove/")["Location"] == "/console/team/"
        assert theirs.get("/me").json()["memberships"] == []
        assert AuditEntry.objects.get(action="membership.removed").before["role"] == "viewer"

    def test_everybody_may_leave(self, api, vera, bob):
        assert api(vera).delete(f"/team/members/{vera.pk}").status_code == 204
        assert api(bob).delete("/team/members/999999").status_code == 404

    def test_two_owners_cannot_take_each_other_out_at_once(self, committed, as_actor):
        organization = Organization.objects.create(id="org_duo", name="Duo")
        one, two = (User.objects.create(email=f"{name}@duo.example") for name in ("one", "two"))
        for user in (one, two):
            Membership.objects.create(user=user, organization=organization, role=Role.OWNER)
        first, second = as_actor(one), as_actor(two)
        answers = at_the_same_moment(
            lambda: remove(actor=first, org_id="org_duo", user_id=two.pk),
            lambda: remove(actor=second, org_id="org_duo", user_id=one.pk),
        )
        assert Membership.objects.filter(organization="org_duo", role=Role.OWNER).count() == 1
        assert sum(isinstance(answer, Conflict) for answer in answers) == 1


def test_the_staff_see_every_team(api, browse, alice, bob, charlie):
    items = api(alice).get("/team/members", {"role": "owner"}).json()["items"]
    assert [item["email"] for item in items] == [bob.email]
    assert charlie.email in browse(alice).get("/console/team/").content.decode()


def test_a_password_is_never_in_the_record(client, api, bob):
    invite(api(bob))
    client.post(mailed_link(), {"name": "New", "password": PASSWORD})
    assert PASSWORD not in str(list(AuditEntry.objects.values()))
    assert Client().get("/console/").status_code == 302
