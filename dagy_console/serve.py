"""`python -m dagy_console.serve HOST:PORT SECONDS`: the web server.

Whole requests are read, and whole answers sent, by one loop: however slow a client is, it holds no thread.
"""

import signal
import sys
import threading
import time
from typing import Any

from django.conf import settings
from waitress.server import create_server

from dagy_console.wsgi import application

_LIMITS: dict[str, Any] = {
    # More than anybody needs, below the 1,024 files that a process may have open.
    "connection_limit": 900,
    # select() stops at file number 1,024.
    "asyncore_use_poll": True,
    # Of silence, with no request under way.
    "channel_timeout": 30,
    "cleanup_interval": 5,
    # A key of 1,024 bytes, percent-encoded more than once, in a URL.
    "max_request_header_size": 64 * 1024,
    # Django refuses less with a problem; this bounds what is buffered.
    "max_request_body_size": 16 * 1024 * 1024,
    # What is waiting for a slow reader goes to a file, not to a thread that waits.
    "outbuf_high_watermark": 256 * 1024 * 1024,
    # Django counts the proxies itself: DAGY_TRUSTED_PROXIES.
    "clear_untrusted_proxy_headers": False,
    "ident": None,
}


def main(listen: str, grace: float) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way, for at most `grace` seconds."""
    server = create_server(application, listen=listen, threads=settings.WEB_THREADS, **_LIMITS)
    asked: list[int] = []

    def stop(number: int, _frame: object) -> None:
        asked.append(number)
        server.pull_trigger()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=_describe_api, name="openapi", daemon=True).start()
    while not asked:
        _turn(server)
    server.accepting = False
    server.socket.close()
    server.del_channel()
    until = time.monotonic() + grace
    while time.monotonic() < until and any(map(_is_busy, server.active_channels.values())):
        _turn(server)
    server.task_dispatcher.shutdown(timeout=1)


def _describe_api() -> None:
    """Build `/openapi.json`, so that nobody has to wait for it."""
    from dagy_console.api import api

    api.document()


def _turn(server: Any) -> None:
    server.asyncore.loop(timeout=1, map=server._map, use_poll=True, count=1)


def _is_busy(channel: Any) -> bool:
    return bool(channel.requests or channel.total_outbufs_len)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
