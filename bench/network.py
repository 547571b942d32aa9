"""Machines in network namespaces on one wire, and what can go wrong with it: `ip`, `tc`, `nft`, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from bench.stage import ROOT

NET: Final = "10.213.77"
BRIDGE: Final = "wire"
PORT: Final = "eth0"
LATE: Final = "late0"
"""What is in the place of the port while a process carries its packets."""
PROGRAMS: Final = ("ip", "tc", "nft", "setpriv", "unshare")
DROPS: Final = """
table inet faults {{
  chain into {{
    type filter hook input priority 0
    {into}
  }}
  chain out {{
    type filter hook output priority 0
    {out}
  }}
}}
"""


def missing() -> str:
    """Why this machine cannot have such a network, as a sentence; "" when it can."""
    if os.geteuid():
        return "Namespaces of the network need root."
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking:
        return f"There is no {' and no '.join(lacking)} here: install iproute2, nftables and util-linux."
    name = f"try-{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "exec", name, "nft", "-f", "-", text=DROPS.format(into="tcp dport 1 drop", out=""))
    except subprocess.CalledProcessError as refusal:
        return f"The kernel refuses: {refusal.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


def _run(*command: str, text: str = "") -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Machine:
    """A namespace with an address and, for what runs in it, a host name of its own."""

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        """These words, run on this machine."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        return ["ip", "netns", "exec", self.name, *named, *words]

    # ---- faults: each lasts until `heal`

    def pull_the_cable(self) -> None:
        """No packet leaves or comes, and this machine knows it."""
        _run("ip", "-n", self.name, "link", "set", PORT, "down")

    def drop(self, *, into: bool = True, out: bool = True, port: int = 0, percent: int = 100) -> None:
        """Packets vanish without a word, of one direction or both, of one service or all."""
        share = "" if percent == 100 else f"numgen random mod 100 < {percent} "
        rules = [f"tcp {way} {port} " if port else "" for way in ("sport", "dport")]
        given = (f'oifname != "lo" {rules[1]}{share}drop', f'iifname != "lo" {rules[0]}{share}drop')
        text = DROPS.format(out=given[0] if out else "", into=given[1] if into else "")
        _run("ip", "netns", "exec", self.name, "nft", "-f", "-", text=text)

    def slow_down(self, kilobits: int) -> None:
        """The line carries no more than this, each way."""
        for name, port in ((self.name, PORT), (HUB, _plug(self))):
            shape = ("tbf", "rate", f"{kilobits}kbit", "burst", "16kb", "latency", "800ms")
            _run("tc", "-n", name, "qdisc", "replace", "dev", port, "root", *shape)

    def delay(self, milliseconds: int, jitter: int = 0) -> None:
        """Each packet comes so much later, each way: a process stands in for the cable."""
        mac = _run("ip", "netns", "exec", self.name, "cat", f"/sys/class/net/{PORT}/address").strip()
        _run("ip", "-n", self.name, "link", "set", PORT, "down")
        words = [self.name, LATE, mac, f"{self.address}/24", BRIDGE, str(milliseconds), str(jitter)]
        command = ["ip", "netns", "exec", HUB, sys.executable, "-m", "bench.delay", *words]
        carrier = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _CARRIERS[self.name] = carrier
        if not carrier.stdout or carrier.stdout.readline().strip() != "carries":
            raise SystemExit("The process that carries packets did not start.")

    def heal(self) -> None:
        if carrier := _CARRIERS.pop(self.name, None):
            carrier.communicate()
        _run("ip", "netns", "exec", self.name, "nft", "flush", "ruleset")
        for name, port in ((self.name, PORT), (HUB, _plug(self))):
            with suppress(subprocess.CalledProcessError):  # it was not slow
                _run("tc", "-n", name, "qdisc", "del", "dev", port, "root")
        _run("ip", "-n", self.name, "link", "set", PORT, "up")


_CARRIERS: Final[dict[str, subprocess.Popen[str]]] = {}
HUB: Final = f"kc-{os.getpid()}-one"


def _plug(machine: Machine) -> str:
    return f"to-{machine.address.rpartition('.')[2]}"


@contextmanager
def network(*names: str) -> Iterator[list[Machine]]:
    """The first machine, on which the wire is, and the others; this process sees them at the last address."""
    machines = [Machine(f"kc-{os.getpid()}-{name}", f"{NET}.{place}") for place, name in enumerate(names, 1)]
    outside = Machine("", f"{NET}.99")
    try:
        for machine in machines:
            _run("ip", "netns", "add", machine.name)
            _run("ip", "-n", machine.name, "link", "set", "lo", "up")
        _run("ip", "-n", HUB, "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "-n", HUB, "addr", "add", f"{machines[0].address}/24", "dev", BRIDGE)
        _run("ip", "-n", HUB, "link", "set", BRIDGE, "up")
        for machine in (*machines[1:], outside):
            _plug_in(machine)
        yield machines
    finally:
        for carrier in _CARRIERS.values():
            carrier.communicate()
        _CARRIERS.clear()
        for machine in machines:
            subprocess.run(["ip", "netns", "del", machine.name], capture_output=True, check=False)


def _plug_in(machine: Machine) -> None:
    own, plug = (PORT if machine.name else f"kc-{os.getpid()}"), _plug(machine)
    there = ["netns", machine.name] if machine.name else []
    _run("ip", "link", "add", own if not there else f"kc{os.getpid()}x", "type", "veth", "peer", plug, "netns", HUB)
    if there:
        _run("ip", "link", "set", f"kc{os.getpid()}x", "name", own, *there)
    at = ["-n", machine.name] if machine.name else []
    _run("ip", *at, "addr", "add", f"{machine.address}/24", "dev", own)
    _run("ip", *at, "link", "set", own, "up")
    _run("ip", "-n", HUB, "link", "set", plug, "master", BRIDGE, "up")
