"""allauth's forms for second factors, stricter where a stranger's input reaches its parsers and the database."""

import json
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, generate_totp_secret
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms

from dagy_console.core.encryption import decrypt, encrypt
from dagy_console.core.forms import is_storable

NAME_LENGTH = 60
# What browsers send is a fifth of it.
_CREDENTIAL_LENGTH = 16_384


class SetUpTotpForm(ActivateTOTPForm):
    """The seed waits in the session until its first code proves it, and is encrypted there too."""

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        forms.Form.__init__(self, *args, **kwargs)
        self.user = user
        session = context.request.session
        waiting = session.get(SECRET_SESSION_KEY) if self.is_bound else None
        self.secret = decrypt(waiting) if waiting else generate_totp_secret()
        if not waiting:
            session[SECRET_SESSION_KEY] = encrypt(self.secret)


class CredentialField(forms.JSONField):
    """What navigator.credentials gave, as JSON: an object whose texts the database takes."""

    widget = forms.HiddenInput
    default_error_messages = {"invalid": "The browser sent no passkey. Try again."}

    def to_python(self, value: Any) -> Any:
        credential = super().to_python(value)
        if credential is None:
            return None
        text = json.dumps(credential, ensure_ascii=False)
        fits = len(text) <= _CREDENTIAL_LENGTH and is_storable(text) and "\\u0000" not in text
        if not fits or not isinstance(credential, dict) or not isinstance(credential.get("response"), dict):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return credential


class _MalformedIsWrong:
    """allauth's and fido2's parsers raise whatever a malformed credential makes them stumble over."""

    def full_clean(self) -> None:
        try:
            super().full_clean()  # type: ignore[misc]
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            self.cleaned_data: dict[str, Any] = {}
            self.add_error("credential", get_adapter().validation_error("incorrect_code"))  # type: ignore[attr-defined]


class AddPasskeyForm(_MalformedIsWrong, AddWebAuthnForm):
    name = forms.CharField(required=False, max_length=NAME_LENGTH)
    credential = CredentialField()
    passwordless = forms.BooleanField(required=False)


class RenamePasskeyForm(EditWebAuthnForm):
    name = forms.CharField(max_length=NAME_LENGTH)


class SecondFactorPasskeyForm(_MalformedIsWrong, AuthenticateWebAuthnForm):
    credential = CredentialField()


class SignInPasskeyForm(_MalformedIsWrong, LoginWebAuthnForm):
    credential = CredentialField()


class ReauthenticatePasskeyForm(_MalformedIsWrong, ReauthenticateWebAuthnForm):
    credential = CredentialField()
