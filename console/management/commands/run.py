"""Start a run, and with --wait follow it to its end."""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from typing import Any, Final

from django.core.management.base import CommandParser

from console.acting import ActingCommand, who
from console.api.shapes import ArtifactShape, JobShape, address
from console.env import START
from console.management import given
from console.management.bars import Bars
from console.management.resuming import preview_resume, to_resume
from console.management.sentences import CANCELLED, FAILED, LEFT_ALONE, printable, refuse
from jobs import clock
from jobs.errors import ConsoleError, RequestError
from jobs.models import Run, Worker
from jobs.reconnect import attempt
from jobs.runs.find import find_pipeline
from jobs.runs.launch import launch
from jobs.runs.order import Order
from jobs.runs.resume import resume
from jobs.states import Cause, Runner, Status
from jobs.structure.selection import Selection

logger = logging.getLogger(__name__)

CODES: Final[dict[str, int]] = {Status.SUCCEEDED: 0, Status.CANCELLED: CANCELLED}
LOOK_SECONDS: Final = 0.2
PARAM: Final = 'The value is YAML. Dots lead into groups, as in a.b; a name that has dots itself in quotes: a."b.c".'
NAMED: Final[dict[str, str]] = {
    "nodes": "These alone.",
    "from_nodes": "These and all after them.",
    "to_nodes": "These and all before them.",
    "from_inputs": "Nodes that read these datasets, and all after them.",
    "to_outputs": "Nodes that make these datasets, and all before them.",
    "tags": "Nodes with one of these tags.",
    "namespaces": "Nodes in one of these namespaces.",
}
"""Choices of nodes, separated by commas; several count together."""


class Command(ActingCommand):
    help = (
        "Start a run of a pipeline. With --wait it ends with 0 when the run succeeded, 1 when it failed or crashed, "
        "3 when it was cancelled; 2 is wrong use."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pipeline", nargs="?", default="", help="A name, also as project/pipeline.")
        parser.add_argument("--resume", type=int, metavar="NUMBER", help="Continue where this run ended, instead.")
        parser.add_argument(
            "--dry-run", action="store_true", help="With --resume: what it would reuse, run and write again; no start."
        )
        parser.add_argument("--project", default="")
        parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help=PARAM)
        parser.add_argument("--params-file", default="", metavar="FILE", help="YAML or JSON.")
        parser.add_argument("--runner", default="", choices=Runner.values, help="Default: the pipeline's own.")
        for name, words in NAMED.items():
            metavar = name.rpartition("_")[2].upper()
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, action="append", default=[], metavar=metavar, help=words)
        parser.add_argument("--only-missing-outputs", action="store_true", help="Only nodes with missing outputs.")
        parser.add_argument("--load-versions", action="append", default=[], metavar="DATASET:VERSION")
        parser.add_argument("--env", default="", help="The Kedro environment; default: the project's own.")
        parser.add_argument("--everything", action="store_true", help="Also what did not change.")
        parser.add_argument("--wait", action="store_true", help="Show the progress and end as the run ends.")
        parser.add_argument("--json", action="store_true", help="Print the job as the API shows it, and nothing else.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            preview_resume(self, options)
            return
        try:
            run = _start(options)
        except ConsoleError as error:
            refuse(self, error)
        if not options["json"]:
            self.stdout.write(f"Run #{run.pk} of {run.pipeline} is queued: {_page(run)}")
        if options["wait"]:
            self._wait(run, is_quiet=options["json"])
        self._report(run, is_json=options["json"])
        if options["wait"] and (code := CODES.get(run.status, FAILED)):
            raise SystemExit(code)

    def _wait(self, run: Run, *, is_quiet: bool) -> None:
        bars = Bars(self.stdout, is_painted=self.stdout.isatty())
        try:
            self._warn(run)
            while not run.is_final:
                time.sleep(LOOK_SECONDS)
                attempt(partial(self._look, run, None if is_quiet else bars), what="The progress", log=logger)
        except KeyboardInterrupt:
            self.stderr.write(f"\nRun #{run.pk} goes on without you; to stop it, cancel it at {_page(run)}")
            raise SystemExit(LEFT_ALONE) from None

    def _look(self, run: Run, bars: Bars | None) -> None:
        run.refresh_from_db()
        if bars:
            bars.show(run, list(run.node_runs.all()), clock.now())

    def _warn(self, run: Run) -> None:
        if not Worker.objects.alive(clock.now()).exists():
            self.stderr.write(f"No worker is alive: run #{run.pk} waits until one is (`{START}` starts one).")

    def _report(self, run: Run, *, is_json: bool) -> None:
        if is_json:
            files = ArtifactShape(run.artifacts.select_related("run").order_by("id"), many=True).data
            self.stdout.write(json.dumps({**JobShape(run).data, "artifacts": files}, indent=2))
        elif run.is_final:
            self._tell_end(run)

    def _tell_end(self, run: Run) -> None:
        took = f" after {run.duration.total_seconds():.1f} s" if run.duration is not None else ""
        self.stdout.write(f"Run #{run.pk} {run.status}{took}: {_page(run)}")
        if run.error:
            self.stderr.write(printable(run.error))
        for said in filter(None, (run.code_change, run.graph_change, run.warning)):
            self.stderr.write(printable(said))
        for artifact in run.artifacts.order_by("id"):
            size = f"{artifact.size_bytes:,} bytes"
            self.stdout.write(f"  {printable(artifact.name)}  {size}  {address({}, artifact.get_absolute_url())}")
            if artifact.upload and artifact.upload.is_late(clock.now()):
                why = f"is kept, not yet in the store. {artifact.upload.sentence(clock.now())}"
                self.stderr.write(f"  {printable(artifact.name)} {printable(why)}")
        for unkept in run.unkept_files.all():
            self.stderr.write(f"  {printable(unkept.reason)}")


def _start(options: dict[str, Any]) -> Run:
    if (options["resume"] is None) == (not options["pipeline"]):
        raise RequestError("Name a pipeline to run, or with --resume NUMBER a run to continue.")
    return _launch(options) if options["pipeline"] else _resume(options)


def _resume(options: dict[str, Any]) -> Run:
    run, changes = to_resume(options)
    return resume(run, at=clock.now(), by_name=who(), parameters=changes)


def _launch(options: dict[str, Any]) -> Run:
    pipeline = find_pipeline(options["pipeline"], options["project"])
    order = Order(
        pipeline,
        Cause.MANUAL,
        by_name=who(),
        cause_detail="from the command line",
        parameters=given.parameters(options["param"], options["params_file"], pipeline.known_parameters),
        selection=Selection(
            **{name: given.names(options[name]) for name in NAMED},
            only_missing_outputs=options["only_missing_outputs"],
            load_versions=given.versions(options["load_versions"]),
            env=options["env"],
        ),
        runner=options["runner"],
        everything=options["everything"],
    )
    return launch(order, at=clock.now())


def _page(run: Run) -> str:
    return address({}, run.get_absolute_url())
