"""The main navigation, and what templates may offer: the apps register their places in `apps.py`."""

from dataclasses import dataclass

from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission


@dataclass(frozen=True, slots=True)
class Place:
    """`name` is what a page calls itself (`nav`), and what templates ask for (`can.<name>`); `g` and `key` go there."""

    name: str
    label: str
    url_name: str
    key: str
    permission: Permission | None
    order: int


_places: dict[str, Place] = {}


def register(
    name: str, label: str, *, url_name: str, key: str, order: int, permission: Permission | None = None
) -> None:
    """Add a place; without `permission` everybody who is signed in sees it."""
    _places[name] = Place(name, label, url_name, key, permission, order)


def powers(actor: Actor | None) -> dict[str, bool]:
    """Place -> whether the actor may go there."""
    return {name: _may(actor, place) for name, place in _places.items()}


def places(actor: Actor | None) -> list[Place]:
    """Where the actor may go, in order."""
    return sorted((place for place in _places.values() if _may(actor, place)), key=lambda place: place.order)


def _may(actor: Actor | None, place: Place) -> bool:
    return actor is not None and (place.permission is None or actor.can_somewhere(place.permission))
