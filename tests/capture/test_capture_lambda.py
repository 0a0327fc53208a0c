from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from capture_support import Bucket

from dagy import capture
from dagy.capture.aws_lambda import capture_handler


class Context:
    """What Lambda hands to a handler."""

    aws_request_id = "aws-request-1"

    def __init__(self, seconds: float = 30.0) -> None:
        self._deadline = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._deadline - time.monotonic()) * 1000)


@capture_handler
def failing(event: Any, context: Any) -> None:
    raise ValueError("in the handler")


V1 = {
    "httpMethod": "POST",
    "path": "/runs",
    "headers": {"Content-Type": "application/json", "Authorization": "Bearer hunter2"},
    "queryStringParameters": {"limit": "5", "token": "hunter2"},
    "requestContext": {"requestId": "v1-id"},
    "body": '{"a": 1, "secret": "hunter2"}',
}
V2 = {
    "version": "2.0",
    "rawPath": "/runs",
    "rawQueryString": "limit=5&token=hunter2",
    "cookies": ["sid=hunter2"],
    "headers": {"content-type": "application/json"},
    "requestContext": {"requestId": "v2-id", "http": {"method": "POST", "path": "/runs"}},
    "body": base64.b64encode(b'{"a": 1, "secret": "hunter2"}').decode(),
    "isBase64Encoded": True,
}
ALB = {
    "httpMethod": "POST",
    "path": "/runs",
    "multiValueHeaders": {"content-type": ["application/json"], "x-request-id": ["alb-id"]},
    "queryStringParameters": {"limit": "5", "token": "hunter2"},
    "requestContext": {"elb": {"targetGroupArn": "arn"}},
    "body": '{"a": 1, "secret": "hunter2"}',
}


@pytest.mark.parametrize(
    ("event", "request_id"), [(V1, "v1-id"), (V2, "v2-id"), (ALB, "alb-id")], ids=["v1", "v2", "alb"]
)
def test_http_events_give_method_path_and_request_id(
    stored_in: Callable[..., Bucket], event: dict[str, Any], request_id: str
) -> None:
    bucket = stored_in()
    with pytest.raises(ValueError, match="in the handler"):
        failing(event, Context())
    # Lambda freezes the process now: it must be stored already.
    trace = bucket.only()
    assert (trace["http_method"], trace["http_path"], trace["request_id"]) == ("POST", "/runs", request_id)
    assert trace["event"]["body"] == {"a": 1, "secret": "[Filtered]"}
    assert trace["event"]["query"] == {"limit": "5", "token": "[Filtered]"}
    assert b"hunter2" not in bucket.raw()[0]


def test_queue_events_give_the_queue_and_the_message(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    record = {
        "messageId": "message-1",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:jobs",
        "body": '{"run": "run_1", "password": "hunter2"}',
    }
    with pytest.raises(ValueError):
        failing({"Records": [record]}, Context())
    trace = bucket.only()
    assert (trace["http_method"], trace["http_path"], trace["request_id"]) == ("SQS", "/jobs", "message-1")
    assert trace["event"]["records"][0]["body"] == {"run": "run_1", "password": "[Filtered]"}


@pytest.mark.parametrize("event", [None, 7, [], "text", {}, {"Records": []}, {"requestContext": None}, {"headers": 1}])
def test_events_of_every_kind_are_stored(stored_in: Callable[..., Bucket], event: Any) -> None:
    bucket = stored_in()
    with pytest.raises(ValueError):
        failing(event, Context())
    assert bucket.only()["request_id"] == "aws-request-1"


def test_what_was_captured_on_the_way_is_flushed_on_success(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    @capture_handler(timeout_margin_ms=300)
    def handler(event: Any, context: Any) -> str:
        try:
            raise KeyError("survived")
        except KeyError:
            capture.capture_exception(org_id="org_1")
        return "fine"

    assert handler({}, Context()) == "fine"
    trace = bucket.only()
    assert (trace["exception_type"], trace["org_id"], trace["request_id"]) == ("KeyError", "org_1", "aws-request-1")


def test_a_handler_that_is_about_to_be_killed_leaves_the_stacks_of_all_threads(
    stored_in: Callable[..., Bucket],
) -> None:
    bucket = stored_in()
    found: list[list[str]] = []

    @capture_handler(timeout_margin_ms=1500)
    def stuck_in_the_handler(event: Any, context: Context) -> None:
        while context.get_remaining_time_in_millis() > 0:
            time.sleep(0.01)
        # At the deadline, when Lambda would kill it.
        found.append(bucket.keys())

    stuck_in_the_handler(V1, Context(3.5))
    assert len(found[0]) == 1
    trace = bucket.only()
    assert trace["exception_type"] == "LambdaTimeoutError"
    assert "stuck_in_the_handler" in trace["traceback"]
    assert trace["traceback"].endswith("before the function's deadline")
    assert any("dagy-capture-0" in name for name in trace["event"]["threads"]) or trace["event"]["threads"]
    assert (trace["http_path"], trace["request_id"]) == ("/runs", "v1-id")


def test_a_handler_that_ends_in_time_leaves_no_trace_and_no_thread(stored_in: Callable[..., Bucket]) -> None:
    import threading

    bucket = stored_in()
    assert capture_handler(lambda event, context: event)("x", Context(0.8)) == "x"
    time.sleep(0.5)
    assert bucket.keys() == []
    until = time.monotonic() + 10
    while time.monotonic() < until and any(thread.name == "dagy-capture-deadline" for thread in threading.enumerate()):
        time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "dagy-capture-deadline"]
