"""The demo's organizations and people."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from dagy_console.accounts.models import Organization, User
from dagy_console.accounts.services.people import add_member, create_organization, create_user, set_password
from dagy_console.core.actors import SYSTEM
from dagy_console.core.permissions import Role
from dagy_console.demo.scenario import PLATFORM


@dataclass(frozen=True, slots=True)
class Person:
    """`sign_in` names the password that is given or shown; without it nobody knows the password."""

    email: str
    name: str
    org_id: str = ""
    role: str = Role.VIEWER
    sign_in: str = ""


PEOPLE = [Person(**table) for table in PLATFORM["person"]]


@transaction.atomic
def make_people(passwords: Mapping[str, str]) -> dict[str, str]:
    """Make what is missing; people who are there get the password that `passwords` has for their `sign_in`.

    Answers email to password of those who got a random one that can be shown.
    """
    for org_id, organization in PLATFORM["organizations"].items():
        if not Organization.objects.filter(pk=org_id).exists():
            create_organization(actor=SYSTEM, org_id=org_id, name=organization["name"])
    made = {person.email: _make_person(person, passwords.get(person.sign_in, "")) for person in PEOPLE}
    return {email: password for email, password in made.items() if password}


def _make_person(person: Person, given: str) -> str:
    """The random password of a new person that signs in, else ""."""
    user = User.objects.filter(email=person.email).first()
    if user is not None:
        _renew_password(user, given)
        return ""
    password = given or secrets.token_urlsafe(12 if person.sign_in else 32)
    user = create_user(
        actor=SYSTEM,
        email=person.email,
        name=person.name,
        password=password,
        super_admin=person.sign_in == "super_admin",
    )
    if person.org_id:
        organization = Organization.objects.get(pk=person.org_id)
        add_member(actor=SYSTEM, user=user, organization=organization, role=Role(person.role))
    return password if person.sign_in and not given else ""


def _renew_password(user: User, given: str) -> None:
    if given and not user.check_password(given):
        set_password(actor=SYSTEM, user=user, password=given)
