"""What may be done: a token's role and never more than its user, a user's own permissions, or the local role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from console.api.authentication import LocalRole
from console.models import ApiToken
from console.roles import Role, permissions

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module while it is being made


def may(request: Request, permission: str) -> bool:
    """Whether whoever asks holds this permission (`app.codename`)."""
    if isinstance(request.auth, LocalRole):
        return permission in permissions(request.auth.role)
    if isinstance(request.auth, ApiToken) and permission not in permissions(request.auth.role):
        return False
    return bool(request.user and request.user.is_authenticated and request.user.has_perm(permission))


def name_of(request: Request) -> str:
    """The name that is written down for what this request changes."""
    return request.user.get_username() or "anonymous"


class RolePermission(BasePermission):
    """Asks for the permission that the view's `needs` names for the method; a method without one is refused."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.auth and not request.user.is_authenticated:
            return False  # answered as 401
        method = "GET" if request.method == "HEAD" else str(request.method)
        needs: dict[str, str] = getattr(view, "needs", {})
        if method not in needs:
            return method == "OPTIONS" or not hasattr(view, method.lower())  # answered as 405
        if not may(request, needs[method]):
            raise PermissionDenied(f"Your role may not do this: it needs at least the role {_least(needs[method])}.")
        return True


def _least(permission: str) -> str:
    return next((role.label for role in Role if permission in permissions(role)), "admin")
