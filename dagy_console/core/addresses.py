"""Where a request comes from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address: the peer's, or what the outermost of DAGY_TRUSTED_PROXIES proxies saw.

    Anything to the left of that in X-Forwarded-For is the caller's own claim, and no evidence.
    """
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    chain = [*hops, request.META.get("REMOTE_ADDR", "")]
    address = chain[max(0, len(chain) - 1 - settings.TRUSTED_PROXIES)]
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


def client_network(request: HttpRequest) -> str:
    """What limits count by: the address, or the /64 of an IPv6 address, of which one caller has all."""
    address = client_ip(request)
    if address is None or ":" not in address:
        return address or "unknown"
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)
