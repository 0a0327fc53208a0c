"""What else a person finds at /console/account/: apps add their pages in `apps.py`."""

from typing import NamedTuple


class AccountPlace(NamedTuple):
    """`description` is one plain sentence on what is done there."""

    label: str
    url_name: str
    description: str


ACCOUNT_PLACES: list[AccountPlace] = [
    AccountPlace("Sessions", "accounts:own-sessions", "Where you are signed in by a browser, and the end of it."),
]
