"""Connect to addresses that people typed in, and to none inside of the network. Standard library alone.

Every address of a name is checked, and the connection goes to one that was: a name that answers otherwise a moment
later leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Place = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, Place]
Name = str | bytes | None

NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Inside(OSError):
    """The name leads to an address inside of the network."""


class NoSuchHost(OSError):
    """The name leads nowhere."""


def is_outside(address: str, allowed: Sequence[str]) -> bool:
    """Whether this is an address of the world, or in one of the networks that the setting allows."""
    found = ipaddress.ip_address(address.partition("%")[0])
    faces = list(_faces(found))
    if any(face in ipaddress.ip_network(network, strict=False) for network in allowed for face in faces):
        return True
    return all(face.is_global and not face.is_multicast for face in faces)


def _faces(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that it stands for."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            yield address.ipv4_mapped
        if address.sixtofour:
            yield address.sixtofour
        if address.teredo:
            yield from address.teredo
        if address in NAT64 or int(address) >> 32 == 0:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def checked(found: Sequence[Found], host: str, allowed: Sequence[str]) -> Sequence[Found]:
    """What the name leads to, or Inside when any of it is in the network."""
    for each in found:
        if not is_outside(str(each[4][0]), allowed):
            raise Inside(
                f"{host} leads to {each[4][0]}, which is inside the network: an admin can allow that network in "
                "CONSOLE_CHANNEL_NETWORKS."
            )
    return found


def resolve(host: str, port: int, allowed: Sequence[str]) -> Sequence[Found]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NoSuchHost(f"There is no host {host}.") from error
    return checked(found, host, allowed)


def connect(host: str, port: int, allowed: Sequence[str], seconds: float) -> socket.socket:
    """A connection to one of the checked addresses, the first that answers."""
    refusal: OSError = NoSuchHost(f"There is no host {host}.")
    for family, kind, protocol, _, place in resolve(host, port, allowed):
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(seconds)
        try:
            sock.connect(place)
        except OSError as error:
            sock.close()
            refusal = error
            continue
        return sock
    raise refusal


def guard(allowed: Sequence[str]) -> None:
    """From now on no name leads inside of the network, for all of this process."""
    ask = socket.getaddrinfo

    def ask_and_check(
        host: Name, port: str | bytes | int | None, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0,
        **named: int,
    ) -> Sequence[Found]:  # fmt: skip
        return checked(ask(host, port, family, named.get("type", kind), proto, flags), _text(host), allowed)

    vars(socket)["getaddrinfo"] = ask_and_check


def _text(host: Name) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)


@contextmanager
def within(seconds: float, ends: Callable[[], object]) -> Iterator[None]:
    """However slowly the other side drips, this is over after so many seconds."""
    timer = threading.Timer(seconds, ends)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
