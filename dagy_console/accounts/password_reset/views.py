"""The pages on the way to a new password: allauth's views with our templates."""

from typing import Any

from allauth.account.views import PasswordResetFromKeyView, PasswordResetView
from django.conf import settings
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

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        status = 404 if context.get("token_fail") else 200
        response: HttpResponse = super().render_to_response(context, status=status, **kwargs)
        return response


@require_safe
def changed(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_from_key_done.html")
