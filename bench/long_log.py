"""A very long log: it is followed while a node prints it, every part of the page is read, and the whole."""

from __future__ import annotations

import time
import urllib.request
from typing import Any

from bench.person import GROWTH, Person
from bench.stage import Console
from tests.home_times import Times


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
