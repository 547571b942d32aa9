from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from console.groups import make_groups
from console.roles import Role, permissions

pytestmark = pytest.mark.django_db


def held(name: str) -> set[str]:
    rows = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_has_a_group_with_its_permissions(role: Role) -> None:
    assert held(role.value) == permissions(role)


def test_each_role_may_all_that_the_one_before_it_may() -> None:
    viewer, analyst, operator, admin = (permissions(role) for role in Role)
    assert viewer < analyst < operator < admin


def test_making_them_again_changes_nothing_else() -> None:
    mine = Group.objects.create(name="mine")
    Group.objects.get(name="viewer").permissions.clear()
    make_groups()
    make_groups()
    assert held("viewer") == permissions(Role.VIEWER)
    assert Group.objects.count() == 5
    assert mine.permissions.count() == 0


def test_permissions_that_are_not_there_yet_are_made() -> None:
    Permission.objects.filter(content_type__app_label="jobs").delete()
    make_groups()
    assert held("admin") == permissions(Role.ADMIN)


def test_a_migration_brings_them_back() -> None:
    Group.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert held("operator") == permissions(Role.OPERATOR)
