"""Forms of a team: inviting, changing a role, joining."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError

from dagy_console.accounts.models import User
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Role

ROLES = [(role.value, role.value) for role in Role]


class InvitationForm(forms.Form):
    email = forms.EmailField(label="Email", max_length=254)
    role = forms.ChoiceField(label="Role", choices=ROLES, initial=Role.VIEWER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=ROLES)


class JoinForm(forms.Form):
    """A new person's own part of an invitation."""

    name = forms.CharField(label="Your name", max_length=200)
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=" ".join(password_validators_help_texts()),
    )

    def __init__(self, data: Any = None, *, email: str) -> None:
        super().__init__(data)
        self.email = email

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not is_storable(data.get("name", "")):
            self.add_error("name", "This holds characters that are no valid text.")
        try:
            validate_password(data.get("password", ""), User(email=self.email, name=data.get("name", "")))
        except ValidationError as error:
            self.add_error("password", error)
        return data
