from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from console.files.ansi import plain, to_html
from jobs import clock
from jobs.insight.read_logs import Lines, Only, around, newer, newest, next_error, older
from jobs.models import LogChunk, Run
from jobs.states import Status
from jobs.steps.collect import Collector
from kedro_console import wire
from tests.views.scenes import HTMX, ended, failed_in_a_node, logged_in, running, with_log

db = pytest.mark.django_db


def lines(run: Run, query: str = "") -> str:
    return logged_in("viewer").get(f"/runs/{run.pk}/logs/?lines=1{query}", **HTMX).content.decode()


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="L(\d+)"', text)]


def texts(page: Lines) -> list[str]:
    return [line.text for line in page.lines]


# ---- hostile text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('" onmouseover="x', "&quot; onmouseover=&quot;x"),
        ("\x1b[31mred\x1b[0m plain", '<span class="kc-ansi-red">red</span> plain'),
        ("\x1b[1;32mok", '<span class="kc-ansi-bold kc-ansi-green">ok</span>'),
        ("\x1b[31m<b>\x1b[0m", '<span class="kc-ansi-red">&lt;b&gt;</span>'),
        ("\x1b[38;5;196mx", "x"),
        ("\x1b[38;2;1;2;3;1mx", '<span class="kc-ansi-bold">x</span>'),
        ("\x1b]8;;http://evil.example\x07click\x1b]8;;\x07 me", "click me"),
        ("\x1b]0;title\x1b\\after", "after"),
        ("\x1b]0;never closed", ""),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("a\x00b\x08c\x7f", "abc"),
        ("10%\r20%\r30%", "30%"),
        ("left \u202egnp.exe", "left gnp.exe"),
        ("\x1b[999999999999999mx", "x"),
        ("\x1b", ""),
    ],
)
def test_a_line_becomes_harmless_html(text: str, html: str) -> None:
    assert to_html(text) == html


def test_a_huge_line_is_cut_and_says_how_much_is_left_out() -> None:
    html = to_html("x" * 60_000)
    assert len(html) < 4_200
    assert "56,000 more characters in the download" in html


def test_the_download_holds_plain_text() -> None:
    assert plain("\x1b[31mred\x1b[0m \x1b]8;;u\x07link\x1b]8;;\x07") == "red link"


# ---- pages of lines


@db
def test_the_newest_page_is_the_end_and_older_ones_follow_without_a_gap() -> None:
    run = with_log(running(), [f"line {n}" for n in range(1, 1001)], chunk=70)
    end = newest(run, most=300)
    before = older(run, end.first, most=300)
    assert texts(end) == [f"line {n}" for n in range(701, 1001)]
    assert texts(before) == [f"line {n}" for n in range(401, 701)]
    assert end.has_older and before.has_older


@db
def test_the_first_page_knows_that_nothing_is_older() -> None:
    run = with_log(running(), ["a", "b"])
    assert not newest(run).has_older


@db
def test_newer_lines_come_in_order_and_once() -> None:
    run = with_log(running(), [f"line {n}" for n in range(1, 501)], chunk=64)
    seen, last = [], 0
    while True:
        page = newer(run, last, most=130)
        seen += texts(page)
        last = page.last
        if not page.has_newer:
            break
    assert seen == [f"line {n}" for n in range(1, 501)]


@db
def test_lines_of_a_later_step_are_not_lost_behind_events() -> None:
    run = with_log(running(), ["a"])
    last = newest(run).last
    Run.objects.filter(pk=run.pk).update(seq=run.seq + 50)
    run.refresh_from_db()
    run = with_log(run, ["b"])
    assert texts(newer(run, last)) == ["b"]


@db
@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (Only(level="ERROR"), ["bad é"]),
        (Only(level="WARNING"), ["hm", "bad é"]),
        (Only(node="fetch"), ["hm"]),
        (Only(text="BAD"), ["bad é"]),
        (Only(text="é"), ["bad é"]),
        (Only(text='"quoted"'), ['a "quoted" word']),
        (Only(text="%"), []),
    ],
)
def test_filters_find(only: Only, expected: list[str]) -> None:
    run = with_log(running(), ["fine", 'a "quoted" word'])
    run = with_log(run, ["hm"], level="WARNING", node="fetch")
    run = with_log(run, ["bad é"], level="ERROR")
    assert texts(newest(run, only)) == expected
    assert texts(newer(run, 0, only)) == expected


@db
def test_a_filter_that_finds_nothing_says_how_far_it_looked() -> None:
    run = with_log(running(), [f"line {n}" for n in range(500)])
    page = newest(run, Only(text="nowhere"))
    assert page.lines == [] and not page.has_older


