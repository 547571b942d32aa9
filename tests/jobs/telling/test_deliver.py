"""A delivery is tried, retried and shown; what people typed in leads nowhere inside of the network."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from jobs.errors import BadParameters
from jobs.models import Act, Channel, Delivery, News, Notice, Run
from jobs.models.act import Actor, Door, acting
from jobs.models.channel import Asker
from jobs.states import NewsKind, Status
from jobs.telling import reach
from jobs.telling.deliver import MOST_TRIES, deliver
from jobs.telling.edit import mute, save_channel, save_subscription, send_test
from jobs.telling.on_run_end import run_ended
from jobs.telling.sweep import sweep
from jobs.telling.words import as_if, written
from jobs.upkeep.prune import prune
from tests.factories import AT, make_user
from tests.jobs.chains import ended, pipelines
from tests.jobs.telling.conftest import send_due, subscribed
from tests.receivers import Hook, Mailbox, hook_server

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


def a_webhook(admin: User, url: str, name: str = "hook", **facts: Any) -> tuple[Channel, str]:
    channel = Channel(name=name, kind="webhook", **facts)
    return channel, save_channel(channel, by=Asker.of(admin), at=AT, address=url)


def tried(channel: Channel, admin: User) -> Delivery:
    found = send_test(channel, by="ada", at=AT)
    assert deliver(found.pk, AT)
    found.refresh_from_db()
    return found


def test_a_webhook_is_signed_over_time_and_body(admin: User, hook: Hook) -> None:
    channel, secret = a_webhook(admin, hook.url)
    found = tried(channel, admin)
    ((headers, body),) = hook.calls
    second = headers["X-Console-Time"]
    digits = hmac.new(secret.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Console-Signature"] == f"sha256={digits}" and int(second) == int(AT.timestamp())
    assert (found.status, found.answer, headers["X-Console-Delivery"]) == ("sent", "HTTP 200 ok", str(found.pk))


def test_it_is_sent_once_however_often_a_worker_hears_of_it(admin: User, hook: Hook) -> None:
    found = tried(a_webhook(admin, hook.url)[0], admin)
    assert not deliver(found.pk, AT) and not deliver(found.pk, AT + timedelta(days=1)) and len(hook.calls) == 1


def test_a_dead_receiver_is_retried_then_shown_and_told_of_over_another_channel(
    admin: User, channels: list[Channel], box: Mailbox, hook: Hook
) -> None:
    a, *_ = pipelines()
    subscribed(admin, "failing", channels)
    hook.status = 503
    run = ended(a, Status.FAILED)
    at, attempts = AT, []
    for _ in range(4):
        send_due(at)
        delivery = Delivery.objects.get(channel=channels[1], news__kind="failing")
        attempts.append((delivery.due_at - at).total_seconds())
        at = delivery.due_at
    assert attempts == [5, 10, 20, 40] and delivery.answer == "HTTP 503: ok" and delivery.status == "waiting"
    channels[1].refresh_from_db()
    assert channels[1].state == "failing" and Run.objects.get(pk=run.pk).status == Status.FAILED
    assert box.subjects[1] == "The channel ops by webhook does not work: HTTP 503: ok" and len(box.subjects) == 2
    assert Notice.objects.filter(user=admin, news__kind="channel", read_at=None).count() == 1
    hook.status = 200
    send_due(at)
    channels[1].refresh_from_db()
    assert channels[1].state == "working" and News.objects.get(kind="channel").ended_at
    assert hook.kinds[-1] == "failing" and Delivery.objects.filter(status="waiting").count() == 0


def test_what_else_waits_for_a_dead_channel_waits_with_it(admin: User, channels: list[Channel], hook: Hook) -> None:
    a, b, c, _ = pipelines()
    subscribed(admin, "failing", channels[1:])
    hook.status = 500
    for pipeline in (a, b, c):
        ended(pipeline, Status.FAILED)
    assert send_due() == 2, "after the second failure the third is not even tried"
    hook.status = 200
    assert send_due(AT + timedelta(seconds=5)) == 3


def test_after_the_last_try_it_is_given_up(admin: User, hook: Hook) -> None:
    channel, _ = a_webhook(admin, hook.url)
    hook.status = 410
    found = send_test(channel, by="ada", at=AT)
    at = AT
    for _ in range(MOST_TRIES):
        assert deliver(found.pk, at)
        found.refresh_from_db()
        at = found.due_at
    assert (found.status, found.attempts) == ("failed", MOST_TRIES) and not deliver(found.pk, at)
    assert timedelta(hours=2) < at - AT < timedelta(days=1)


def test_a_message_that_was_lost_is_sent_again(
    admin: User, hook: Hook, asked: list[tuple[str, int]], django_capture_on_commit_callbacks: Any
) -> None:
    channel, _ = a_webhook(admin, hook.url)
    with django_capture_on_commit_callbacks(execute=True):
        found = send_test(channel, by="ada", at=AT)
    sweep(AT + SECOND)
    assert asked == [("news:jobs.deliver", found.pk)]
    sweep(AT + timedelta(seconds=30))
    assert asked == [("news:jobs.deliver", found.pk)] * 2


def test_quiet_hours_hold_back_what_is_sent_and_not_the_bell(admin: User, channels: list[Channel], hook: Hook) -> None:
    a, *_ = pipelines()
    subscribed(admin, "failing", channels, quiet_from=time(8), quiet_until=time(10, 30))  # it is 9 in Berlin
    ended(a, Status.FAILED)
    assert Notice.objects.count() == 1 and send_due(AT) == 0
    assert send_due(datetime(2026, 3, 1, 9, 29, tzinfo=UTC)) == 0
    assert send_due(datetime(2026, 3, 1, 9, 30, tzinfo=UTC)) == 2 and hook.kinds == ["failing"]


@pytest.mark.parametrize(
    ("at", "begin", "end", "speaks"),
    [
        ("2026-03-01T22:30", time(22), time(7), "2026-03-02T06:00"),  # 23:30 in Berlin
        ("2026-03-02T05:59", time(22), time(7), "2026-03-02T06:00"),
        ("2026-03-02T06:00", time(22), time(7), "2026-03-02T06:00"),
        ("2026-03-29T00:30", time(22), time(7), "2026-03-29T05:00"),  # in the night the clocks go forward
        ("2026-03-01T12:00", time(9), time(9), "2026-03-01T12:00"),
    ],
)
def test_quiet_hours_are_those_of_the_wall(at: str, begin: time, end: time, speaks: str, admin: User) -> None:
    quiet = subscribed(admin, "failing", [], quiet_from=begin, quiet_until=end)
    assert quiet.speaks_at(datetime.fromisoformat(at).replace(tzinfo=UTC)) == datetime.fromisoformat(speaks).replace(
        tzinfo=UTC
    )


def test_who_is_muted_hears_of_what_still_goes_on_afterwards(admin: User, channels: list[Channel], hook: Hook) -> None:
    a, *_ = pipelines()
    subscription = subscribed(admin, "failing recovered", channels)
    mute(subscription, AT + timedelta(hours=1))
    ended(a, Status.FAILED)
    assert not Notice.objects.exists() and send_due() == 0
    mute(subscription, None)
    ended(a, Status.FAILED)
    ended(a, Status.FAILED)
    send_due()
    assert hook.kinds == ["failing"] and Notice.objects.count() == 1


def test_of_two_subscriptions_of_one_person_the_narrower_one_speaks(
    admin: User, channels: list[Channel], hook: Hook
) -> None:
    a, *_ = pipelines()
    subscribed(admin, "failing", channels, subject="all: {pipeline}")
    subscribed(admin, "failing", channels, pipeline=a, subject="mine: {pipeline}")
    ended(a, Status.FAILED)
    send_due()
    assert [body["subject"] for body in hook.bodies] == ["mine: a"] and Notice.objects.count() == 1


def test_the_end_of_a_run_costs_one_question_when_nobody_listens(django_assert_num_queries: Any) -> None:
    a, *_ = pipelines()
    run = Run.objects.select_related("pipeline").get(pk=ended(a, Status.FAILED).pk)
    with django_assert_num_queries(1):
        run_ended(run, AT)


def test_news_that_cannot_be_written_leave_the_run_as_it_is(
    admin: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError

    a, *_ = pipelines()
    subscribed(admin, "failing", [])
    monkeypatch.setattr("jobs.telling.on_run_end.begin", fault)
    assert ended(a, Status.FAILED).status == Status.FAILED and not News.objects.exists()
    assert "could not be written" in caplog.text


def test_mail_that_is_refused_and_no_mail_server(admin: User, box: Mailbox, settings: Any) -> None:
    channel = Channel(name="mail", kind="mail")
    save_channel(channel, by=Asker.of(admin), at=AT, address="ops@example.org")
    box.refusal = "550 no such person"
    assert "no such person" in tried(channel, admin).answer
    settings.CONSOLE_MAIL_URL = ""
    assert "CONSOLE_MAIL_URL" in tried(channel, admin).answer


def test_a_subject_is_one_line_whatever_is_put_into_it(admin: User, channels: list[Channel], box: Mailbox) -> None:
    a, *_ = pipelines()
    words = "{error}"
    subscribed(admin, "failing", channels[:1], subject=words, body="{error}")
    ended(a, Status.FAILED)
    News.objects.update(facts={"error": "x\r\nBcc: all@example.org\r\n.\r\nMAIL"})
    send_due()
    ((to, letter),) = box.letters
    assert (to, letter["Bcc"], letter["Subject"]) == ("ops@example.org", None, "x Bcc: all@example.org . MAIL")
    assert "\n.\n" in letter.get_content().replace("\r", "")


# ---- nowhere inside of the network

INSIDE = [
    "127.0.0.1", "[::1]", "0", "0.0.0.0", "2130706433", "0x7f000001", "127.1", "localhost", "169.254.169.254",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fe80::1]",
    "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[2001:0:7f00:1::80ff:fffe]", "224.0.0.1",
    "255.255.255.255", "[ff02::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_no_webhook_reaches_inside(host: str, admin: User, hook: Hook, settings: Any) -> None:
    settings.CONSOLE_CHANNEL_NETWORKS = []
    found = tried(a_webhook(admin, f"http://{host}:{hook.port}/")[0], admin)
    assert hook.calls == [] and found.status == "waiting" and ("inside" in found.answer or "no host" in found.answer)


def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere_inside(
    admin: User, hook: Hook, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is an address of the world, each later one is ours: only what was checked is connected to."""
    settings.CONSOLE_CHANNEL_NETWORKS = ["198.51.100.0/24"]
    asked: list[str] = []
    places: list[Any] = []

    def answer(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "198.51.100.7" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    class Sock(socket.socket):
        def connect(self, place: Any) -> None:
            places.append(place)
            raise ConnectionRefusedError

    monkeypatch.setattr(reach.socket, "getaddrinfo", answer)
    monkeypatch.setattr(reach.socket, "socket", Sock)
    tried(a_webhook(admin, f"http://rebinding.example.org:{hook.port}/")[0], admin)
    assert asked == ["rebinding.example.org"] and places == [("198.51.100.7", hook.port)]


def test_a_name_of_which_one_address_is_inside_is_refused() -> None:
    both = [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    with pytest.raises(reach.Inside, match=r"10\.0\.0\.1"):
        reach.checked(both, "both.example.org", [])
    assert reach.checked(both, "both.example.org", ["10.0.0.0/8"]) == both


def test_a_redirect_is_followed_nowhere(admin: User, hook: Hook) -> None:
    with hook_server() as other:
        hook.status, hook.location = 307, other.url
        found = tried(a_webhook(admin, hook.url)[0], admin)
        assert other.calls == [] and "not followed" in found.answer


def test_an_answer_that_drips_ends_in_time(admin: User, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.telling.ways.MOST_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        stop = threading.Event()

        def drip() -> None:
            sock, _ = server.accept()
            with sock:
                while not stop.wait(0.05):
                    try:
                        sock.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        try:
            found = tried(a_webhook(admin, f"http://127.0.0.1:{server.getsockname()[1]}/")[0], admin)
        finally:
            stop.set()
            thread.join()
    assert found.status == "waiting" and found.seconds < 5


@pytest.mark.parametrize(
    ("kind", "address", "why"),
    [
        ("webhook", "file:///etc/passwd", "https://"),
        ("webhook", "gopher://example.org", "https://"),
        ("webhook", "https://", "https://"),
        ("webhook", "https://me:pw@example.org/", "without a login"),
        ("webhook", "https://example.org:99999/", "https://"),
        ("webhook", "https://example.org/\r\nX: y", "one line"),
        ("mail", "nobody", "one mail address"),
        ("mail", "a@example.org, b@example.org", "one mail address"),
        ("service", "slak://token", "slack"),
        ("service", "dbus://", "begin with the name of a service"),
        ("service", "file:///etc/passwd", "begin with the name of a service"),
        ("service", "slack://", "not an address of this service"),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_a_sentence(kind: str, address: str, why: str, admin: User) -> None:
    with pytest.raises(BadParameters) as refusal:
        save_channel(Channel(name="x", kind=kind), by=Asker.of(admin), at=AT, address=address)
    assert why in refusal.value.fields["address"] and not Channel.objects.exists()


def test_who_is_no_admin_writes_to_their_own_address_alone(box: Mailbox) -> None:
    vera = make_user("vera", "viewer", email="Vera@example.org")
    with pytest.raises(BadParameters, match="Vera@"):
        save_channel(
            Channel(name="x", kind="mail", owner=vera),
            by=Asker.of(vera),
            at=AT,
            address="other@example.org".replace("other", "boss"),
        )
    save_channel(Channel(name="x", kind="mail", owner=vera), by=Asker.of(vera), at=AT, address="vera@example.org")


def test_a_service_is_spoken_to_from_a_process_of_its_own(admin: User, hook: Hook, settings: Any) -> None:
    channel = Channel(name="service", kind="service")
    save_channel(channel, by=Asker.of(admin), at=AT, address=f"json://127.0.0.1:{hook.port}/path/")
    found = tried(channel, admin)
    assert (found.status, found.answer) == ("sent", "JSON took it.")
    assert hook.bodies[0]["title"] == "A test of the channel service, sent by ada"
    settings.CONSOLE_CHANNEL_NETWORKS = []
    refused = tried(channel, admin)
    assert len(hook.calls) == 1 and refused.status == "waiting"


# ---- secrets


def test_an_address_is_kept_secret_and_never_told_whole(admin: User, hook: Hook) -> None:
    with acting(lambda: Actor("ada", Door.PAGE)):
        channel, secret = a_webhook(admin, f"{hook.url}&token=canary-4711")
    with connection.cursor() as cursor:
        cursor.execute("SELECT address, secret FROM jobs_channel")
        stored = str(cursor.fetchall())
    told = f"{channel} {channel.hint} {list(Act.objects.values())}"
    assert "canary" not in stored + told and secret not in stored + told
    assert Channel.objects.get().address.endswith("canary-4711") and channel.hint == "http://127.0.0.1/…"


# ---- words


def test_a_template_names_facts_and_others_are_refused_with_the_nearest(admin: User) -> None:
    a, *_ = pipelines()
    run = ended(a, Status.FAILED)
    mine = subscribed(admin, "failing", [], subject="{pipeline} #{run} {status} at {time}", body="{x\n{error} {link}")
    subject, body = written(as_if(run, NewsKind.FAILING, AT), mine)
    assert subject == f"a #{run.pk} failed at 2026-03-01 09:00 Europe/Berlin"
    assert body == f"{{x\nIt did not work. http://127.0.0.1:8000/runs/{run.pk}/"
    mine.subject = "{pipline}"
    with pytest.raises(BadParameters, match="Did you mean pipeline"):
        save_subscription(mine, [], by=Asker.of(admin), at=AT)


def test_old_news_are_dropped_and_what_goes_on_stays(admin: User, settings: Any, tmp_path: Path) -> None:
    settings.VAR = tmp_path
    a, *_ = pipelines()
    subscribed(admin, "failing", [])
    ended(a, Status.FAILED)
    prune(AT + timedelta(days=89))
    assert News.objects.exists()
    prune(AT + timedelta(days=91))
    assert News.objects.exists(), "it still goes on"
    News.objects.update(ended_at=AT)
    prune(AT + timedelta(days=91))
    assert not News.objects.exists() and not Notice.objects.exists()
