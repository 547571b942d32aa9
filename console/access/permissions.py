"""What somebody may do, asked for once: by themselves and by their roles."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db.models import Model, Q


class Permissions(ModelBackend):
    """Django's own backend, which asks for the permissions of the person and of the roles one after the other."""

    def get_all_permissions(self, user_obj: Any, obj: Model | None = None) -> set[str]:
        if not isinstance(user_obj, User) or not user_obj.is_active or obj is not None:
            return set()
        kept = vars(user_obj)  # where Django keeps them too
        if "_perm_cache" not in kept:
            kept["_perm_cache"] = _of(user_obj)
        return set(kept["_perm_cache"])


def _of(user: User | AnonymousUser) -> set[str]:
    known = Permission.objects.order_by()
    rows = known if user.is_superuser else known.filter(Q(user=user) | Q(group__user=user))
    return {f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename").distinct()}
