"""Whether runs of a pipeline keep what passes between their nodes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from console.acting import ActingCommand
from console.management.sentences import refuse
from jobs.errors import ConsoleError
from jobs.runs.find import find_pipeline
from jobs.runs.keep_copies import WAYS, WORDS, copies_of, keep_copies


class Command(ActingCommand):
    help = "Say, or choose, whether the next runs of a pipeline keep what a resumed one needs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pipeline", help="A name, also as project/pipeline.")
        parser.add_argument("copies", nargs="?", default="", choices=["", *WAYS], help="Left out: only say it.")
        parser.add_argument("--project", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            pipeline = find_pipeline(options["pipeline"], options["project"])
            if options["copies"]:
                keep_copies(pipeline, options["copies"])
        except ConsoleError as error:
            refuse(self, error)
        way = copies_of(pipeline)
        self.stdout.write(f"{pipeline}: {way}, {WORDS[way]}.")
