"""The pages of batch queues."""

from __future__ import annotations

import pytest
from django.test import Client

from jobs import clock
from jobs.batches.batches import fail_item, put, take
from jobs.models import BatchQueue, Item
from jobs.states import Status
from tests.factories import AT
from tests.jobs.batches.working import crash, end, rows, working
from tests.views.scenes import HTMX, logged_in

pytestmark = pytest.mark.django_db
QUEUE = "/batch-queues/words/"


def body(client: Client, address: str, **extra: str) -> str:
    return client.get(address, **extra).content.decode()  # type: ignore[arg-type]


def scene() -> None:
    """Five done, two parked for two reasons, one taken, two waiting."""
    put("words", rows(10), at=clock.now())
    BatchQueue.objects.update(max_attempts=1)
    step = working()
    batch = take(step, "words", 7, at=clock.now())
    fail_item(step.run, batch.items[0].id, "422: <script>alert(1)</script>")
    fail_item(step.run, batch.items[1].id, "500:\naway")
    end(step)
    take(working(), "words", 1, at=clock.now())


def test_without_a_queue_the_page_says_what_makes_one() -> None:
    assert "batches.put(" in body(logged_in("viewer"), "/batch-queues/")


def test_the_list_shows_each_queue_with_its_counters_and_refreshes_itself() -> None:
    scene()
    page = body(logged_in("viewer"), "/batch-queues/", **HTMX)
    assert page.lstrip().startswith('<div id="batch-queues"') and 'hx-get="/batch-queues/"' in page
    for number, status in ((5, "done"), (1, "taken"), (2, "parked"), (2, "waiting")):
        assert f'{number}</span> <span class="kc-muted">{status}' in page


def test_the_number_of_queries_does_not_grow_with_the_queues(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    for number in range(30):
        put(f"q{number}", rows(2), at=AT)
    client = logged_in("viewer")
    with django_assert_max_num_queries(8):
        client.get("/batch-queues/")


def test_a_queue_shows_its_items_by_status_with_errors_escaped() -> None:
    scene()
    client = logged_in("viewer")
    assert "k00008" in body(client, QUEUE) and "k00000" not in body(client, QUEUE)
    parked = body(client, f"{QUEUE}?status=parked")
    assert "422: &lt;script&gt;" in parked and "<script>alert" not in parked
    assert "Put all" not in parked
    assert "k00006" in body(client, f"{QUEUE}?status=done")
    assert "k00007" in body(client, f"{QUEUE}?status=taken")


def test_items_are_paged_by_key_and_found_by_the_beginning_of_it() -> None:
    put("words", rows(120), at=AT)
    client = logged_in("viewer")
    first = client.get(QUEUE)
    beyond = first.context["screen"].next_id
    assert len(first.context["screen"].items) == 50
    second = client.get(f"{QUEUE}?status=waiting&beyond={beyond}").context["screen"].items
    assert [second[0].key, len(second)] == ["k00050", 50]
    found = client.get(f"{QUEUE}?q=k0011").context["screen"].items
    assert [item.key for item in found] == [f"k0011{digit}" for digit in range(10)]
    assert "No key begins with" in body(client, f"{QUEUE}?q=zzz")


@pytest.mark.parametrize("query", ["status=lost", "beyond=x", "beyond=99999999999999999999", "q=%27--"])
def test_an_odd_address_is_no_error(query: str) -> None:
    put("words", rows(1), at=AT)
    assert logged_in("viewer").get(f"{QUEUE}?{query}").status_code == 200


def test_an_operator_puts_parked_items_back_and_an_admin_drops_them() -> None:
    scene()
    operator, admin = logged_in("operator"), logged_in("admin")
    assert "Put all 2 back" in body(operator, f"{QUEUE}?status=parked")
    assert operator.post(f"{QUEUE}drop/").status_code == 403
    page = operator.post(f"{QUEUE}put-back/", {"like": "500:\r\naway"}, follow=True).content.decode()
    assert "1 item waits again." in page
    page = admin.post(f"{QUEUE}drop/", follow=True).content.decode()
    assert "1 item was dropped." in page
    assert not Item.objects.parked().exists()


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_who_only_looks_changes_nothing(role: str) -> None:
    scene()
    client = logged_in(role)
    answers = [client.post(f"{QUEUE}{verb}/", {"text": "a\n1"}).status_code for verb in ("put", "put-back", "drop")]
    assert answers == [403, 403, 403]
    assert "Put items in" not in body(client, QUEUE)


PASTED = {
    '{"word": "a", "n": 1}\n\n{"word": "b"}': [("a", {"word": "a", "n": 1}), ("b", {"word": "b"})],
    '[{"word": "a"}]': [("a", {"word": "a"})],
    '{"key": "a", "body": [1]}': [("a", [1])],
    '"a"\n"b"': [("a", "a"), ("b", "b")],
    "word;n\na;1\nb;2\n": [("a", {"word": "a", "n": "1"}), ("b", {"word": "b", "n": "2"})],
    "word\na\n": [("a", {"word": "a"})],
}


@pytest.mark.parametrize("text", PASTED)
def test_pasted_lines_become_items(text: str) -> None:
    BatchQueue.objects.create(name="words")
    page = logged_in("operator").post(f"{QUEUE}put/", {"text": text}, follow=True).content.decode()
    assert list(Item.objects.values_list("key", "body")) == PASTED[text]
    assert "put in." in page


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ('{"a": 1}\n{"a": ', "", "Line 2 is not JSON"),
        ('{"a": 1}', "b", "Line 1 has no key: there is nothing in “b”"),
        ("a,b\n1\n", "", "Line 2 has another number of columns"),
        ("a,b\n", "", "There is only one line"),
        ("[" * 5000, "", "is not JSON"),
        ('{"a": "' + "x" * 201 + '"}', "", "a key is text of 1 to 200 characters"),
    ],
)
def test_what_cannot_be_read_is_said_and_stays_in_the_form(text: str, key: str, said: str) -> None:
    BatchQueue.objects.create(name="words")
    answer = logged_in("operator").post(f"{QUEUE}put/", {"text": text, "key": key})
    page = answer.content.decode().replace("&quot;", '"')
    assert (answer.status_code, said in page, text in page) == (422, True, True)
    assert not Item.objects.exists()


def test_a_run_shows_what_it_took_and_what_became_of_it_and_others_have_no_such_tab() -> None:
    put("words", rows(3), at=AT)
    step = working()
    take(step, "words", 2, at=AT)
    end(crash(step), Status.FAILED, "The API is away.")
    client = logged_in("viewer")
    page = body(client, f"/runs/{step.run_id}/?tab=batches")
    assert "k00001" in page and "The API is away." in page and "Given back" in page
    assert "?tab=batches" in body(client, f"/runs/{step.run_id}/")
    assert "?tab=batches" not in body(client, f"/runs/{working().run_id}/")
