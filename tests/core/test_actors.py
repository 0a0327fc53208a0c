"""What an actor may do, and where."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dagy_console.audit.actions import Action, Nature
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.recorder import NotWhileImpersonating
from dagy_console.core.actors import SYSTEM, Actor, ActorKind, Impersonator, Origin
from dagy_console.core.errors import PermissionDenied
from dagy_console.core.permissions import PLATFORM_PERMISSIONS, Permission, Role
from tests.audit.test_audit import note

OWNER_AND_VIEWER = Actor(kind=ActorKind.USER, id="7", roles={"org_blue": Role.OWNER, "org_red": Role.VIEWER})
STAFF = Actor(kind=ActorKind.USER, id="1", super_admin=True)


def test_a_role_counts_in_its_own_organization_only():
    assert OWNER_AND_VIEWER.can(Permission.SECRETS_WRITE, org_id="org_blue")
    assert not OWNER_AND_VIEWER.can(Permission.SECRETS_WRITE, org_id="org_red")
    assert not OWNER_AND_VIEWER.can(Permission.SECRETS_WRITE, org_id="")
    assert OWNER_AND_VIEWER.orgs_with(Permission.SECRETS_WRITE) == {"org_blue"}
    assert OWNER_AND_VIEWER.can_somewhere(Permission.SECRETS_WRITE)


@pytest.mark.parametrize("actor", [OWNER_AND_VIEWER, STAFF, SYSTEM], ids=["member", "super admin", "system"])
@pytest.mark.parametrize("permission", sorted(set(Permission) - PLATFORM_PERMISSIONS))
def test_an_organizations_permission_is_never_asked_for_without_the_organization(actor, permission):
    with pytest.raises(TypeError, match="org_id"):
        actor.can(permission)
    with pytest.raises(TypeError, match="org_id"):
        actor.require(permission)


@pytest.mark.parametrize("permission", sorted(PLATFORM_PERMISSIONS))
def test_the_platforms_permissions_are_the_staffs_alone(permission):
    assert STAFF.can(permission) and SYSTEM.can(permission)
    assert not OWNER_AND_VIEWER.can(permission) and not OWNER_AND_VIEWER.can(permission, org_id="org_blue")


def test_a_refusal_says_which_permission_is_missing_where():
    with pytest.raises(PermissionDenied) as refusal:
        OWNER_AND_VIEWER.require(Permission.TEAM_WRITE, org_id="org_red")
    assert (refusal.value.permission, refusal.value.org_id) == (Permission.TEAM_WRITE, "org_red")
    assert "team.write in org_red" in refusal.value.detail


def test_scopes_take_away_and_never_add():
    scopes = frozenset({Permission.RUNS_READ, Permission.EXCEPTIONS_READ, Permission.SECRETS_WRITE})
    viewer = Actor(kind=ActorKind.TOKEN, roles={"org_red": Role.VIEWER}, scopes=scopes)
    assert viewer.permissions() == {Permission.RUNS_READ}
    staff = Actor(kind=ActorKind.TOKEN, super_admin=True, scopes=scopes)
    assert staff.permissions() == scopes
    assert not staff.can(Permission.EXCEPTIONS_DELETE) and not staff.can(Permission.RUNS_CANCEL, org_id="org_red")


BY_ALICE = Impersonator(
    id="1", email="alice@dagy.example", expires_at=datetime(2026, 1, 15, tzinfo=UTC), read_only=True
)


def test_an_impersonation_that_only_reads_has_what_the_person_may_read():
    seen_as = Actor(kind=ActorKind.USER, roles={"org_blue": Role.DEVELOPER}, impersonator=BY_ALICE)
    assert seen_as.permissions() == {Permission.FLOWS_READ, Permission.RUNS_READ, Permission.SCHEDULES_READ}


def test_an_entry_names_the_impersonator_and_the_credential(db):
    by = replace(BY_ALICE, read_only=False)
    note(Actor(kind=ActorKind.USER, email="bob@blue.example", credential="session:ab12", impersonator=by))
    entry = AuditEntry.objects.get()
    assert (entry.impersonator_id, entry.impersonator_email) == ("1", "alice@dagy.example")
    assert (entry.actor_email, entry.session_id) == ("bob@blue.example", "session:ab12")


@pytest.mark.parametrize("action", Action)
def test_who_looks_on_read_only_is_refused_every_change_where_it_would_be_recorded(action, db):
    actor = Actor(kind=ActorKind.USER, email="bob@blue.example", impersonator=BY_ALICE)
    if action.nature is Nature.READS:
        note(actor, action=action)
        return
    with pytest.raises(NotWhileImpersonating):
        note(actor, action=action)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("action", [action for action in Action if action.nature is Nature.CREDENTIALS])
def test_nobody_changes_the_keys_of_who_they_act_as(action, db):
    with pytest.raises(NotWhileImpersonating, match="theirs alone"):
        note(Actor(kind=ActorKind.USER, impersonator=replace(BY_ALICE, read_only=False)), action=action)


def test_an_actor_comes_back_from_its_description_whole():
    actor = Actor(
        kind=ActorKind.TOKEN,
        id="7",
        email="bob@blue.example",
        roles={"org_blue": Role.OWNER},
        suspended=frozenset({"org_red"}),
        origin=Origin(ip="203.0.113.7", user_agent="curl", request_id="r"),
        credential="access_token:7",
        scopes=frozenset({Permission.RUNS_READ}),
        impersonator=BY_ALICE,
    )
    for one in (actor, STAFF):
        assert Actor.from_description(json.loads(json.dumps(one.described()))) == one


def test_a_description_of_an_earlier_version_is_understood():
    origin = {"ip": None, "user_agent": "", "request_id": "r", "session_id": "access-token:7"}
    told = {"kind": "token", "id": "1", "email": "alice@dagy.example", "super_admin": True, "origin": origin}
    assert Actor.from_description(told).credential == "access-token:7"
