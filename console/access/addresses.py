"""The address that a request comes from; a proxy's word for it counts only where the settings name that proxy."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from console.networks import is_within

Address = IPv4Address | IPv6Address
WITH_PORT: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+|\[([0-9a-fA-F:.]+)\](?::\d+)?")
MOST_STATIONS: Final = 50
HOUSEHOLD_BITS: Final = 64
SPEAKS_FOR_OTHERS: Final = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")


def client_address(request: Any) -> str:
    """The address of whoever asks, as far as those who passed the request on are trusted; "" when there is none."""
    peer = _parsed(request.META.get("REMOTE_ADDR", ""))
    if peer is None:
        return ""
    if _is_trusted(peer):
        peer = _passed_on(request.META.get("HTTP_X_FORWARDED_FOR", ""), peer)
    return str(peer)


def whose_address(request: Any) -> str:
    """What is counted and locked: of IPv6 the network of one household or machine, which has all its addresses."""
    found = _parsed(client_address(request))
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, HOUSEHOLD_BITS), strict=False).network_address)
    return str(found or "")


class HearTrustedProxies:
    """Where proxies are named, only these say whether a request came by HTTPS."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.CONSOLE_TRUSTED_PROXIES:
            peer = _parsed(request.META.get("REMOTE_ADDR", ""))
            for name in SPEAKS_FOR_OTHERS if peer is None or not _is_trusted(peer) else ():
                request.META.pop(name, None)
        return self._answer(request)


def _passed_on(header: str, peer: Address) -> Address:
    """From the nearest station outwards: the first that is none of ours, or the last that can be read."""
    for station in reversed(header.split(",")[-MOST_STATIONS:]):
        found = _parsed(station.strip())
        if found is None:
            return peer
        peer = found
        if not _is_trusted(found):
            return peer
    return peer


def _is_trusted(address: Address) -> bool:
    return is_within(address, settings.CONSOLE_TRUSTED_PROXIES)


def _parsed(text: str) -> Address | None:
    """An address, also with a port; an IPv4 address in IPv6's clothes is one of IPv4."""
    if found := WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
