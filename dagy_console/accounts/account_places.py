"""What else a person finds at /console/account/: apps add their pages in `apps.py`."""

from typing import NamedTuple

from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission


class AccountPlace(NamedTuple):
    """`description` is one plain sentence on what is done there; `permission` is what that needs."""

    label: str
    url_name: str
    description: str
    permission: Permission | None = None


ACCOUNT_PLACES: list[AccountPlace] = [
    AccountPlace("Sessions", "accounts:own-sessions", "Where you are signed in by a browser, and the end of it."),
]


def places_of(actor: Actor) -> list[AccountPlace]:
    """Where the actor may go."""
    return [place for place in ACCOUNT_PLACES if place.permission is None or actor.can_somewhere(place.permission)]
