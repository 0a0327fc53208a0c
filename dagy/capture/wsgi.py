"""WSGI middleware: exceptions that leave an application, or its response while it is being sent, become traces.

    application = CaptureMiddleware(application, context=lambda environ: {"org_id": environ.get("myapp.org")})

The body is what the application itself has read (reading the rest could wait for a slow client), up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dagy.capture.api import capture_in_request
from dagy.capture.bodies import BODY_LIMIT, RawBody, RawQuery, environ_headers
from dagy.capture.context import RequestContext, current, request_id_for

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class CaptureMiddleware:
    """`context` is asked, with the environment, for any of `org_id`, `request_id`, `http_path`, `run_id`, `task_id`."""

    def __init__(
        self,
        app: Application,
        *,
        context: Callable[[Environ], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.app = app
        self.context = context

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        context = self._context(environ)
        token = current.set(context)
        try:
            response = self.app(environ, start_response)
        except Exception as error:
            capture_in_request(error, context)
            raise
        finally:
            current.reset(token)
        # These can't fail later, and servers send them faster when they see them as they are.
        if isinstance(response, list | tuple) or _is_file(response, environ):
            return response
        return _Response(response, context)

    def _context(self, environ: Environ) -> RequestContext:
        recorder = _record_body(environ)
        hook = self.context
        return RequestContext(
            request_id=request_id_for(environ.get("HTTP_X_REQUEST_ID")),
            http_method=environ.get("REQUEST_METHOD"),
            http_path=_path(environ),
            event=lambda: _event(environ, recorder),
            hook=(lambda: hook(environ)) if hook else None,
        )


class _Response:
    """The application's response, watched while the server iterates it."""

    def __init__(self, response: Iterable[bytes], context: RequestContext) -> None:
        self._response = response
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response
        except Exception as error:
            capture_in_request(error, self._context)
            raise

    def close(self) -> None:
        close = getattr(self._response, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception as error:
            capture_in_request(error, self._context)
            raise


class _Recorder:
    """`wsgi.input` with a memory of its first bytes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._chunks: list[bytes] = []
        self._room = BODY_LIMIT + 1
        self.length = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, *size: int) -> bytes:
        return self._keep(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._keep(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._keep(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._keep(line)

    def recorded(self) -> bytes:
        return b"".join(self._chunks)

    def _keep(self, data: bytes) -> bytes:
        self.length += len(data)
        if self._room > 0 and data:
            self._chunks.append(bytes(data[: self._room]))
            self._room -= len(data)
        return data


def _record_body(environ: Environ) -> _Recorder | None:
    if environ.get("CONTENT_LENGTH") in (None, "", "0") and "HTTP_TRANSFER_ENCODING" not in environ:
        return None
    recorder = _Recorder(environ.get("wsgi.input"))
    environ["wsgi.input"] = recorder
    return recorder


def _event(environ: Environ, recorder: _Recorder | None) -> dict[str, Any]:
    event: dict[str, Any] = {"headers": environ_headers(environ)}
    if environ.get("QUERY_STRING"):
        event["query"] = RawQuery(str(environ["QUERY_STRING"]))
    data = recorder.recorded() if recorder else b""
    if recorder and data:
        length = str(environ.get("CONTENT_LENGTH") or "")
        event["body"] = RawBody(
            data,
            str(environ.get("CONTENT_TYPE") or ""),
            int(length) if length.isdigit() else recorder.length,
        )
    if environ.get("REMOTE_ADDR"):
        event["remote_addr"] = environ["REMOTE_ADDR"]
    return event


def _path(environ: Environ) -> str:
    """WSGI hands paths over as bytes in Latin-1's clothes."""
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


def _is_file(response: Iterable[bytes], environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(response, wrapper)
