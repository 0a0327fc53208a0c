"""An HTTP server before S3 that answers some PUTs by itself, as a policy, a proxy or an overload would."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class Gatekeeper:
    """`refuse` maps a part of a key ("" is in every key) to the status and code that its PUT is answered with,
    with `headers`."""

    def __init__(self, url: str) -> None:
        self.refuse: dict[str, tuple[int, str]] = {}
        self.headers: dict[str, str] = {}
        self.seen: list[str] = []
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

    def puts_of(self, part: str) -> int:
        return sum(part in path for path in self.seen)

    def _answer(self, path: str) -> tuple[int, str] | None:
        self.seen.append(path)
        return next((answer for part, answer in self.refuse.items() if part in path), None)

    def _forward(self, path: str, headers: Any, data: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._target, timeout=20)
        try:
            connection.request("PUT", path, data, {name: value for name, value in headers.items() if name != "Expect"})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                refused = gate._answer(self.path)
                if refused is None:
                    status, headers, body = gate._forward(self.path, self.headers, data)
                else:
                    status, headers = refused[0], [("Content-Type", "application/xml"), *gate.headers.items()]
                    body = f"<Error><Code>{refused[1]}</Code><Message>no</Message></Error>".encode()
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
