"""The pages of API keys: the list, a new one, the question before one is revoked."""

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from dagy_console.accounts.api_keys import selectors, services
from dagy_console.accounts.api_keys.forms import ApiKeyForm
from dagy_console.accounts.api_keys.presenting import key_row
from dagy_console.accounts.search import API_KEYS
from dagy_console.accounts.sudo import sudo_required
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import refuse_impersonator
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page


@require_safe
def keys(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    may = request.actor.can_somewhere(Permission.API_KEYS_WRITE)
    context = {"nav": "account", "may_revoke": may, "may_make": bool(selectors.places_for_keys(request.actor))}
    return search_page(request, API_KEYS, "api_keys/list.html", rows, row=key_row, context=context)


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required("Make an API key")
def new_key(request: ConsoleRequest) -> HttpResponse:
    """The form; and in answer to it the key, which no other page shows."""
    request.actor.require_somewhere(Permission.API_KEYS_WRITE)
    refuse_impersonator(Action.API_KEY_CREATED, request.actor)
    form = ApiKeyForm(request.POST if request.method == "POST" else None, actor=request.actor)
    if form.is_valid():
        try:
            key, token = services.create_api_key(actor=request.actor, **form.wanted)
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            messages.info(request, error.detail)
            return redirect("api-keys:list")
        else:
            shown = {"nav": "account", "key": key, "token": token, "base_url": settings.BASE_URL}
            return render_page(request, "api_keys/made.html", shown)
    context = {"nav": "account", "form": form}
    return render_page(request, "api_keys/new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required("Revoke an API key")
def revoke(request: ConsoleRequest, key_id: uuid.UUID) -> HttpResponse:
    """The question, and in answer to it the end of the key."""
    if request.method == "POST":
        key = services.revoke_api_key(actor=request.actor, key_id=key_id)
        messages.info(request, f"{key.name} …{key.last_four} opens nothing any more.")
        return redirect("api-keys:list")
    key = selectors.key_to_revoke(request.actor, key_id)
    return render_page(request, "api_keys/revoke.html", {"nav": "account", "key": key_row(key)})
