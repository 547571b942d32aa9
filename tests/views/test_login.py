from __future__ import annotations

import io
import logging
import re
import time

import pytest
from django.test import Client
from django.urls import reverse

from console.access.hide import Line
from console.env import Rate
from jobs.states import Status
from tests.factories import make_user
from tests.views.scenes import ended, logged_in, running

pytestmark = pytest.mark.django_db

IS_DATA_OR_FILE = re.compile(r' src=| type="application/json"')
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
    assert "Wrong name or password" in answer.content.decode()


def test_too_many_wrong_passwords_close_the_door_for_a_while() -> None:
    make_user("mia", "viewer")
    client = Client()
    for _ in range(7):
        answer = client.post("/login/", {"username": "mia", "password": "wrong"})
    assert answer.status_code == 429
    right = client.post("/login/", {"username": "mia", "password": "correct horse battery"})
    assert right.status_code == 429


def attempt(name: str, **more: object):  # type: ignore[no-untyped-def]
    return Client().post("/login/", {"username": name, "password": "wrong"}, **more)


def test_who_is_locked_out_is_told_for_how_long() -> None:
    make_user("mia", "viewer")
    answers = [attempt("mia") for _ in range(7)]
    assert int(answers[-1]["Retry-After"]) == 600


def test_nobody_locks_another_out_from_elsewhere(settings) -> None:
    settings.CONSOLE_TRUSTED_PROXIES = ["10.0.0.1"]
    make_user("mia", "viewer")
    evil = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.66"}
    assert [attempt("mia", **evil).status_code for _ in range(7)][-1] == 429
    right = {"username": "mia", "password": "correct horse battery"}
    own = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.5"}
    assert Client().post("/login/", right, **own).status_code == 302
    spoofed = {"REMOTE_ADDR": "203.0.113.66", "HTTP_X_FORWARDED_FOR": "203.0.113.5"}
    assert Client().post("/login/", right, **spoofed).status_code == 429, "a word of one's own does not help"


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_many_names_from_one_address_have_to_wait(settings, path: str) -> None:
    settings.CONSOLE_LOGIN_LIMIT = Rate(3, 60)
    make_user("mia", "admin")
    tried = [Client().post(path, {"username": f"u{n}", "password": "wrong"}) for n in range(4)]
    assert [answer.status_code for answer in tried] == [200, 200, 200, 429]
    assert 0 < int(tried[-1]["Retry-After"]) <= 20 and "Try again in" in tried[-1].content.decode()
    right = {"username": "mia", "password": "correct horse battery"}
    assert Client().post(path, right).status_code == 429
    assert Client().post(path, right, REMOTE_ADDR="203.0.113.5").status_code == 302


def test_right_logins_are_not_counted(settings) -> None:
    settings.CONSOLE_LOGIN_LIMIT = Rate(2, 60)
    make_user("mia", "viewer")
    right = {"username": "mia", "password": "correct horse battery"}
    assert {Client().post("/login/", right).status_code for _ in range(4)} == {302}


def test_each_refused_login_is_one_line_and_one_row_that_admins_see(caplog, settings) -> None:
    name = 'a"\n2026-01-01 00:00:00,000 WARNING console.access: Login refused from 10.9.9.9 for "b": x'
    attempt(name, REMOTE_ADDR="203.0.113.5")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "console.access"]
    assert line.startswith('Login refused from 203.0.113.5 for "a\\"\\n2026') and "\n" not in line
    assert line.endswith(": wrong name or password") and "wrong" not in line.removesuffix("wrong name or password")
    assert "203.0.113.5" in logged_in("admin").get("/admin/axes/accessfailurelog/").content.decode()
    assert "203.0.113.5" in logged_in("admin").get("/admin/axes/accessattempt/").content.decode()
    assert logged_in("operator").get("/admin/axes/accessfailurelog/").status_code in (302, 403)
    for _ in range(7):
        attempt("mia")
    assert caplog.records[-1].getMessage() == 'Login refused from 127.0.0.1 for "mia": too many wrong passwords'


def test_a_password_in_the_host_header_is_not_written_down(caplog) -> None:
    said = io.StringIO()
    monitor = logging.StreamHandler(said)
    monitor.formatter = next(
        each.formatter for each in logging.getLogger().handlers if isinstance(each.formatter, Line)
    )
    logging.getLogger().addHandler(monitor)
    try:
        assert Client().get("/login/", HTTP_HOST="olga:hunter22@localhost").status_code == 400
    finally:
        logging.getLogger().removeHandler(monitor)
    assert "***@localhost" in said.getvalue() and "hunter22" not in said.getvalue()


@pytest.mark.parametrize(
    "text", ["@" + ":" * 60_000, "a:" * 30_000 + "@", "-" * 60_000 + ":@", "a:b@" * 15_000, "@:" * 30_000]
)
def test_no_text_of_a_stranger_holds_our_log_up(text: str) -> None:
    record = logging.LogRecord("django", logging.ERROR, __file__, 1, "Invalid Host: %s", (text,), None)
    began = time.process_time()
    Line("%(message)s").format(record)
    assert time.process_time() - began < 5


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


def test_admins_find_their_settings_and_all_records_in_the_sidebar() -> None:
    body = logged_in("admin").get("/").content.decode()
    assert "/admin/jobs/project/" in body and 'href="/admin/"' in body
    assert 'href="/admin/"' not in logged_in("operator").get("/").content.decode()


def test_an_analyst_lands_in_the_library_with_two_entries_and_the_rest_further_on() -> None:
    make_user("ann", "analyst")
    answer = Client().post("/login/", {"username": "ann", "password": "correct horse battery"})
    assert answer["Location"] == "/library/"
    work, _, more = logged_in("analyst").get("/library/").content.decode().partition("navigationOpen = !")
    listed = re.findall(r'<a href="(/[a-z_/-]*)" class="flex h-', work)
    assert listed == ["/library/", "/pipelines/"]
    assert 'href="/runs/"' in more and 'href="/workers/"' in more


def test_the_front_page_of_the_records_says_what_goes_on_and_leads_to_every_list() -> None:
    run, bad = running(), ended(Status.FAILED)
    body = logged_in("admin").get("/admin/").content.decode()
    for said in (f"#{run.pk}", f"#{bad.pk}", "No worker is alive", "Projects and pipelines", "/admin/jobs/run/"):
        assert said in body
    assert "Other records" not in body


def test_a_page_that_is_not_there_is_friendly() -> None:
    answer = logged_in("viewer").get("/runs/99999/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_the_policy_of_content_forbids_inline_scripts_and_no_page_has_any() -> None:
    client, run = logged_in("admin"), running()
    for path in [*PAGES, f"/runs/{run.pk}/", "/login/"]:
        answer = client.get(path)
        assert "'unsafe-inline'" not in answer["Content-Security-Policy"].split("script-src")[1].split(";")[0]
        assert not [
            tag for tag in answer.content.decode().split("<script")[1:] if not IS_DATA_OR_FILE.search(tag.split(">")[0])
        ]
