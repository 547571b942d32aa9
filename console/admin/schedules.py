"""Schedules of django-celery-beat, made for starting pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from celery import current_app
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from console.admin.answers import answered
from console.admin.asker import asker
from console.admin.lists import Admin, FactsInline, link, run_link
from console.admin.schedule_form import TASKS, ScheduleForm
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError, RequestError
from jobs.models import Pipeline
from jobs.schedules.due import in_words, next_fire, next_fires, schedule_of
from jobs.schedules.schedules import HOUSEKEEPING, START, asked, cron_from
from jobs.schedules.start import run_now
from jobs.schedules.switch import pause, resume
from jobs.schedules.words import sentence

for _model in (PeriodicTask, CrontabSchedule, IntervalSchedule, ClockedSchedule, SolarSchedule):
    admin.site.unregister(_model)


class TaskFilter(admin.SimpleListFilter):
    title = "what"
    parameter_name = "what"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return TASKS

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(task=self.value()) if self.value() else queryset


@admin.register(PeriodicTask)
class ScheduleAdmin(Admin):
    form = ScheduleForm
    list_display = ("name", "state", "starts", "when", "next_fire", "last_fired")
    list_display_links = ("name",)
    list_filter = ("enabled", TaskFilter)
    list_select_related = ("crontab", "interval", "clocked", "solar", "console_schedule__pipeline")
    search_fields = ("name", "description")
    ordering = ("name",)
    sortable_by = ("name", "last_fired")
    actions = ("enable", "disable", "run_now")
    actions_detail = ("run_this_now",)
    readonly_fields = ("when", "upcoming", "starts", "last_fired", "fired")
    conditional_fields = {
        "pipeline": f"task == '{START}'",
        "parameters": f"task == '{START}'",
        "selection": f"task == '{START}'",
        "cron": "timing == 'crontab'",
        "zone": "timing == 'crontab'",
        "every": "timing == 'interval'",
        "period": "timing == 'interval'",
        "once_at": "timing == 'clocked'",
        "event": "timing == 'solar'",
        "latitude": "timing == 'solar'",
        "longitude": "timing == 'solar'",
        "one_off": "timing != 'clocked'",
    }
    fieldsets = (
        (None, {"fields": ("name", "enabled", "when", "upcoming", ("last_fired", "fired"))}),
        ("What", {"fields": ("task", "pipeline", "parameters", "selection")}),
        (
            "When",
            {
                "fields": (
                    *("timing", "cron", "zone", "every", "period", "once_at", "event", "latitude", "longitude"),
                    *("start_time", "one_off"),
                )
            },
        ),
        ("Notes", {"fields": ("description",)}),
    )
    add_fieldsets = ((None, {"fields": ("name", "enabled")}), *fieldsets[1:])

    def get_fieldsets(self, request: HttpRequest, obj: PeriodicTask | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            seen = (
                *("name", "enabled", "starts", "kwargs", "when", "upcoming", "last_fired", "fired"),
                *("start_time", "one_off", "description"),
            )
            return ((None, {"fields": seen}),)
        return super().get_fieldsets(request, obj)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?pipeline=ID` fills the form so far that it only has to be saved."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        pipeline = Pipeline.objects.filter(pk=whole_number(request.GET.get("pipeline", "")) or 0).first()
        if pipeline is None:
            return initial
        return {"name": free_name(str(pipeline)), "task": START, "pipeline": pipeline.pk, "parameters": {}} | {
            name: value for name, value in initial.items() if name != "pipeline"
        }

    def dress(self, rows: Sequence[Any]) -> None:
        ids = {asked(row)[0] for row in rows}
        known = Pipeline.objects.select_related("project").defer("project__environment").in_bulk(ids - {None})
        for row in rows:
            row.starts_pipeline = known.get(asked(row)[0])

    @display(description="State", label={"on": "success", "paused": "warning"})
    def state(self, schedule: Any) -> str:
        return "on" if schedule.enabled else "paused"

    @display(description="Starts")
    def starts(self, schedule: Any) -> str:
        if not hasattr(schedule, "starts_pipeline"):
            self.dress([schedule])
        if pipeline := schedule.starts_pipeline:
            return link(pipeline, reverse("pipeline", args=[pipeline.pk]))
        if schedule.task == START:
            return "A deleted pipeline"
        return HOUSEKEEPING.get(schedule.task, str(schedule.task))

    @display(description="When")
    def when(self, schedule: Any) -> str:
        return in_words(schedule_of(schedule))

    @display(description="Next")
    def next_fire(self, schedule: Any) -> str:
        time = next_fire(schedule, clock.now())
        return _shown(time) if time else "–"

    @display(description="Next")
    def upcoming(self, schedule: Any) -> str:
        times = ((_shown(time),) for time in next_fires(schedule, clock.now(), 5))
        return format_html_join(mark_safe("<br>"), "{}", times) or "–"

    @display(description="Last fired", ordering="last_run_at")
    def last_fired(self, schedule: Any) -> str:
        return _shown(schedule.last_run_at) if schedule.last_run_at else "–"

    @display(description="Times fired")
    def fired(self, schedule: Any) -> int:
        return int(schedule.total_run_count)

    def has_pause_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may start pipelines may stop their schedules from doing so."""
        return request.user.has_perm("jobs.start_pipeline")

    has_start_permission = has_pause_permission

    def _own(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The console's own tasks are for those who may change schedules."""
        return queryset if self.has_change_permission(request) else queryset.filter(task=START)

    @admin.action(description="Switch on", permissions=["pause"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, self._own(request, queryset).filter(enabled=False), is_on=True)

    @admin.action(description="Pause", permissions=["pause"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, self._own(request, queryset).filter(enabled=True), is_on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Any], *, is_on: bool) -> None:
        tasks, by, at = list(queryset), request.user.get_username(), clock.now()
        for task in tasks:
            self.log_change(request, task, "Switched on." if is_on else "Paused.")
            if task.task != START:
                queryset.filter(pk=task.pk).update(enabled=is_on, last_run_at=at, date_changed=at)
            elif is_on:
                resume(task.console_schedule, at=at, by=by)
            else:
                pause(task.console_schedule, at=at, by=by)
        PeriodicTasks.update_changed()
        did = "on" if is_on else "paused"
        names = ", ".join(task.name for task in tasks) or "Nothing"
        self.message_user(request, f"{names}: {did}." if tasks else f"Nothing to change: all were {did}.")

    @admin.action(description="Run now", permissions=["start"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for schedule in self._own(request, queryset):
            try:
                self.message_user(request, self._started(request, schedule), messages.SUCCESS)
            except ConsoleError as refusal:
                self.message_user(request, f"{schedule.name} was not started: {refusal}", messages.ERROR)

    def _started(self, request: HttpRequest, schedule: Any) -> str:
        if schedule.task in HOUSEKEEPING:
            current_app.send_task(schedule.task)
            return f"{HOUSEKEEPING[schedule.task]}: sent to a worker."
        if asked(schedule)[0] is None:
            raise RequestError("it starts no known pipeline.")
        run = run_now(schedule.console_schedule, at=clock.now(), by=asker(request))
        return format_html("{} started {} as run {}.", schedule.name, str(run.pipeline), run_link(run.pk))

    @action(
        description="Run now",
        icon="play_arrow",
        permissions=["start"],
        dialog={
            "title": "Run it now?",
            "description": "One extra run; the schedule's own times do not change.",
            "form_class": None,
            "form_submit_text": "Run now",
        },
    )
    def run_this_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self.run_now(request, PeriodicTask.objects.filter(pk=whole_number(object_id)))
        return answered(request, reverse("admin:django_celery_beat_periodictask_change", args=[object_id]))


def _shown(time: datetime) -> str:
    return f"{timezone.localtime(time):%a %Y-%m-%d %H:%M}"


def free_name(wanted: str) -> str:
    """This name for a schedule, numbered when it is taken."""
    taken = set(PeriodicTask.objects.filter(name__startswith=wanted).values_list("name", flat=True))
    numbers = (f"{wanted} ({number})" for number in range(2, len(taken) + 3))
    return next(name for name in (wanted, *numbers) if name not in taken)


class ScheduleInline(FactsInline):
    """Which schedules a rule belongs to: changing it changes all of them."""

    model = PeriodicTask
    fields = ("name", "task", "enabled")
    verbose_name_plural = "Schedules with this rule"
    show_change_link = True
    tab = False
    hide_title = False
    ordering = ("name",)


class RuleAdmin(Admin):
    inlines = (ScheduleInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A rule that is in use would take its schedules with it."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not obj.periodictask_set.exists())  # type: ignore[attr-defined]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: found for name, found in super().get_actions(request).items() if name != "delete_selected"}


@admin.register(CrontabSchedule)
class CrontabAdmin(RuleAdmin):
    list_display = ("words", "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone")
    search_fields = ("timezone",)
    fields = (("minute", "hour"), ("day_of_month", "month_of_year"), ("day_of_week", "timezone"))

    @display(description="When")
    def words(self, rule: CrontabSchedule) -> str:
        return sentence(cron_from(rule), ZoneInfo(str(rule.timezone)))


@admin.register(IntervalSchedule)
class IntervalAdmin(RuleAdmin):
    list_display = ("__str__", "every", "period")
    list_filter = ("period",)


@admin.register(ClockedSchedule)
class ClockedAdmin(RuleAdmin):
    list_display = ("clocked_time",)


@admin.register(SolarSchedule)
class SolarAdmin(RuleAdmin):
    list_display = ("event", "latitude", "longitude")
    list_filter = ("event",)
