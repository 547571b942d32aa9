"""Bars are read from what tqdm draws."""

from __future__ import annotations

import io

import pytest

from kedro_console.words.progress import Bar, Progress, read_bar


@pytest.mark.parametrize(
    ("text", "bar"),
    [
        ("rows:  50%|█████     | 20/40 [00:00<00:00, 41.3row/s]", Bar("rows", 20, 40, "row")),
        (" 12%|#2        | 12/100 [00:01<00:08, 10.6it/s]", Bar("", 12, 100, "it")),
        ("100%|██████████| 3/3 [00:06<00:00,  2.01s/file]", Bar("", 3, 3, "file")),
        ("x: 10%|█ | 1.50M/15.0M [00:01<00:09, 1.5MB/s]", Bar("x", 1.5e6, 15e6, "B")),
        ("a: b: 1%| | 1/100 [00:00<?, ?it/s]", Bar("a: b", 1, 100, "it")),
        ("123it [00:01, 100.2it/s]", Bar("", 123, None, "it")),
        ("pages: 7page [00:03,  2.1page/s]", Bar("pages", 7, None, "page")),
        ("rows: 5%|▌ | 1/20 [00:00<00:05, 3.5it/s, loss=0.3, acc=1]", Bar("rows", 1, 20, "it")),
    ],
)
def test_a_drawn_bar_is_read(text, bar):
    assert read_bar(text) == bar


@pytest.mark.parametrize("text", ["", "50% of all [sic]", "Loading 3/4 [part]", "12 [00:01] begin", "INFO | 3/4 | x"])
def test_an_ordinary_line_is_not_a_bar(text):
    assert read_bar(text) is None


@pytest.mark.parametrize("options", [{}, {"ascii": True}, {"unit_scale": True}, {"desc": "x"}, {"total": None}])
def test_what_the_real_tqdm_draws_is_read(options):
    tqdm = pytest.importorskip("tqdm")
    file = io.StringIO()
    with tqdm.tqdm(**{"total": 2_000, **options}, file=file, mininterval=0) as bar:
        for _ in range(4):
            bar.update(500)
    drawn = [read_bar(part) for part in file.getvalue().split("\r") if part.strip()]
    assert drawn[-1] and drawn[-1].done == 2_000 and None not in drawn


def test_a_bar_is_reported_four_times_a_second_and_its_end_always():
    clock, reported = [0.0], []
    progress = Progress(lambda node, bar: reported.append(bar.done), clock=lambda: clock[0])
    for done in range(101):
        clock[0] = done / 100
        progress.see("node", Bar("x", done, 100, "it"))
    assert reported == [0, 25, 50, 75, 100]


def test_the_last_state_of_a_bar_without_a_total_is_reported():
    reported = []
    progress = Progress(lambda node, bar: reported.append(bar.done), clock=lambda: 0.0)
    for done in (1, 2, 3):
        progress.see("node", Bar("", done, None, "it"), is_last=done == 3)
    assert reported == [1, 3]
