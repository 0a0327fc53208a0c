"""What every JSON endpoint shares: strict query parameters, pages, authentication."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router, Schema
from ninja.utils import check_csrf
from pydantic import AfterValidator

from dagy_console.core.actors import ActorKind
from dagy_console.core.errors import ConsoleError, FieldError, Invalid, NotAuthenticated
from dagy_console.core.http import ConsoleRequest

ApiRequest = ConsoleRequest
_SAFE = {"GET", "HEAD", "OPTIONS"}


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no text here may")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]


class QueryParams(Schema):
    """The query parameters of an endpoint. One that is not declared here is refused, not ignored."""


class ProblemOut(Schema):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, str]] | None = None


PROBLEMS = {400: ProblemOut, 401: ProblemOut, 403: ProblemOut, 404: ProblemOut, 422: ProblemOut, 503: ProblemOut}


class StrictRouter(Router):
    """A router whose endpoints refuse unknown query parameters."""

    def add_api_operation(self, path: str, methods: list[str], view_func: Callable[..., Any], **options: Any) -> None:
        super().add_api_operation(path, methods, _strict(view_func), **options)


def _strict(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        params = [value for value in kwargs.values() if isinstance(value, QueryParams)]
        known = {field.alias or name for value in params for name, field in type(value).model_fields.items()}
        unknown = sorted(set(request.GET) - known)
        if unknown:
            hint = f"known here: {', '.join(sorted(known))}" if known else "there are none here"
            raise Invalid(
                f"Unknown query parameter {', '.join(unknown)}; {hint}.",
                errors=[FieldError(name, "unknown query parameter") for name in unknown],
            )
        return view(request, *args, **kwargs)

    return checked


class CsrfFailed(ConsoleError):
    status = 403
    title = "CSRF token missing or wrong"


def signed_in(request: HttpRequest) -> bool:
    """Ninja's authentication hook: the middleware has found out who it is; a browser's session must also prove CSRF."""
    actor = getattr(request, "actor", None)
    if actor is None:
        raise NotAuthenticated("Send `Authorization: Bearer <access token>`; POST /auth/login gives one.")
    if actor.kind is ActorKind.USER and request.method not in _SAFE and check_csrf(request):
        raise CsrfFailed("A browser session needs the X-CSRFToken header for this. Reload the page and try again.")
    return True
