"""The demo's report (rows over HTTP → CSV → zip → deck): the console against `kedro run` and against the plain script.

Usage: python -m bench.report [ROUNDS]
The plain script calls the same functions one after another in a process of its own, without Kedro.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from bench.stage import ROOT, Console, conditions, console, free_port, table

DEMO = ROOT / "pipelines" / "demo"
DATASET = "seattle-temps"
ROWS = 8759
SCRIPT = """
import sys
from pathlib import Path
from demo.pipelines.data_loading.fetch import FetchSettings, fetch_rows
from demo.pipelines.data_loading.process import process_rows
from demo.pipelines.reporting.files import write_csv_and_zip
from demo.pipelines.reporting.deck import make_deck
from demo.pipelines.reporting.report import ReportSettings

url, folder = sys.argv[1:]
rows = process_rows(fetch_rows(url, FetchSettings()))
csv, zipped = write_csv_and_zip(rows, url, folder)
deck = make_deck(rows, url, folder, "assets/report_template.pptx", ReportSettings())
print(len(rows))
"""


def timed(do: Callable[[], None]) -> float:
    began = time.time()
    do()
    return time.time() - began


def by_process(project: Path, command: list[str]) -> float:
    """Seconds of a process in the project's folder; the deck that it wrote was checked and is gone afterwards."""
    environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "PYTHONPATH": "src"}

    def run() -> None:
        subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)

    seconds = timed(run)
    deck = project / "data" / "08_reporting" / f"{DATASET}.pptx"
    assert deck.stat().st_size > 20_000, "the work was not done"
    shutil.rmtree(project / "data")
    return seconds


def by_console(stage: Console, url: str) -> float:
    """Seconds from the submit to the end of the run, whose rows and deck were checked."""
    began = time.time()
    job = stage.call("POST", "/jobs", {"pipeline_name": "reporting", "parameters": {"api_url": url}})
    job = stage.ended(job)
    assert job["status"] == "completed", job["error_message"]
    assert ROWS in job["results"]["row_counts"]["value"].values(), "the work was not done"
    return datetime.fromisoformat(job["completed_at"]).timestamp() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ways: dict[str, Callable[[], float]] = {}
    with console("--no-demo") as stage, api() as address:
        project = stage.folder / "demo"
        shutil.copytree(DEMO, project, ignore=shutil.ignore_patterns("data", "__pycache__", ".viz"))
        stage.manage("project", "add", str(project))
        url = f"{address}/datasets/{DATASET}"
        kedro = [sys.executable, "-m", "kedro", "run", "--pipelines", "reporting", "--params", f"api_url={url}"]
        ways["console (isolated)"] = lambda: by_console(stage, url)
        ways["kedro run"] = lambda: by_process(project, kedro)
        script = [sys.executable, "-c", SCRIPT, url, "data/08_reporting"]
        ways["plain script"] = lambda: by_process(project, script)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds + 1):
            for name, measured in ways.items():
                seconds[name].append(measured())
    report({name: statistics.median(each[1:]) for name, each in seconds.items()}, rounds)


@contextmanager
def api() -> Iterator[str]:
    """The demo API on a port of its own."""
    port = free_port()
    command = [sys.executable, "-m", "demo_api", "--port", str(port)]
    server = subprocess.Popen(command, cwd=DEMO / "src", stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("the demo API did not answer")


def report(median: dict[str, float], rounds: int) -> None:
    script = median["plain script"]
    print(f"{ROWS:,} rows over HTTP → CSV → zip → deck, medians of {rounds} rounds in turn; {conditions()}; "
          f"Kedro {version('kedro')}, pandas {version('pandas')}\n")  # fmt: skip
    rows = [[name, f"{seconds / script:.2f} ×", f"{seconds:.2f} s"] for name, seconds in median.items()]
    print(table(["", "against the script", "start → done"], rows))
    print(json.dumps({"report_ratio": round(median["console (isolated)"] / script, 2)}))


if __name__ == "__main__":
    main()
