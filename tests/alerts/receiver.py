"""Slack's, PagerDuty's and a webhook receiver's side on loopback: it checks what it gets as they do, and misbehaves on
order."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BYTES = 512 * 1024


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`orders` are what it answers next, first to last: (status, headers, seconds to wait); then what is right."""

    got: list[Received] = field(default_factory=list)
    orders: list[tuple[int, dict[str, str], float]] = field(default_factory=list)
    url: str = ""
    _server: ThreadingHTTPServer | None = None

    def order(self, status: int, *, headers: dict[str, str] | None = None, wait: float = 0) -> None:
        self.orders.append((status, headers or {}, wait))

    def __enter__(self) -> "Receiver":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.got.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.receiver.orders:
            status, headers, wait = self.receiver.orders.pop(0)
            if status == 0:
                self.connection.close()
                return
            time.sleep(wait)
            self._answer(status, b"as ordered", headers)
        elif self.path.startswith("/services/"):
            wrong = _wrong_for_slack(body)
            self._answer(400 if wrong else 200, wrong or b"ok", {})
        elif self.path == "/v2/enqueue":
            wrong = _wrong_for_pagerduty(body)
            told = {"status": "invalid event", "errors": [wrong]} if wrong else {"status": "success"}
            self._answer(400 if wrong else 202, json.dumps(told).encode(), {})
        else:
            self._answer(204, b"", {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _wrong_for_slack(body: bytes) -> bytes:
    """By the limits that Slack publishes."""
    told = json.loads(body)
    blocks = told.get("blocks", [])
    texts = [block["text"]["text"] for block in blocks if "text" in block]
    headers = [block["text"]["text"] for block in blocks if block["type"] == "header"]
    right = (
        isinstance(told.get("text"), str)
        and len(blocks) <= 50
        and all(1 <= len(text) <= 3_000 for text in texts)
        and all(len(text) <= 150 for text in headers)
        and sum(map(len, texts)) < 13_000
    )
    return b"" if right else b"invalid_blocks"


def _wrong_for_pagerduty(body: bytes) -> str:
    """By the schema and the limits that PagerDuty publishes."""
    event = json.loads(body)
    if len(body) > BYTES:
        return "too large"
    if len(event.get("routing_key", "")) != 32:
        return "Length of 'routing_key' is incorrect (should be 32 characters)"
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve") or len(event["dedup_key"]) > 255:
        return "'event_action' or 'dedup_key' is invalid"
    if event["event_action"] != "trigger":
        return ""
    payload = event.get("payload", {})
    if not 1 <= len(payload.get("summary", "")) <= 1_024 or not payload.get("source"):
        return "'payload' is missing"
    return "" if payload.get("severity") in ("critical", "error", "warning", "info") else "'severity' is invalid"
