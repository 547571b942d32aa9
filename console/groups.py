"""The four roles as Django groups, made after every migration and again whenever `console/roles.py` says more."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import DEFAULT_DB_ALIAS

from console.roles import Role, permissions


def make_groups(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Give each role's group exactly the role's permissions; groups of other names are left alone."""
    known = _known(using)
    if missing := permissions(Role.ADMIN) - known.keys():
        for app in sorted({name.split(".")[0] for name in missing}):
            create_permissions(apps.get_app_config(app), verbosity=0, using=using)
        known = _known(using)
    for role in Role:
        group, _made = Group.objects.using(using).get_or_create(name=role.value)
        wanted = {known[name] for name in permissions(role)}
        if wanted != set(group.permissions.values_list("pk", flat=True)):
            group.permissions.set(wanted)


def _known(using: str) -> dict[str, int]:
    """`app.codename` → the permission's key."""
    rows = Permission.objects.using(using).values_list("content_type__app_label", "codename", "pk")
    return {f"{app}.{codename}": pk for app, codename, pk in rows}
