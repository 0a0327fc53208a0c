"""How django-allauth behaves here: nobody signs up by themselves, nobody but members of staff or customers enter."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Rate limits count by the same address that the audit log keeps."""
        from dagy_console.accounts.context import client_ip

        return client_ip(request) or "unknown"

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """No "Successfully signed in" toasts: the page itself shows it."""
