"""Every address of the API, taken from the URL patterns, as everyone who may or may not use it."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from console.api.urls import urlpatterns
from console.models import ApiToken
from console.roles import Role, permissions
from jobs.models import Run
from tests.api.conftest import get, post
from tests.factories import make_pipeline, make_quota, make_run, make_user
from tests.records import a_request
from tests.views.scenes import a_worker

OPEN = {"health", "openapi", "docs", "not_here"}
DOORS = [pattern for pattern in urlpatterns if pattern.name not in OPEN]
CALLS = [(pattern, method) for pattern in DOORS for method in pattern.callback.view_class.needs]
NAMES = [f"{method} {pattern.name}" for pattern, method in CALLS]


def address(pattern: URLPattern, run: Run) -> str:
    route = str(pattern.pattern)
    parts = {
        "job": str(run.uuid),
        "project": "shop",
        "name": "report",
        "artifact": str(uuid.uuid4()),
        "worker": "w1@here",
        "pk": "7",
        "queue": "words",
        "quota": "chat",
        "rule": "1",
        "backfill": "1",
        "channel": "1",
        "schedule": "1",
        "share": str(uuid.uuid4()),
        "subscription": "1",
    }
    return "/api/v1/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: parts[match[1]], route)


def call(client: Client, pattern: URLPattern, method: str):
    return client.generic(method, address(pattern, make_run()), b"{}", "application/json")


def test_every_door_names_a_permission_for_each_method_that_it_has() -> None:
    for pattern in DOORS:
        view = pattern.callback.view_class
        handled = {method.upper() for method in view.http_method_names if hasattr(view, method)} - {"OPTIONS", "HEAD"}
        assert handled == set(view.needs), pattern.name
        assert set(view.needs.values()) <= permissions(Role.ADMIN)


@pytest.mark.parametrize(("pattern", "method"), CALLS, ids=NAMES)
def test_a_stranger_is_told_to_log_in(pattern: URLPattern, method: str) -> None:
    answer = call(Client(), pattern, method)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer TOKEN" in answer.json()["detail"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("pattern", "method"), CALLS, ids=NAMES)
def test_each_role_may_what_its_permissions_say_and_nothing_more(caller, role, pattern, method) -> None:
    answer = call(caller(role), pattern, method)
    is_allowed = pattern.callback.view_class.needs[method] in permissions(role)
    assert (answer.status_code == 403) is not is_allowed
    assert answer.status_code < 500
    assert answer.status_code != 401


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"])
def test_a_method_that_is_none_is_refused(operator, method: str) -> None:
    make_pipeline()
    answer = operator.generic(method, "/api/v1/jobs", b"{}", "application/json")
    assert (answer.status_code, Run.objects.count()) == (405, 0)


@pytest.mark.parametrize("path", ["/", "/jobs/", "/nothing", "/jobs/1/resume", "/jobs/1/requests", "/admin"])
def test_an_address_that_is_none_says_so_in_json(path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = Client().generic(method, f"/api/v1{path}", b"", "application/json")
        assert answer.status_code in (401, 404)
        assert "detail" in answer.json()


# ---- tokens


@pytest.mark.parametrize("secret", ["", "x", "0" * 64, "ü" * 8, "a b", "\x00", "0" * 100_000])
def test_a_token_that_is_not_known_is_refused(secret: str) -> None:
    answer = get(Client(), "/jobs", HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert answer.status_code == 401
    assert "not known" in answer.json()["detail"]


def token_of(user, **facts) -> tuple[ApiToken, Client]:
    row, secret = ApiToken.objects.create(user, timedelta(days=1), role="operator", **facts)
    return row, Client(headers={"Authorization": f"Bearer {secret}"})


def test_only_the_hash_of_a_token_is_stored() -> None:
    row, secret = ApiToken.objects.create(make_user(), timedelta(days=1), role="viewer")
    stored = " ".join(str(value) for value in ApiToken.objects.filter(pk=row.pk).values().get().values())
    assert secret not in stored


def test_an_expired_a_revoked_and_a_left_token_are_refused() -> None:
    user = make_user()
    expired, first = token_of(user)
    ApiToken.objects.filter(pk=expired.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    revoked, second = token_of(user)
    revoked.delete()
    _, third = token_of(make_user("gone", "admin"))
    type(user).objects.filter(username="gone").update(is_active=False)
    assert [get(client, "/jobs").status_code for client in (first, second, third)] == [401, 401, 401]
    assert "expired" in get(first, "/jobs").json()["detail"]
    assert "no longer active" in get(third, "/jobs").json()["detail"]


def test_a_token_may_never_do_more_than_its_user(caller) -> None:
    run = make_run()
    stronger = caller("admin", of="viewer")
    assert get(stronger, f"/jobs/{run.pk}").status_code == 200
    assert post(stronger, "/jobs", {"pipeline_name": "report"}).status_code == 403
    weaker = caller("viewer", of="admin")
    assert post(weaker, "/jobs", {"pipeline_name": "report"}).status_code == 403


def test_a_token_of_a_superuser_may_what_its_role_may(django_user_model) -> None:
    make_pipeline()
    _, client = token_of(django_user_model.objects.create_superuser("root"))
    assert post(client, "/jobs", {"pipeline_name": "report"}).status_code == 201


def test_a_changed_role_counts_at_once() -> None:
    make_pipeline()
    user = make_user()
    _, client = token_of(user)
    assert post(client, "/jobs", {"pipeline_name": "report"}).status_code == 201
    user.groups.clear()
    assert post(client, "/jobs", {"pipeline_name": "report"}).status_code == 403


def test_a_token_in_the_address_counts_for_nothing() -> None:
    _, secret = ApiToken.objects.create(make_user(), timedelta(days=1), role="operator")
    for name in ("token", "access_token", "Authorization"):
        assert get(Client(), f"/jobs?{name}={secret}").status_code == 401


def test_a_wrong_token_does_not_fall_back_to_another_way_in(settings) -> None:
    settings.CONSOLE_ANONYMOUS_API = "operator"
    client = Client(headers={"Authorization": "Bearer wrong"})
    client.force_login(make_user())
    assert get(client, "/jobs").status_code == 401


# ---- sessions


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_a_change_in_a_session_needs_its_csrf_token(content_type: str, settings) -> None:
    settings.CONSOLE_ANONYMOUS_API = "operator"  # which is no way round it
    make_pipeline()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    assert get(client, "/jobs").status_code == 200
    answer = client.post("/api/v1/jobs", '{"pipeline_name": "report"}', content_type=content_type)
    assert (answer.status_code, Run.objects.count()) == (403, 0)
    assert "CSRF" in answer.json()["detail"]


def test_a_session_with_its_csrf_token_may_what_its_user_may() -> None:
    make_pipeline()
    for name, role, status in (("olga", "operator", 201), ("vera", "viewer", 403)):
        client = Client(enforce_csrf_checks=True)
        client.force_login(make_user(name, role))
        client.cookies["csrftoken"] = "c" * 32
        answer = post(client, "/jobs", {"pipeline_name": "report"}, headers={"X-CSRFToken": "c" * 32})
        assert answer.status_code == status


# ---- nobody's name, from this machine


@pytest.fixture
def local(settings) -> Client:
    settings.CONSOLE_ANONYMOUS_API = "operator"
    make_pipeline()
    return Client(REMOTE_ADDR="127.0.0.1", HTTP_HOST="localhost:8000")


def test_a_plain_curl_on_this_machine_submits_and_polls(local: Client) -> None:
    answer = post(local, "/jobs", {"pipeline_name": "report", "parameters": {}})
    assert answer.status_code == 201
    assert answer.json()["user_id"] == "anonymous"
    assert get(local, f"/jobs/{answer.json()['id']}").json()["status"] == "pending"
    assert post(local, f"/jobs/{answer.json()['id']}/cancel").json()["status"] == "cancelled"


def test_the_local_role_has_its_limits(local: Client, settings) -> None:
    settings.CONSOLE_ANONYMOUS_API = "viewer"
    assert get(local, "/jobs").status_code == 200
    assert post(local, "/jobs", {"pipeline_name": "report"}).status_code == 403
    settings.CONSOLE_ANONYMOUS_API = "off"
    assert get(local, "/jobs").status_code == 401


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "", "unix:", "127.0.0.1.evil.example"])
def test_another_machine_needs_a_token(local: Client, peer: str) -> None:
    assert get(local, "/jobs", REMOTE_ADDR=peer).status_code == 401


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_every_loopback_address_is_this_machine(local: Client, peer: str) -> None:
    assert get(local, "/jobs", REMOTE_ADDR=peer).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server"),
        *("X-Forwarded", "Forwarded", "Via", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
        *("X-Original-URI", "X-Envoy-External-Address", "X-Amzn-Trace-Id", "CDN-Loop", "Tailscale-User-Login"),
    ],
)
@pytest.mark.parametrize("value", ["10.0.0.1", "127.0.0.1", ""])
def test_a_proxy_on_this_machine_does_not_speak_for_it(local: Client, header: str, value: str) -> None:
    assert get(local, "/jobs", headers={header: value}).status_code == 401
    answer = post(local, "/jobs", {"pipeline_name": "report"}, headers={header: value})
    assert answer.status_code == 401 and not Run.objects.exists()


def test_a_proxy_that_says_nothing_but_speaks_an_old_protocol_is_one(local: Client) -> None:
    assert get(local, "/jobs", SERVER_PROTOCOL="HTTP/1.0").status_code == 401


def test_https_comes_from_a_proxy(local: Client) -> None:
    assert get(local, "/jobs", secure=True).status_code == 401


def test_a_name_that_was_rebound_to_this_machine_is_refused(local: Client, settings) -> None:
    assert get(local, "/jobs", HTTP_HOST="evil.example").status_code == 400
    settings.ALLOWED_HOSTS = ["*"]
    assert get(local, "/jobs", HTTP_HOST="evil.example").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(local: Client, headers: dict[str, str]) -> None:
    for answer in (
        get(local, "/jobs", headers=headers),
        post(local, "/jobs", {"pipeline_name": "report"}, headers=headers),
    ):
        assert answer.status_code == 401
        assert "another site" in answer.json()["detail"]
    assert Run.objects.count() == 0


def test_our_own_docs_page_may_try_things_out(local: Client) -> None:
    headers = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    assert post(local, "/jobs", {"pipeline_name": "report"}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_form_can_send_is_refused_though_it_is_json_inside(local: Client, content_type: str) -> None:
    body = b'{"pipeline_name": "report"}'
    answer = local.generic("POST", "/api/v1/jobs", body, content_type)
    assert (answer.status_code, Run.objects.count()) == (415, 0)
    assert "Content-Type: application/json" in answer.json()["detail"]
    run = make_run()
    assert local.generic("POST", f"/api/v1/jobs/{run.pk}/cancel", b"", content_type).status_code == 415
    run.refresh_from_db()
    assert run.cancel_requested_at is None


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Token abc"}, {"Authorization": "abc"}, {"Authorization": "Basic YTpi"}, {"X-API-Key": "a"}],
)
def test_who_shows_something_like_a_token_never_acts_as_nobody(local: Client, headers: dict[str, str]) -> None:
    answer = post(local, "/jobs", {"pipeline_name": "report"}, headers=headers)
    assert answer.status_code == 401 and "Authorization: Bearer TOKEN" in answer.json()["detail"]
    assert not Run.objects.exists()


def test_a_token_acts_as_its_user_in_every_record_also_on_this_machine(local: Client, caller) -> None:
    client = caller("operator", of="admin")
    client.defaults.update(REMOTE_ADDR="127.0.0.1", HTTP_HOST="localhost:8000")
    name = User.objects.get().username
    job = post(client, "/jobs", {"pipeline_name": "report"}).json()
    assert job["user_id"] == name
    post(client, f"/jobs/{job['id']}/cancel")
    run = Run.objects.get()
    assert (run.requested_by_name, run.cancel_requested_by) == (name, name)
    assert run.requested_by and run.requested_by.username == name
    assert {move.by for move in run.transitions.all()} == {name}
    again = post(client, f"/jobs/{job['id']}/retry").json()
    assert again["user_id"] == name
    worker = a_worker()
    patched = client.patch(
        f"/api/v1/workers/{worker.name}", {"wanted_state": "paused"}, content_type="application/json"
    )
    assert patched.status_code == 200
    worker.refresh_from_db()
    quota = make_quota()
    post(client, f"/quotas/{quota.name}/pause")
    quota.refresh_from_db()
    record = a_request(run)
    post(client, "/requests/dismiss", {"requests": [record.pk], "why": "known"})
    record.refresh_from_db()
    assert (worker.wanted_by, quota.paused_by, record.settled_by) == (name, name, name)
