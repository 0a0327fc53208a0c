"""Forms of people and organizations."""

from typing import Any

from django import forms

from dagy_console.accounts.models import User

PROOF_FIELDS = ("sudo_password",)


class ProofForm(forms.Form):
    """The answer to "is it you?"."""

    sudo_password = forms.CharField(
        label="Password", max_length=1000, strip=False, widget=forms.PasswordInput, required=False
    )

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user
