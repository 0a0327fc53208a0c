"""The pages of a team: its members and invitations, one member, joining."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.context import origin_of
from dagy_console.accounts.models import User
from dagy_console.accounts.search import MEMBERS
from dagy_console.accounts.team import selectors, services
from dagy_console.accounts.team.forms import InvitationForm, JoinForm, RoleForm
from dagy_console.accounts.team.serializers import member_row
from dagy_console.core.errors import Conflict, ConsoleError, Invalid, NotFound
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, redirect_to_sign_in, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page


@require_safe
def team(request: ConsoleRequest) -> HttpResponse:
    actor = request.actor
    context = {
        "nav": "team",
        "invitations": selectors.open_invitations(actor),
        "writable": sorted(actor.orgs_with(Permission.TEAM_WRITE)),
    }
    return search_page(
        request, MEMBERS, "accounts/team.html", selectors.visible_to(actor), row=member_row, context=context
    )


@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: ConsoleRequest, org_id: str) -> HttpResponse:
    request.actor.require(Permission.TEAM_WRITE, org_id=org_id)
    form = InvitationForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _invitation(request, org_id, form)
    given = form.cleaned_data
    try:
        services.invite(actor=request.actor, org_id=org_id, email=given["email"], role=given["role"])
    except (Invalid, Conflict) as error:
        return _invitation(request, org_id, add_errors(form, error))
    messages.info(request, f"A mail to {given['email']} is on its way.")
    return redirect("accounts:team")


def _invitation(request: ConsoleRequest, org_id: str, form: InvitationForm) -> HttpResponse:
    context = {"nav": "team", "org_id": org_id, "form": form}
    return render_page(request, "accounts/invite.html", context, status=422 if form.errors else 200)


@require_POST
def withdraw(request: ConsoleRequest, invitation_id: uuid.UUID) -> HttpResponse:
    services.withdraw(actor=request.actor, invitation_id=invitation_id)
    return redirect("accounts:team")


@require_http_methods(["GET", "HEAD", "POST"])
def member(request: ConsoleRequest, org_id: str, user_id: int) -> HttpResponse:
    """One member, and the change of their role."""
    actor = request.actor
    row = selectors.visible_to(actor).filter(organization=org_id, user=user_id).first()
    if row is None:
        raise NotFound("There is no such member, or you may not see them.")
    form = RoleForm(request.POST or None, initial={"role": row.role})
    if request.method == "POST" and form.is_valid():
        try:
            services.change_role(actor=actor, org_id=org_id, user_id=user_id, role=form.cleaned_data["role"])
        except Conflict as error:
            messages.error(request, error.detail)
        return redirect("accounts:member", org_id, user_id)
    context = {
        "nav": "team",
        "row": member_row(row),
        "form": form,
        "may_write": actor.can(Permission.TEAM_WRITE, org_id=org_id),
        "own": str(user_id) == actor.id,
    }
    return render_page(request, "accounts/member.html", context, status=422 if form.errors else 200)


@require_POST
def remove(request: ConsoleRequest, org_id: str, user_id: int) -> HttpResponse:
    try:
        services.remove(actor=request.actor, org_id=org_id, user_id=user_id)
    except Conflict as error:
        messages.error(request, error.detail)
        return redirect("accounts:member", org_id, user_id)
    return redirect("home" if str(user_id) == request.actor.id else "accounts:team")


@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What the mailed link opens: joining, as who is signed in or as a new person."""
    found = selectors.invitation_of(token)
    if found is None:
        raise NotFound("This invitation was used, withdrawn, or is too old. Ask for a new one.")
    known = User.objects.filter(email=found.email).first()
    user = request.user if isinstance(request.user, User) and request.user == known else None
    if known and user is None:
        return redirect_to_sign_in(request) if request.user.is_anonymous else _join(request, found, stranger=True)
    form = None if known else JoinForm(request.POST or None, email=found.email)
    if request.method != "POST" or (form and not form.is_valid()):
        return _join(request, found, form=form)
    return _joined(request, token, user, form)


def _joined(request: HttpRequest, token: str, user: User | None, form: JoinForm | None) -> HttpResponse:
    given = {name: form.cleaned_data[name] for name in ("name", "password")} if form else {}
    try:
        services.accept(token=token, origin=origin_of(request), user=user, **given)
    except ConsoleError as error:
        messages.error(request, error.detail)
        return redirect("home")
    messages.info(request, "You have joined." if user else "You have joined. Sign in with the password you chose.")
    return redirect("home")


def _join(request: HttpRequest, found: object, *, form: JoinForm | None = None, stranger: bool = False) -> HttpResponse:
    context = {"invitation": found, "form": form, "stranger": stranger}
    return render_page(request, "account/join.html", context, status=422 if form and form.errors else 200)
