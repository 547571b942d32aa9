from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_user
from tests.views.scenes import logged_in, running

pytestmark = pytest.mark.django_db

PAGES = ["/", "/runs/", "/workers/"]


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "admin"])
def test_people_of_every_role_log_in_and_reach_what_they_wanted(role: str) -> None:
    make_user("mia", role)
    answer = Client().post(
        "/login/", {"username": "mia", "password": "correct horse battery", "next": "/runs/"}, follow=True
    )
    assert answer.redirect_chain == [("/runs/", 302)]
    assert answer.status_code == 200


def test_a_wrong_password_is_told_without_saying_which_part_is_wrong() -> None:
    make_user("mia", "viewer")
    answer = Client().post("/login/", {"username": "mia", "password": "wrong"})
    assert "do not belong together" in answer.content.decode()


def test_too_many_wrong_passwords_close_the_door_for_a_while() -> None:
    make_user("mia", "viewer")
    client = Client()
    for _ in range(7):
        answer = client.post("/login/", {"username": "mia", "password": "wrong"})
    assert answer.status_code == 429
    right = client.post("/login/", {"username": "mia", "password": "correct horse battery"})
    assert right.status_code == 429


def test_a_login_never_leads_to_another_site() -> None:
    make_user("mia", "viewer")
    data = {"username": "mia", "password": "correct horse battery", "next": "https://evil.example/"}
    assert Client().post("/login/", data)["Location"] == "/"


def test_logging_out_is_a_post_and_leads_to_the_login() -> None:
    client = logged_in("viewer")
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/")["Location"].startswith("/login/")


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_sent_to_the_login_and_back(client: Client, path: str) -> None:
    assert client.get(path)["Location"] == f"/login/?next={path}"


@pytest.mark.parametrize("path", PAGES)
def test_people_without_a_role_get_a_refusal_that_says_what_to_do(path: str, django_user_model) -> None:  # type: ignore[no-untyped-def]
    client = Client()
    client.force_login(django_user_model.objects.create_user("nobody"))
    answer = client.get(path)
    assert answer.status_code == 403
    assert "Ask an admin" in answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_staff_sees_the_whole_shell_without_the_workshop(path: str) -> None:
    body = logged_in("viewer").get(path).content.decode()
    assert reverse("runs") in body and 'id="nav-sidebar"' in body
    assert "/admin/jobs/" not in body


def test_admins_find_the_workshop_in_the_sidebar() -> None:
    assert "/admin/jobs/project/" in logged_in("admin").get("/").content.decode()


def test_a_page_that_is_not_there_is_friendly() -> None:
    answer = logged_in("viewer").get("/runs/99999/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_the_policy_of_content_forbids_inline_scripts_and_no_page_has_any() -> None:
    client, run = logged_in("admin"), running()
    for path in [*PAGES, f"/runs/{run.pk}/", "/login/"]:
        answer = client.get(path)
        assert "'unsafe-inline'" not in answer["Content-Security-Policy"].split("script-src")[1].split(";")[0]
        assert not [tag for tag in answer.content.decode().split("<script")[1:] if " src=" not in tag.split(">")[0]]
