"""How people and organizations come into being."""

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from dagy_console.accounts.models import Organization, User
from dagy_console.accounts.services.people import create_organization, create_user
from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import SYSTEM
from dagy_console.core.errors import Invalid
from tests.accounts.test_sign_in import login
from tests.console import PASSWORD


@pytest.fixture
def super_admin(db, monkeypatch):
    monkeypatch.setenv("DAGY_PASSWORD", PASSWORD)
    return lambda email: call_command("create_super_admin", email)


@pytest.mark.parametrize("typed", ["Alice@Example.com", "alice@example.com", "ALICE@EXAMPLE.COM"])
def test_a_super_admin_signs_in_however_the_address_was_typed(super_admin, client, capsys, typed):
    super_admin("Alice@Example.com")
    assert "alice@example.com can sign in" in capsys.readouterr().out
    assert login(client, typed, PASSWORD).status_code == 200
    assert set(AuditEntry.objects.values_list("resource_name", flat=True)) == {"alice@example.com"}
    with pytest.raises(CommandError, match="already"):
        super_admin(typed)


def test_the_database_itself_refuses_an_address_in_capitals(alice):
    refused = pytest.raises(IntegrityError, match="user_email_is_lower_case")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET email = upper(email)")
    assert User.objects.filter(email="Alice@dagy.example").update(email=F("email")) == 1


def test_looking_an_address_up_uses_the_index(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (password, email, name, super_admin, is_active, created_at)"
            " SELECT '', n || '@x.example', '', false, true, now() FROM generate_series(1, 5000) AS n"
        )
        cursor.execute("ANALYZE accounts_user")
    assert "Index Scan" in User.objects.filter(email="77@X.example").explain()


def test_the_address_is_kept_in_lower_case_and_the_object_says_so(db):
    user = create_user(actor=SYSTEM, email="Gina@Green.Example", name="Gina", password=PASSWORD)
    assert user.email == "gina@green.example"


@pytest.mark.parametrize(
    "org_id",
    ["_none", "org_x\n", "-", "_", "-x", "", "x" * 65, "org x", "örg", "org_x\x00", "none", "NULL", "all", "System"],
)
def test_confusable_ids_of_organizations_are_refused(db, org_id):
    with pytest.raises(Invalid) as refusal:
        create_organization(actor=SYSTEM, org_id=org_id, name="X")
    assert refusal.value.errors[0].field == "id"
    assert not Organization.objects.exists() and not AuditEntry.objects.exists()


def test_an_organization_is_unique_whatever_the_case_of_its_id(db):
    create_organization(actor=SYSTEM, org_id="org_blue", name="Blue")
    with pytest.raises(Invalid, match="whatever the case"):
        create_organization(actor=SYSTEM, org_id="ORG_BLUE", name="Blue")
    with pytest.raises(IntegrityError), transaction.atomic():
        Organization.objects.create(id="Org_Blue", name="Blue")


@pytest.mark.parametrize("org_id", ["org_123", "7", "a-b_C", "x" * 64])
def test_ids_of_the_contract_are_taken(db, org_id):
    assert create_organization(actor=SYSTEM, org_id=org_id, name="X").pk == org_id
