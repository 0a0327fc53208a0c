"""The question before one acts as somebody else."""

from typing import Any

from django import forms

from dagy_console.accounts.models import IMPERSONATION_MINUTES
from dagy_console.core import reasons


class ImpersonationForm(forms.Form):
    email = forms.EmailField(label="Person", max_length=254, help_text="The address they sign in with.")
    reason = forms.CharField(
        label="Reason",
        max_length=reasons.MOST,
        help_text="For the record. The owners of their organizations read it.",
    )
    minutes = forms.TypedChoiceField(
        label="For how long",
        coerce=int,
        choices=[(minutes, f"{minutes} minutes") for minutes in IMPERSONATION_MINUTES],
        initial=IMPERSONATION_MINUTES[0],
        widget=forms.RadioSelect,
    )
    mode = forms.ChoiceField(
        label="What you may do",
        choices=[("read", "Look only: nothing can be changed"), ("act", "Act: change what they may change")],
        initial="read",
        widget=forms.RadioSelect,
    )

    @property
    def values(self) -> dict[str, Any]:
        given = {name: self.cleaned_data[name] for name in ("email", "reason", "minutes")}
        return given | {"read_only": self.cleaned_data["mode"] == "read"}
