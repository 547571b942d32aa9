"""A crowd: runs submitted at once, pages left open, a very large log, and a run with very many files.

Usage: python -m bench.crowd [--runs 1000] [--pages 10000] [--log MEGABYTES] [--files 1000000]
Each part can be left out with 0. Of web is said by how much its memory grew at the most, and how long pages took
meanwhile, each answer counted; an answer above 499 is a fault, and so is a run that was promised and has no row.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bench.long_log import large_log
from bench.many_files import many_files
from bench.person import Person
from bench.stage import Console, conditions, console, table
from tests.home_times import Times
from tests.toys import write_toy

SENDERS: Final = 20
OF_ONE_ADDRESS: Final = 5_000
LOCAL: Final = "127.0.0.{}"


def submits(made: Console, person: Person, count: int) -> list[str]:
    """So many runs from twenty programs at once; each that was promised has its row."""
    body = json.dumps({"pipeline_name": "chain"}).encode()
    answers: Counter[int] = Counter()
    promised: set[str] = set()

    def send(_: int) -> None:
        request = urllib.request.Request(f"{made.url}/jobs", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                promised.add(json.load(answer)["id"])
                answers[answer.status] += 1
        except urllib.error.HTTPError as refusal:
            answers[refusal.code] += 1

    began = time.monotonic()
    with person.growth() as grew, person.reading("/") as pages, ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, range(count)))
    took = time.monotonic() - began
    rows = {job["id"] for job in _all_jobs(made)}
    lost = len(promised - rows)
    is_good = not lost and len(promised) == answers[201] and max(answers) < 500
    said = f"{dict(answers)}, {lost} without a row, {count / took:.0f} a second; Home: {Times(pages)}"
    return [f"{count:,} runs at once", said, f"{grew[0]:.1f} MB", "good" if is_good else "BAD"]


def _all_jobs(made: Console) -> Iterator[dict[str, Any]]:
    before = ""
    while found := made.call("GET", f"/jobs?limit=100{before}"):
        yield from found
        before = f"&before={found[-1]['number']}"


def open_pages(made: Console, person: Person, count: int) -> list[str]:
    """Connections that got a page and stay open, as browsers leave them; one more person comes."""
    host, port = "127.0.0.1", int(person.base.rpartition(":")[2])
    cookie = "; ".join(f"{each.name}={each.value}" for each in person.jar)
    request = f"GET /live HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode()
    kept: list[socket.socket] = []
    with person.growth() as grew:
        for number in range(count):
            one = socket.create_connection((host, port), 30, (LOCAL.format(2 + number // OF_ONE_ADDRESS), 0))
            one.sendall(request)
            assert one.recv(65_536).startswith(b"HTTP/1.1 200")
            kept.append(one)
        pages = [person.seconds("/") for _ in range(50)]
        held = sum(_is_held(one) for one in kept)
    for one in kept:
        one.close()
    said = f"each was answered, {held:,} connections still held at the end; Home: {Times(pages)}"
    return [f"{count:,} open pages", said, f"{grew[0]:.1f} MB", "good" if max(pages) < 2 else "BAD"]


def _is_held(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        while one.recv(65_536):  # what is left of its answer
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--log", type=int, default=1_024, metavar="MEGABYTES")
    parser.add_argument("--files", type=int, default=1_000_000)
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    parts: list[tuple[Callable[[Console, Person, int], list[str]], int]] = [
        (large_log, given.log), (many_files, given.files), (open_pages, given.pages), (submits, given.runs),
    ]  # fmt: skip
    print(conditions(), flush=True)
    rows = []
    with console("--no-demo") as made:
        project = write_toy(made.folder / "toy")
        made.manage("project", "add", str(project))
        person = Person(made)
        for part, count in parts:
            if count:
                rows.append(part(made, person, count))
                print("  ".join(rows[-1]), flush=True)
    print(table(["", "", "web grew by", ""], rows))
    print(conditions())
    return int(any(row[-1] != "good" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