@db
def test_the_first_error_is_found_and_shown_with_its_neighbours() -> None:
    run = with_log(running(), [f"line {n}" for n in range(600)])
    run = with_log(run, ["boom", "bang"], level="ERROR")
    run = with_log(run, [f"after {n}" for n in range(600)])
    assert [line.seq for line in next_error(run, 0).lines] == [601]
    assert 601 in [line.seq for line in around(run, 601, most=100).lines]
    assert 601 in numbers(lines(run, "&error"))


@db
def test_a_question_looks_through_a_part_of_a_long_log_and_says_where_to_go_on(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), [f"line {n}" for n in range(1, 101)], chunk=10)
    run = with_log(run, ["boom"], level="ERROR")
    monkeypatch.setattr("jobs.insight.read_logs.MOST_LOOKED", 3)
    page = newer(run, 0, Only(text="line 100"))
    assert (texts(page), page.last, page.has_newer) == ([], 30, True)
    page = newer(run, 90, Only(text="line 100"))
    assert (texts(page), page.last, page.has_newer) == (["line 100"], 101, False)
    page = newest(run, Only(text="line 7"))
    assert (texts(page), page.first, page.has_older) == ([], 81, True)
    page = older(run, page.first, Only(text="line 7"), most=5)
    assert (page.lines[0].seq, page.has_older) == (75, True)
    assert [next_error(run, after).has_newer for after in (0, 30, 60)] == [True, True, True]
    assert [line.seq for line in next_error(run, 90).lines] == [101]
    text = lines(run, "&error")
    assert numbers(text) == [] and 'data-last="30"' in text and 'data-newer="1"' in text
    assert 101 in numbers(lines(run, "&error&after=90"))


@db
def test_a_page_of_long_lines_has_fewer_of_them() -> None:
    run = with_log(running(), ["y" * 60_000] * 100, chunk=2)
    page = newest(run)
    assert 10 < len(page.lines) < 25 and page.has_older
    following = older(run, page.first)
    assert following.last == page.first - 1


@db
def test_a_million_lines_answer_with_one_page(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), [f"line {n}" for n in range(20_000)], chunk=500)
    client = logged_in("viewer")
    with django_assert_max_num_queries(9):
        text = client.get(f"/runs/{run.pk}/logs/?lines=1", **HTMX).content.decode()
    assert len(numbers(text)) == 400
    assert len(text) < 250_000


# ---- the page


@db
def test_the_tab_shows_lines_at_once_and_says_from_where_to_go_on() -> None:
    run = with_log(running(), ["hello"])
    body = logged_in("viewer").get(f"/runs/{run.pk}/logs/").content.decode()
    assert "hello" in body and 'data-last="1"' in body and 'aria-labelledby="tab-logs"' in body


@db
def test_hostile_lines_do_nothing_in_the_page() -> None:
    run = with_log(running(), ["<script>alert(1)</script>"], node="<img src=x onerror=alert(2)>", level="<b>")
    for text in (lines(run), logged_in("viewer").get(f"/runs/{run.pk}/logs/").content.decode()):
        assert "<script>alert" not in text and "<img src=x" not in text


@db
def test_the_lines_say_when_the_run_has_ended_so_that_asking_ends() -> None:
    run = with_log(running(), ["x"])
    assert 'data-final=""' in lines(run)
    run.end(Status.SUCCEEDED, at=clock.now(), by="t")
    assert 'data-final="1"' in lines(run)


@db
def test_a_line_has_a_link_that_leads_to_it() -> None:
    run = with_log(running(), [f"line {n}" for n in range(3000)])
    assert 1500 in numbers(lines(run, "&around=1500"))
    assert 'href="#L1500"' in lines(run, "&around=1500")


@db
@pytest.mark.parametrize("query", ["&before=x", "&after=-1", f"&around={'9' * 20}", "&level=LOUD", "&node=nope"])
def test_no_question_breaks_the_log(query: str) -> None:
    run = with_log(running(), ["x"])
    assert "data-edge" in lines(run, query)


@db
def test_the_whole_log_is_downloaded_as_text_in_pieces() -> None:
    run = with_log(ended(), [f"line \x1b[31m{n}" for n in range(1200)], node="fetch")
    answer = logged_in("viewer").get(f"/runs/{run.pk}/logs/?download")
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]
    assert text.count("\n") == 1200
    assert text.splitlines()[0].endswith("INFO     [fetch] line 0")
    assert answer["Content-Disposition"] == f'attachment; filename="run-{run.pk}.log"'


@db
def test_a_failed_run_leads_to_its_first_error() -> None:
    run = failed_in_a_node()
    assert f"/runs/{run.pk}/logs/?error" in logged_in("viewer").get(f"/runs/{run.pk}/").content.decode()


