"""A stranger may say what they like about where they come from: only named proxies are believed."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from console.access.addresses import HearTrustedProxies, client_address, whose_address

PROXIES = ["10.0.0.0/8", "fd00::1", "192.0.2.7"]


def seen(settings, peer: str, forwarded: str | None = None, proxies: list[str] = PROXIES) -> str:
    settings.CONSOLE_TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("10.1.2.3", "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("10.1.2.3", "6.6.6.6, 203.0.113.5, 10.9.9.9, 192.0.2.7", "203.0.113.5"),
        ("10.1.2.3", "10.4.4.4, 10.5.5.5", "10.4.4.4"),
        ("10.1.2.3", "203.0.113.5:4711", "203.0.113.5"),
        ("fd00::1", "[2001:db8::7]:80", "2001:db8::7"),
        ("fd00::1", "2001:DB8::7", "2001:db8::7"),
        ("::ffff:10.1.2.3", "::ffff:203.0.113.5", "203.0.113.5"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.5, nonsense", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", ", ".join(["6.6.6.6"] * 5000 + ["203.0.113.5"]), "203.0.113.5"),
    ],
)
def test_a_named_proxy_says_for_whom_it_speaks(settings, peer: str, forwarded: str | None, address: str) -> None:
    assert seen(settings, peer, forwarded) == address


@pytest.mark.parametrize("peer", ["203.0.113.9", "11.0.0.1", "127.0.0.1", "::1", "2001:db8::1"])
def test_nobody_else_is_believed(settings, peer: str) -> None:
    assert seen(settings, peer, "10.0.0.1") == peer
    assert seen(settings, peer, "10.0.0.1", []) == peer


def test_a_peer_without_an_address_has_none(settings) -> None:
    assert seen(settings, "unix:", "6.6.6.6") == "" == seen(settings, "", None)


def test_only_a_named_proxy_says_that_it_was_https(settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    secure = HearTrustedProxies(lambda request: request.is_secure())  # type: ignore[arg-type, return-value]
    for proxies, peer, believed in (
        (PROXIES, "10.0.0.1", True),
        (PROXIES, "203.0.113.9", False),
        ([], "9.9.9.9", True),
    ):
        settings.CONSOLE_TRUSTED_PROXIES = proxies
        assert secure(RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_PROTO="https")) is believed


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2::7", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:1:2:3", "2001:db8:1:2::"),
        ("2001:db8:1:3::7", "2001:db8:1:3::"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("", ""),
    ],
)
def test_all_addresses_of_one_network_of_ipv6_are_counted_as_one(peer: str, counted: str) -> None:
    assert whose_address(RequestFactory().get("/", REMOTE_ADDR=peer)) == counted
