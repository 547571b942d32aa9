"""A role that was told to end does so in time, whatever hangs: a database, the broker, the store, a thread."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Final

from console.tree.say import say

HEARD: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


def end_within(seconds: float) -> None:
    """From now on: so long after it was told to end, this process is gone; its leases and children end by themselves.

    The kernel's signal is heard beside the handlers, which cannot run while the main thread waits for an answer.
    """
    hearing, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end, args=(hearing, seconds), name="grace", daemon=True).start()


def _end(hearing: socket.socket, seconds: float) -> None:
    while not HEARD.intersection(hearing.recv(1)):
        pass
    threading.Event().wait(seconds)
    say(f"Told to stop {seconds:g} s ago and still waiting for an answer: stopping anyway.")
    sys.stdout.flush()
    os._exit(1)
