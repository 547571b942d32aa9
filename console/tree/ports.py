"""Addresses that can be listened on."""

from __future__ import annotations

import socket


def refusal(host: str, port: int) -> str:
    """Why this address cannot be listened on, "" when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1)  # some systems only notice here that another listens
        except OSError as error:
            return error.strerror or str(error)
    return ""


def free_port(wanted: int) -> int:
    """This port of the loopback address, or any free one when it is taken."""
    if wanted <= 65535 and not refusal("127.0.0.1", wanted):
        return wanted
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
