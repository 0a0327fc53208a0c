"""The pages of impersonation: the list, the question, the end."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.context import session_label
from dagy_console.accounts.credentials import IMPERSONATING
from dagy_console.accounts.impersonation import selectors, services
from dagy_console.accounts.impersonation.forms import ImpersonationForm
from dagy_console.accounts.impersonation.serializers import impersonation_row
from dagy_console.accounts.search import IMPERSONATIONS
from dagy_console.accounts.sudo import sudo_required
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page


@require_safe
def impersonations(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "customers"}
    return search_page(
        request, IMPERSONATIONS, "accounts/impersonations.html", rows, row=impersonation_row, context=context
    )


def _deed(request: ConsoleRequest) -> str:
    return f"Act as {request.POST.get('email', '')[:254]}"


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required(_deed)
def start(request: ConsoleRequest) -> HttpResponse:
    """The question; and, answered, this browser acts as that person."""
    request.actor.require(Permission.USERS_IMPERSONATE)
    form = ImpersonationForm(request.POST or None, initial={"email": request.GET.get("email", "")})
    if request.method != "POST" or not form.is_valid():
        return _question(request, form)
    label = session_label(request.session.session_key)
    try:
        impersonation, _ = services.start(actor=request.actor, session=label, **form.values)
    except Invalid as error:
        return _question(request, add_errors(form, error))
    request.session[IMPERSONATING] = str(impersonation.pk)
    # Forms that other tabs hold are one's own, and must not be sent as somebody else; nor the other way round.
    rotate_token(request)
    return redirect("home")


def _question(request: ConsoleRequest, form: ImpersonationForm) -> HttpResponse:
    context = {"nav": "customers", "form": form}
    return render_page(request, "accounts/impersonate.html", context, status=422 if form.errors else 200)


@require_POST
def end_own(request: ConsoleRequest) -> HttpResponse:
    """Be oneself again; also where it has ended meanwhile."""
    by = request.actor.impersonator
    if by:
        services.end(actor=request.actor, impersonation_id=uuid.UUID(by.impersonation))
    request.session.pop(IMPERSONATING, None)
    rotate_token(request)
    return redirect("accounts:impersonations" if by else "home")


@require_POST
def end_other(request: ConsoleRequest, impersonation_id: uuid.UUID) -> HttpResponse:
    ended = services.end(actor=request.actor, impersonation_id=impersonation_id)
    messages.info(request, f"{ended.impersonator.email} acts as {ended.user.email} no more.")
    return redirect("accounts:impersonations")
