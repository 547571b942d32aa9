"""A form of a whole row is saved only over what it was opened with; otherwise it shows what somebody else has saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.db import models

from jobs.errors import Stale
from jobs.models import Schedule
from jobs.models.version import as_seen, check_seen, edited, label_of, told_of, version_of
from jobs.schedules.due import rule_of
from jobs.schedules.words import sentence
from kedro_console.wire import Json

IN_THE_FORM = "see the form"
T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """What somebody else has changed: what it is now, and what saving this form makes of it."""

    label: str
    saved: str
    here: str


class Versioned:
    """Beside a form of Django: `version` goes into the page, and comes back when it is saved."""

    stale: Stale | None = None
    """Why it was not saved, when somebody else was first."""

    @property
    def more_edited(self) -> Sequence[str]:
        """What it saves beside what its row calls edited."""
        return ()

    @property
    def edited_row(self) -> models.Model | None:
        """The row that it changes; None for a new one."""
        row: models.Model | None = getattr(self, "instance", None)
        return row if row is not None and row.pk else None

    @property
    def version(self) -> str:
        """Of what it was opened with; after a refusal of what is saved now, so that saving again is meant."""
        if self.stale:
            return self.stale.version
        if getattr(self, "is_bound", False):
            return self._seen
        return version_of(self.edited_row, self.more_edited) if self.edited_row else ""

    @property
    def _seen(self) -> str:
        return str(getattr(self, "data", {}).get("version", ""))

    def saved_as_seen(self, save: Callable[[], T]) -> T | None:
        """What `save` gives; None when somebody else was first, as `stale` says."""
        if self.edited_row is None:
            return save()
        try:
            with as_seen(self.edited_row, self._seen, more=self.more_edited):
                return save()
        except Stale as refusal:
            self.stale = refusal
            return None

    def check_version(self) -> None:
        """Within the transaction that saves it: `stale` says when somebody else was first."""
        if self.edited_row is None:
            return
        try:
            check_seen(self.edited_row, self._seen, more=self.more_edited)
        except Stale as refusal:
            self.stale = refusal

    @property
    def differences(self) -> list[Difference]:
        """Each thing that somebody else has changed."""
        row = self.edited_row
        now = type(row)._base_manager.filter(pk=row.pk).first() if row and self.stale else None
        if now is None or self.stale is None:
            return []
        known = {*edited(now), *self.more_edited}
        return [
            Difference(label_of(now, name).capitalize(), in_words(now, name), self.typed(name))
            for name in self.stale.names
            if name in known
        ]

    def typed(self, name: str) -> str:
        """What saving this form makes of it."""
        row, cleaned = self.edited_row, getattr(self, "cleaned_data", {})
        if row is None:
            return ""
        if isinstance(cleaned.get(name), models.QuerySet):
            return _text(sorted(str(each) for each in cleaned[name]))
        return IN_THE_FORM if isinstance(getattr(row, name), models.Manager) else in_words(row, name)


def in_words(row: models.Model, name: str) -> str:
    """The value of it as people read it."""
    if isinstance(row, Schedule) and name == "rule":
        rule = rule_of(row)
        return sentence(rule, ZoneInfo(row.zone)) if rule else "never"
    field = next((each for each in row._meta.concrete_fields if each.name == name), None)
    told = told_of(row, name)
    choices = dict(field.flatchoices) if field else {}
    return str(choices[told]) if isinstance(told, str) and told in choices else _text(told)


def _text(value: Json) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
