"""Run past dates of a pipeline: begin a backfill, list them, pause, resume, stop, run again."""

from __future__ import annotations

import json
import logging
import time
from datetime import date
from functools import partial
from typing import Any, Final

from django.core.management.base import CommandParser

from console.acting import ActingCommand, who
from console.api.backfills import BackfillShape, PlanShape, WholeBackfillShape
from console.api.shapes import address
from console.management import given
from console.management.sentences import CANCELLED, FAILED, LEFT_ALONE, printable, refuse
from jobs import clock
from jobs.backfills.begin import begin
from jobs.backfills.control import change, pause, resume, run_again, stop
from jobs.backfills.find import find_schedule
from jobs.backfills.plan import EVERY, Plan, Wanted, plan
from jobs.errors import BadParameters, ConsoleError, RequestError
from jobs.models import Backfill
from jobs.reconnect import attempt
from jobs.runs.find import find_pipeline
from jobs.states import Again, BackfillStatus, DateStatus, Direction, Runner

logger = logging.getLogger(__name__)

ACTS: Final = ("pause", "resume", "stop", "retry", "show")
LOOK_SECONDS: Final = 0.5
SHOWN: Final = 50
TOLD: Final = (DateStatus.SUCCEEDED, DateStatus.FAILED, DateStatus.CANCELLED, DateStatus.RUNNING, DateStatus.WAITING)


