"""Requests to addresses that people give: they never reach inside.

https only; every address that the name has must be a public one, and the one that was checked is the one connected to,
under the name for certificate and Host. No redirect is followed, no proxy of the environment used, one deadline holds
over it all, and of the answer no more than the beginning is read. `DAGY_CHANNEL_ALLOWED_HOSTS` exempts hosts and
networks from https and from the rule of public addresses.
"""

import socket
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

import urllib3
from django.conf import settings
from django.utils import timezone

SECONDS, READ_BYTES, LONGEST_URL = 10.0, 4_096, 2_000
# Of https and of what stands before it; with an exemption any.
PORTS = (443, 8443)
_Address = IPv4Address | IPv6Address
# Addresses that hold one of IPv4, and relays between the two.
_HOLDS_IPV4 = {ip_network("64:ff9b::/96"): 0, ip_network("::/96"): 0}
_NO_PUBLIC = [ip_network(given) for given in ("64:ff9b:1::/48", "192.88.99.0/24", "fec0::/10")]
_LATE = "There was no answer in time."
# Looking a name up can't be stopped: a thread that hangs is left behind.
_names = ThreadPoolExecutor(16, thread_name_prefix="names")


class Forbidden(Exception):
    """The address is none that may be asked. The text is a sentence."""


class NoAnswer(Exception):
    """Nobody answered, or not in time. The text says what happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the beginning of the body. `retry_after`: seconds, where the server says them."""

    status: int
    text: str
    retry_after: float | None = None


def check_url(url: str) -> SplitResult:
    """What can be told without looking its name up. Raises Forbidden."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("This is no address.") from None
    host = parts.hostname or ""
    if len(url) > LONGEST_URL or parts.scheme not in ("http", "https") or not host or not url.isprintable():
        raise Forbidden("This is no address: write one such as https://hooks.example.com/alerts.")
    if not url.isascii():
        raise Forbidden("Other letters than those of ASCII are written encoded: xn--… in the host, %… behind it.")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("An address with a name or password in it is not kept: use a secret path or the signature.")
    if _is_allowed_host(host) or _is_allowed_literal(host):
        return parts
    if parts.scheme != "https":
        raise Forbidden("The address must begin with https://.")
    if port not in (None, *PORTS):
        raise Forbidden(f"The port must be one of {', '.join(map(str, PORTS))}.")
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Raises Forbidden, NoAnswer."""
    deadline = monotonic() + SECONDS
    parts = check_url(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _checked_address(host, port)
    pool = _pool(parts.scheme, address, port, host, deadline - monotonic())
    watch = _Deadline(pool, deadline)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        answer = pool.urlopen(
            "POST",
            path,
            body=body,
            headers={**headers, "Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "Dagy-Console"},
            retries=False,
            redirect=False,
            preload_content=False,
        )
        if watch.is_late:
            # Cut off within the headers, which may look whole.
            raise NoAnswer(_LATE)
        text = _beginning(answer, deadline)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NoAnswer(_LATE if monotonic() >= deadline else _explained(error)) from None
    finally:
        watch.cancel()
        pool.close()
    return Answer(answer.status, text, _retry_after(answer.headers.get("Retry-After")))


class _Deadline:
    """Cuts a pool's connection off at the deadline.

    A time-out of a socket begins anew with each byte: by it alone, a server that sends one byte a second is never late.
    """

    def __init__(self, pool: urllib3.HTTPConnectionPool, deadline: float) -> None:
        self._socket: socket.socket | None = None
        self.is_late = False
        self._lock = threading.Lock()
        pool.ConnectionCls = self._watched(pool.ConnectionCls)
        self._timer = threading.Timer(max(deadline - monotonic(), 0.1), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _watched(self, kind: Any) -> Any:
        watch = self._watch

        class Watched(kind):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                made: socket.socket = super()._new_conn()
                watch(made)
                return made

        return Watched

    def _watch(self, made: socket.socket) -> None:
        with self._lock:
            # One of its own, since encryption takes the other over.
            self._socket = made.dup()
        if self.is_late:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.is_late = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


def _checked_address(host: str, port: int) -> str:
    """One of the name's addresses, all of which may be asked."""
    looked_up: Future[list[str]] = _names.submit(_addresses, host, port)
    try:
        found = looked_up.result(timeout=SECONDS)
    except TimeoutError:
        raise NoAnswer(f"Looking up {host} took too long.") from None
    except (OSError, UnicodeError):
        raise NoAnswer(f"There is no host {host}.") from None
    if not _is_allowed_host(host):
        for address in found:
            if not (is_public(address) or _is_in_allowed_network(address)):
                raise Forbidden(f"{host} leads to {address}, which is inside, or no single host.")
    return found[0]


def _addresses(host: str, port: int) -> list[str]:
    return [str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether this is an address of one host of the internet, also inside what it may hold."""
    found = ip_address(address)
    return _is_public(found) and all(_is_public(inner) for inner in _held(found))


def _is_public(address: _Address) -> bool:
    if any(address in network for network in _NO_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _held(address: _Address) -> list[IPv4Address]:
    """The addresses of IPv4 that one of IPv6 stands for."""
    if isinstance(address, IPv4Address):
        return []
    held = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _HOLDS_IPV4):
        held.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [found for found in held if found is not None]


def _is_allowed_host(host: str) -> bool:
    return host in settings.CHANNEL_ALLOWED_HOSTS


def _is_allowed_literal(host: str) -> bool:
    try:
        return _is_in_allowed_network(str(ip_address(host)))
    except ValueError:
        return False


def _is_in_allowed_network(address: str) -> bool:
    for allowed in settings.CHANNEL_ALLOWED_HOSTS:
        try:
            if ip_address(address) in ip_network(allowed):
                return True
        except ValueError:
            continue
    return False


def _pool(scheme: str, address: str, port: int, host: str, seconds: float) -> urllib3.HTTPConnectionPool:
    timeout = urllib3.Timeout(total=max(seconds, 0.1))
    if scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, timeout=timeout, maxsize=1)
    return urllib3.HTTPSConnectionPool(
        address,
        port,
        timeout=timeout,
        maxsize=1,
        ssl_context=ssl.create_default_context(),
        server_hostname=host,
        assert_hostname=host,
    )


def _beginning(answer: urllib3.BaseHTTPResponse, deadline: float) -> str:
    """However slowly it comes: what is there at the deadline."""
    read = b""
    while len(read) < READ_BYTES and monotonic() < deadline:
        try:
            piece = answer.read1(READ_BYTES - len(read))
        except (urllib3.exceptions.HTTPError, OSError):
            if monotonic() < deadline:
                raise
            break
        if not piece:
            break
        read += piece
    answer.close()
    return read.decode("utf-8", "replace")


def _retry_after(said: str | None) -> float | None:
    if said is None:
        return None
    if said.strip().isdecimal():
        return float(said.strip()[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said) - timezone.now()).total_seconds())
    except (ValueError, TypeError):
        return None


def _explained(error: Exception) -> str:
    # It is a kind of timeout to the library.
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "The connection was refused."
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return _LATE
    if isinstance(error, urllib3.exceptions.SSLError | ssl.SSLError):
        return f"The certificate or the encryption was refused: {error}"[:300]
    return f"The connection broke off ({type(error).__name__})."
