"""How our lists behave: a page costs the same at a thousand rows and at a million."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from django.contrib.admin import ShowFacets
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import AutocompleteMixin
from django.core.paginator import EmptyPage, InvalidPage, Page, PageNotAnInteger, Paginator
from django.db.models import Model, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import BaseForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList

from console.forms.versions import Versioned
from console.whole_number import whole_number
from jobs.models.act import facts_of, record, was_recorded
from jobs.structure.values import shown
from kedro_console.wire import HIDDEN

LAST_PAGE = 10**12

STATUS_COLOURS = {
    "queued": "info",
    "running": "primary",
    "succeeded": "success",
    "failed": "danger",
    "cancelled": "warning",
    "crashed": "danger",
}


if TYPE_CHECKING:  # the stubs are generic, the classes are not
    AnyPage = Page[Any]
    AnyPaginator = Paginator[Any]
    AnyForm = BaseForm
else:
    AnyPage, AnyPaginator, AnyForm = Page, Paginator, object


class UncountedPage(AnyPage):
    """Some rows, and whether any follow."""

    def __init__(self, rows: Sequence[Any], number: int, paginator: UncountedPaginator, *, is_last: bool) -> None:
        super().__init__(rows, number, paginator)
        self.is_last = is_last

    def has_next(self) -> bool:
        return not self.is_last


class UncountedPaginator(AnyPaginator):
    """Pages that read one row more than they show instead of counting the table."""

    template_name = "admin/pages_uncounted.html"
    seen = 0

    @property
    def count(self) -> int:
        """How many rows are known to be there; not how many there are."""
        return self.seen

    def validate_number(self, number: int | float | str) -> int:
        try:
            number = int(number)
        except ValueError as error:
            raise PageNotAnInteger("The page is not a number.") from error
        if number < 1:
            raise EmptyPage("Pages begin at 1.")
        if number > LAST_PAGE:
            raise EmptyPage("There is no such page.")  # its first row has a number that no database takes
        return number

    def page(self, number: int | float | str) -> UncountedPage:
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        rows = self._rows(start)
        if not rows and number > 1:
            raise EmptyPage("The list ends before this page.")
        self.seen = start + len(rows)
        return UncountedPage(rows[: self.per_page], number, self, is_last=len(rows) <= self.per_page)

    def _rows(self, start: int) -> list[Any]:
        """First their keys, then what is shown of them: asked for at once, SQLite may begin at a table joined to it."""
        stop = start + self.per_page + 1
        if not isinstance(self.object_list, QuerySet):
            return list(self.object_list[start:stop])
        keys = list(self.object_list.select_related(None).values_list("pk", flat=True)[start:stop])
        found = {row.pk: row for row in self.object_list.filter(pk__in=keys)} if keys else {}
        return [found[key] for key in keys if key in found]


class UncountedList(ChangeList):
    """A change list that asks for one page and nothing else."""

    def get_queryset(self, request: HttpRequest, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, **kwargs)
        return rows.defer(*self.model_admin.list_defer)

    def get_results(self, request: HttpRequest) -> None:
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        try:
            self.page = self.paginator.page(self.page_num)
        except InvalidPage as error:
            raise IncorrectLookupParameters from error
        self.result_list = self.page.object_list
        self.first_row = (self.page_num - 1) * self.list_per_page + 1
        self.last_row = self.first_row + len(self.result_list) - 1
        self.result_count = len(self.result_list)
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = False
        self.multi_page = False
        self.model_admin.dress(self.result_list)


Changes = tuple[dict[str, Any], dict[str, Any]]


def _changes_in(form: Any) -> Changes:
    """The changed fields of a form before and after; a password is only said to have changed."""
    names = [name for name in form.changed_data if name in form.cleaned_data]
    hide = {name for name in names if "password" in name} | set(getattr(form, "secret_fields", ()))
    before = {name: HIDDEN if name in hide else _told(form.initial.get(name)) for name in names}
    return before, {name: HIDDEN if name in hide else _told(form.cleaned_data[name]) for name in names}


def _told(value: Any) -> Any:
    if isinstance(value, QuerySet | list | tuple | set):
        return [_told(each) for each in value]
    return str(value) if isinstance(value, Model) else value


class KnownKeys:
    """A field that is chosen from a search: what came back as a key and can be none is not looked up."""

    def optgroups(self, name: str, value: list[str], attr: Any = None) -> Any:
        keys = [key for key in value if key == "" or whole_number(str(key)) is not None]
        return super().optgroups(name, keys, attr)  # type: ignore[misc]


class AsSeen(Versioned, AnyForm):
    """Put before a form of the admin, whose page is saved in one transaction."""

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound:
            self.check_version()
        if self.stale:
            self.add_error(None, str(self.stale))


class Admin(ModelAdmin):
    """What all our admin pages share."""

    paginator = UncountedPaginator
    list_per_page = 50
    list_defer: tuple[str, ...] = ()
    list_disable_select_all = True
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    view_on_site = False
    compressed_fields = True

    change_form_before_template = "admin/_version.html"

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **options: Any) -> Any:
        """With the version of the row that it changes: nobody saves over what somebody else has changed."""
        form = super().get_form(request, obj, change=change, **options)
        if obj is None or not self.has_change_permission(request, obj):
            return form
        return type(form.__name__, (AsSeen, form), {})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UncountedList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        widget = getattr(getattr(field, "widget", None), "widget", None)  # it is wrapped, with links to add another
        if isinstance(widget, AutocompleteMixin):
            widget.__class__ = type(type(widget).__name__, (KnownKeys, type(widget)), {})
        return field

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What it also says of the change is kept for the record: each field as it was and as it is."""
        self._changes(request)[str(form.instance.pk)] = _changes_in(form)
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "added", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(request, "changed", obj, why=message if isinstance(message, str) else "")
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            record("deleted", obj, before=facts_of(obj))
        return super().log_deletions(request, queryset)

    def _changes(self, request: HttpRequest) -> dict[str, Changes]:
        found: dict[str, Changes] = request.__dict__.setdefault("changes", {})
        return found

    def _record(self, request: HttpRequest, verb: str, obj: Model, why: str = "") -> None:
        """Unless the domain has recorded it in this request, or it was saved as it was."""
        before, after = self._changes(request).get(str(obj.pk), ({}, {}))
        if not was_recorded(obj) and (verb == "added" or before != after):
            record(verb, obj, before={} if verb == "added" else before, after=after, why=why)

    def dress(self, rows: Sequence[Any]) -> None:
        """Give the rows of one page what their columns need, in a fixed number of queries."""