class Command(ActingCommand):
    help = (
        "Run past dates of a pipeline: `backfill PIPELINE 2026-03-01 2026-03-07`. With --wait it ends with 0 when each "
        "date succeeded or was skipped, 1 when one failed, 3 when it was stopped; 2 is wrong use. Without arguments it "
        "lists the newest backfills; --pause, --resume, --stop, --retry and --show name one of them."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pipeline", nargs="?", default="", help="A name, also as project/pipeline.")
        parser.add_argument("first_day", nargs="?", default="", metavar="FROM", help="The first day: 2026-03-01.")
        parser.add_argument("last_day", nargs="?", default="", metavar="TO", help="The last day, included.")
        parser.add_argument("--project", default="")
        parser.add_argument("--schedule", default="", help="Whose due times, parameters and choices count.")
        parser.add_argument("--every", default="day", choices=list(EVERY), help="Without a schedule; default: day.")
        parser.add_argument("--zone", default="", help="Whose days they are; default: the schedule's.")
        parser.add_argument("--again", default=Again.UNSUCCESSFUL, choices=Again.values, help="What else runs again.")
        parser.add_argument("--newest-first", action="store_true")
        parser.add_argument("--at-once", type=int, default=None, metavar="N", help="Runs under way together.")
        parser.add_argument("--date-parameter", default=None, metavar="NAME", help="It gets the date: params:date.")
        parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="For every date.")
        parser.add_argument("--params-file", default="", metavar="FILE", help="YAML or JSON.")
        parser.add_argument("--runner", default="", choices=Runner.values)
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what it would do, date by date, and do nothing."
        )
        parser.add_argument("--wait", action="store_true", help="Follow it to its end.")
        parser.add_argument("--json", action="store_true", help="Print what the API shows, and nothing else.")
        for act in ACTS:
            parser.add_argument(f"--{act}", type=int, default=None, metavar="NUMBER")
        parser.add_argument("--cancel-runs", action="store_true", help="With --stop: also those that are under way.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = self._act(options)
        except ConsoleError as error:
            refuse(self, error)
        if row is None:
            return
        if options["wait"]:
            self._wait(row, is_quiet=options["json"])
        self._report(row, is_json=options["json"])
        if options["wait"] and (code := _code(row)):
            raise SystemExit(code)

    def _act(self, options: dict[str, Any]) -> Backfill | None:
        """The backfill that was begun, or that something was done to; None when there is nothing to follow."""
        named = [(act, options[act]) for act in ACTS if options[act] is not None]
        if len(named) > 1 or (named and options["pipeline"]):
            raise RequestError("Do one thing at a time: name a pipeline and its days, or one backfill.")
        if named:
            return _control(*named[0], options)
        if not options["pipeline"]:
            self._list(is_json=options["json"])
            return None
        wanted = _wanted(options)
        if options["dry_run"]:
            self._tell_plan(plan(wanted, clock.now()), is_json=options["json"])
            return None
        return begin(wanted, at=clock.now(), by_name=who())

    def _list(self, *, is_json: bool) -> None:
        rows = Backfill.objects.newest()[:SHOWN]
        if is_json:
            self.stdout.write(json.dumps(BackfillShape(rows, many=True).data, indent=2))
            return
        for row in rows:
            self.stdout.write(printable(f"#{row.pk}  {row.pipeline}  {row.first_day} – {row.last_day}  {_state(row)}"))
        if not rows:
            self.stdout.write("No backfill yet.")

    def _tell_plan(self, planned: Plan, *, is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps(PlanShape(planned).data, indent=2, default=str))
            return
        for each in planned.dates:
            local = each.due_at.astimezone(planned.zone)
            self.stdout.write(printable(f"{local:%Y-%m-%d %H:%M %Z}  {each.verb:<6}  {each.reason}".rstrip()))
        usual = f", about {planned.seconds:,.0f} s in all" if planned.seconds is not None else ""
        self.stdout.write(f"{planned.runs:,} runs, {planned.counts['skip']:,} skipped{usual}.")
        for calls in planned.calls:
            self.stdout.write(f"{calls.requests:,} calls of {calls.quota.name}.")

    def _wait(self, row: Backfill, *, is_quiet: bool) -> None:
        told = ""
        try:
            while not row.is_over:
                if not is_quiet and (state := _state(row)) != told:
                    told = state
                    self.stdout.write(printable(f"The {row} is {state}"))
                time.sleep(LOOK_SECONDS)
                attempt(partial(row.refresh_from_db), what="The progress", log=logger)
        except KeyboardInterrupt:
            self.stderr.write(f"\nThe {row} goes on without you: {_page(row)}")
            raise SystemExit(LEFT_ALONE) from None

    def _report(self, row: Backfill, *, is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps(WholeBackfillShape(row).data, indent=2))
            return
        self.stdout.write(printable(f"The {row} of {row.pipeline} is {_state(row)}: {_page(row)}"))
        for each in row.dates.filter(status=DateStatus.FAILED).order_by("due_at")[:SHOWN]:
            self.stderr.write(printable(f"  {each.due_at:%Y-%m-%d %H:%M} UTC failed: {each.reason}"))


def _control(act: str, number: int, options: dict[str, Any]) -> Backfill:
    row = Backfill.objects.newest().filter(pk=number).first()
    if row is None:
        raise RequestError(f"There is no backfill #{number}: without arguments this command lists them.")
    at, by = clock.now(), who()
    if act == "pause":
        pause(row, at=at, by=by)
    elif act == "resume":
        resume(row, at=at, by=by)
    elif act == "stop":
        stop(row, at=at, by=by, cancels_runs=options["cancel_runs"])
    elif act == "retry":
        run_again(row, at=at, by=by)
    elif options["at_once"] is not None:
        change(row, at=at, at_once=options["at_once"])
    return row


def _wanted(options: dict[str, Any]) -> Wanted:
    pipeline = find_pipeline(options["pipeline"], options["project"])
    return Wanted(
        pipeline=pipeline,
        first_day=_day("FROM", options["first_day"]),
        last_day=_day("TO", options["last_day"]),
        schedule=find_schedule(options["schedule"], pipeline) if options["schedule"] else None,
        every=options["every"],
        zone=options["zone"],
        again=options["again"],
        direction=Direction.NEWEST if options["newest_first"] else Direction.OLDEST,
        at_once=1 if options["at_once"] is None else options["at_once"],
        date_parameter=options["date_parameter"],
        parameters=given.parameters(options["param"], options["params_file"], pipeline.known_parameters),
        runner=options["runner"],
    )


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadParameters({name: "Write a day such as 2026-03-01."}) from error


def _state(row: Backfill) -> str:
    counts = row.dates.counts()
    parts = [f"{counts[status]:,} {status.label}" for status in TOLD if counts[status]]
    skipped = [f"{counts[DateStatus.SKIPPED]:,} skipped"] if counts[DateStatus.SKIPPED] else []
    waits = f" ({row.wait_reason})" if row.wait_reason else ""
    return f"{row.status}: {', '.join([*parts, *skipped])}{waits}"


def _code(row: Backfill) -> int:
    if row.status == BackfillStatus.STOPPED:
        return CANCELLED
    return FAILED if row.dates.unsuccessful().exists() else 0


def _page(row: Backfill) -> str:
    return address({}, row.get_absolute_url())
