"""Second factors: who has one, who needs one, and what a code by API is worth."""

from collections.abc import Callable

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from dagy_console.accounts.models import User
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError, NotAuthenticated
from dagy_console.core.http import is_api
from dagy_console.core.problems import error_response

_TYPES = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# Where somebody without a second factor may go: to set one up, and away.
_OPEN = (
    "/accounts/",
    "/auth/",
    "/console/account/totp/",
    "/console/account/passkeys/add/",
    "/console/account/recovery-codes/",
    "/console/preferences/",
)


class SecondFactorRequired(ConsoleError):
    status = 403
    title = "Second factor required"

    @classmethod
    def to_be_set_up(cls) -> "SecondFactorRequired":
        page = settings.BASE_URL + reverse("account")
        return cls(f"Super admins need a second factor, and you have none yet. Sign in and set one up at {page}.")


class CodeRequired(NotAuthenticated):
    """The password is right, and not enough."""

    title = "Second factor required"


class TooManyAttempts(ConsoleError):
    status = 429
    title = "Too many attempts"


def has_second_factor(user_id: int) -> bool:
    """Whether an authenticator app or a passkey is set up. Recovery codes alone are none."""
    return bool(Authenticator.objects.filter(user_id=user_id, type__in=_TYPES).exists())


def is_indispensable(authenticator: Authenticator) -> bool:
    """Whether it is the last second factor of somebody who needs one."""
    if not settings.REQUIRE_MFA or not authenticator.user.super_admin:
        return False
    others = Authenticator.objects.filter(user_id=authenticator.user_id, type__in=_TYPES).exclude(pk=authenticator.pk)
    return not others.exists()


def lacks_second_factor(actor: Actor) -> bool:
    """Whether the actor needs a second factor before anything else."""
    return settings.REQUIRE_MFA and actor.super_admin and bool(actor.id) and not has_second_factor(int(actor.id))


def require_code(user: User, code: str | None) -> None:
    """The second half of a sign-in by API, after the right password.

    Raises CodeRequired where there is a second factor and no right code of it, TooManyAttempts, and
    SecondFactorRequired where the user needs one and has none.
    """
    if not has_second_factor(user.pk):
        if settings.REQUIRE_MFA and user.super_admin:
            raise SecondFactorRequired.to_be_set_up()
        return
    if not code:
        raise CodeRequired("Send `otp` too: the code that your authenticator app shows, or a recovery code.")
    form = AuthenticateForm(user=user, data={"code": code})
    if form.is_valid():
        form.save()
        return
    if form.has_error("code", "too_many_login_attempts"):
        wait = get_account_adapter().seconds_to_wait_for_code(context.request, user)
        raise TooManyAttempts(f"Too many wrong codes. Try again in {wait} s.", retry_after=wait)
    raise CodeRequired("`otp` is wrong. A code counts once, and for half a minute: send the next one.")


class SecondFactorMiddleware:
    """Below ActorMiddleware: a super admin without a second factor gets to the pages that set one up, no further."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        actor: Actor | None = getattr(request, "actor", None)
        if actor is None or _is_open(request.path) or not lacks_second_factor(actor):
            return self.get_response(request)
        if is_api(request):
            return error_response(request, SecondFactorRequired.to_be_set_up())
        if getattr(request, "htmx", None):
            response = HttpResponse(status=403)
            response["HX-Redirect"] = reverse("account")
            return response
        return HttpResponseRedirect(reverse("account"))


def _is_open(path: str) -> bool:
    return path in ("/", "/console/account/") or path.startswith(_OPEN)
