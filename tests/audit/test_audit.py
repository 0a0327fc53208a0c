"""The audit log: complete, append-only, and scoped to what its reader may see."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from psycopg.types.json import Json

from dagy_console.accounts.services.people import add_member, create_organization, create_user
from dagy_console.audit.actions import Action
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.recorder import NotInTransaction, record
from dagy_console.core.actors import SYSTEM
from dagy_console.core.permissions import Role


def note(actor=SYSTEM, **fields):
    with transaction.atomic():
        return record(**{"action": Action.USER_CREATED, "actor": actor, "resource_type": "user"} | fields)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor_email = 'nobody'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "TRUNCATE {partition}",
        "UPDATE {partition} SET reason = 'x'",
    ],
)
def test_the_database_itself_refuses_its_owner_to_change_or_remove_entries(db, statement):
    with transaction.atomic():
        note()
        entry = AuditEntry.objects.values().get()
        del entry["search_text"]  # PostgreSQL makes it
        # Or the owner would wait for our locks.
        transaction.set_rollback(True)
    url = os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]
    with psycopg.connect(url, dbname=connection.settings_dict["NAME"], options="-c lock_timeout=5s") as owner:
        columns = {
            name: Json(value) if name in ("before", "after", "changes") else value for name, value in entry.items()
        }
        owner.execute(
            f"INSERT INTO audit_entry ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
            list(columns.values()),
        )
        with pytest.raises(psycopg.Error, match="append-only"), owner.transaction():
            owner.execute(statement.format(partition=f"audit_entry_{timezone.now():%Y_%m}"))
        owner.rollback()


def test_an_entry_without_a_transaction_is_refused():
    def outside_of_any_transaction():
        record(Action.USER_CREATED, actor=SYSTEM, resource_type="user")

    with ThreadPoolExecutor(1) as thread, pytest.raises(NotInTransaction):
        thread.submit(outside_of_any_transaction).result()


def test_a_change_that_is_rolled_back_leaves_no_entry(db):
    with pytest.raises(RuntimeError), transaction.atomic():
        create_organization(actor=SYSTEM, org_id="org_green", name="Green")
        raise RuntimeError
    assert not AuditEntry.objects.exists()


def test_an_entry_says_who_did_what_to_what_from_where(as_actor, alice):
    organization = create_organization(actor=as_actor(alice), org_id="org_green", name="Green")
    user = create_user(actor=as_actor(alice), email="gina@green.example", name="Gina", password="a long enough one")
    add_member(actor=as_actor(alice), user=user, organization=organization, role=Role.ADMIN)
    entry = AuditEntry.objects.get(action="membership.created")
    assert (entry.actor_kind, entry.actor_email, entry.actor_role) == ("user", "alice@dagy.example", "super_admin")
    assert (entry.ip, entry.request_id, entry.org_id) == ("203.0.113.7", "test-request", "org_green")
    assert entry.after == {"user": "gina@green.example", "organization": "org_green", "role": "admin"}


def test_changes_are_the_fields_that_differ(db):
    entry = note(before={"name": "a", "size": 1, "old": True}, after={"name": "b", "size": 1})
    assert entry.changes == {"name": ["a", "b"], "old": [True, None]}


def test_secrets_are_masked_whatever_they_are_called(db):
    secrets = {
        "password": "hunter2!",
        "config": {"api_key": "abc123abc123"},
        "note": "Bearer dagy_at_0123456789abcdef0123456789",
    }
    entry = note(after=secrets | {"name": "kept"})
    text = str(entry.after)
    assert "hunter2" not in text and "abc123abc123" not in text and "0123456789abcdef" not in text
    assert entry.after["name"] == "kept"


def test_ids_sort_as_the_entries_were_written(db):
    ids = []
    for _ in range(3):
        ids.append(note().id)
    assert all(isinstance(entry_id, uuid.UUID) and entry_id.version == 7 for entry_id in ids)
    assert [entry_id.int >> 80 for entry_id in ids] == sorted(entry_id.int >> 80 for entry_id in ids)


class TestTheApi:
    def test_a_super_admin_reads_everything_newest_first(self, api, alice):
        note(org_id="org_blue", resource_name="first")
        note(org_id="org_red", resource_name="second")
        items = api(alice).get("/audit-logs?action=user.created").json()["items"]
        assert [item["resource_name"] for item in items] == ["second", "first"]
        one = api(alice).get(f"/audit-logs/{items[0]['id']}").json()
        assert one == items[0]

    def test_an_owner_reads_their_organization_only(self, api, alice, bob):
        note(org_id="org_blue")
        other = note(org_id="org_red")
        items = api(bob).get("/audit-logs?action=user.created").json()["items"]
        assert [item["org_id"] for item in items] == ["org_blue"]
        assert api(bob).get(f"/audit-logs/{other.id}").status_code == 404

    def test_a_viewer_reads_nothing_and_that_is_recorded(self, api, vera):
        assert api(vera).get("/audit-logs").status_code == 403
        entry = AuditEntry.objects.get(action="permission.denied")
        assert (entry.resource_id, entry.resource_name, entry.org_id) == ("audit.read", "GET /audit-logs", "org_blue")

    @pytest.mark.parametrize(
        "params",
        [
            {"actor": "alice@dagy.example"},
            {"org_id": "org_blue"},
            {"resource_type": "user"},
            {"resource_id": "42"},
            {"request_id": "test-request"},
            {"ip": "203.0.113.7"},
            {"outcome": "success"},
            {"from": "-1h"},
            {"action": "user.created"},
        ],
    )
    def test_filters(self, api, alice, as_actor, params):
        note(as_actor(alice), org_id="org_blue", resource_id="42")
        found = api(alice).get("/audit-logs", params).json()["items"]
        assert "42" in [item["resource_id"] for item in found]
        if "from" not in params:
            assert api(alice).get("/audit-logs", params | {"to": "-1h"}).json()["items"] == []

    @pytest.mark.parametrize(
        "params",
        [
            {"action": "user.invented"},
            {"ip": "300.1.1.1"},
            {"from": "soon"},
            {"outcome": "maybe"},
            {"actor": "a\x00b"},
            {"limit": "0"},
            {"cursor": "x"},
            {"who": "bob"},
        ],
    )
    def test_bad_parameters_are_named(self, api, alice, params):
        response = api(alice).get("/audit-logs", params)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == next(iter(params))

    def test_a_cursor_of_another_list_is_refused(self, api, alice, bucket, indexed):
        bucket.put(), bucket.put()
        indexed()
        cursor = api(alice).get("/admin/exceptions?limit=1").json()["next_cursor"]
        assert api(alice).get("/audit-logs", {"cursor": cursor}).status_code == 422

    def test_pages(self, api, alice):
        for index in range(5):
            note(resource_id=str(index))
        client, seen, cursor = api(alice), [], ""
        while cursor is not None:
            params = {"limit": 2, "cursor": cursor, "action": "user.created"}
            page = client.get("/audit-logs", params).json()
            seen += [item["resource_id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert seen == ["4", "3", "2", "1", "0"]


def test_the_page_lists_entries_and_keeps_its_filters(browse, alice, as_actor):
    note(as_actor(alice), resource_name="gina@green.example")
    page = browse(alice).get("/console/audit/", {"action": "user.created", "after": "-1h"}, follow=True)
    assert page.status_code == 200
    assert "gina@green.example" in page.content.decode()
    assert 'value="action:user.created after:-1h"' in page.content.decode()
    assert browse(alice).get("/console/audit/", {"after": "soon"}).status_code == 422


def test_entries_of_next_month_find_their_partition(db):
    from dagy_console.core.partitions import ensure_partitions, existing_partitions

    ensure_partitions("audit_entry", timezone.now() + timedelta(days=400))
    later = timezone.now() + timedelta(days=400)
    assert f"audit_entry_{later:%Y_%m}" in existing_partitions("audit_entry")
