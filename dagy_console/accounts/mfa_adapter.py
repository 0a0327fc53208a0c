"""How allauth's second factors behave here: their seeds are encrypted, and one that is needed stays."""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.base_user import AbstractBaseUser

from dagy_console.accounts.second_factor import is_indispensable
from dagy_console.core import encryption


class MFAAdapter(DefaultMFAAdapter):
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "That did not match. A code counts once, and for half a minute: try the next one.",
        "cannot_delete_authenticator": (
            "Super admins need a second factor, and this is your last: set up another first."
        ),
        "cannot_generate_recovery_codes": "Recovery codes stand in for a second factor: set one up first.",
    }

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return not is_indispensable(authenticator)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        return f"Passkey {Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1}"

    def get_public_key_credential_rp_entity(self) -> dict[str, Any]:
        return super().get_public_key_credential_rp_entity() | {"name": "Dagy Console"}
