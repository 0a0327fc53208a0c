"""An installation that is brought up to date keeps its people and organizations."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from dagy_console.core import roles

Migrate = Callable[..., Any]


@pytest.fixture
def as_owner(django_db_setup: None) -> Iterator[None]:
    """Tables are the owner's to alter. Ask for it before the test's transaction begins."""
    with roles.connected_as("owner"):
        yield


@pytest.fixture
def migrate(as_owner: None, db: None) -> Migrate:
    """Bring the database to the given migrations; answers the models as of then. The test's rollback undoes it all."""

    def to(*targets: tuple[str, str]) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table with pending checks can be altered
        return MigrationExecutor(connection).migrate(list(targets)).apps

    return to


def test_organizations_and_their_members_move_with_their_rows(migrate: Migrate) -> None:
    old = migrate(("accounts", "0001_initial"), ("customers", "0001_initial"))
    blue = old.get_model("customers", "Organization").objects.create(id="org_blue", name="Blue")
    bob = old.get_model("accounts", "User").objects.create(email="bob@blue.example")
    old.get_model("accounts", "Membership").objects.create(user=bob, organization=blue, role="owner")
    new = migrate(("accounts", "0002_organization"), ("customers", "0002_organizations_are_in_accounts"))
    member = new.get_model("accounts", "Membership").objects.select_related("organization", "user").get()
    assert (member.organization.name, member.user.email, member.role) == ("Blue", "bob@blue.example", "owner")
    member.organization.delete()
    assert not new.get_model("accounts", "Membership").objects.exists()


def test_addresses_that_were_kept_as_typed_open_the_console_again(migrate: Migrate) -> None:
    users = migrate(("accounts", "0002_organization")).get_model("accounts", "User").objects
    users.create(email="Alice@Example.com")
    users.create(email="bob@example.com")
    users = migrate(("accounts", "0003_one_case")).get_model("accounts", "User").objects
    assert sorted(users.values_list("email", flat=True)) == ["alice@example.com", "bob@example.com"]
    assert users.get(email="ALICE@example.com").email == "alice@example.com"
