"""A link that resets a password is a password: its token is in the path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from capture_support import Bucket

from dagy import capture
from dagy.capture.asgi import CaptureMiddleware as AsgiMiddleware
from dagy.capture.wsgi import CaptureMiddleware as WsgiMiddleware

TOKEN = "c2k3fa-6f0c" + "1d9e8b7a5c4d"


def through_wsgi(path: str) -> None:
    def application(environ: dict[str, Any], _: Any) -> list[bytes]:
        raise ValueError("no such link")

    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    WsgiMiddleware(application)(environ, lambda *_: None)


def through_asgi(path: str) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no such link")

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    asyncio.run(AsgiMiddleware(application)(scope, asyncio.Queue().get, application))  # type: ignore[arg-type]


@pytest.mark.parametrize("through", [through_wsgi, through_asgi])
def test_the_token_of_a_reset_link_is_neither_in_the_trace_nor_in_its_metadata(
    stored_in: Callable[..., Bucket], through: Callable[[str], None]
) -> None:
    bucket = stored_in()
    with pytest.raises(ValueError, match="no such link"):
        through(f"/reset/MQ/{TOKEN}/")
    assert capture.flush(10)
    [key] = bucket.keys()
    head = bucket.client.head_object(Bucket=bucket.name, Key=key)
    assert bucket.only()["http_path"] == head["Metadata"]["http-path"] == "/reset/MQ/[Filtered]/"
    assert TOKEN not in bucket.raw()[0].decode() + str(head["Metadata"])
