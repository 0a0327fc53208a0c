"""The form that keeps a secret."""

from typing import Any

from django import forms

from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Flow


class SecretForm(forms.Form):
    org_id = forms.ChoiceField(label="Organization")
    name = forms.CharField(
        max_length=100,
        help_text="As the code finds it in its environment: DB_PASSWORD. One that is there gets this value.",
    )
    value = forms.CharField(strip=False, max_length=32_000, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: Any = None, *, actor: Actor) -> None:
        super().__init__(data)
        organizations = sorted(
            Flow.objects.order_by().values_list("organization", flat=True).distinct()[:500]
            if actor.is_platform
            else actor.orgs_with(Permission.SECRETS_WRITE)
        )
        self.fields["org_id"].choices = [(org, org) for org in organizations]  # type: ignore[attr-defined]
