"""The pages on the way to a new password: allauth's views with our templates."""

from typing import Any

from allauth.account.views import PasswordResetFromKeyView, PasswordResetView
from django.conf import settings
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


class AskForLink(PasswordResetView):
    template_name = "account/password_reset.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return context | {"sends_mail": settings.MAIL is not None}


@require_safe
def asked(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_done.html", {"minutes": settings.PASSWORD_RESET_TIMEOUT // 60})


class SetNewPassword(PasswordResetFromKeyView):
    template_name = "account/password_reset_from_key.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return context | {"rules": password_validators_help_texts()}


@require_safe
def changed(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_from_key_done.html")
