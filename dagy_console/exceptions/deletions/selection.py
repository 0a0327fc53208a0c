"""What somebody selected to be deleted, as an address that can be opened again."""

import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import QueryDict
from django.urls import reverse

# What fits into an address everywhere; longer selections are kept, under a name that cannot be guessed.
MOST_CHARACTERS = 1_500
KEPT_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Selection:
    """All that the search `text` finds (`is_all`), or the `keys` that were ticked among it."""

    text: str
    is_all: bool
    keys: list[str]

    @classmethod
    def of(cls, given: QueryDict) -> "Selection":
        """Of a form, or of an address that this made. Without keys where they are kept no longer."""
        keys = given.getlist("key") or cache.get(_name(given.get("selection", ""))) or []
        return cls(given.get("q", ""), bool(given.get("all")), [] if given.get("all") else list(dict.fromkeys(keys)))

    @property
    def url(self) -> str:
        params: list[tuple[str, str]] = [("q", self.text)] if self.text else []
        if self.is_all:
            params.append(("all", "1"))
        elif sum(map(len, self.keys)) <= MOST_CHARACTERS:
            params += [("key", key) for key in self.keys]
        else:
            params.append(("selection", _kept(self.keys)))
        return f"{reverse('exceptions:deletion-confirm')}?{urlencode(params)}"


def _kept(keys: list[str]) -> str:
    token = secrets.token_urlsafe(16)
    cache.set(_name(token), keys, KEPT_SECONDS)
    return token


def _name(token: str) -> str:
    return f"selection:{token[:40]}"
