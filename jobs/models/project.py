from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from django.db import models

from jobs.encryption import EncryptedJSONField
from kedro_console.wire import Problem

if TYPE_CHECKING:
    from jobs.models.snapshot import Snapshot


CHECK_PAUSE = timedelta(minutes=1)
EVERY_PIPELINE: Final = "*"


class Project(models.Model):
    """A Kedro project that we know: where it lies and which Python runs it."""

    EDITED: ClassVar = (
        "name", "path", "interpreter", "kedro_env", "environment", "store_url",
    )  # fmt: skip

    name = models.SlugField(unique=True, max_length=80)
    path = models.CharField(max_length=1000, help_text="The folder that holds the project's pyproject.toml.")
    interpreter = models.CharField(max_length=1000, help_text="The Python that has the project's dependencies.")
    kedro_env = models.CharField(
        "Kedro environment", max_length=80, blank=True, help_text="Empty: the project's default (local)."
    )
    environment = EncryptedJSONField(
        "environment variables", default=dict, blank=True, help_text="Given to the project's processes; kept encrypted."
    )
    store_url = models.CharField(
        "store of runs",
        max_length=500,
        blank=True,
        help_text="Where the datasets between nodes are kept when workers share no folder, such as s3://bucket/runs, "
        "which the project's own fsspec opens, or a folder. Empty: as CONSOLE_RUN_STORE says.",
    )
    proposed = models.JSONField(
        default=list, editable=False, help_text="What of its conf/base/console.yml was applied."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    trouble = models.JSONField(
        default=list, editable=False, help_text="Why the newest reading did not see all of the project; [] when it did."
    )
    unread = models.JSONField(
        default=list, editable=False, help_text='Pipelines that cannot be started for that reason; ["*"] is every one.'
    )
    fingerprint = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of its files, when it was read last."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def may_ask_for_check(self, at: datetime) -> bool:
        """Of all who notice that the project has changed, one a minute has it read again."""
        lately = models.Q(check_asked_at__gt=at - CHECK_PAUSE)
        return bool(
            Project.objects.filter(~lately | models.Q(check_asked_at=None), pk=self.pk).update(check_asked_at=at)
        )

    @property
    def folder(self) -> Path:
        return Path(self.path)

    @property
    def absence(self) -> str:
        """What of the project is not there, seen from this machine; "" when all is."""
        if not self.folder.is_dir():
            return f"The folder {self.path} of {self.name} does not exist: restore it, or change the project's path."
        if not os.access(self.interpreter, os.X_OK):
            return f"The Python {self.interpreter} of {self.name} does not exist: restore it, or choose another one."
        return ""

    @property
    def problems(self) -> list[Problem]:
        """What the newest reading found wrong, whether its picture was kept or an older one is."""
        if self.trouble:
            return [Problem(**each) for each in self.trouble]
        snapshot = self.snapshot
        return snapshot.picture.problems if snapshot else []

    @property
    def errors(self) -> list[str]:
        """What stands in the way of runs, a sentence each."""
        return [problem.sentence for problem in self.problems if problem.severity == "error"]

    def refusal(self, pipeline: str) -> str:
        """Why this pipeline cannot be started until the project can be read; "" when it can."""
        if not ({EVERY_PIPELINE, pipeline} & set(self.unread)):
            return ""
        why = next((each["sentence"] for each in self.trouble if each["severity"] == "error"), "")
        return f"The project {self.name} cannot be read, so none of its pipelines can start. {why}".strip()

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest picture of this project, None before the first check; when it is remembered, the one of then."""
        remembered: list[Snapshot | None] = self.__dict__.get("_remembered", [])
        return remembered[0] if remembered else self.snapshot_in("")

    def remember_snapshot(self) -> None:
        """For as long as a page takes: all of it shows one picture, which is looked up once."""
        self.__dict__["_remembered"] = [self.snapshot_in("")]

    @property
    def newest_revision(self) -> str | None:
        """That of the newest picture, which itself is large; None before the first check."""
        return self._pictures("").values_list("revision", flat=True).first()

    def snapshot_in(self, env: str) -> Snapshot | None:
        """The newest picture in a Kedro environment that a run asked for; empty: in the project's own."""
        return self._pictures(env).first()

    def _pictures(self, env: str) -> models.QuerySet[Snapshot]:
        return self.snapshots.filter(kedro_env=env).order_by("-id")
