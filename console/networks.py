"""Networks by their names: who is trusted to speak for others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network


def is_within(address: IPv4Address | IPv6Address, names: Sequence[str]) -> bool:
    return any(address in network for network in _networks(tuple(names)))


@lru_cache(maxsize=4)
def _networks(names: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(name, strict=False) for name in names]
