"""What several tests of capture need."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Bucket:
    """What the tests look at: the objects that really lie in S3."""

    name: str
    client: Any

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def raw(self) -> list[bytes]:
        return [self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in self.keys()]

    def traces(self) -> list[dict[str, Any]]:
        return [json.loads(data) for data in self.raw()]

    def only(self) -> dict[str, Any]:
        traces = self.traces()
        assert len(traces) == 1, [trace["exception_type"] for trace in traces]
        return traces[0]


def raised(error: BaseException) -> BaseException:
    """`error` with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def waiting_in(directory: Path) -> list[bytes]:
    """The traces that wait in a spool directory, whoever's they are, oldest first."""
    found = []
    for path in sorted(directory.glob("*.journal")):
        try:
            data, at = path.read_bytes(), 0
        except FileNotFoundError:  # written out since it was listed
            continue
        while len(data) - at >= 13:
            mark, state, size, _ = struct.unpack_from(">4scII", data, at)
            assert mark == b"DGT1"
            if state == b"+":
                found.append(data[at + 13 : at + 13 + size].partition(b"\n")[2])
            at += 13 + size
    return found


def wait_until(condition: Callable[[], bool], timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Proxy:
    """A TCP proxy before a server, which can be slow, silent or gone."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.delay = 0.0
        self.mode = "open"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_connections()
        self._listener.close()

    def close_connections(self) -> None:
        for connection in self._sockets[1:]:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            if self.mode == "reset":
                client.close()
            elif self.mode == "open":
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=30)
        except OSError:
            client.close()
            return
        self._sockets.append(server)
        threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
        self._pump(server, client, True)

    def _pump(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        try:
            while data := source.recv(65536):
                if self.mode == "reset":
                    break
                if is_answer and self.delay:
                    time.sleep(self.delay)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
