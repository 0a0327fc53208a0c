"""The person's own pages: allauth's views with our templates, and an audit entry beside each change.

allauth's signals won't do for those: some are sent after the commit.
"""

from collections.abc import Mapping
from typing import Any

import qrcode
from allauth.account.views import PasswordChangeView
from allauth.mfa import app_settings as mfa
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal.auth import begin_registration
from allauth.mfa.webauthn.views import AddWebAuthnView, EditWebAuthnView, RemoveWebAuthnView
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse_lazy
from django.views.decorators.http import require_safe
from django.views.generic.edit import FormView

from dagy_console.accounts import proving
from dagy_console.accounts.account_places import places_of
from dagy_console.accounts.models import User
from dagy_console.accounts.notices import account_changed
from dagy_console.accounts.second_factor import lacks_second_factor
from dagy_console.accounts.services import people
from dagy_console.accounts.sessions import services as sessions
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record_for_each_organization
from dagy_console.core.errors import Conflict
from dagy_console.core.http import ConsoleRequest, render_page

ACCOUNT = reverse_lazy("account")


@require_safe
def overview(request: ConsoleRequest) -> HttpResponse:
    """Who one is here, and by what one signs in."""
    actor = request.actor
    found = list(Authenticator.objects.filter(user_id=actor.id).order_by("created_at"))
    by_type = {one.type: one for one in found}
    context = {
        "nav": "account",
        "person": User.objects.get(pk=actor.id),
        "totp": by_type.get(Authenticator.Type.TOTP),
        "codes_left": _codes_left(by_type.get(Authenticator.Type.RECOVERY_CODES)),
        "codes_made": mfa.RECOVERY_CODE_COUNT,
        "passkeys": [one for one in found if one.type == Authenticator.Type.WEBAUTHN],
        "needs_factor": lacks_second_factor(actor),
        "account_places": places_of(actor),
    }
    return render_page(request, "account/overview.html", context)


def _codes_left(codes: Authenticator | None) -> int | None:
    """Counted without the seed. None: there are no codes."""
    return mfa.RECOVERY_CODE_COUNT - codes.data["used_mask"].bit_count() if codes else None


class ChangePassword(PasswordChangeView):
    template_name = "account/password.html"
    success_url = ACCOUNT

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and not request.user.has_usable_password():
            raise Conflict("You have no password that could be changed: ask for a link to set one on the sign-in page.")
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        password = form.cleaned_data["password1"]
        people.set_password(actor=self.request.actor, user=self.request.user, password=password)
        proving.renew(self.request, lambda: update_session_auth_hash(self.request, self.request.user))
        # Their hash is of the old password: they open nothing, and are not listed any more either.
        sessions.end_others(actor=self.request.actor, keep=self.request.session.session_key)
        _tell(self.request, "The password was changed. All other sessions and access tokens have ended.")
        _say(self.request, "The password is changed. All your other sessions and access tokens have ended.")
        return HttpResponseRedirect(ACCOUNT)


class SetUpTotp(ActivateTOTPView):
    template_name = "account/totp_set_up.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = FormView.get_context_data(self, **kwargs)
        secret = context["form"].secret
        url = get_mfa_adapter().build_totp_url(self.request.user, secret)
        groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
        return context | {"nav": "account", "qr": _qr(url), "secret": secret, "groups": groups, "totp_url": url}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _record(self.request, Action.MFA_ENABLED, after={"factor": "totp"})
        _tell(self.request, "An authenticator app was set up.")
        if self.did_generate_recovery_codes:
            _record(self.request, Action.RECOVERY_CODES_MADE)
        return response

    def get_success_url(self) -> str:
        return str(reverse_lazy("mfa_view_recovery_codes") if self.did_generate_recovery_codes else ACCOUNT)


class TurnOffTotp(DeactivateTOTPView):
    template_name = "account/totp_turn_off.html"
    success_url = ACCOUNT
    extra_context = {"nav": "account"}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _record(self.request, Action.MFA_DISABLED, before={"factor": "totp"})
        _tell(self.request, "The authenticator app was turned off.")
        _say(self.request, "The authenticator app is turned off: its codes open nothing any more.")
        return response


class RecoveryCodes(ViewRecoveryCodesView):
    template_name = "account/recovery_codes.html"
    extra_context = {"nav": "account"}


class MakeRecoveryCodes(GenerateRecoveryCodesView):
    template_name = "account/recovery_codes_make.html"
    extra_context = {"nav": "account"}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _record(self.request, Action.RECOVERY_CODES_MADE)
        _tell(self.request, "New recovery codes were made. The earlier ones open nothing any more.")
        return response


class AddPasskey(AddWebAuthnView):
    """Always one that signs in alone: kept in the device, and opened by its PIN, finger or face."""

    template_name = "account/passkey_add.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = FormView.get_context_data(self, **kwargs)
        return context | {"nav": "account", "options": begin_registration(self.request.user, passwordless=True)}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _record(self.request, Action.PASSKEY_ADDED, after={"name": form.cleaned_data["name"]})
        _tell(self.request, f"A passkey was added: {form.cleaned_data['name']}.")
        if self.did_generate_recovery_codes:
            _record(self.request, Action.RECOVERY_CODES_MADE)
        return response

    def get_success_url(self) -> str:
        return str(reverse_lazy("mfa_view_recovery_codes") if self.did_generate_recovery_codes else ACCOUNT)


class RenamePasskey(EditWebAuthnView):
    template_name = "account/passkey_rename.html"
    success_url = ACCOUNT
    extra_context = {"nav": "account"}

    def form_valid(self, form: Any) -> HttpResponse:
        before = {"name": form.initial["name"]}
        response = super().form_valid(form)
        _record(self.request, Action.PASSKEY_RENAMED, before=before, after={"name": form.cleaned_data["name"]})
        return response


class RemovePasskey(RemoveWebAuthnView):
    template_name = "account/passkey_remove.html"
    success_url = ACCOUNT

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        stays = not get_mfa_adapter().can_delete_authenticator(self.object)
        return super().get_context_data(**kwargs) | {"nav": "account", "stays": stays}

    def form_valid(self, form: Any) -> HttpResponse:
        adapter = get_mfa_adapter()
        if not adapter.can_delete_authenticator(self.object):
            raise Conflict(adapter.error_messages["cannot_delete_authenticator"])
        response = super().form_valid(form)
        _record(self.request, Action.PASSKEY_REMOVED, before={"name": self.object.wrap().name})
        _tell(self.request, f"A passkey was removed: {self.object.wrap().name}.")
        _say(self.request, "The passkey is removed: it opens nothing any more.")
        return response


def _record(
    request: Any, action: Action, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> None:
    user = request.user
    record_for_each_organization(
        action,
        actor=request.actor,
        resource_type="user",
        resource_id=str(user.pk),
        resource_name=user.email,
        before=before,
        after=after,
    )


def _tell(request: Any, what: str) -> None:
    account_changed(email=request.user.email, origin=request.actor.origin, what=what)


def _say(request: HttpRequest, text: str) -> None:
    messages.success(request, text)


def _qr(text: str) -> dict[str, Any]:
    """The QR code as one path of unit squares, for an SVG that needs no style."""
    code = qrcode.QRCode(border=4)
    code.add_data(text)
    rows = code.get_matrix()
    dark = [(x, y) for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark]
    return {"size": len(rows), "path": "".join(f"M{x} {y}h1v1h-1z" for x, y in dark)}