@db
@pytest.mark.parametrize("query", ["", "?lines=1", "?download"])
def test_strangers_read_no_log(client: Client, query: str, django_user_model) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), ["secret"])
    assert client.get(f"/runs/{run.pk}/logs/{query}")["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("nobody"))
    assert client.get(f"/runs/{run.pk}/logs/{query}").status_code == 403


# ---- the whole log


@db
def test_the_download_and_the_api_hold_what_rows_do_not(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("jobs.steps.cut_log.LOG_LIMIT_BYTES", 5_000)
    run = running()
    step = run.steps.get()
    seen = Collector(step, step.lease_token or uuid4(), set())
    texts_written = [f"line {number} \x1b[31mé\x1b[0m" for number in range(2_000)]
    for text in texts_written:
        seen.take_log(wire.mark_line("INFO", "stdout", "fetch", text), 1_770_000_000.0)
    seen.close_log(1_770_000_000.0)
    seen.writer.flush()
    rows = [line for chunk in run.log_chunks.all() for line in chunk.lines]
    assert len(rows) < 1_000 and [line.seq for line in rows] == list(range(1, len(rows) + 1))
    assert next(line.text for line in rows if line.stream == "file").startswith("1,")
    client = logged_in("viewer")
    for address in (f"/runs/{run.pk}/logs/?download", f"/api/v1/jobs/{run.uuid}/logs/text"):
        text = b"".join(client.get(address).streaming_content).decode()  # type: ignore[attr-defined]
        assert [line.partition("[fetch] ")[2] for line in text.splitlines()] == [plain(each) for each in texts_written]


@db
def test_a_file_that_is_away_leaves_a_sentence_in_the_download(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), ["before"])
    run.steps.update(log_sha256="0" * 64)
    lines = [[2, 1_770_000_000.0, "WARNING", "file", "", "9 lines are in the download.", ""]]
    LogChunk.objects.create(run=run, step=run.steps.get(), first_seq=2, last_seq=2, content=lines)
    text = b"".join(logged_in("viewer").get(f"/runs/{run.pk}/logs/?download").streaming_content).decode()  # type: ignore[attr-defined]
    assert "before" in text and "cannot be read" in text


@db
def test_colours_tear_no_word_that_is_looked_for() -> None:
    run = with_log(running(), ["fine", "a \x1b[31mto\x1b[0mrn word"])
    assert texts(newest(run, Only(text="torn"))) == ["a \x1b[31mto\x1b[0mrn word"]


# ---- hits


def hits_of(run: Run, query: str, client: Client | None = None) -> dict[str, Any]:
    return (client or logged_in("viewer")).get(f"/runs/{run.pk}/logs/hits/?{query}").json()  # type: ignore[no-any-return]


def shown(run: Run, query: str) -> list[tuple[int, bool]]:
    """The number of each line, and whether it is a hit."""
    found = re.findall(r'<li id="L(\d+)" class="([^"]*)"', lines(run, query))
    return [(int(number), "is-hit" in classes) for number, classes in found]


@db
def test_a_hit_comes_with_three_lines_on_both_sides_and_those_of_two_that_are_near_come_once() -> None:
    run = with_log(running(), [f"line {n}" for n in range(1, 21)], chunk=3)
    found = shown(run, "&text=line 9")
    assert found == [(6, False), (7, False), (8, False), (9, True), (10, False), (11, False), (12, False)]
    run = with_log(run, ["needle", "between", "needle"], chunk=1)
    assert shown(run, "&text=needle") == [
        (18, False), (19, False), (20, False), (21, True), (22, False), (23, True)
    ]  # fmt: skip


@db
def test_hits_are_shown_alone_or_marked_among_all_lines() -> None:
    run = with_log(running(), ["a", "needle", "b"])
    assert shown(run, "&text=needle&context=0") == [(2, True)]
    assert shown(run, "&text=needle&context=all") == [(1, False), (2, True), (3, False)]
    assert shown(run, "") == [(1, False), (2, False), (3, False)]


@db
def test_the_lines_around_a_hit_are_those_of_the_chosen_node() -> None:
    run = running()
    for number in range(6):
        run = with_log(run, [f"mine {number}"], node="fetch")
        run = with_log(run, [f"other {number}"], node="parse")
    assert shown(run, "&text=mine 3&node=fetch") == [
        (1, False), (3, False), (5, False), (7, True), (9, False), (11, False)
    ]  # fmt: skip


@db
def test_the_pages_of_hits_have_each_hit_once() -> None:
    run = with_log(running(), [f"needle {n}" if n % 5 == 0 else "hay" for n in range(1, 1001)], chunk=90)
    seen: list[int] = []
    before = 1_001
    while True:
        text = lines(run, f"&text=needle&before={before}")
        first = re.search(r'data-first="(\d+)" data-last="\d+" data-older="(1?)"', text)
        assert first
        found = re.findall(r'id="L(\d+)" class="[^"]*is-hit', text)
        seen = [int(number) for number in found if int(number) not in seen] + seen
        before = int(first[1])
        if not first[2]:
            break
    assert seen == list(range(5, 1001, 5))


@db
def test_what_is_looked_for_is_marked_in_its_line_also_under_colours_and_hostile() -> None:
    run = with_log(running(), ["a \x1b[31mto\x1b[0mrn <b>Torn"])
    text = lines(run, "&text=torn")
    assert '<mark><span class="kc-ansi-red">to</span></mark><mark>rn</mark>' in text
    assert "&lt;b&gt;<mark>Torn</mark>" in text
    assert "<mark>&lt;b</mark>&gt;" in lines(run, "&text=<b")


@db
def test_hits_are_told_by_their_numbers_a_part_of_the_log_at_a_time(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), [f"needle {n}" if n % 5 == 0 else "hay" for n in range(1, 101)], chunk=10)
    assert hits_of(run, "text=needle") == {
        "hits": list(range(5, 101, 5)), "first": 1, "last": 100, "has_more": False
    }  # fmt: skip
    monkeypatch.setattr("jobs.insight.read_logs.MOST_TAKEN_APART", 3)
    part = hits_of(run, "text=needle")
    assert part["hits"] == [5, 10, 15, 20, 25, 30] and part["last"] == 30 and part["has_more"]
    assert hits_of(run, "text=needle&after=90") == {"hits": [95, 100], "first": 91, "last": 100, "has_more": False}
    assert hits_of(run, "text=needle&before=95")["hits"] == [90]


