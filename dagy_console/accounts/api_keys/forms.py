"""The form of a new API key."""

import uuid
from datetime import timedelta
from itertools import groupby
from typing import Any

from django import forms
from django.utils import timezone

from dagy_console.accounts.api_keys.selectors import grantable, places_for_keys
from dagy_console.core.actors import Actor

DAYS = {7: "7 days", 30: "30 days", 90: "90 days", 180: "180 days", 365: "1 year"}
PLATFORM = "Platform: all organizations"
ALL, SOME = "all", "some"


class ApiKeyForm(forms.Form):
    """`key_id` is the key's id to be, so that a form that is sent twice makes one key."""

    key_id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(max_length=100, help_text="What it is for, such as “deploys from CI”.")
    org_id = forms.ChoiceField(label="Acts in", required=False)
    days = forms.TypedChoiceField(label="Ends after", coerce=int, choices=list(DAYS.items()))
    powers = forms.ChoiceField(choices=[(ALL, "All that I may do there"), (SOME, "Only this:")])
    scopes = forms.MultipleChoiceField(required=False)

    def __init__(self, data: Any = None, *, actor: Actor) -> None:
        super().__init__(data, initial={"key_id": uuid.uuid4(), "days": 90, "powers": ALL})
        places = places_for_keys(actor)
        held = sorted(frozenset().union(*(grantable(actor, place or None) for place in places)))
        self.fields["org_id"].choices = [(place, place or PLATFORM) for place in places]  # type: ignore[attr-defined]
        self.fields["scopes"].choices = [(scope, scope) for scope in held]  # type: ignore[attr-defined]
        # Resource -> its scopes, each with its verb.
        grouped = groupby(held, key=lambda scope: scope.partition(".")[0])
        self.groups = [(name, [(scope, scope.partition(".")[2]) for scope in scopes]) for name, scopes in grouped]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("powers") == SOME and not data.get("scopes") and "scopes" not in self.errors:
            self.add_error("scopes", "Tick at least one.")
        return data

    @property
    def wanted(self) -> dict[str, Any]:
        """What `services.create_api_key` takes."""
        data = self.cleaned_data
        return {
            "key_id": data["key_id"],
            "name": data["name"],
            "org_id": data["org_id"] or None,
            "scopes": data["scopes"] if data["powers"] == SOME else None,
            "expires_at": timezone.now() + timedelta(days=data["days"]),
        }
