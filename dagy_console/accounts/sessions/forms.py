"""The question before the sessions of many end."""

from django import forms

from dagy_console.core import reasons


class RevocationForm(forms.Form):
    """Whose (exactly one of the three), and why."""

    email = forms.CharField(max_length=254, required=False, widget=forms.HiddenInput)
    org_id = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    super_admins = forms.BooleanField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(label="Reason", max_length=reasons.MOST, help_text="Kept on record.")

    @property
    def whose(self) -> dict[str, str | bool]:
        return {name: self.cleaned_data[name] for name in ("email", "org_id", "super_admins")}
