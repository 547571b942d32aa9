"""The form of a backfill: which dates of a pipeline, which of them again, how many at once, and where the date goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import available_timezones

from django import forms
from django.conf import settings

from console.forms import yaml_values
from jobs.backfills.plan import EVERY, Wanted
from jobs.errors import BadParameters
from jobs.models import Pipeline, Schedule
from jobs.models.backfill import MOST_AT_ONCE
from jobs.states import Again, Direction
from jobs.structure.dated import dates_in
from jobs.structure.paths import by_name, named

LAST_DAYS: Final = 7
OF_SCHEDULE: Final = "schedule:"
OWN_NAMES: Final = {"from": "first_day", "to": "last_day", "every": "due", "schedule": "due"}
"""What the plan calls a field, where the page calls it otherwise."""
INPUT: Final = {"class": "kc-input"}


def _day() -> forms.DateField:
    return forms.DateField(widget=forms.DateInput(attrs={"type": "date", **INPUT}, format="%Y-%m-%d"))


class BackfillForm(forms.Form):
    """Bound to one pipeline; what is left out is as its schedule has it."""

    due = forms.ChoiceField(label="Dates", widget=forms.Select(attrs=INPUT))
    first_day = _day()
    last_day = _day()
    zone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={**INPUT, "list": "zones", "autocomplete": "off"}),
        help_text="Whose days these are. Empty: the schedule's.",
    )
    again = forms.ChoiceField(label="Which of them run", choices=Again.choices, widget=forms.RadioSelect)
    direction = forms.ChoiceField(label="Order", choices=Direction.choices, widget=forms.Select(attrs=INPUT))
    at_once = forms.IntegerField(
        label="At once",
        min_value=1,
        max_value=MOST_AT_ONCE,
        widget=forms.NumberInput(attrs=INPUT),
        help_text="So many runs are under way together.",
    )
    date_parameter = forms.CharField(
        label="The date goes into",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={**INPUT, "list": "parameters", "autocomplete": "off", "spellcheck": "false"}),
        help_text="A parameter, such as params:date. It keeps its form: a date stays a date. Empty: no parameter.",
    )
    parameters = forms.CharField(
        label="Other parameters",
        required=False,
        widget=forms.Textarea(attrs={**INPUT, "rows": 3, "spellcheck": "false"}),
        help_text="The same for every date, as YAML; over those of the schedule.",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        at: datetime,
        data: Any = None,
        asked: Any = None,
        schedules: list[Schedule] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.schedules = list(Schedule.objects.known().filter(pipeline=pipeline)) if schedules is None else schedules
        super().__init__(data, initial=self._initial(at, asked or {}))
        self.fields["due"].choices = [  # type: ignore[attr-defined]
            *((f"{OF_SCHEDULE}{row.pk}", f"Due times of {row}") for row in self.schedules),
            *EVERY.items(),
        ]

    @property
    def known(self) -> list[str]:
        """The parameters that may get the date, by name."""
        return sorted(by_name(self.pipeline.known_parameters))

    @property
    def zones(self) -> list[str]:
        return sorted(name for name in available_timezones() if "/" in name or name == "UTC")

    def _initial(self, at: datetime, asked: Any) -> dict[str, Any]:
        """What a link asks for; else the last days, by the schedule that there is."""
        schedule = next((row for row in self.schedules if str(row.pk) == asked.get("schedule", str(row.pk))), None)
        today = at.astimezone().date()
        return {
            "due": f"{OF_SCHEDULE}{schedule.pk}" if schedule else "day",
            "first_day": asked.get("from") or today - timedelta(days=LAST_DAYS),
            "last_day": asked.get("to") or today - timedelta(days=1),
            "zone": schedule.zone if schedule else settings.TIME_ZONE,
            "again": asked.get("again") if asked.get("again") in Again.values else Again.UNSUCCESSFUL,
            "direction": Direction.OLDEST,
            "at_once": 1,
            "date_parameter": self._date_parameter(schedule),
        }

    def _date_parameter(self, schedule: Schedule | None) -> str:
        known = self.pipeline.known_parameters
        if schedule and schedule.date_parameter:
            return named(tuple(schedule.date_parameter), known)
        structure = self.pipeline.structure
        found = dates_in(known, structure.parameters) if structure else []
        return named(found[0], known) if found else ""

    def clean_parameters(self) -> dict[Any, Any]:
        text = self.cleaned_data["parameters"]
        try:
            values = yaml_values.read(text) if text.strip() else {}
        except ValueError as error:
            raise forms.ValidationError(f"This is not YAML: {error}.") from error
        if not isinstance(values, dict):
            raise forms.ValidationError("Write names with values, as in parameters.yml: top: 5")
        return values

    def wanted(self) -> Wanted:
        """What a form asks for whose fields are each right for themselves."""
        given = self.cleaned_data
        key = given["due"].removeprefix(OF_SCHEDULE) if given["due"].startswith(OF_SCHEDULE) else ""
        return Wanted(
            pipeline=self.pipeline,
            schedule=next((row for row in self.schedules if str(row.pk) == key), None),
            every="day" if key else given["due"],
            **{name: given[name] for name in ("first_day", "last_day", "zone", "again", "direction", "at_once")},
            date_parameter=given["date_parameter"],
            parameters=given["parameters"],
        )

    def refuse(self, refusal: BadParameters) -> None:
        """Each sentence on its field; those of other parameters on theirs, with the name before."""
        for name, sentence in refusal.fields.items():
            field = OWN_NAMES.get(name, name)
            if field in self.fields:
                self.add_error(field, sentence)
            else:
                self.add_error("parameters" if name in self.known else None, f"{name}: {sentence}")
