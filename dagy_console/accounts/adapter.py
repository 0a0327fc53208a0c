"""How django-allauth behaves here: nobody signs up by themselves, nobody but members of staff or customers enter."""

import math
import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from dagy_console.accounts.context import origin_of
from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.models import User
from dagy_console.accounts.suspended import suspended_response
from dagy_console.core.addresses import client_ip

_METHODS = {
    "reauthenticate": "Use your password",
    "mfa_reauthenticate": "Use a code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}
_LIMIT = {"app": "allauth.account", "action": "login_failed"}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "too_many_login_attempts": "Too many failed sign-ins from your network address. Wait a minute and try again."
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Rate limits count by the same address that the audit log keeps."""
        return client_ip(request) or "unknown"

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """None also for a deactivated user with the right password: else the answer would prove a stolen one right."""
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is None or user.is_active:
            return user
        ratelimit.consume(request, key=self._get_login_attempts_cache_key(request, **credentials), **_LIMIT)
        return None

    def pre_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse | None:
        """Who belongs to suspended organizations alone is told so, now that the password was right, and stays out."""
        actor = actor_for(user, origin_of(request))
        if actor.is_locked_out:
            return suspended_response(request, actor)
        response: HttpResponse | None = super().pre_login(request, user, **options)
        return response

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_login"))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Account and caller: who guesses from elsewhere locks nobody out, and the Host header opens no new count."""
        return f"{credentials.get('email', '').strip().lower()} {ratelimit.get_ip(request)}"

    def seconds_to_wait(self, request: HttpRequest, **credentials: Any) -> int:
        """Until the limit on failed sign-ins lets the next attempt through."""
        return self._longest_wait(request, self._get_login_attempts_cache_key(request, **credentials))

    def seconds_to_wait_for_code(self, request: HttpRequest, user: AbstractBaseUser) -> int:
        """Until the limit on wrong second factors lets the next one through. allauth counts them by account."""
        return self._longest_wait(request, f"mfa-auth-user-{user.pk}")

    def _longest_wait(self, request: HttpRequest, key: str) -> int:
        wait: int = max(self._wait(request, rate, key) for rate in ratelimit.get_rates(**_LIMIT))
        return wait

    def _wait(self, request: HttpRequest, rate: ratelimit.Rate, key: str) -> int:
        # Newest first: there is room again once the attempt at the edge of the allowed amount has left the window.
        attempts = cache.get(ratelimit.get_cache_key(request, rate=rate, key=key, **_LIMIT), [])
        if len(attempts) < rate.amount:
            return 1
        wait: float = attempts[rate.amount - 1] + rate.duration - time.time()
        return max(1, math.ceil(wait))

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """No "Successfully signed in" toasts: the page itself shows it."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever has just signed in, with all that this takes, is not asked again at once."""
        request = context.request
        times = [record["at"] for record in get_authentication_records(request, request.user)]
        return max(times, default=0) < time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT

    def get_reauthentication_methods(self, user: AbstractBaseUser | AnonymousUser) -> list[dict[str, Any]]:
        """With a second factor set up, by that alone: else a password that was stolen could take it away."""
        known = super().get_reauthentication_methods(user)
        methods = [method | {"description": _METHODS[method["id"]]} for method in known]
        factors = [method for method in methods if method["id"] != "reauthenticate"]
        return factors or methods
