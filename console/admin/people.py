"""People, their roles, and the tokens that speak for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html
from knox.models import get_digest_token
from knox.settings import CONSTANTS
from unfold.admin import checkbox
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from console.admin.lists import Admin
from console.forms.row_form import RowForm
from console.models import ApiToken
from console.roles import Role
from jobs import clock

LONGEST_DAYS = 3650

for _model in (User, Group):
    admin.site.unregister(_model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Admin):  # type: ignore[misc, type-arg] # the theme has no types, Django's differ
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "groups")
    search_fields = ("username", "first_name", "last_name", "email")
    autocomplete_fields = ("groups",)
    filter_horizontal = ()
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2")}),
        ("Rights", {"fields": ("groups", "is_staff"), "description": "A group is a role; staff may enter the admin."}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only a superuser gives more than a role: nobody else can rise by this form."""
        own = ["last_login", "date_joined"]
        return own if request.user.is_superuser else [*own, "is_superuser", "user_permissions"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_deleted_objects(self, objs: Iterable[User], request: HttpRequest) -> Any:
        """People who changed something stay, as the audit trail names them."""
        known = LogEntry.objects.filter(user__in=objs).values_list("user__username", flat=True).distinct()
        if names := sorted(known):
            return [], {}, set(), [f"{name} is named in the audit trail: make the account inactive." for name in names]
        return super().get_deleted_objects(objs, request)  # type: ignore[arg-type]

    @display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())


def _may_touch(request: HttpRequest, obj: Model | None) -> bool:
    return bool(request.user.is_superuser or not getattr(obj, "is_superuser", False))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, Admin):  # type: ignore[misc]
    """The four roles are made by the console and stay as they are; further groups are free."""

    list_display = ("name", "is_role")
    search_fields = ("name",)
    autocomplete_fields = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """Each permission is written with what it is about."""
        known = Prefetch("permissions", Permission.objects.select_related("content_type"))
        return super().get_queryset(request).prefetch_related(known)

    @display(description="Role of the console", boolean=True)
    def is_role(self, group: Group) -> bool:
        return group.name in Role.values

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_role(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_role(obj)


def _is_role(obj: Model | None) -> bool:
    return isinstance(obj, Group) and obj.name in Role.values


class ApiTokenForm(RowForm):
    days = forms.IntegerField(
        min_value=1,
        max_value=LONGEST_DAYS,
        initial=90,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="The token expires after so many days.",
    )

    class Meta:
        model = ApiToken
        fields = ("user", "role", "name")
        help_texts = {
            "role": "What the token may do, and never more than its user may.",
            "name": "What it is for, such as the name of a script.",
        }


@admin.register(ApiToken)
class ApiTokenAdmin(Admin):
    form = ApiTokenForm
    list_display_links = None
    list_display = ("token_key", "name", "user", "role", "state", "created", "expiry")
    list_filter = ("role",)
    list_select_related = ("user",)
    search_fields = ("name", "token_key", "user__username")
    autocomplete_fields = ("user",)
    ordering = ("-created",)
    actions = ("revoke",)
    fields = ("user", "role", "name", "days")

    def get_urls(self) -> list[URLPattern]:
        """A list and a form: a page of one token would carry its hash in the address."""
        return [url for url in super().get_urls() if str(url.name).endswith(("_changelist", "_add"))]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("console.delete_apitoken")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: found for name, found in super().get_actions(request).items() if name == "revoke"}

    @display(description="")
    def action_checkbox(self, obj: ApiToken) -> str:
        """Rows are chosen by the token's public beginning."""
        return str(checkbox.render(ACTION_CHECKBOX_NAME, obj.token_key))

    def response_action(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> Any:
        sent = request.POST.copy()
        chosen = queryset.filter(token_key__in=sent.getlist(ACTION_CHECKBOX_NAME))
        sent.setlist(ACTION_CHECKBOX_NAME, list(chosen.values_list("pk", flat=True)))
        request.POST = sent  # type: ignore[assignment] # a copy, as a QueryDict of a request is read-only
        return super().response_action(request, queryset)

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        return redirect("admin:console_apitoken_changelist")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset:
            self.log_deletions(request, [token])
            token.delete()
            self.message_user(request, f"The token {token} of {token.user} is revoked.", messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        obj.digest, token = get_digest_token()
        obj.token_key = token[: CONSTANTS.TOKEN_KEY_LENGTH]
        obj.expiry = clock.now() + timedelta(days=form.cleaned_data["days"])
        super().save_model(request, obj, form, change)
        shown = format_html("Copy the token now, it is not shown again: <code>{}</code>", token)
        self.message_user(request, shown, messages.WARNING)

    @display(description="State", label={"valid": "success", "expired": "danger"})
    def state(self, token: ApiToken) -> str:
        return "expired" if token.expiry and token.expiry <= clock.now() else "valid"
