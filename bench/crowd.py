"""A crowd: runs submitted at once, pages left open, a very large log, and a run with very many files.

Usage: python -m bench.crowd [--runs 1000] [--pages 10000] [--log MEGABYTES] [--files 1000000]
Each part can be left out with 0. Of web is said by how much its memory grew at the most, and how long pages took
meanwhile, each answer counted; an answer above 499 is a fault, and so is a run that was promised and has no row.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bench.stage import Console, conditions, console, table
from bench.store_download import web_processes
from tests.home_times import Times
from tests.toys import write_toy

SENDERS: Final = 20
OF_ONE_ADDRESS: Final = 5_000
GROWTH: Final = 120
"""Megabytes, of which most are what web grows by when it shows its first pages."""
LOCAL: Final = "127.0.0.{}"
MAKE_FILES: Final = """
from jobs import clock
from jobs.models import Artifact, Run
run = Run.objects.get(pk={run})
at = clock.now()
for start in range(0, {count}, 5_000):
    Artifact.objects.bulk_create(
        Artifact(run=run, name=f"part-{{number:07}}.csv", dataset=f"part {{number}}", media_type="text/csv",
                 size_bytes=1, sha256="0" * 64, created_at=at)
        for number in range(start, min(start + 5_000, {count}))
    )
print(Artifact.objects.filter(run=run).count())
"""


class Person:
    """Somebody with a login, and web's process as the machine sees it."""

    def __init__(self, made: Console) -> None:
        self.made, self.base = made, made.url.removesuffix("/api/v1")
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        form = self.read("/login/")
        found = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', form)
        assert found, form[:300]
        given = {"username": "admin", "password": made.password, "csrfmiddlewaretoken": found[1]}
        self.opener.open(f"{self.base}/login/", urllib.parse.urlencode(given).encode()).read()
        self.web = _listener(made)
        self.at_first = self.memory()

    def read(self, path: str) -> str:
        text: str = self.opener.open(f"{self.base}{path}", timeout=120).read().decode()
        return text

    def seconds(self, path: str) -> float:
        began = time.monotonic()
        self.read(path)
        return time.monotonic() - began

    def memory(self, name: str = "VmRSS") -> float:
        text = Path(f"/proc/{self.web}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0]) / 1024

    @contextmanager
    def growth(self) -> Iterator[list[float]]:
        """Megabytes of web above what it held before, at the most."""
        Path(f"/proc/{self.web}/clear_refs").write_text("5")
        before, found = self.memory(), list[float]()
        yield found
        found.append(self.memory("VmHWM") - before)

    @contextmanager
    def reading(self, path: str) -> Iterator[list[float]]:
        """The page is asked for again and again meanwhile."""
        found: list[float] = []
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.wait(0.2):
                found.append(self.seconds(path))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        yield found
        is_over.set()
        asking.join(150)


def _listener(made: Console) -> int:
    """The process of the tree that listens where the pages are: web."""
    port = int(made.url.removesuffix("/api/v1").rpartition(":")[2])
    heads = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = {f"socket:[{row[9]}]" for row in heads if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    for pid in web_processes(made):
        if any(_leads_to(each, inode) for each in Path(f"/proc/{pid}/fd").iterdir()):
            return pid
    raise SystemExit("Web was not found.")


def _leads_to(link: Path, target: str) -> bool:
    with suppress(OSError):
        return str(link.readlink()) == target
    return False


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


def large_log(made: Console, person: Person, megabytes: int) -> list[str]:
    """A node prints so much; somebody follows it, and afterwards reads every part of the page, and the whole."""
    job = made.call("POST", "/jobs", {"pipeline_name": "prints", "parameters": {"megabytes": megabytes}})
    run, began = job["number"], time.monotonic()
    with person.growth() as following, person.reading(f"/runs/{run}/logs/?lines=1&after=199000") as seconds:
        ended = made.ended(job, seconds=9_000, pause=1)
        took = time.monotonic() - began
    print(f"  printed in {took:.0f} s, followed meanwhile: {Times(seconds)}; {following[0]:.1f} MB", flush=True)
    middle = ended_at(made, job) // 2
    grew, pages = list(following), list(seconds)
    for name, paths in log_pages(run, middle).items():
        with person.growth() as more:
            times = [person.seconds(path) for path in paths for _ in range(5)]
        print(f"  {name}: worst {max(times):.3f} s; {more[0]:.1f} MB", flush=True)
        pages, grew = pages + times, grew + more
    with person.growth() as more:
        size, seconds_of_all = download(f"{made.url}/jobs/{job['id']}/logs/text")
    print(f"  download: {size / 1e6:,.0f} MB in {seconds_of_all:.0f} s; {more[0]:.1f} MB", flush=True)
    most = max(*grew, *more, person.memory() - person.at_first)
    is_good = ended["status"] == "completed" and max(pages) < 5 and most < GROWTH
    said = f"printed in {took:.0f} s, downloads as {size / 1e6:,.0f} MB; all pages: {Times(pages)}"
    return [f"a log of {megabytes:,} MB", said, f"{most:.1f} MB", "good" if is_good else "BAD"]


def log_pages(run: int, middle: int) -> dict[str, list[str]]:
    """What a page asks for while somebody reads a log, by what they do."""
    lines = f"/runs/{run}/logs/?lines=1"
    return {
        "the tab": [f"/runs/{run}/?tab=logs"],
        "first lines": [f"{lines}&after=0"],
        "last lines": [lines],
        "a jump into the middle": [f"{lines}&around={middle}"],
        "a search with hits": [f"{lines}&text=xxx", f"/runs/{run}/logs/hits/?text=xxx"],
        "a search without": [f"{lines}&text=nosuchword", f"/runs/{run}/logs/hits/?text=nosuchword"],
        "the first error": [f"{lines}&error=1"],
        "the counts": [f"/runs/{run}/logs/counts/"],
    }


def ended_at(made: Console, job: dict[str, Any]) -> int:
    """The number of the last line."""
    last = 0
    while True:
        page = made.call("GET", f"/jobs/{job['id']}/logs?after={last}&text=the+very+last+line")
        last = int(page["last_seq"])
        if not page["has_more"]:
            return last


def download(url: str) -> tuple[int, float]:
    """Bytes and seconds."""
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=600) as answer:
        size = sum(len(part) for part in iter(lambda: answer.read(1 << 20), b""))
    return size, time.monotonic() - began


def many_files(made: Console, person: Person, count: int) -> list[str]:
    """Rows of so many files in one run."""
    job = made.call("POST", "/jobs", {"pipeline_name": "chain"})
    made.ended(job)
    run = job["number"]
    code = MAKE_FILES.format(run=run, count=count)
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        cwd=Path(__file__).parent.parent, env=made.environment, check=True, capture_output=True,
    )  # fmt: skip
    own = f"/runs/{run}/?tab=artifacts"
    paths = [own, f"{own}&after={count // 2}", f"/runs/{run}/", "/library/", "/"]
    with person.growth() as grew:
        pages = [person.seconds(path) for path in paths for _ in range(5)]
        sizes = [len(person.read(path)) for path in paths]
    is_good = max(pages) < 3 and max(sizes) < 1_000_000 and grew[0] < GROWTH
    said = f"the largest page has {max(sizes) / 1000:,.0f} kB; {Times(pages)}"
    return [f"a run with {count:,} files", said, f"{grew[0]:.1f} MB", "good" if is_good else "BAD"]


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
