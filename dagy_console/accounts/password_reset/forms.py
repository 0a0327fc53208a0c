"""allauth's forms for a new password, with our services behind them."""

from typing import Any

from allauth.account.forms import ResetPasswordKeyForm, UserTokenForm
from allauth.core import context
from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest

from dagy_console.accounts.context import origin_of
from dagy_console.accounts.models import User
from dagy_console.accounts.password_reset import services
from dagy_console.core.forms import is_storable


class AskForm(forms.Form):
    email = forms.EmailField(label="Email", max_length=254)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if not is_storable(email):
            raise forms.ValidationError("This holds characters that are no valid text.")
        return email

    def save(self, request: HttpRequest) -> None:
        services.ask_for_link(origin=origin_of(request), email=self.cleaned_data["email"])


class LinkForm(UserTokenForm):
    """What a link brings. One that was mailed before its person was deactivated or suspended opens nothing."""

    def _get_user(self, uidb36: str) -> User | None:
        user: User | None = super()._get_user(uidb36)
        return user if user and services.may_come_in(user) else None


class NewPasswordForm(ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = " ".join(password_validators_help_texts())
        # As at sign-in by API, which takes none that is longer.
        self.fields["password1"].validators.append(MaxLengthValidator(1000))

    def save(self) -> None:
        origin, password = origin_of(context.request), self.cleaned_data["password1"]
        services.set_new_password(user=self.user, key=self.temp_key, origin=origin, password=password)
