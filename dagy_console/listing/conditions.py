"""Conditions of search keys that several lists have."""

import ipaddress

from django.db.models import Q


def in_network(column: str, value: str) -> Q:
    """An address, or every address of a network (CIDR)."""
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("write an address like 203.0.113.7, or a network like 203.0.113.0/24") from None
    # One address is read off the index in the list's order.
    return Q(**{column: value} if network.num_addresses == 1 else {f"{column}__within": str(network)})
