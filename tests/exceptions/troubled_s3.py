"""A server before S3 through which all requests go, and which can get them, or their answers, into trouble."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes
    forward: Callable[[], Reply]

    @property
    def is_deletion(self) -> bool:
        return self.method == "POST" and "delete" in urlsplit(self.path).query

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and "list-type=2" in self.path

    def reads(self, key: str) -> bool:
        return self.method == "GET" and unquote(urlsplit(self.path).path).endswith(key)


def error(status: int, code: str) -> Reply:
    return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode()


class TroubledS3:
    """`answer` says what becomes of a request: a reply, or None for a connection that is cut without one."""

    def __init__(self, url: str) -> None:
        self.answer: Callable[[Request], Reply | None] = lambda request: request.forward()
        self._target = urlsplit(url).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _forward(self, method: str, path: str, headers: Any, body: bytes) -> Reply:
        connection = http.client.HTTPConnection(self._target, timeout=20)
        try:
            connection.request(method, path, body, {name: value for name, value in headers.items() if name != "Expect"})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))

                def forward() -> Reply:
                    return server._forward(self.command, self.path, self.headers, body)

                reply = server.answer(Request(self.command, self.path, body, forward))
                if reply is None:
                    self.close_connection = True
                    return
                self.send_response_only(reply[0])
                for name, value in reply[1].items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply[2])))
                self.end_headers()
                self.wfile.write(reply[2])

            do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
