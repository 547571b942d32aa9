"""Take what a child reports: facts are heard, files are put away, log bytes become lines, and a writer makes rows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Set
from typing import Final

from django.conf import settings

from jobs.errors import PlatformError
from jobs.models import NodeRun, Step
from jobs.steps.cut_log import Log
from jobs.steps.heard import Heard
from jobs.steps.left_files import LeftFiles
from jobs.steps.request_for_child import spill_folder, step_folder
from jobs.steps.spill_log import Spill
from jobs.steps.writer import Writer, facts_of
from kedro_console import wire

PLANNED: Final = ("content_key", "content", "taken_from", "reason")
"""What the launch knew of a node: its execution changes nothing of that."""


class Collector:
    """All that one step's child says; nothing of it is in rows before `writer` has written it."""

    def __init__(self, step: Step, token: uuid.UUID, outputs: Set[str], revision: str = "") -> None:
        self.log = Log(Spill(spill_folder(step), settings.CONSOLE_LOG_FILE_MB * 2**20))
        self.files = LeftFiles(step_folder(step))
        rows = list(NodeRun.objects.filter(run_id=step.run_id, name__in=step.nodes).defer(*PLANNED))
        self.heard = Heard(map(facts_of, rows), outputs, revision)
        self.writer = Writer(step, token, self.heard, self.log, rows)

    def take(self, message: wire.AnyMessage) -> None:
        """Remember one message."""
        self.heard.take(message, time.monotonic())
        if not isinstance(message, wire.Event):
            return
        if not self.heard.is_of_a_cancel(message):
            self.writer.requests.take(message)
        note = message.note if isinstance(message, wire.ChildStarted) else self.files.take(message)
        if note:
            self.say("WARNING", note, message.at)

    def take_log(self, data: bytes, at: float) -> None:
        self.log.feed(data, at)

    def say(self, level: str, text: str, at: float) -> None:
        """A line of the console itself in the run's log."""
        self.log.say(level, text, at)

    def close_log(self, at: float) -> None:
        """No more lines come; those that rows do not hold are kept as a file."""
        problem, kept = "", self.log.spilled()
        try:
            if kept:
                self.files.keep_log(kept)
                self.heard.news.step["log_sha256"] = kept.sha256
        except PlatformError as error:
            problem = str(error)
        self.log.close(at, problem)
