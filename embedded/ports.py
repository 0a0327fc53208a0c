"""Ports of 127.0.0.1: free when they are chosen, then kept, so that links and scripts stay good."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import read_json, write_json

# Below the range that the kernel takes for outgoing connections, which would occupy a kept port now and then.
_RANGE = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kept_ports(path: Path, names: Mapping[str, str], *, preferred: Mapping[str, int] | None = None) -> dict[str, int]:
    """The port of each name in `names` (name to what a person calls that server), kept in the file `path`.

    A name without a port gets its preferred one where that is free, else a free one by chance.
    Raises EmbeddedError where a kept port is taken.
    """
    stored = read_json(path)
    kept = {name: port for name, port in stored.items() if isinstance(port, int)}
    for name, port in kept.items():
        if name in names and not is_free(port):
            raise EmbeddedError(
                f"Port {port} of 127.0.0.1, kept for {names[name]}, is taken by another program: "
                f"stop that program, or remove {path} to have new ports chosen. Nothing was started, no data was lost."
            )
    chosen = dict(kept)
    for name in names:
        if name not in chosen:
            chosen[name] = _choose((preferred or {}).get(name), chosen.values())
    if chosen != stored:
        write_json(path, chosen)
    return {name: chosen[name] for name in names}


def _choose(preferred: int | None, used: Iterable[int]) -> int:
    taken = set(used)
    if preferred is not None and preferred not in taken and is_free(preferred):
        return preferred
    for port in random.sample(_RANGE, 200):
        if port not in taken and is_free(port):
            return port
    raise EmbeddedError(
        f"No free port was found between {_RANGE.start} and {_RANGE.stop} on 127.0.0.1: stop some programs."
    )