@db
def test_a_rare_word_in_a_coloured_log_is_found_without_taking_every_line_apart(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), [f"\x1b[32mline\x1b[0m {n}" for n in range(1, 101)] + ["nee\x1b[1mdle"], chunk=10)
    monkeypatch.setattr("jobs.insight.read_logs.MOST_TAKEN_APART", 2)
    assert hits_of(run, "text=needle") == {"hits": [101], "first": 1, "last": 101, "has_more": False}


@db
def test_lines_hits_and_errors_are_counted_by_node() -> None:
    run = with_log(with_log(running(), ["begin"]), ["needle", "hay"], node="fetch")
    run = with_log(run, ["needle", "boom"], node="parse", level="ERROR")
    counted = logged_in("viewer").get(f"/runs/{run.pk}/logs/counts/?text=needle").json()
    assert counted == {
        "nodes": {
            "": {"lines": 1, "hits": 0, "errors": 0},
            "fetch": {"lines": 2, "hits": 1, "errors": 0},
            "parse": {"lines": 2, "hits": 1, "errors": 2},
        },
        "last": 5,
        "has_more": False,
    }
    assert shown(run, "&outside=1") == [(1, False)]


@db
@pytest.mark.parametrize("place", ["hits/?text=x", "counts/"])
def test_strangers_count_nothing(client: Client, place: str, django_user_model) -> None:  # type: ignore[no-untyped-def]
    run = with_log(running(), ["x"])
    assert client.get(f"/runs/{run.pk}/logs/{place}")["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("nobody"))
    assert client.get(f"/runs/{run.pk}/logs/{place}").status_code == 403


@db
def test_the_api_finds_the_same_lines_hits_and_counts() -> None:
    run = with_log(running(), [f"line {n}" for n in range(1, 21)], node="fetch", chunk=3)
    client = logged_in("viewer")
    answer = client.get(f"/api/v1/jobs/{run.uuid}/logs?text=LINE 9&context=1").json()
    assert [(line["seq"], line["is_hit"]) for line in answer["lines"]] == [(8, False), (9, True), (10, False)]
    assert (answer["last_seq"], answer["has_more"]) == (20, False)
    assert len(client.get(f"/api/v1/jobs/{run.uuid}/logs?node=fetch&level=INFO&limit=4").json()["lines"]) == 4
    found = client.get(f"/api/v1/jobs/{run.uuid}/logs/hits?text=line 1").json()
    assert found == {"hits": [1, *range(10, 20)], "last_seq": 20, "has_more": False}
    counted = client.get(f"/api/v1/jobs/{run.uuid}/logs/counts?text=line 1").json()
    assert counted["nodes"] == {"fetch": {"lines": 20, "hits": 11, "errors": 0}}
    assert client.get(f"/api/v1/jobs/{run.uuid}/logs?context=21").status_code == 422
    assert client.get(f"/api/v1/jobs/{run.uuid}/logs/hits?level=LOUD").status_code == 422
