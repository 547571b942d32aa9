"""A line that takes its time: two network devices whose frames this process carries over, each some milliseconds later.

Usage: python -m bench.delay MACHINE DEVICE MAC ADDRESS BRIDGE MILLISECONDS JITTER      (started in the hub's namespace)
Kernels without netem have no delay of their own. Ends with its standard input.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

TUNSETIFF: Final = 0x400454CA
TAP_WITHOUT_HEADER: Final = 0x0002 | 0x1000
FRAME: Final = 65_536
MOST_WAITING: Final = 20_000


def device(name: str) -> int:
    """A network device of this name, here; what is sent into it can be read, and the other way around."""
    made = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH22s", name.encode(), TAP_WITHOUT_HEADER, b""))
    return made


def enter(machine: str) -> None:
    """From now on this process is on that machine, as far as the network goes."""
    with Path(f"/run/netns/{machine}").open() as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


def carry(one: int, other: int, seconds: float, jitter: float) -> None:
    """Frames from each to the other, in their order, until nobody wants this any more."""
    waiting: list[tuple[float, int, int, bytes]] = []
    last = {one: 0.0, other: 0.0}
    number = 0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([one, other, sys.stdin], [], [], pause)
        if sys.stdin in ready:
            return
        for source in ready:
            target = other if source == one else one
            frame = os.read(source, FRAME)
            due = max(last[target], time.monotonic() + seconds + random.uniform(0, jitter))
            if len(waiting) < MOST_WAITING:
                number, last[target] = number + 1, due
                heapq.heappush(waiting, (due, number, target, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(waiting)
            try:
                os.write(target, frame)
            except OSError:  # the device is down, as a cable that was pulled
                continue


def main(machine: str, name: str, mac: str, address: str, bridge: str, milliseconds: str, jitter: str) -> None:
    near = device("late")
    for words in (("master", bridge), ("up",)):
        subprocess.run(["ip", "link", "set", "late", *words], check=True)
    enter(machine)
    far = device(name)
    subprocess.run(["ip", "link", "set", name, "address", mac], check=True)
    subprocess.run(["ip", "addr", "add", address, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    print("carries", flush=True)
    carry(near, far, float(milliseconds) / 1000, float(jitter) / 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
