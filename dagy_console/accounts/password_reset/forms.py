"""allauth's forms for a new password, with our services behind them."""

from allauth.account.forms import ResetPasswordKeyForm
from allauth.core import context
from django import forms
from django.http import HttpRequest

from dagy_console.accounts.context import origin_of
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


class NewPasswordForm(ResetPasswordKeyForm):
    def save(self) -> None:
        password = self.cleaned_data["password1"]
        services.set_new_password(user=self.user, origin=origin_of(context.request), password=password)
