"""The answer to "is it you?"."""

from typing import Any

from django import forms

from dagy_console.accounts.models import User

# Beside the form that was sent; `credential` is filled in by static/js/passkeys.js.
PROOF_FIELDS = ("sudo_password", "sudo_code", "credential")


class ProofForm(forms.Form):
    """One of a password, a code of the second factor, and a passkey's answer."""

    sudo_password = forms.CharField(max_length=1000, strip=False, required=False)
    sudo_code = forms.CharField(max_length=100, required=False)
    credential = forms.CharField(max_length=16_384, required=False)

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user
