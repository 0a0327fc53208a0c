"""The page of secrets: their names, a form that keeps one, and a button that deletes it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.sudo import sudo_required
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page
from dagy_console.runs.search import SECRETS
from dagy_console.runs.secrets import selectors, services
from dagy_console.runs.secrets.forms import SecretForm
from dagy_console.runs.secrets.presenting import secret_row


@require_safe
def secrets(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "runs", "may_write": request.actor.can_somewhere(Permission.SECRETS_WRITE)}
    return search_page(request, SECRETS, "secrets/list.html", rows, row=secret_row, context=context)


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required("Keep a secret")
def keep_secret(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.SECRETS_WRITE)
    form = SecretForm(request.POST if request.method == "POST" else None, actor=request.actor)
    if form.is_valid():
        try:
            secret = services.keep_secret(actor=request.actor, **form.cleaned_data)
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, f"{secret.name} is kept. Runs that begin from now on have it.")
            return redirect("secrets:list")
    return render_page(request, "secrets/new.html", {"nav": "runs", "form": form}, status=422 if form.errors else 200)


@require_POST
@sudo_required("Delete a secret")
def delete_secret(request: ConsoleRequest) -> HttpResponse:
    org_id, name = request.POST.get("org_id", ""), request.POST.get("name", "")
    services.delete_secret(actor=request.actor, org_id=org_id, name=name)
    messages.success(request, f"{name} is deleted.")
    return redirect("secrets:list")
