"""People, tokens, results and the audit trail in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django_celery_results.models import TaskResult
from knox.auth import TokenAuthentication

from console.models import ApiToken
from tests.factories import make_pipeline, make_run, make_user


def new_token(page: Client, user: User) -> tuple[str, str]:
    """The page that follows, and the token that it shows."""
    sent = {"user": user.pk, "role": "operator", "name": "nightly", "days": "30"}
    text = page.post(reverse("admin:console_apitoken_add"), sent, follow=True).content.decode()
    return text, text.split("<code>")[1].split("</code>")[0]


def test_a_token_is_shown_once_works_and_is_kept_as_a_hash(admin_page: Client) -> None:
    user = make_user()
    _, token = new_token(admin_page, user)
    assert TokenAuthentication().authenticate_credentials(token.encode())[0] == user
    row = ApiToken.objects.get()
    assert (row.role, row.name) == ("operator", "nightly")
    assert 29 <= (row.expiry - row.created).days <= 30
    page = admin_page.get(reverse("admin:console_apitoken_changelist")).content.decode()
    assert row.token_key in page
    assert token not in page and row.digest not in page


def test_a_revoked_token_is_gone_and_the_others_stay(admin_page: Client) -> None:
    for _ in range(2):
        new_token(admin_page, make_user(f"user-{ApiToken.objects.count()}"))
    gone, stays = ApiToken.objects.all()
    chosen = {"action": "revoke", "_selected_action": [gone.token_key]}
    page = admin_page.post(reverse("admin:console_apitoken_changelist"), chosen, follow=True).content.decode()
    assert f"of {gone.user} is revoked." in page
    assert gone.digest not in page
    assert ApiToken.objects.get() == stays
    assert LogEntry.objects.filter(action_flag=DELETION).exists()


def test_an_admin_makes_a_person_with_a_role_in_one_form(as_role: Callable[[str], Client]) -> None:
    page = as_role("admin")
    sent = {
        "username": "nora",
        "usable_password": "true",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
        "groups": [Group.objects.get(name="operator").pk],
        "is_staff": "on",
    }
    assert page.post(reverse("admin:auth_user_add"), sent).status_code == 302
    nora = User.objects.get(username="nora")
    assert nora.is_staff and nora.has_perm("jobs.cancel_run") and nora.check_password("correct horse battery")


def test_nobody_makes_himself_a_superuser(as_role: Callable[[str], Client]) -> None:
    page = as_role("admin")
    me = User.objects.get(username="a-admin")
    sent: dict[str, Any] = {
        "username": "a-admin",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [group.pk for group in me.groups.all()],
        "user_permissions": ["1"],
    }
    assert page.post(reverse("admin:auth_user_change", args=[me.pk]), sent).status_code == 302
    me.refresh_from_db()
    assert not me.is_superuser
    assert not me.user_permissions.exists()


def test_an_admin_touches_no_superuser(as_role: Callable[[str], Client], boss: User) -> None:
    page = as_role("admin")
    assert page.post(reverse("admin:auth_user_change", args=[boss.pk]), {"username": "x"}).status_code == 403
    assert page.post(reverse("admin:auth_user_delete", args=[boss.pk]), {"post": "yes"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[boss.pk])
    new = {"password1": "another horse battery", "password2": "another horse battery"}
    assert page.post(password, new).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"}
    page.post(reverse("admin:auth_user_changelist"), chosen)
    boss.refresh_from_db()
    assert boss.username == "boss" and boss.check_password("correct horse battery")


def test_the_four_roles_stay_as_they_are(admin_page: Client) -> None:
    role, own = Group.objects.get(name="operator"), Group.objects.create(name="night shift")
    change = reverse("admin:auth_group_change", args=[role.pk])
    assert admin_page.post(change, {"name": "kings"}).status_code == 403
    assert admin_page.post(reverse("admin:auth_group_delete", args=[role.pk]), {"post": "yes"}).status_code == 403
    assert admin_page.post(reverse("admin:auth_group_change", args=[own.pk]), {"name": "day"}).status_code == 302


def test_what_the_admin_changes_is_written_down_with_its_author(admin_page: Client, boss: User) -> None:
    group = Group.objects.create(name="night shift")
    admin_page.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "day shift"})
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (boss, "day shift")
    page = admin_page.get(reverse("admin:admin_logentry_changelist")).content.decode()
    assert "day shift" in page and "Changed Name." in page


def test_a_person_in_the_audit_trail_is_made_inactive_instead_of_deleted(admin_page: Client, boss: User) -> None:
    nora = make_user("nora")
    LogEntry.objects.create(user=nora, object_repr="x", action_flag=1, change_message="[]")
    page = admin_page.get(reverse("admin:auth_user_delete", args=[nora.pk])).content.decode()
    assert "nora is named in the audit trail: make the account inactive." in page
    admin_page.post(reverse("admin:auth_user_delete", args=[nora.pk]), {"post": "yes"})
    assert User.objects.filter(pk=nora.pk).exists()
    quiet = make_user("quiet")
    admin_page.post(reverse("admin:auth_user_delete", args=[quiet.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=quiet.pk).exists()


def test_results_and_runs_are_linked_both_ways(admin_page: Client) -> None:
    run = make_run(make_pipeline())
    step = run.steps.get()
    result = TaskResult.objects.create(task_id=str(step.task_id), task_name="jobs.execute", status="SUCCESS")
    TaskResult.objects.create(task_id="not-a-uuid", task_name="celery.backend_cleanup", status="FAILURE")
    link = f'href="{reverse("run", args=[run.pk])}"'
    assert link in admin_page.get(reverse("admin:django_celery_results_taskresult_changelist")).content.decode()
    change = reverse("admin:django_celery_results_taskresult_change", args=[result.pk])
    assert link in admin_page.get(change).content.decode()
    there = f"{reverse('admin:django_celery_results_taskresult_changelist')}?task_id={step.task_id}"
    assert there in admin_page.get(reverse("admin:jobs_run_change", args=[run.pk])).content.decode()
    assert list(admin_page.get(there).context["cl"].result_list) == [result]


def test_the_result_of_a_schedules_task_leads_to_the_run_that_it_started(admin_page: Client) -> None:
    run = make_run()
    for text in (f'"run #{run.pk}"', "null", '"run #<b>"'):
        TaskResult.objects.create(task_id=text, task_name="jobs.start", status="SUCCESS", result=text)
    page = admin_page.get(reverse("admin:django_celery_results_taskresult_changelist")).content.decode()
    assert page.count(f'href="{reverse("run", args=[run.pk])}"') == 1
