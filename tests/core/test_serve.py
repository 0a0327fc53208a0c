"""The web server: slow clients hold nobody up, long addresses pass, and a stop lets what is under way finish."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

# One server for all of them.
pytestmark = pytest.mark.xdist_group("serve")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [sys.executable, "-m", "dagy_console.serve", f"127.0.0.1:{port}", "4"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=output, stderr=output)
    deadline = time.monotonic() + 60
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0, log.read_text()


def get(port: int, path: str = "/health/live", **headers: str) -> tuple[int, bytes, float]:
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), time.monotonic() - began


@pytest.mark.parametrize("count", [8, 80])
@pytest.mark.parametrize(
    "half",
    [
        b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
        b"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_half_sent_requests_stop_nobody_else(port: int, count: int, half: bytes) -> None:
    get(port)
    with ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(half)
        status, _, seconds = get(port)
    assert status == 200
    assert seconds < 1


def test_a_key_of_the_largest_size_that_was_encoded_three_times_is_read(port: int) -> None:
    key = "%25252525E2" * 1024
    assert len(key) > 4096
    assert get(port, f"/admin/exceptions/content?key={key}")[0] == 401


def test_an_address_beyond_the_limit_is_refused_in_words(port: int) -> None:
    status, said, _ = get(port, "/health/live?" + "x" * 70_000)
    assert status == 431
    assert b"exceeds max_header of 65536" in said
    assert b"waitress" not in said


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("POST", "/auth/login")
    connection.putheader("Content-Length", str(2**30))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_two_lengths_are_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            b"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 400")
