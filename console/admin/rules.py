"""Rules: written with the same checks as on their page, switched and tried in numbers; and what came of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from console.admin.asker import asker
from console.admin.lists import AMONG, Admin, Facts, FactsOfRun, among_newest, link, parameters_text, run_link
from console.forms.rule_form import RuleForm
from console.pages.rules import when
from console.whole_number import whole_number
from jobs import clock
from jobs.errors import ConsoleError
from jobs.models import Arrival, Firing, Rule
from jobs.rules.edit import delete_rule, save_rule, switch_rule
from jobs.rules.rehearse import past_run, try_rule

DECISION_COLOURS = {
    "started": "success",
    "condition was false": "info",
    "refused": "danger",
    "capped": "warning",
    "deciding": "primary",
    "failed": "danger",
    "rule was off": "warning",
}


class RuleAdminForm(RuleForm):
    mapping = forms.CharField(
        label="Parameters",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=RuleForm.base_fields["mapping"].help_text,
    )

    class Meta(RuleForm.Meta):
        widgets = {"condition": UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"})}


@admin.register(Rule)
class RuleAdmin(Admin):
    form = RuleAdminForm
    list_display = ("name", "is_on", "sentence", "target", "is_side_job", "edited_at", "page")
    list_display_links = ("name",)
    list_filter = ("is_enabled", "outcome", "wants", "is_side_job", "target__project")
    list_select_related = ("target__project",)
    search_fields = ("name", "condition", "handler", "target__name", "sources__name")
    autocomplete_fields = ("target",)
    filter_horizontal = ("sources",)
    ordering = ("name",)
    actions = ("enable", "disable", "test_with_newest")
    actions_detail = ("open_page",)
    readonly_fields = ("created_at", "created_by", "edited_at", "edited_by")
    fieldsets = (
        (None, {"fields": ("name", "is_enabled")}),
        ("When", {"fields": ("sources", ("wants", "outcome"), ("correlate", "node"), "condition")}),
        ("Start", {"fields": ("target", "mapping", "selection", "handler", "is_side_job")}),
        ("Limits", {"fields": (("max_iterations", "max_per_hour"),)}),
        ("History", {"fields": (("created_at", "created_by"), ("edited_at", "edited_by"))}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        rows: QuerySet[Rule] = super().get_queryset(request)
        return rows.prefetch_related("sources")

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        save_rule(obj, form.sources, at=clock.now(), by=asker(request))

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        delete_rule(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        for rule in queryset:
            delete_rule(rule)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What it has seen goes with it; its firings are history and stay."""
        return [str(rule) for rule in objs], {"rules": len(list(objs))}, set(), []

    def has_test_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("jobs.test_rule")

    @display(description="Is", label={"on": "success", "off": "warning"})
    def is_on(self, rule: Rule) -> str:
        return "on" if rule.is_enabled else "off"

    @display(description="When")
    def sentence(self, rule: Rule) -> str:
        return when(rule)

    @display(description="Page")
    def page(self, rule: Rule) -> str:
        return link("Open", rule.get_absolute_url())

    @admin.action(description="Turn on", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        self._switch(request, queryset, is_enabled=True)

    @admin.action(description="Turn off", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        self._switch(request, queryset, is_enabled=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Rule], *, is_enabled: bool) -> None:
        for rule in queryset:
            try:
                switch_rule(rule, is_enabled=is_enabled, at=clock.now(), by=asker(request))
                self.message_user(request, f"{rule} is {'on' if is_enabled else 'off'}.", messages.SUCCESS)
            except ConsoleError as refusal:
                self.message_user(request, f"{rule}: {refusal}", messages.ERROR)

    @admin.action(description="Test with the newest run", permissions=["test"])
    def test_with_newest(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        """What each would have done; nothing is started."""
        for rule in queryset:
            run = past_run(rule, list(rule.sources.all()))
            if run is None:
                self.message_user(request, f"{rule}: no past run ended like this.", messages.WARNING)
                continue
            trial = try_rule(rule, run, clock.now())
            sentence = format_html("{}, with run {}: {}", str(rule), run_link(run.pk), trial.reason)
            self.message_user(request, sentence, messages.ERROR if trial.problems else messages.SUCCESS)

    @action(description="Open the page", icon="open_in_new")
    def open_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("rule", pk=whole_number(object_id) or 0)


@admin.register(Arrival)
class ArrivalAdmin(FactsOfRun):
    list_display = ("at", "rule", "run_number", "node", "key", "firing")
    list_filter = ("rule",)
    list_select_related = ("rule", "firing")
    sortable_by = ()

    @display(description="Run")
    def run_number(self, arrival: Arrival) -> str:
        return run_link(arrival.run_id)


@admin.register(Firing)
class FiringAdmin(Facts):
    list_display = ("at", "rule_name", "after", "came_of_it", "sentence", "run")
    list_filter = ("decision", "is_side_job", "rule")
    list_defer = ("parameters",)
    exclude = ("parameters",)
    readonly_fields = ("with_parameters",)
    search_fields = ("rule_name", "ended__id")
    search_help_text = f"A rule's name, {AMONG}, or the number of the run after which it fired"
    ordering = ("-id",)
    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        number = whole_number(search_term)
        if number is not None:
            return queryset.filter(ended_id=number), False
        name = search_term.strip()
        return (among_newest(queryset).filter(rule_name__icontains=name) if name else queryset), False

    @display(description="After")
    def after(self, firing: Firing) -> str:
        return format_html("{} {}", run_link(firing.ended_id), firing.node)

    @display(description="Decision", label=DECISION_COLOURS)
    def came_of_it(self, firing: Firing) -> str:
        return str(firing.get_decision_display())

    @display(description="Parameters")
    def with_parameters(self, firing: Firing) -> str:
        return parameters_text(firing.parameters)

    @display(description="Started")
    def run(self, firing: Firing) -> str:
        return run_link(firing.started_id) if firing.started_id else ""
