"""Requests by which cloud libraries look whether they run in a cloud: no request of a node's own."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

NAMES = frozenset(
    {
        "metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal",
        "metadata.platformequinix.com", "metadata.packet.net", "instance-data", "instance-data.ec2.internal",
    }
)  # fmt: skip
ADDRESSES = frozenset(
    {
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, of old
        "168.63.129.16",  # Azure's agent
        "fd00:ec2::254", "fd00:ec2::23",  # Amazon
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    }
)  # fmt: skip


def is_probe(url: str) -> bool:
    """Whether it asks a cloud's metadata service, whose absence is the usual answer."""
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower().rstrip(".")
    except ValueError:
        return False
    if host in NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_link_local or str(address) in ADDRESSES
