"""What holds for every list of the console, whatever it is of."""

import pytest
from django.urls import NoReverseMatch, reverse

from dagy_console.accounts import search as accounts
from dagy_console.alerts import search as alerts
from dagy_console.audit import search as audit
from dagy_console.customers import search as customers
from dagy_console.exceptions import search as exceptions
from dagy_console.listing.language import Listing
from dagy_console.runs import search as runs

LISTS = {
    name: value
    for module in (accounts, alerts, audit, customers, exceptions, runs)
    for name, value in vars(module).items()
    if isinstance(value, Listing) and module.__name__.startswith("dagy_console")
}


def test_all_lists_are_looked_at() -> None:
    assert len(LISTS) == 21


@pytest.mark.parametrize("listing", LISTS.values(), ids=LISTS)
def test_every_key_takes_wildcards_negations_and_repeats_or_says_why_not(listing: Listing, browse, alice) -> None:
    try:
        url = reverse(listing.page)
    except NoReverseMatch:
        pytest.skip("this list has no page of its own, or one of a person")
    browser = browse(alice)
    for key in listing.keys:
        for text in ("{}:a*", "-{}:*a", "{}:a -{}:b", "{}:a {}:*b*", "-{}:a -{}:b* after:-3d", "{}:a x"):
            answer = browser.get(url, {"q": text.replace("{}", key.name)})
            assert answer.status_code in (200, 422), (key.name, text)
