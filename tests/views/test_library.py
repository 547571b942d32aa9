"""What an analyst finds on a first day: today's file, how it differs from yesterday's, and a link to give away."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pptx import Presentation

from jobs import clock
from jobs.library.share import ShareOrder, share
from jobs.models import Act, Artifact, Pin, Share
from jobs.states import Status
from tests.factories import make_user
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def deck(*titles: str) -> bytes:
    made = Presentation()
    for title in titles:
        made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = title
    made.save(file := io.BytesIO())
    return file.getvalue()


def shown(address: str, role: str = "analyst", **query: str) -> str:
    return str(logged_in(role).get(address, query).content.decode())


def test_kinds_are_filtered_and_a_page_is_asked_for_its_cards_alone_while_one_types() -> None:
    an_artifact(ended(), "deck.pptx", deck("a"))
    an_artifact(ended(), "cars.csv")
    page = shown("/library/", kind="decks")
    assert "deck.pptx" in page and "cars.csv" not in page
    cards = logged_in("analyst").get("/library/", {"q": "car"}, headers={"HX-Request": "true"}).content.decode()
    assert "cars.csv" in cards and "<html" not in cards


def test_the_old_address_leads_there() -> None:
    assert logged_in("viewer").get("/artifacts/?q=a")["Location"] == "/library/?q=a"


def test_a_newer_run_that_did_not_succeed_is_said_on_the_card() -> None:
    an_artifact(ended(), "deck.pptx", deck("a"))
    assert "did not succeed" not in shown("/library/")
    bad = ended(Status.FAILED)
    assert f"#{bad.pk}</a> did not succeed: this is the last good one." in " ".join(shown("/library/").split())


def test_what_is_pinned_comes_first_until_it_is_unpinned() -> None:
    old, _ = an_artifact(ended(), "old.csv"), an_artifact(ended(), "new.csv")
    client = Client()
    client.force_login(make_user("ann", "analyst"))
    pin = reverse("library_pin", args=[old.run.pipeline.shelves.get(series="old.csv").pk])
    client.post(pin)
    page = client.get("/library/").content.decode()
    assert page.index("Pinned") < page.index("old.csv") < page.index("Newest") < page.index("new.csv")
    client.post(pin)
    assert not Pin.objects.exists()


def test_the_cards_have_faces_and_a_viewer_sees_none() -> None:
    row = an_artifact(ended(), "deck.pptx", deck("Airports & <more>"))
    face = reverse("artifact_face", args=[row.uuid])
    assert "Airports &amp; &lt;more&gt;" in shown(face)
    assert logged_in("viewer").get(face).status_code == 403
    table = an_artifact(ended(), "cars.csv", b"name,n\n<b>,1\n")
    assert "<td>&lt;b&gt;</td>" in shown(reverse("artifact_face", args=[table.uuid]))
    broken = an_artifact(ended(), "broken.pptx", b"no zip")
    assert "slideshow" in shown(reverse("artifact_face", args=[broken.uuid]))


def test_a_deck_is_compared_with_the_one_before() -> None:
    an_artifact(ended(), "deck.pptx", deck("Same", "Revenue 10", "Gone"))
    row = an_artifact(ended(), "deck.pptx", deck("Same", "Revenue 12", "New"))
    page = shown(reverse("artifact_compare", args=[row.uuid]))
    assert "2 of 3 slides differ." in page
    assert "<del>Revenue 10</del>" in page and "<ins>Revenue 12</ins>" in page


def test_a_table_is_compared_by_its_key() -> None:
    an_artifact(ended(), data=b"id,name,old\n1,a,x\n2,b,x\n3,c,x\n")
    row = an_artifact(ended(), data=b"id,name,new\n1,a,y\n2,B,y\n4,d,y\n")
    page = " ".join(shown(reverse("artifact_compare", args=[row.uuid])).split())
    assert "1 row added, 1 removed, 1 changed, 1 the same; rows are told apart by id" in page
    assert "New columns: new. Columns that are gone: old." in page
    assert "<del>b</del> <ins>B</ins>" in page


def test_two_runs_may_leave_the_very_same_bytes_and_a_first_file_has_none_before() -> None:
    first = an_artifact(ended())
    address = reverse("artifact_compare", args=[first.uuid])
    assert logged_in("analyst").get(address)["Location"] == reverse("artifact", args=[first.uuid])
    second = an_artifact(ended())
    assert "the same, byte for byte" in shown(reverse("artifact_compare", args=[second.uuid]))
    assert logged_in("analyst").get(address, {"with": "no uuid"}).status_code == 404


@pytest.fixture
def ann() -> Client:
    client = Client()
    client.force_login(make_user("ann", "analyst"))
    return client


def link_of(client: Client, row: Artifact, **facts: str) -> str:
    """The address of a new link, as its page shows it once."""
    until = f"{(clock.now() + DAY).date()}"
    client.post(reverse("artifact_share", args=[row.uuid]), {"until": until, **facts})
    page = client.get(reverse("artifact", args=[row.uuid])).content.decode()
    again = client.get(reverse("artifact", args=[row.uuid])).content.decode()
    assert 'id="new-link"' in page and 'id="new-link"' not in again
    return page.split('id="new-link">')[1].split("<")[0].partition("testserver")[2]


def test_a_stranger_with_the_link_gets_the_file_which_is_counted_and_recorded(ann: Client) -> None:
    row = an_artifact(ended(), data=b"1,2\n")
    address, stranger = link_of(ann, row), Client()
    page = stranger.get(address)
    assert page.status_code == 200 and "cars.csv" in page.content.decode()
    assert (page["Referrer-Policy"], page["X-Robots-Tag"]) == ("no-referrer", "noindex, nofollow")
    file = stranger.get(f"{address}download/")
    assert b"".join(file.streaming_content) == b"1,2\n" and file["Cache-Control"] == "private, no-store"
    assert Share.objects.get().uses == 1
    act = Act.objects.get(verb="downloaded")
    assert (act.actor, act.address) == ("a link of ann", "127.0.0.1")


def test_a_link_for_people_asks_for_a_login_and_then_lets_even_a_viewer_in(ann: Client) -> None:
    address = link_of(ann, an_artifact(ended()), who="people")
    for place in (address, f"{address}download/"):
        assert Client().get(place)["Location"].startswith("/login/?next=/share/")
        assert logged_in("viewer").get(place).status_code == 200


def test_a_password_stands_before_everything(ann: Client) -> None:
    address, stranger = link_of(ann, an_artifact(ended()), password="sesame"), Client()
    assert "cars.csv" not in stranger.get(address).content.decode()
    assert stranger.get(f"{address}download/")["Location"] == address
    assert stranger.post(address, {"password": "open"}).status_code == 403
    assert stranger.post(address, {"password": "sesame"})["Location"] == address
    assert stranger.get(f"{address}download/").status_code == 200


def test_who_guesses_is_slowed_down(ann: Client) -> None:
    address, stranger = link_of(ann, an_artifact(ended()), password="sesame"), Client()
    codes = [stranger.post(address, {"password": "x"}).status_code for _ in range(25)]
    assert codes[0] == 403 and codes[-1] == 429
    assert stranger.get("/share/unknown/")["Retry-After"]


@pytest.mark.parametrize("end", ["revoked", "over"])
def test_a_link_that_is_over_says_so(ann: Client, end: str) -> None:
    address = link_of(ann, an_artifact(ended()))
    link = Share.objects.get()
    if end == "revoked":
        ann.post(reverse("share_revoke", args=[link.uuid]))
    else:
        Share.objects.update(until=clock.now())
    for place in (address, f"{address}download/"):
        answer = Client().get(place)
        assert answer.status_code == 410 and "This link is over." in answer.content.decode()
    assert Client().get("/share/nothing-like-it/").status_code == 404


def test_one_sees_and_takes_back_ones_own_links_and_an_admin_all(ann: Client) -> None:
    link_of(ann, an_artifact(ended()))
    revoke = reverse("share_revoke", args=[Share.objects.get().uuid])
    bob = Client()
    bob.force_login(make_user("bob", "analyst"))
    assert bob.post(revoke).status_code == 404
    assert "cars.csv" in ann.get("/library/links/").content.decode()
    assert "cars.csv" not in bob.get("/library/links/").content.decode()
    assert logged_in("admin").post(revoke).status_code == 302
    assert Share.objects.get().revoked_at
    assert logged_in("viewer").get("/library/links/").status_code == 403


def test_a_day_that_is_none_or_over_is_refused_in_a_sentence(ann: Client) -> None:
    row = an_artifact(ended())
    for day, said in (("", "Choose the day"), ("2026-02-31", "Choose the day"), ("2020-01-01", "This moment is over")):
        answer = ann.post(reverse("artifact_share", args=[row.uuid]), {"until": day}, follow=True)
        assert said in answer.content.decode()
    assert not Share.objects.exists()


def test_the_number_of_questions_does_not_grow_with_the_cards(django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        an_artifact(ended(), f"file-{number}.csv")
    client = logged_in("analyst")
    with django_assert_max_num_queries(12):
        client.get("/library/")
    row = an_artifact(ended())
    at = clock.now()
    for _ in range(5):
        share(ShareOrder(row, at + DAY), at=at, by=None)
    admin = logged_in("admin")
    with django_assert_max_num_queries(8):
        admin.get("/library/links/")
