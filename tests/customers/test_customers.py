"""The staff's view of organizations: the list with its health, and one of them at a glance."""

import pytest
from django.urls import reverse

from dagy_console.accounts.models import Organization
from dagy_console.customers.services.suspension import suspend


@pytest.fixture
def traces(bucket, indexed, bob, charlie):
    for _ in range(3):
        bucket.put("org_blue")
    indexed()


def test_the_list_tells_status_members_traces_and_last_activity(traces, api, browse, alice, bob, vera, as_actor):
    browse(bob).get("/console/")
    suspend(actor=as_actor(alice), org_id="org_red", reason="a good reason")
    items = {item["id"]: item for item in api(alice).get("/admin/customers").json()["items"]}
    assert (items["org_blue"]["status"], items["org_red"]["status"]) == ("active", "suspended")
    assert (items["org_blue"]["members"], items["org_red"]["members"]) == (2, 1)
    assert (items["org_blue"]["figures"]["traces_24h"], items["org_red"]["figures"]["traces_24h"]) == (3, 0)
    assert items["org_blue"]["last_activity"] and items["org_red"]["last_activity"] is None


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["org_blue", "org_red"]),
        ("status:suspended", ["org_red"]),
        ("-status:suspended", ["org_blue"]),
        ("name:*blue", ["org_blue"]),
        ("org:org_r*", ["org_red"]),
        ('"_blu"', ["org_blue"]),
    ],
)
def test_the_list_is_searched_as_every_list_is(api, browse, alice, bob, charlie, as_actor, q, found):
    suspend(actor=as_actor(alice), org_id="org_red", reason="a good reason")
    items = api(alice).get("/admin/customers", {"q": q}).json()["items"]
    assert sorted(item["id"] for item in items) == found
    page = browse(alice).get("/console/customers/", {"q": q}).content.decode()
    assert all(f"/console/customers/{org}/" in page for org in found)


def test_the_list_is_paged(api, alice, db):
    Organization.objects.bulk_create(Organization(id=f"org_{n}", name=f"Org {n}") for n in range(25))
    client, seen, cursor = api(alice), [], ""
    while cursor is not None:
        answer = client.get("/admin/customers", {"limit": 10, "cursor": cursor}).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
    assert len(seen) == len(set(seen)) == 25


def test_one_customer_tells_its_people_owners_first(api, alice, bob, vera):
    answer = api(alice).get("/admin/customers/org_blue").json()
    assert [(row["email"], row["role"]) for row in answer["people"]] == [(bob.email, "owner"), (vera.email, "viewer")]
    assert answer["suspension"] is None


def test_its_page_leads_to_exactly_what_was_counted(traces, browse, alice):
    page = browse(alice).get(reverse("customers:customer", args=["org_blue"])).content.decode()
    assert "/console/exceptions/?q=org%3Aorg_blue+after%3A-24h" in page
    assert "Invalid flow spec" in page
    assert "/console/customers/org_blue/suspend/" in page
    for path in ("team", "sessions", "account/api-keys", "audit"):
        assert f"/console/{path}/?q=org%3Aorg_blue" in page


def test_what_customers_are_called_is_shown_as_it_is(browse, alice, db):
    Organization.objects.create(id="org_odd", name="<script>alert(1)</script>\u202e{{ 7 }}")
    for path in ("/console/customers/", "/console/customers/org_odd/", "/console/customers/org_odd/suspend/"):
        page = browse(alice).get(path)
        assert page.status_code == 200 and b"<script>alert(1)" not in page.content
