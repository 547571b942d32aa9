"""A run with very many files: pages, API, zip, what a resumed run takes over, and the end of a run that leaves them."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bench.person import GROWTH, Person
from bench.stage import ROOT, Console
from bench.store_download import web_processes
from tests.home_times import Times

ZIP_SECONDS: Final = 180
"""So long the zip is read at the most: each file costs the same, and so does each minute."""
TAKEN_OVER: Final = 100_000
"""So many at the most."""
REALLY_LEFT: Final = 20_000
"""So many at the most are made by a node: the others are rows."""
MAKE_FILES: Final = """
import hashlib
from pathlib import Path
from django.core.files.storage import storages
from jobs import clock
from jobs.models import Artifact, Run
from jobs.seeding.bulk import in_a_hurry
run = Run.objects.get(pk={run})
at, content = clock.now(), b"x"
sha256 = hashlib.sha256(content).hexdigest()
place = Path(storages["artifacts"].path(f"{{sha256[:2]}}/{{sha256[2:4]}}/{{sha256}}"))
place.parent.mkdir(parents=True, exist_ok=True)
place.write_bytes(content)
alike = {{"run": run, "size_bytes": 1, "media_type": "text/csv", "sha256": sha256, "created_at": at}}
with in_a_hurry():
    for start in range(0, {count}, 50_000):
        Artifact.objects.bulk_create(
            Artifact(name=f"part-{{number:07}}.csv", dataset=f"part {{number}}",
                     node="first" if number < {taken} else "second", **alike)
            for number in range(start, min(start + 50_000, {count}))
        )
"""
CARRY_OVER: Final = """
import resource, time
from django.db import transaction
from jobs import clock
from jobs.models import Run
from jobs.runs.carry_over import carry_over
old, new = Run.objects.get(pk={old}), Run.objects.get(pk={new})
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
with transaction.atomic():
    carry_over(old, new, ["first"], [], clock.now())
took = time.monotonic() - began
print(took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, new.artifacts.count())
"""


def many_files(made: Console, person: Person, count: int) -> list[str]:
    """Rows of so many files in one run, and as many of them as a node leaves in some minutes."""
    job = _ended(made, "chain")
    run = job["number"]
    _shell(made, MAKE_FILES.format(run=run, count=count, taken=TAKEN_OVER))
    own = f"/runs/{run}/?tab=artifacts"
    paths = [own, f"{own}&after={count // 2}", f"/runs/{run}/", "/library/", "/"]
    with person.growth() as grew:
        pages = [person.seconds(path) for path in paths for _ in range(5)]
        sizes = [len(person.read(path)) for path in paths]
    said = f"the largest page has {max(sizes) / 1000:,.0f} kB; {Times(pages)}"
    print(f"  pages: {said}; {grew[0]:.1f} MB", flush=True)
    others = [_listed(made, person, job), _zipped(person, run), _taken_over(made, run)]
    others.append(_left(made, min(count, REALLY_LEFT)))
    most = max(grew[0], person.memory("VmHWM") - person.at_first)
    is_good = max(pages) < 3 and max(sizes) < 1_000_000 and most < GROWTH and all(others)
    return [f"a run with {count:,} files", said, f"{most:.1f} MB", "good" if is_good else "BAD"]


def _listed(made: Console, person: Person, job: dict[str, Any]) -> bool:
    """Twenty pages of the API's list."""
    times = []
    path = f"{made.url}/jobs/{job['id']}/artifacts"
    with person.growth() as grew:
        while path and len(times) < 20:
            began = time.monotonic()
            with urllib.request.urlopen(path, timeout=120) as answer:
                answer.read()
                path = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]
            times.append(time.monotonic() - began)
    print(f"  the API's list, 1,000 files each: {Times(times)}; {grew[0]:.1f} MB", flush=True)
    return max(times) < 3


def _zipped(person: Person, run: int) -> bool:
    with person.growth() as grew, person.reading("/") as home:
        began = time.monotonic()
        with person.opener.open(f"{person.base}/runs/{run}/artifacts.zip", timeout=600) as answer:
            size = packed = 0
            while time.monotonic() - began < ZIP_SECONDS and (part := answer.read1(1 << 16)):
                size, packed = size + len(part), packed + part.count(b"PK\3\4")
        took = time.monotonic() - began
    print(
        f"  the zip: {packed:,} files, {size / 1e6:,.0f} MB in {took:.0f} s; Home: {Times(home)}; {grew[0]:.1f} MB",
        flush=True,
    )
    return grew[0] < GROWTH


def _taken_over(made: Console, old: int) -> bool:
    said = _shell(made, CARRY_OVER.format(old=old, new=_ended(made, "chain")["number"])).split()
    print(
        f"  {int(said[2]):,} taken over by a resumed run: {float(said[0]):.0f} s, {float(said[1]):.0f} MB", flush=True
    )
    return float(said[1]) < GROWTH


def _left(made: Console, count: int) -> bool:
    """A node leaves them: how long it takes, and by how much the process grew that grew most, the worker."""
    before = {pid: _memory(pid, "VmRSS") for pid in web_processes(made)}
    began = time.monotonic()
    job = _ended(made, "leaves", count=count)
    took = time.monotonic() - began
    grew = max(_memory(pid, "VmHWM") - held for pid, held in before.items())
    print(f"  {count:,} files left by a node: {took:.0f} s ({job['status']}), worker {grew:.0f} MB", flush=True)
    return str(job["status"]) == "completed"


def _ended(made: Console, pipeline: str, **parameters: object) -> dict[str, Any]:
    job = made.call("POST", "/jobs", {"pipeline_name": pipeline, "parameters": parameters})
    return made.ended(job, seconds=6_000, pause=0.2)


def _memory(pid: int, name: str) -> float:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/status").read_text().partition(f"{name}:")[2].split()[0]) / 1024
    return 0


def _shell(made: Console, code: str) -> str:
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    return subprocess.run(command, cwd=ROOT, env=made.environment, check=True, capture_output=True, text=True).stdout
