"""The pages on the way in: the second factor, a passkey alone, and proving anew who one is."""

from typing import Any

from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import ReauthenticateView as PasswordReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as CodeReauthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import flows
from allauth.mfa.webauthn.views import LoginWebAuthnView, ReauthenticateWebAuthnView
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from dagy_console.accounts import proving
from dagy_console.accounts.context import session_label
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record_for_each_organization
from dagy_console.core.http import ConsoleRequest


class SecondFactor(AuthenticateView):
    template_name = "account/second_factor.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        types = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        return super().get_context_data(**kwargs) | {
            "has_app": Authenticator.Type.TOTP in types,
            "has_codes": Authenticator.Type.RECOVERY_CODES in types,
            "has_passkeys": Authenticator.Type.WEBAUTHN in types,
            "only_passkeys": Authenticator.Type.TOTP not in types,
        }


class SignInByPasskey(LoginWebAuthnView):
    def form_invalid(self, form: Any) -> HttpResponse:
        messages.error(self.request, "Nobody signs in here with that passkey. Sign in with email and password.")
        return HttpResponseRedirect(reverse("account_login"))

    def form_valid(self, form: Any) -> HttpResponse:
        authenticator = form.cleaned_data["credential"]
        login = Login(user=authenticator.user, redirect_url=get_next_redirect_url(self.request))
        response: HttpResponse = flows.perform_passwordless_login(self.request, authenticator, login)
        # As after a password without "Keep me signed in".
        self.request.session.set_expiry(0)
        return response


class _Proof:
    """A right answer is on record and renews the session, as that of sudo does, before what was asked for goes on."""

    request: ConsoleRequest

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            proving.renew(self.request)
            record_for_each_organization(
                Action.SUDO_GRANTED,
                actor=self.request.actor,
                resource_type="session",
                resource_id=session_label(self.request.session.session_key),
                resource_name=get_next_redirect_url(self.request) or "",
            )
        return super().form_valid(form)  # type: ignore[misc]


class ReauthenticateByPassword(_Proof, PasswordReauthenticateView):
    template_name = "account/reauthenticate.html"


class ReauthenticateByCode(_Proof, CodeReauthenticateView):
    template_name = "account/reauthenticate_code.html"


class ReauthenticateByPasskey(_Proof, ReauthenticateWebAuthnView):
    template_name = "account/reauthenticate_passkey.html"

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form))
