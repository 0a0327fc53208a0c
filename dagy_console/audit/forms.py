"""The audit list's filters, as the page and the API take them."""

from datetime import datetime
from typing import Any

from django import forms

from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.selectors import AuditFilter
from dagy_console.core.forms import CleanCharField, TimeField


class AuditFilterForm(forms.Form):
    action = forms.ChoiceField(
        choices=[("", "any action"), *((a.value, f"{a.value}: {a.description}") for a in sorted(Action))],
        required=False,
    )
    actor = CleanCharField(max_length=254, required=False)
    org_id = CleanCharField(max_length=64, required=False)
    resource_type = CleanCharField(max_length=100, required=False)
    resource_id = CleanCharField(max_length=1100, required=False)
    ip = forms.GenericIPAddressField(required=False)
    request_id = CleanCharField(max_length=128, required=False)
    outcome = forms.ChoiceField(choices=[("", "any outcome"), *((o.value, o.value) for o in Outcome)], required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["from"] = TimeField(required=False)
        self.fields["to"] = TimeField(required=False)

    def wanted(self) -> AuditFilter:
        """Only after is_valid()."""
        data = dict(self.cleaned_data)
        since: datetime | None = data.pop("from")
        until: datetime | None = data.pop("to")
        return AuditFilter(**data, since=since, until=until)