WINDOW: Final = 20_000
AMONG: Final = f"among the newest {WINDOW:,}"


def among_newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """For a condition that no index answers: what few rows fulfil would be looked for in all of millions."""
    keys = rows.model._default_manager.order_by("-pk").values("pk")
    return rows.filter(pk__gte=Coalesce(Subquery(keys[WINDOW - 1 : WINDOW]), 0))


class Facts(Admin):
    """Rows that our own processes write: people look at them and change nothing."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A part of a text is looked for among the newest only; what is equal (=) an index finds."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        is_part = search_term.strip() and any(not name.startswith("=") for name in self.search_fields)
        return (among_newest(found) if is_part else found), may_repeat

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class FactsOfRun(Facts):
    """Facts that belong to a run and are found by its number."""

    ordering = ("-id",)
    list_select_related: tuple[str, ...] = ("run",)
    search_fields: tuple[str, ...] = ("run__id",)
    search_help_text = "The number of a run"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        number = whole_number(search_term)
        if not search_term.strip():
            return queryset, False
        return (queryset.filter(run_id=number) if number is not None else queryset.none()), False


class FactsInline(TabularInline):
    """Facts of the row above, a page of them at a time."""

    extra = 0
    max_num = 0
    can_delete = False
    per_page = 50
    tab = True
    show_change_link = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def parameters_text(values: Any) -> str:
    """Parameters as everybody may see them, as indented JSON."""
    text = json.dumps(shown(values or {}), indent=2, ensure_ascii=False)
    return format_html('<pre class="whitespace-pre-wrap font-mono text-xs">{}</pre>', text)


def link(text: object, url: str) -> str:
    """A link in a list or in a message; the text is escaped."""
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, text)


def run_link(number: int) -> str:
    """A link to the page of a run."""
    return link(f"#{number}", reverse("run", args=[number]))
