"""The form of a schedule: the run form of its pipeline, and when it is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.forms.boundfield import BoundField

from console.forms.forms import RunForm
from console.forms.time_fields import DatesField, LeftOutField, LocalField, TimesField, written_dates, written_left_out
from console.forms.versions import Versioned, in_words
from jobs.errors import BadParameters
from jobs.models import Pipeline, Schedule
from jobs.schedules.dues import Rule
from jobs.schedules.edit import Wanted
from jobs.schedules.rules import RuleError, read_rule, stored
from jobs.schedules.words import MONTHS, PLACES, WEEKDAYS
from jobs.states import Missed, Overlap, Runner
from jobs.structure.paths import named, parsed

KINDS: Final = [("every", "Every"), ("days", "Days and times"), ("cron", "Cron"), ("once", "Once")]
DAY_KINDS: Final = [
    ("daily", "Every day"),
    ("working", "Working days, Monday to Friday"),
    ("weekdays", "Some weekdays"),
    ("dates", "Days of the month"),
    ("nth", "A weekday of the month"),
]
UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
KEPT: Final = "kept"
CONDITIONS: Final = ("weekdays", "days_of_month", "is_last", "nth")
WORKING: Final = [1, 2, 3, 4, 5]
WHERE: Final = {"every": "count", "days": "times", "cron": "cron", "once": "once_at", "sun": "kind"}
"""The field that a refusal of a rule of this kind stands on."""
OVERLAPS: Final = {
    Overlap.SKIP: "Skip this one",
    Overlap.WAIT: "Wait until it has ended",
    Overlap.CANCEL: "Cancel the older one",
    Overlap.BOTH: "Run both",
}
MISSES: Final = {
    Missed.NOTHING: "Make up for nothing",
    Missed.NEWEST: "Make up for the newest due time only",
    Missed.ALL: "Make up for all of them, within limits",
}
LONGEST_NOTE: Final = 2_000


def zone_names() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(available_timezones() - {"localtime", "Factory"})]


def _text(**attributes: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "kc-input", "autocomplete": "off", "spellcheck": "false", **attributes})


def _number() -> forms.NumberInput:
    return forms.NumberInput(attrs={"class": "kc-input kc-tiny-number"})


def _select(choices: Any) -> forms.Select:
    return forms.Select(attrs={"class": "kc-input"}, choices=choices)


@dataclass(frozen=True)
class Option:
    """One of several that exclude each other, in plain words."""

    value: str
    is_chosen: bool
    label: str
    policy: str
    """What it comes to, where it leaves that to the pipeline."""


class SchedulePageForm(Versioned, RunForm):
    """When it is valid, `wanted` holds the whole schedule; `rule` is there as soon as the rule can be read."""

    name = forms.CharField(max_length=200, widget=_text())
    kind = forms.ChoiceField(label="When", choices=KINDS, initial="days", widget=forms.RadioSelect)
    count = forms.IntegerField(
        label="Every", required=False, initial=15, min_value=1, max_value=10**6, widget=_number()
    )
    unit = forms.ChoiceField(label="Unit", required=False, initial="minutes", choices=[(unit, unit) for unit in UNITS])
    counted_from = LocalField(label="Counted from")
    days = forms.ChoiceField(label="On", required=False, choices=DAY_KINDS, initial="working", widget=forms.RadioSelect)
    weekdays = forms.TypedMultipleChoiceField(
        coerce=int, required=False, choices=list(enumerate(WEEKDAYS, 1)), widget=forms.CheckboxSelectMultiple
    )
    dates = DatesField(required=False, initial="1, last", widget=_text())
    place = forms.TypedChoiceField(coerce=int, required=False, initial=1, choices=list(PLACES.items()))
    weekday = forms.TypedChoiceField(coerce=int, required=False, initial=1, choices=list(enumerate(WEEKDAYS, 1)))
    months = forms.TypedMultipleChoiceField(
        coerce=int, required=False, choices=list(enumerate(MONTHS, 1)), widget=forms.CheckboxSelectMultiple
    )
    times = TimesField(label="At", required=False, initial="06:00", widget=_text())
    cron = forms.CharField(label="Cron", required=False, initial="0 6 * * mon-fri", max_length=200, widget=_text())
    once_at = LocalField(label="On")
    zone = forms.ChoiceField(label="Time zone", choices=zone_names)
    left_out = LeftOutField(label="But not on", help_text="A date or a range a line: 2026-12-24 to 2026-12-26")
    begins_at = LocalField(label="Not before")
    ends_at = LocalField(label="Ends")
    jitter_seconds = forms.IntegerField(
        label="Spread (seconds)", required=False, min_value=0, max_value=86_400, initial=0, widget=_number(),
        help_text="It starts up to so much later, so that many do not start at once.",
    )  # fmt: skip
    overlap = forms.ChoiceField(required=False, choices=[("", "As the pipeline is set"), *OVERLAPS.items()])
    missed = forms.ChoiceField(choices=list(MISSES.items()), initial=Missed.NEWEST, widget=forms.RadioSelect)
    missed_most = forms.IntegerField(required=False, min_value=1, max_value=10_000, initial=10, widget=_number())
    missed_hours = forms.IntegerField(required=False, min_value=0, max_value=8_760, initial=24, widget=_number())
    owner = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"), required=False, empty_label="nobody"
    )
    note = forms.CharField(
        required=False, max_length=LONGEST_NOTE, widget=forms.Textarea(attrs={"class": "kc-input", "rows": 2})
    )
    date_parameter = forms.CharField(
        label="Date parameter", required=False, max_length=300, widget=_text(),
        help_text="A backfill puts each date there, such as date or options.month.",
    )  # fmt: skip

    def __init__(self, *args: Any, schedule: Schedule | None = None, at: datetime, **options: Any) -> None:
        self.schedule, self.at = schedule, at
        self.rule: Rule | None = None
        self.wanted: Wanted | None = None
        super().__init__(*args, **options)
        del self.fields["everything"]
        self.fields["runner"] = forms.ChoiceField(
            required=False, choices=[("", "as the pipeline is set"), *Runner.choices], widget=_select(())
        )
        self.initial["runner"] = ""
        for field in self.fields.values():
            if isinstance(field.widget, forms.Select) and not isinstance(field.widget, forms.RadioSelect):
                field.widget.attrs.setdefault("class", "kc-input")
        self.initial.update(_shown(schedule, self.values) if schedule else {"zone": settings.TIME_ZONE})
        self._offer_what_is("kind", KINDS, ("sun", "Sun"))
        self._offer_what_is("days", DAY_KINDS, (KEPT, "As it is now"))

    def _offer_what_is(self, name: str, usual: list[tuple[str, str]], more: tuple[str, str]) -> None:
        """What was made over the API and has no fields here is kept as it is, or changed into something else."""
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows the type
        field.choices = [*usual, more] if self.initial.get(name) == more[0] else usual

    @property
    def is_narrowed(self) -> bool:
        return any(value for name, value in self.initial.items() if name in self.selection.stored)

    @property
    def zone_used(self) -> ZoneInfo:
        """The zone that is chosen, also while something else is wrong."""
        name = self.cleaned_data.get("zone") if self.is_bound else self.initial.get("zone")
        return ZoneInfo(str(name or settings.TIME_ZONE))

    def clean(self) -> dict[str, Any]:
        super().clean()
        self._read_rule()
        if (begin := self.moment("begins_at")) and (end := self.moment("ends_at")) and end <= begin:
            self.add_error("ends_at", "It ends before it begins.")
        if not self.errors and self.rule:
            self.wanted = self._wanted(self.rule)
        return self.cleaned_data

    def _read_rule(self) -> None:
        kind = self.cleaned_data.get("kind", "")
        field = WHERE.get(kind, "kind")
        if {"zone", "left_out", field} & self.errors.keys():
            return
        try:
            self.rule = read_rule(self._rule_data(kind), at=self.at)
        except RuleError as refusal:
            self.add_error(field, str(refusal))

    def _rule_data(self, kind: str) -> dict[str, Any]:
        makers = {"every": self._every, "days": self._days, "cron": self._cron, "once": self._once, "sun": self._sun}
        left_out = [[first.isoformat(), last.isoformat()] for first, last in self.cleaned_data.get("left_out") or ()]
        return {"kind": kind, **makers[kind](), **({"left_out": left_out} if left_out else {})}

    @property
    def _stored_rule(self) -> dict[str, Any]:
        return self.schedule.rule if self.schedule else {}

    @property
    def _is_once(self) -> bool:
        """As it was made in the admin; one for a single moment is so by its rule alone."""
        was_moment = self._stored_rule.get("kind") == "once"
        is_moment = self.cleaned_data.get("kind") == "once"
        return bool(self.schedule and self.schedule.is_once and was_moment <= is_moment)

    def _every(self) -> dict[str, Any]:
        count, unit = self.cleaned_data.get("count"), self.cleaned_data.get("unit") or "minutes"
        if not count:
            raise RuleError("Write a whole number from 1.")
        anchor = self.moment("counted_from")
        kept = self._stored_rule.get("anchor")
        begin = anchor.isoformat() if anchor else kept
        return {"seconds": count * UNITS[unit], **({"anchor": begin} if begin else {})}

    def _cron(self) -> dict[str, Any]:
        return {"text": self.cleaned_data.get("cron") or ""}

    def _once(self) -> dict[str, Any]:
        at = self.moment("once_at")
        if at is None:
            raise RuleError("Give the day and the time.")
        if at <= self.at and "once_at" in self.changed_data:
            raise RuleError("This time has passed: give one in the future.")
        return {"at": at.isoformat()}

    def _sun(self) -> dict[str, Any]:
        return {name: value for name, value in self._stored_rule.items() if name != "left_out"}

    def _days(self) -> dict[str, Any]:
        data, which = self.cleaned_data, self.cleaned_data.get("days") or "daily"
        if not data.get("times"):
            raise RuleError("Write at least one time, such as 06:00.")
        numbers, is_last = data.get("dates") or (frozenset(), False)
        if which == "weekdays" and not data.get("weekdays"):
            raise RuleError("Choose at least one weekday.")
        if which == "dates" and not (numbers or is_last):
            raise RuleError("Write at least one day of the month, such as 1, 15 or last.")
        by_kind: dict[str, dict[str, Any]] = {
            "daily": {},
            "working": {"weekdays": WORKING},
            "weekdays": {"weekdays": sorted(data.get("weekdays") or ())},
            "dates": {"days_of_month": sorted(numbers), "is_last": is_last},
            "nth": {"nth": [[data.get("place") or 1, data.get("weekday") or 1]]},
            KEPT: {name: value for name, value in self._stored_rule.items() if name in CONDITIONS},
        }
        months = sorted(data.get("months") or ())
        return {
            "times": [f"{each:%H:%M}" for each in data["times"]],
            **by_kind[which],
            **({"months": months} if months else {}),
        }

    def moment(self, name: str) -> datetime | None:
        """A time of the wall in the chosen zone, UTC."""
        found: datetime | None = self.cleaned_data.get(name)
        return found.replace(tzinfo=self.zone_used).astimezone(UTC) if found else None

    @property
    def trial(self) -> Schedule | None:
        """What it would be, not saved; None while its rule cannot be read."""
        if self.rule is None:
            return None
        data, hours = self.cleaned_data, self.cleaned_data.get("missed_hours")
        return Schedule(
            pk=self.schedule.pk if self.schedule else None,
            pipeline=self.pipeline,
            rule=stored(self.rule),
            zone=self.zone_used.key,
            begins_at=self.moment("begins_at"),
            ends_at=self.moment("ends_at"),
            is_once=self._is_once,
            missed=data.get("missed") or Missed.NEWEST,
            missed_most=data.get("missed_most") or 10,
            missed_hours=24 if hours is None else hours,
            counts_since=self.at,
            decided_until=self.at,
        )

    def _wanted(self, rule: Rule) -> Wanted:
        data = self.cleaned_data
        return Wanted(
            name=data["name"],
            pipeline=self.pipeline,
            rule=rule,
            zone=data["zone"],
            parameters=self.asked(self.changes),
            selection=self.selection.stored,
            runner=data["runner"],
            overlap=data["overlap"],
            missed=data["missed"],
            missed_most=data.get("missed_most") or 10,
            missed_hours=24 if data.get("missed_hours") is None else data["missed_hours"],
            begins_at=self.moment("begins_at"),
            ends_at=self.moment("ends_at"),
            is_once=self._is_once,
            jitter_seconds=data.get("jitter_seconds") or 0,
            owner=data["owner"],
            note=data["note"],
            date_parameter=self._date_path(),
        )

    @property
    def edited_row(self) -> Schedule | None:
        return self.schedule

    def typed(self, name: str) -> str:
        assert self.wanted  # noqa: S101 - a valid form has it
        assert self.wanted.rule  # noqa: S101 - so has what it wants
        if name in ("name", "note"):
            return str(getattr(self.wanted, name)) or "nothing"
        row = Schedule(pipeline=self.pipeline, rule=stored(self.wanted.rule), zone=self.wanted.zone)
        if name not in ("pipeline", "rule", "zone"):
            setattr(row, name, getattr(self.wanted, name))
        return in_words(row, name)

    def _date_path(self) -> tuple[str, ...]:
        text = self.cleaned_data.get("date_parameter", "").removeprefix("params:").strip()
        return tuple(str(key) for key in parsed(text, self.values)) if text else ()

    def refuse(self, error: BadParameters) -> None:
        """What is said of the rule stands where it is written."""
        kind = self.cleaned_data.get("kind", "")
        moved = {WHERE.get(kind, "kind") if name == "rule" else name: said for name, said in error.fields.items()}
        super().refuse(BadParameters(moved))

    # ---- for the template

    @property
    def has_more_errors(self) -> bool:
        """In the fields that are folded away at first."""
        return bool({"left_out", "begins_at", "ends_at", "owner", "note", "date_parameter"} & self.errors.keys())

    @property
    def overlaps(self) -> list[Option]:
        as_set = f"As the pipeline is set: {_overlap_of(self.pipeline)}"
        return _options(self["overlap"], {"": as_set, **OVERLAPS}, self.pipeline.overlap)

    @property
    def misses(self) -> list[Option]:
        return _options(self["missed"], dict(MISSES))


def _overlap_of(pipeline: Pipeline) -> str:
    words = OVERLAPS[Overlap(pipeline.overlap)]
    return f"{words[:1].lower()}{words[1:]}"


def _options(field: BoundField, labels: dict[Any, str], default: str = "") -> list[Option]:
    chosen = str(field.value() or "")
    return [Option(str(value), str(value) == chosen, said, str(value) or default) for value, said in labels.items()]


def _shown(schedule: Schedule, values: dict[Any, Any]) -> dict[str, Any]:
    """A stored schedule as the form shows it."""
    zone = ZoneInfo(schedule.zone)
    rule = schedule.rule
    return {
        "name": schedule.name,
        "zone": schedule.zone,
        "left_out": written_left_out(rule.get("left_out", [])),
        "begins_at": _local(schedule.begins_at, zone),
        "ends_at": _local(schedule.ends_at, zone),
        "date_parameter": named(tuple(schedule.date_parameter), values) if schedule.date_parameter else "",
        **{name: getattr(schedule, name) for name in PLAIN},
        **_rule_shown(rule, zone),
    }


PLAIN: Final = (
    "runner", "overlap", "missed", "missed_most", "missed_hours", "jitter_seconds", "owner", "note",
)  # fmt: skip


def _rule_shown(rule: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    kind = rule.get("kind", "days")
    if kind == "every":
        return {"kind": kind, "counted_from": _local(_read(rule.get("anchor")), zone), **_every_shown(rule["seconds"])}
    if kind == "cron":
        return {"kind": kind, "cron": rule["text"]}
    if kind == "once":
        return {"kind": kind, "once_at": _local(_read(rule["at"]), zone)}
    return {"kind": kind, **(_days_shown(rule) if kind == "days" else {})}


def _every_shown(seconds: float) -> dict[str, Any]:
    unit = next((name for name, size in reversed(UNITS.items()) if seconds % size == 0), "seconds")
    return {"count": int(seconds / UNITS[unit]), "unit": unit}


def _days_shown(rule: dict[str, Any]) -> dict[str, Any]:
    weekdays, nth = rule.get("weekdays", []), rule.get("nth", [])
    dates, is_last = rule.get("days_of_month", []), rule.get("is_last", False)
    which = "dates" if dates or is_last else "nth" if nth else "daily"
    if weekdays:
        which = "working" if sorted(weekdays) == WORKING else "weekdays"
    if sum(map(bool, (weekdays, dates or is_last, nth))) > 1 or len(nth) > 1:
        which = KEPT
    shown = {"place": nth[0][0], "weekday": nth[0][1]} if nth else {}
    months = rule.get("months", [])
    return {
        "days": which,
        "weekdays": weekdays,
        "dates": written_dates(dates, is_last=is_last) or "1, last",
        "months": months if len(months) < len(MONTHS) else [],
        "times": ", ".join(rule["times"]),
        **shown,
    }


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return moment.astimezone(zone).replace(tzinfo=None) if moment else None
