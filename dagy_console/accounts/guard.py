"""What stands before every view that changes somebody's credentials."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import suspend_request
from allauth.core.exceptions import ReauthenticationRequired
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from dagy_console.accounts.models import User
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import refuse_impersonator
from dagy_console.core.actors import Actor
from dagy_console.core.http import SAFE_METHODS

View = Callable[..., HttpResponse]


def refuse_while_impersonating(request: HttpRequest) -> None:
    """Raises NotWhileImpersonating where a super admin acts as somebody else.

    The recorder refuses their changes; here the pages are refused too, which show a seed or ask for a proof.
    """
    actor: Actor | None = getattr(request, "actor", None)
    if actor is not None:
        refuse_impersonator(Action.MFA_ENABLED, actor)


def changes_credentials(view: View) -> View:
    """One transaction, never while impersonating, and one change of a person's credentials at a time.

    Where the view asks for a fresh authentication (ReauthenticationRequired), the person is led there and then goes on
    with what was posted.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        refuse_while_impersonating(request)
        try:
            with transaction.atomic():
                if request.method not in SAFE_METHODS and request.user.is_authenticated:
                    User.objects.select_for_update(no_key=True).get(pk=request.user.pk)
                return view(request, *args, **kwargs)
        except ReauthenticationRequired:
            (first, *_) = get_adapter().get_reauthentication_methods(request.user)
            response: HttpResponse = suspend_request(request, first["url"])
            return response

    return guarded


def proves_anew(view: View) -> View:
    """Never while impersonating. The proof stands whatever becomes of what was asked for, which has its own guard."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        refuse_while_impersonating(request)
        return view(request, *args, **kwargs)

    return guarded
