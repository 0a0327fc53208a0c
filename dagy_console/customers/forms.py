"""The forms of a suspension, and of its end."""

from typing import Any

from django import forms

from dagy_console.accounts.models import RunningRuns
from dagy_console.core import reasons
from dagy_console.core.forms import TimeAheadField


class SuspensionForm(forms.Form):
    """What is asked before an organization is suspended; the service says what is wrong."""

    reason = forms.CharField(
        label="Reason",
        max_length=reasons.MOST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For the record, and for the owners' audit.",
    )
    note = forms.CharField(
        label="Note to the customer",
        max_length=reasons.MOST,
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text="Members see it instead of the console, and the owners get it by mail.",
    )
    until = TimeAheadField(
        label="Until", required=False, help_text="24h, 7d, or 2026-01-15T08:00Z. Empty: until somebody lifts it."
    )
    running_runs = forms.ChoiceField(
        label="Runs that are under way",
        choices=RunningRuns.choices,
        initial=RunningRuns.FINISH,
        widget=forms.RadioSelect,
    )

    @property
    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("reason", "note", "until", "running_runs")}


class ReasonForm(forms.Form):
    """A reason alone."""

    reason = forms.CharField(label="Reason", max_length=reasons.MOST, help_text="Kept on record.")
