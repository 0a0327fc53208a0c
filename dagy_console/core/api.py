"""What every JSON endpoint shares: strict parameters and bodies, pages, authentication, and how it is described."""

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from hashlib import sha256
from typing import Annotated, Any, TypeVar, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import NinjaAPI, Router, Schema
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.parser import Parser
from ninja.responses import NinjaJSONEncoder
from ninja.utils import check_csrf
from pydantic import AfterValidator, ConfigDict

from dagy_console.core import idempotency
from dagy_console.core.actors import ActorKind
from dagy_console.core.errors import FieldError, Invalid, NotAuthenticated, TooLarge
from dagy_console.core.forms import is_storable
from dagy_console.core.http import SAFE_METHODS, ConsoleRequest
from dagy_console.core.problems import PROBLEM_JSON, answer_errors_of, csrf_problem
from dagy_console.core.times import parse_time

ApiRequest = ConsoleRequest
View = TypeVar("View", bound=Callable[..., Any])
_KINDS = {list: "an array", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which no text here may")
    if not is_storable(text):
        raise ValueError("holds half of a surrogate pair, which is no valid text")
    return text


Text = Annotated[str, AfterValidator(_storable)]


class QueryParams(Schema):
    """The query parameters of an endpoint. One that is not declared here is refused, not ignored."""


class DownloadOut(Schema):
    """See `core.downloads.Download`."""

    url: str
    filename: str
    expires_in: int
    expires_at: str


class BodyIn(Schema):
    """The body of a request. A member that is not declared here is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class ProblemOut(Schema):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, str]] | None = None


def problems(*statuses: int) -> dict[int, type[Schema]]:
    """What an operation may answer besides, for its `response`."""
    return dict.fromkeys(statuses, ProblemOut)


# 405 is sent at the operation's address, for any other method.
PROBLEMS = problems(400, 401, 403, 404, 405, 422, 429, 503)
BODY_PROBLEMS = PROBLEMS | problems(411, 413)


_IDEMPOTENCY_KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "The same key and body get the first answer for 24 h, with `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x20-\x7e]+$"},
}


class IdempotentOperation(Operation):
    """Once signed in and well-formed, a request with an `Idempotency-Key` has one effect and one answer."""

    max_body: int | None = None

    def clone(self) -> Operation:
        """Ninja's own copies what it knows of."""
        cloned = cast(IdempotentOperation, super().clone())
        cloned.max_body = self.max_body
        return cloned

    def run(self, request: HttpRequest, **given: Any) -> HttpResponseBase:
        refused = self._run_checks(request)
        if refused:
            return refused
        try:
            if self.max_body is not None:
                read_body(request, self.max_body)
            blank = self.api.create_temporal_response(request)
            values = self._get_values(request, given, blank)
            return idempotency.once(
                cast(ApiRequest, request),
                lambda: cast(HttpResponse, self._result_to_response(request, self.view_func(request, **values), blank)),
            )
        except Exception as error:  # noqa: BLE001 - as in ninja's own: each becomes a problem
            return self.api.on_exception(request, error)


def read_body(request: HttpRequest, most: int) -> None:
    """`request.body`, past Django's limit for all requests. Raises TooLarge."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > most:
        raise TooLarge(f"The body has more than {most // 1024 // 1024} MB: send less.")
    request._body = request.read(most)


def moment(field: str, text: str, *, parse: Callable[[str], datetime] = parse_time) -> datetime:
    """A time that somebody wrote into a field. Raises Invalid that names it."""
    try:
        return parse(text)
    except ValueError as error:
        raise Invalid.field(field, str(error)) from None


class StrictRouter(Router):
    """A router whose endpoints refuse unknown query parameters."""

    def post(
        self, path: str, *, idempotent: bool = False, max_body: int | None = None, **options: Any
    ) -> Callable[[View], View]:
        """With `idempotent`, an `Idempotency-Key` is honoured; the endpoint runs in one transaction then.

        For whatever creates or triggers something: see `idempotency.once()` for what it may do. `max_body`: bytes,
        where the body is no JSON and may be larger than others.
        """
        if not idempotent:
            return super().post(path, **options)
        responses = {**options.pop("response"), **problems(409)}
        extra = {"parameters": [_IDEMPOTENCY_KEY]}
        declare = super().post(path, **options, response=responses, openapi_extra=extra)

        def declare_idempotent(view: View) -> View:
            declare(view)
            operation = self.path_operations[path].operations[-1]
            operation.__class__ = IdempotentOperation
            cast(IdempotentOperation, operation).max_body = max_body
            return view

        return declare_idempotent

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


class SignedIn:
    """Ninja's authentication hook: the middleware has found out who it is; a browser's session must also prove CSRF."""

    openapi_security_schema = {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of `POST /auth/login`. A signed-in browser needs none, but X-CSRFToken.",
    }

    def __call__(self, request: HttpRequest) -> bool:
        actor = getattr(request, "actor", None)
        if actor is None:
            raise NotAuthenticated("Send `Authorization: Bearer <access token>`; POST /auth/login gives one.")
        if actor.kind is ActorKind.USER and request.method not in SAFE_METHODS and check_csrf(request):
            raise csrf_problem()
        return True


class ObjectParser(Parser):
    """A body is a JSON object, or it is said what it is instead."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        body = json.loads(request.body)
        if not isinstance(body, dict):
            raise Invalid.field("body", f"send a JSON object; this is {_KINDS[type(body)]}")
        return body


@dataclass(frozen=True, slots=True)
class Document:
    """JSON as it is sent, plain and compressed, with its entity tag."""

    text: bytes
    compressed: bytes
    etag: str


class ConsoleApi(NinjaAPI):
    """The API with our parser and errors, described as it is: ninja calls every answer `application/json`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(auth=SignedIn(), parser=ObjectParser(), **options)
        self._document: Document | None = None
        self._building = threading.Lock()
        answer_errors_of(self)

    def document(self) -> Document:
        """The OpenAPI schema, built once: that takes a second of processor, and anybody may ask for it."""
        with self._building:
            if self._document is None:
                text = json.dumps(self.get_openapi_schema(), cls=NinjaJSONEncoder).encode()
                self._document = Document(text, gzip.compress(text, mtime=0), f'"{sha256(text).hexdigest()[:32]}"')
            return self._document

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        for operation in (operation for path in schema["paths"].values() for operation in path.values()):
            for status, answer in operation["responses"].items():
                if status >= 400:
                    answer["content"] = {PROBLEM_JSON: answer["content"]["application/json"]}
        return schema
