"""The process behind the S3 endpoint: loads Swift once, writes its rings, forks its four servers and watches them.

Started as `python -m embedded.swift_server <directory>`, where the directory holds what `embedded.s3` wrote.
Forking after the import makes the start three times as fast, and the four share their code's memory.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import swift.account.server
import swift.container.server
import swift.obj.server
import swift.proxy.server  # noqa: F401  (loaded here, so that the four processes share it)
from swift.common import constraints
from swift.common.ring import RingBuilder
from swift.common.wsgi import run_wsgi

from embedded.processes import die_with_parent

BACKENDS = ("account", "container", "object")
_log_stream = os.fdopen(os.dup(2), "w", buffering=1)


def log_to_file(
    _conf: Any, _name: Any, _console: Any, _route: Any, _format: Any, logger: logging.Logger, _adapted: Any
) -> None:
    """Swift's hook for log handlers: into our log, in place of the machine's syslog."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(_log_stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)


def main(directory: Path) -> int:
    """Run until a signal, or until one of the four ends; that one's exit code."""
    # Swift reads its [swift-constraints] from /etc only. S3 allows 2 KB of metadata in one value, Swift 256 bytes.
    constraints.MAX_META_VALUE_LENGTH = 2048
    for backend in BACKENDS:
        _write_ring(directory, backend, int((directory / f"{backend}.port").read_text()))
    parent = os.getpid()
    children = {_fork(directory, server, parent): server for server in (*BACKENDS, "proxy")}

    def stop(_number: int, _frame: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    pid, status = os.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = children.pop(pid)
    print(f"swift {server} ended with status {status}", file=sys.stderr, flush=True)
    stop(signal.SIGTERM, None)
    while children:
        children.pop(os.wait()[0])
    return os.waitstatus_to_exitcode(status) or 1


def _write_ring(directory: Path, backend: str, port: int) -> None:
    # One device and one replica: every key lies there, so a ring made anew at each start is always the same.
    builder = RingBuilder(6, 1, 1)
    device = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1}
    builder.add_dev(device | {"replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(str(directory / f"{backend}.ring.gz"))


def _fork(directory: Path, server: str, parent: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent(signal.SIGTERM)
        if os.getppid() == parent:
            code = run_wsgi(str(directory / f"{server}.conf"), f"{server}-server") or 0
    finally:
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
