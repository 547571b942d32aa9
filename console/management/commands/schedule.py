"""List schedules, pause, resume and run them, by name or number."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from console.acting import ActingCommand, who
from console.api.shapes import address
from console.management.sentences import WRONG_USE, end, printable, refuse
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError, did_you_mean, nearest_of
from jobs.models import Schedule
from jobs.schedules.bars import last_ticks
from jobs.schedules.due import in_words, next_dues
from jobs.schedules.standing import standing
from jobs.schedules.start import run_now
from jobs.schedules.switch import pause, resume

WALL: Final = "%Y-%m-%d %H:%M"


def _until(text: str) -> datetime:
    try:
        found = parse_datetime(text.strip())
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError("write such as 2026-12-01T08:00 (in the console's time zone) or 2026-12-01T08:00Z")
    return found if found.tzinfo else timezone.make_aware(found)


class Command(ActingCommand):
    help = "List the schedules that start pipelines; pause, resume and run them now."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="All schedules with their numbers, states and next due times.")
        for verb, words in (("pause", "Let them start nothing."), ("resume", "Let due times from now on count.")):
            wanted = verbs.add_parser(verb, help=words)
            wanted.add_argument("schedules", nargs="+", metavar="SCHEDULE", help="A name or a number; several count.")
            if verb == "pause":
                wanted.add_argument("--reason", default="", help="Shown wherever it is seen to be paused.")
                wanted.add_argument("--until", type=_until, help="When it resumes by itself.")
        run = verbs.add_parser("run", help="Start one extra run of each; their own due times do not change.")
        run.add_argument("schedules", nargs="+", metavar="SCHEDULE", help="A name or a number; several count.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "list":
            self._list()
            return
        rows = [self._find(name) for name in options["schedules"]]
        for row in rows:
            try:
                {"pause": self._pause, "resume": self._resume, "run": self._run}[options["verb"]](row, options)
            except ConsoleError as error:
                refuse(self, error)

    def _find(self, name: str) -> Schedule:
        """By its name, else by its number: a name may look like a number."""
        rows = Schedule.objects.known()
        found = rows.filter(periodic_task__name=name).first() or rows.filter(pk=whole_number(name) or 0).first()
        if found is None:
            nearest = nearest_of(name, Schedule.objects.values_list("periodic_task__name", flat=True))
            hint = did_you_mean(nearest, " `schedule list` names them.")
            end(self, WRONG_USE, [f"There is no schedule “{name}”.{hint}"])
        return found

    def _list(self) -> None:
        at, rows = clock.now(), list(Schedule.objects.known().order_by("periodic_task__name"))
        ticks = last_ticks(rows)
        for row in rows:
            how, upcoming = standing(row, ticks[row.pk], at), next_dues(row, 1, at)
            zone = ZoneInfo(row.zone)
            due = f"next {upcoming[0].astimezone(zone):{WALL}}" if upcoming else "no next"
            line = f"{row.pk}  {row.name}  {how.state}  {due}  {in_words(row)}  {how.reason}"
            self.stdout.write(printable(line.rstrip()))
        if not rows:
            self.stdout.write("There is no schedule.")

    def _pause(self, row: Schedule, options: dict[str, Any]) -> None:
        pause(row, at=clock.now(), by=who(), reason=options["reason"][:300], until=options["until"])
        until = f"until {options['until']:{WALL}}" if options["until"] else "until it is resumed"
        self.stdout.write(printable(f"{row.name} is paused {until}."))

    def _resume(self, row: Schedule, options: dict[str, Any]) -> None:
        resume(row, at=clock.now(), by=who())
        self.stdout.write(printable(f"{row.name} goes on: due times from now on count."))

    def _run(self, row: Schedule, options: dict[str, Any]) -> None:
        run = run_now(row, at=clock.now(), by=None, by_name=who())
        self.stdout.write(printable(f"{row.name} started run #{run.pk}: {address({}, run.get_absolute_url())}"))
