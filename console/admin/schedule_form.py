"""The form of a schedule: what it starts, with which parameters, and when; nothing else can be asked of Celery."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib.admin.options import VERTICAL
from django.core.exceptions import ValidationError
from django.db.models import Model
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from console.forms.choices import SelectionField
from console.forms.row_form import RowForm
from console.forms.versions import IN_THE_FORM, Versioned
from jobs import clock
from jobs.errors import BadParameters
from jobs.models import Pipeline, Schedule
from jobs.schedules.due import next_fires
from jobs.schedules.rules import EVENTS
from jobs.schedules.schedules import (
    HOUSEKEEPING,
    START,
    asked,
    check_parameters,
    check_selection,
    choices,
    has_last_day,
    wish,
)
from jobs.schedules.words import event_in_words
from jobs.structure.cron import FIELDS, Cron, CronError
from jobs.structure.cron import read as read_cron
from jobs.structure.values import restored, shown

RULES = ("crontab", "interval", "clocked", "solar")
TASKS = [(START, "Start a pipeline"), *HOUSEKEEPING.items()]
TIMINGS = [
    *(("crontab", "At set times"), ("interval", "At regular intervals")),
    *(("clocked", "Once"), ("solar", "With the sun")),
]
PERIODS = [(unit, unit) for unit in ("seconds", "minutes", "hours", "days")]
SUN = ("event", "latitude", "longitude")
EVERY_MORNING = "0 6 * * *"


class ScheduleForm(Versioned, RowForm):
    task = forms.ChoiceField(label="What", choices=TASKS, initial=START, widget=UnfoldAdminSelectWidget())
    pipeline = forms.ModelChoiceField(
        queryset=Pipeline.objects.filter(is_registered=True).select_related("project").defer("project__environment"),
        required=False,
        widget=UnfoldAdminSelect2Widget(),
    )
    parameters = forms.JSONField(
        required=False,
        initial=dict,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"}),
        help_text='What differs from the pipeline\'s defaults, such as {"options": {"top": 5}}.',
    )
    selection = SelectionField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"}))
    timing = forms.ChoiceField(
        label="When", choices=TIMINGS, initial="crontab", widget=UnfoldAdminRadioSelectWidget(radio_style=VERTICAL)
    )
    cron = forms.CharField(
        required=False,
        initial=EVERY_MORNING,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Minute, hour, day of the month, month, day of the week: 0 6 * * mon-fri is 06:00 on working days, "
        "0 6 L * * on the last day of each month.",
    )
    zone = forms.ChoiceField(
        required=False,
        initial=settings.TIME_ZONE,
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        widget=UnfoldAdminSelect2Widget(),
    )
    every = forms.IntegerField(required=False, initial=1, min_value=1, widget=UnfoldAdminIntegerFieldWidget())
    period = forms.ChoiceField(
        label="Unit", required=False, choices=PERIODS, initial="hours", widget=UnfoldAdminSelectWidget()
    )
    once_at = forms.SplitDateTimeField(label="At", required=False, widget=UnfoldAdminSplitDateTimeWidget())
    event = forms.ChoiceField(
        required=False,
        initial="sunrise",
        choices=[(each, event_in_words(each).capitalize()) for each in EVENTS],
        widget=UnfoldAdminSelectWidget(),
    )
    latitude = forms.DecimalField(
        required=False,
        min_value=-90,
        max_value=90,
        decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Degrees to the north; to the south below zero.",
    )
    longitude = forms.DecimalField(
        required=False,
        min_value=-180,
        max_value=180,
        decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Degrees to the east; to the west below zero.",
    )

    class Meta:
        model = PeriodicTask
        fields = ("name", "task", "enabled", "one_off", "start_time", "description")
        labels = {"enabled": "On", "one_off": "Only the first time", "start_time": "Not before"}
        help_texts = {
            "name": "Runs show it as their cause.",
            "enabled": "Off: paused; due times meanwhile are not caught up.",
            "one_off": "It pauses itself after one run.",
            "start_time": "",
            "description": "",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "task" in self.fields:
            self._show_saved()

    def _show_saved(self) -> None:
        schedule = self.instance
        saved: dict[str, Any] = {}
        if schedule.task not in dict(TASKS):  # made elsewhere: seen as it is, and not to be saved like that
            self.fields["task"] = forms.ChoiceField(
                label="What",
                choices=[(schedule.task, f"{schedule.task} (not allowed)"), *TASKS],
                widget=UnfoldAdminSelectWidget(),
            )
        pipeline_id, parameters = asked(schedule)
        saved |= {"pipeline": pipeline_id, "parameters": shown(parameters), "selection": choices(schedule)}
        if schedule.crontab:
            columns = {each.name: str(getattr(schedule.crontab, each.name)).replace(" ", "") for each in FIELDS}
            text = Cron(columns, has_last_day(schedule)).text
            saved |= {"timing": "crontab", "cron": text, "zone": str(schedule.crontab.timezone)}
        elif schedule.interval:
            saved |= {"timing": "interval", "every": schedule.interval.every, "period": schedule.interval.period}
        elif schedule.clocked:
            saved |= {"timing": "clocked", "once_at": schedule.clocked.clocked_time}
        elif schedule.solar:
            saved |= {"timing": "solar", **{name: getattr(schedule.solar, name) for name in SUN}}
        self.initial.update(saved)

    @property
    def edited_row(self) -> Model | None:
        """What starts a pipeline has a schedule, which other pages change too."""
        row = super().edited_row
        return (Schedule.objects.known().filter(periodic_task=row.pk).first() or row) if row else None

    @property
    def more_edited(self) -> tuple[str, ...]:
        return ("is_on",) if isinstance(self.edited_row, Schedule) else ()

    def typed(self, name: str) -> str:
        known = {"name": "name", "note": "description", "is_on": "enabled", "zone": "zone"}
        return str(self.cleaned_data.get(known[name])) if name in known else IN_THE_FORM

    def clean_task(self) -> str:
        task: str = self.cleaned_data["task"]
        if task not in dict(TASKS):
            raise ValidationError("A schedule starts a pipeline or one of the console's own tasks, nothing else.")
        return task

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("task") == START:
            self._clean_pipeline(cleaned)
        self._clean_rule(cleaned)
        return cleaned

    def _clean_pipeline(self, cleaned: dict[str, Any]) -> None:
        pipeline, parameters = cleaned.get("pipeline"), cleaned.get("parameters") or {}
        if pipeline is None:
            if "pipeline" not in self.errors:
                self.add_error("pipeline", "Choose the pipeline to start.")
            return
        if not isinstance(parameters, dict):
            self.add_error("parameters", "Write an object of names and values, in braces.")
            return
        selection = cleaned.get("selection") or {}
        problems = check_selection(pipeline, selection, at=clock.now()) if selection else {}
        for name, sentence in problems.items():
            self.add_error("selection", f"{name}: {sentence}")
        cleaned["parameters"] = parameters = restored(parameters, asked(self.instance)[1])
        try:
            check_parameters(pipeline, parameters)
        except BadParameters as refusal:
            self.add_error("parameters", [f"{name}: {sentence}" for name, sentence in refusal.fields.items()])

    def _clean_rule(self, cleaned: dict[str, Any]) -> None:
        """Put exactly one rule on the row, not stored yet: a form with errors leaves nothing behind."""
        timing = cleaned.get("timing")
        makers = {
            "crontab": self._crontab,
            "interval": self._interval,
            "clocked": self._clocked,
            "solar": self._solar,
        }
        rule = makers[timing](cleaned) if timing in makers else None
        for name in RULES:
            setattr(self.instance, name, rule if name == timing else None)
        if timing == "clocked":
            cleaned["one_off"] = True

    def _crontab(self, cleaned: dict[str, Any]) -> CrontabSchedule | None:
        try:
            cron = read_cron(cleaned.get("cron") or "")
        except CronError as refusal:
            self.add_error("cron", str(refusal))
            return None
        if cron.nth or cron.dates:  # a periodic task has no words for them
            self.add_error("cron", "Counted weekdays, and days beside the last one, are set on the page Schedules.")
            return None
        cleaned["is_last_day"] = cron.has_last_day
        rule = CrontabSchedule(**cron.columns, timezone=cleaned.get("zone") or settings.TIME_ZONE)
        try:
            rule.clean_fields()
        except ValidationError as refusal:
            self.add_error("cron", refusal.messages)
        else:
            if not next_fires(PeriodicTask(crontab=rule, enabled=True), clock.now(), 1):
                self.add_error("cron", "No such time ever comes.")
        return rule

    def _interval(self, cleaned: dict[str, Any]) -> IntervalSchedule | None:
        if not cleaned.get("every"):
            if "every" not in self.errors:
                self.add_error("every", "Write a whole number from 1.")
            return None
        return IntervalSchedule(every=cleaned["every"], period=cleaned.get("period") or "hours")

    def _clocked(self, cleaned: dict[str, Any]) -> ClockedSchedule | None:
        if not cleaned.get("once_at"):
            if "once_at" not in self.errors:
                self.add_error("once_at", "Give the day and the time.")
            return None
        if "once_at" in self.changed_data and cleaned["once_at"] <= clock.now():
            self.add_error("once_at", "This time has passed: give one in the future.")
            return None
        return ClockedSchedule(clocked_time=cleaned["once_at"])

    def _solar(self, cleaned: dict[str, Any]) -> SolarSchedule | None:
        missing = [name for name in SUN if cleaned.get(name) in (None, "")]
        for name in missing:
            if name not in self.errors:
                self.add_error(name, "Say at which event of the sun." if name == "event" else "Give it in degrees.")
        return None if missing else SolarSchedule(**{name: cleaned[name] for name in SUN})

    def _post_clean(self) -> None:
        if not self.errors:  # without a rule the row would complain about it a second time, in words of its own
            super()._post_clean()

    def save(self, commit: bool = True) -> PeriodicTask:
        schedule, cleaned = self.instance, self.cleaned_data
        for name in RULES:
            setattr(schedule, name, _stored(getattr(schedule, name)))
        schedule.args = "[]"
        is_start = cleaned["task"] == START
        schedule.kwargs = _wish(cleaned) if is_start else "{}"
        schedule.queue = schedule.exchange = schedule.routing_key = schedule.priority = None
        schedule.headers = "{}"
        return super().save(commit)


def _wish(cleaned: dict[str, Any]) -> str:
    return wish(
        cleaned["pipeline"],
        cleaned.get("parameters") or {},
        cleaned.get("selection"),
        is_last_day=cleaned.get("timing") == "crontab" and cleaned.get("is_last_day", False),
    )


def _stored(rule: Model | None) -> Model | None:
    """The stored rule that is equal to this one: rules are shared, a new one is kept only when there is none."""
    if rule is None or rule.pk:
        return rule
    facts = {field.name: getattr(rule, field.name) for field in rule._meta.fields if not field.primary_key}
    known: Model | None = type(rule)._default_manager.filter(**facts).first()
    if known is None:
        rule.save()
    return known or rule
