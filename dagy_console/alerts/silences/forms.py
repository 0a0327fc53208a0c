"""The form of a silence."""

from typing import Any

from django import forms

from dagy_console.alerts.scope import organizations
from dagy_console.alerts.silences.matchers import LONGEST_REASON, terms_of_text
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError, Invalid
from dagy_console.core.forms import TimeAheadField, add_errors
from dagy_console.listing.language import Term


class SilenceForm(forms.Form):
    matchers = forms.CharField(
        label="What it keeps quiet",
        max_length=2_000,
        help_text='In the search language: rule:"Runs fail" flow:nightly*, severity:info, rule:* for all.',
    )
    until = TimeAheadField(
        max_length=50, initial="4h", help_text="From now on (1h, 4h, 2d), or a time: 2026-01-15T10:30:00Z."
    )
    starts_at = TimeAheadField(
        label="From", required=False, max_length=50, help_text="Likewise: a maintenance window. Empty: now."
    )
    reason = forms.CharField(max_length=LONGEST_REASON, help_text="Who reads it at night wants to know.")
    org_id = forms.ChoiceField(label="Rules of", required=False)

    def __init__(self, data: Any = None, *, actor: Actor, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        org_field: Any = self.fields["org_id"]
        org_field.choices = organizations(actor)

    def clean_matchers(self) -> list[Term]:
        try:
            return terms_of_text(self.cleaned_data["matchers"])
        except Invalid as error:
            raise forms.ValidationError(error.errors[0].message) from None

    def refuse(self, error: ConsoleError) -> None:
        """What a service said stands at its field."""
        add_errors(self, error)
