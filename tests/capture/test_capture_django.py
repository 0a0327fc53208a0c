from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import django
import pytest
from capture_support import Bucket
from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], USE_TZ=True)
    django.setup()

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.views.decorators.debug import sensitive_post_parameters
from ninja import NinjaAPI

from dagy import capture
from dagy.capture.bodies import BODY_LIMIT
from dagy.capture.django import _event, capture_request_exception

api = NinjaAPI(urls_namespace="capture-test")


@api.exception_handler(ZeroDivisionError)
def answer_problem(request: HttpRequest, error: ZeroDivisionError) -> HttpResponse:
    return HttpResponse(capture_request_exception(request, error), status=500)


@api.get("/divide")
def divide(request: HttpRequest) -> int:
    return 1 // 0


def fail(request: HttpRequest) -> HttpResponse:
    _ = request.body
    raise ValueError("in the view")


async def fail_async(request: HttpRequest) -> HttpResponse:
    raise ValueError("in the async view")


@sensitive_post_parameters("answer")
def fail_with_form(request: HttpRequest) -> HttpResponse:
    _ = request.POST["name"]
    raise ValueError("form")


def answered(error: Exception) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        raise error

    return view


urlpatterns = [
    path("fail", fail),
    path("async", fail_async),
    path("form", fail_with_form),
    path("404", answered(Http404("x"))),
    path("403", answered(PermissionDenied("x"))),
    path("400", answered(SuspiciousOperation("x"))),
    path("handled", answered(KeyError("handled by other middleware"))),
    path("fine", lambda request: HttpResponse("ok")),
    path("api/", api.urls),
]


def context(request: HttpRequest) -> dict[str, Any]:
    return {"org_id": request.META.get("HTTP_X_ORG", "org_django"), "run_id": "run_1"}


class Failing:
    """Middleware that fails after the view."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        if "HTTP_X_BREAK" in request.META:
            raise RuntimeError("in a middleware")
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return HttpResponse(status=422) if isinstance(error, KeyError) else None


@pytest.fixture
def bucket_of_django(stored_in: Callable[..., Bucket]) -> Any:
    with override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["dagy.capture.django.CaptureMiddleware", f"{__name__}.Failing"],
        DAGY_CAPTURE_CONTEXT=f"{__name__}.context",
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        # The error pages of the project know its own URLs.
        TEMPLATES=[],
    ):
        yield stored_in()


def client() -> Client:
    return Client(raise_request_exception=False)


def test_an_unhandled_exception_of_a_view_becomes_one_trace(bucket_of_django: Bucket) -> None:
    answer = client().post(
        "/fail?limit=5",
        '{"flow": "etl", "api_key": "hunter2"}',
        content_type="application/json",
        headers={"X-Request-Id": "r-1", "Cookie": "sid=hunter2"},
    )
    assert answer.status_code == 500
    assert capture.flush(10)
    trace = bucket_of_django.only()
    assert (trace["exception_type"], trace["exception_message"]) == ("ValueError", "in the view")
    assert (trace["http_method"], trace["http_path"]) == ("POST", "/fail")
    assert (trace["org_id"], trace["request_id"]) == ("org_django", "r-1")
    assert trace["event"]["body"] == {"flow": "etl", "api_key": "[Filtered]"}
    assert trace["event"]["query"] == {"limit": "5"}
    assert trace["event"]["run_id"] == "run_1"
    assert b"hunter2" not in bucket_of_django.raw()[0]


def test_an_exception_of_an_async_view_becomes_one_trace(bucket_of_django: Bucket) -> None:
    answer = asyncio.run(AsyncClient(raise_request_exception=False).get("/async"))
    assert answer.status_code == 500
    assert capture.flush(10)
    assert bucket_of_django.only()["exception_message"] == "in the async view"


def test_an_exception_of_other_middleware_becomes_one_trace(bucket_of_django: Bucket) -> None:
    assert client().get("/fine", headers={"X-Break": "1"}).status_code == 500
    assert capture.flush(10)
    assert bucket_of_django.only()["exception_message"] == "in a middleware"


@pytest.mark.parametrize(("url", "status"), [("/404", 404), ("/403", 403), ("/400", 400), ("/handled", 422)])
def test_what_is_answered_otherwise_is_no_trace(bucket_of_django: Bucket, url: str, status: int) -> None:
    assert client().get(url).status_code == status
    assert capture.flush(10)
    assert bucket_of_django.keys() == []


def test_a_framework_that_catches_exceptions_hands_them_over(bucket_of_django: Bucket) -> None:
    answer = client().get("/api/divide")
    assert capture.flush(10)
    trace = bucket_of_django.only()
    assert trace["exception_type"] == "ZeroDivisionError"
    assert trace["request_id"] == answer.content.decode()
    assert trace["org_id"] == "org_django"


def test_sensitive_post_parameters_are_honoured(bucket_of_django: Bucket) -> None:
    client().post("/form", {"name": "bob", "answer": "my first dog", "password": "hunter2"})
    assert capture.flush(10)
    assert bucket_of_django.only()["event"]["body"] == {
        "name": "bob",
        "answer": "[Filtered]",
        "password": "[Filtered]",
    }
    assert b"my first dog" not in bucket_of_django.raw()[0]


def test_of_a_huge_body_only_its_beginning_waits_in_the_queue() -> None:
    request = HttpRequest()
    request.META["CONTENT_TYPE"] = "text/plain"
    request._body = b"b" * 2_000_000
    body = _event(request)["body"]
    assert len(body.data) == BODY_LIMIT + 1
    assert (body.length, body.cut) == (2_000_000, True)
    assert body.resolve() == "b" * BODY_LIMIT
