"""An installation that is brought up to date keeps its people and organizations."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from dagy_console.core import roles
from embedded.databases import create_database
from tests.preparation import drop_database, owner_url

Migrate = Callable[..., Any]


@pytest.fixture
def migrate(django_db_setup: None, django_db_blocker: Any) -> Iterator[Migrate]:
    """Bring a database that begins empty to the given migrations; answers the models as of then."""
    tests, empty = connection.settings_dict["NAME"], f"{connection.settings_dict['NAME']}_empty"
    create_database(owner_url(), empty)

    def to(*targets: tuple[str, str]) -> Any:
        return MigrationExecutor(connection).migrate(list(targets)).apps

    with django_db_blocker.unblock(), roles.connected_as("owner"):
        connection.settings_dict["NAME"] = empty
        yield to
        connection.close()
        connection.settings_dict["NAME"] = tests
    drop_database(empty)


def test_people_and_organizations_move_with_their_rows_and_addresses_are_kept_in_one_case(migrate: Migrate) -> None:
    old = migrate(("accounts", "0001_initial"), ("customers", "0001_initial"))
    blue = old.get_model("customers", "Organization").objects.create(id="org_blue", name="Blue")
    bob = old.get_model("accounts", "User").objects.create(email="Bob@Blue.example")
    old.get_model("accounts", "Membership").objects.create(user=bob, organization=blue, role="owner")

    new = migrate(("accounts", "0002_organization"), ("customers", "0002_organizations_are_in_accounts"))
    member = new.get_model("accounts", "Membership").objects.select_related("organization", "user").get()
    assert (member.organization.name, member.user.email, member.role) == ("Blue", "Bob@Blue.example", "owner")
    new.get_model("accounts", "User").objects.create(email="alice@example.com")
    member.organization.delete()
    assert not new.get_model("accounts", "Membership").objects.exists()

    users = migrate(("accounts", "0003_one_case")).get_model("accounts", "User").objects
    assert sorted(users.values_list("email", flat=True)) == ["alice@example.com", "bob@blue.example"]
    assert users.get(email="BOB@blue.example").email == "bob@blue.example"
