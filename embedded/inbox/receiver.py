"""Slack's, PagerDuty's and a webhook receiver's side on loopback: it checks what it gets as they do, and misbehaves on
order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from embedded.inbox.page import CSS, draw

_MOST_KEPT = 500
_PAGERDUTY_BYTES = 512 * 1024
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass
class Received:
    """`kind` is slack, pagerduty, webhook or email; `status` what was answered, 0 where the connection was cut."""

    kind: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Order:
    """What is answered instead of what is right. Status 0 cuts the connection."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0


@dataclass
class Receiver:
    """Serves on 127.0.0.1:`port` (0: any that is free), as a context manager. `orders` come first to last."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    url: str = ""
    _server: ThreadingHTTPServer | None = None

    def keep(self, received: Received) -> None:
        self.got.append(received)
        del self.got[:-_MOST_KEPT]

    def order(self, status: int, *, headers: Mapping[str, str] | None = None, wait: float = 0, times: int = 1) -> None:
        self.orders += [Order(status, headers or {}, wait)] * times

    def __enter__(self) -> Receiver:
        self._server = _Server(("127.0.0.1", self.port), type("Handler", (_Handler,), {"receiver": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/inbox.css":
            self._answer(200, CSS, {"Content-Type": "text/css"})
        elif self.path == "/":
            page = draw(reversed(self.receiver.got), len(self.receiver.orders))
            self._answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._answer(404, b"Nothing is here: the inbox is at /", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/orders":
            self._take_order(parse_qs(body.decode()))
            return
        got = Received(_kind(self.path), self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.receiver.keep(got)
        if self.receiver.orders:
            order = self.receiver.orders.pop(0)
            time.sleep(order.wait)
            got.status = order.status
            if order.status == 0:
                self.close_connection = True
                self.connection.close()
                return
            self._answer(order.status, b"as ordered", order.headers)
        else:
            got.status, said = _right(got)
            self._answer(got.status, said, {})

    def _take_order(self, form: dict[str, list[str]]) -> None:
        status, times = int(form["status"][0]), int(form["times"][0])
        self.receiver.order(status, headers={"Retry-After": "20"} if status == 429 else {}, times=times)
        self._answer(303, b"", {"Location": "/"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _kind(path: str) -> str:
    if path.startswith("/services/"):
        return "slack"
    return "pagerduty" if path == "/v2/enqueue" else "webhook"


def _right(got: Received) -> tuple[int, bytes]:
    if got.kind == "slack":
        wrong = _wrong_for_slack(got.body)
        return (400, wrong) if wrong else (200, b"ok")
    if got.kind == "pagerduty":
        wrong_event = _wrong_for_pagerduty(got.body)
        told = {"status": "invalid event", "errors": [wrong_event]} if wrong_event else {"status": "success"}
        return 400 if wrong_event else 202, json.dumps(told).encode()
    return 204, b""


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
    if len(body) > _PAGERDUTY_BYTES:
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
    return "" if payload.get("severity") in _SEVERITIES else "'severity' is invalid"
