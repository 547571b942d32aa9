"""What differs between two files of one kind, and how garbage is met."""

from __future__ import annotations

import io
import zipfile

import pytest
from pptx import Presentation
from pptx.util import Inches

from console.files.differences import archive_difference, deck_difference, line_difference, table_difference
from console.files.slides import SlidesError, sketches, slides


def table(*rows: str) -> list[list[str]]:
    return [row.split(",") for row in rows]


def test_rows_without_a_key_are_told_apart_by_all_their_values() -> None:
    found = table_difference(table("a,b", "1,x", "1,x", "2,y"), table("a,b", "1,x", "2,y", "2,y"))
    assert (found.key, found.counts) == ("", {"same": 2, "changed": 0, "added": 1, "removed": 1})


def test_columns_may_change_their_order_and_come_twice() -> None:
    found = table_difference(table("id,n,n", "1,2,3"), table("n,id,n", "2,1,3"))
    assert (found.key, found.is_same, found.added_columns) == ("n", True, [])


def test_empty_tables_differ_by_nothing() -> None:
    assert table_difference([], []).is_same
    assert table_difference([], table("a", "1")).added_columns == ["a"]


def test_all_rows_are_counted_and_some_shown() -> None:
    found = table_difference(table("id"), table("id", *map(str, range(500))))
    assert found.counts["added"] == 500 and len(found.rows) == 100 and found.has_more


def deck(*titles: str, box: str = "") -> io.BytesIO:
    made = Presentation()
    for title in titles:
        slide = made.slides.add_slide(made.slide_layouts[5])
        slide.shapes.title.text = title
        if box:
            slide.shapes.add_textbox(Inches(1), Inches(3), Inches(4), Inches(1)).text_frame.text = box
    made.save(file := io.BytesIO())
    file.seek(0)
    return file


def test_a_slide_put_in_between_moves_no_other() -> None:
    found = deck_difference(slides(deck("a", "b")), slides(deck("a", "new", "b")))
    assert [each.sort for each in found] == ["same", "added", "same"]


def test_a_deck_written_again_with_the_same_slides_is_the_same() -> None:
    found = deck_difference(slides(deck("a", box="1")), slides(deck("a", box="1")))
    assert [each.sort for each in found] == ["same"]


def test_a_sketch_has_the_texts_where_they_stand_also_by_layout_and_master() -> None:
    drawn = sketches(deck("Title & <more>", box="a box"), [1, 7])
    assert list(drawn) == [1]
    assert "Title &amp; &lt;more&gt;" in drawn[1] and "a box" in drawn[1] and "<script" not in drawn[1]


def evil(part: bytes) -> io.BytesIO:
    source, made = deck("a"), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, part if name == "ppt/slides/slide1.xml" else old.read(name))
    made.seek(0)
    return made


@pytest.mark.parametrize(
    "file",
    [
        io.BytesIO(b"no zip"),
        evil(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'),
        evil(b"<not closed"),
        evil(b"\xff\xfe<\x00x\x00"),
        evil(b"<x>" + b" " * 4_000_000 + b"</x>"),
    ],
)
def test_what_is_no_honest_deck_is_refused_in_a_sentence(file: io.BytesIO) -> None:
    with pytest.raises(SlidesError, match=r"read here|entities"):
        slides(file)


def test_archives_differ_by_name_size_and_content() -> None:
    def packed(**files: str) -> io.BytesIO:
        with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return made

    found = archive_difference(packed(a="1", b="2", c="3"), packed(a="1", b="9", d="4"))
    assert [(each.name, each.sort) for each in found] == [
        ("a", "same"), ("b", "changed"), ("c", "removed"), ("d", "added"),
    ]  # fmt: skip


def test_lines_come_with_some_around_them_and_end_somewhere() -> None:
    lines, has_more = line_difference("a\nb\nc", "a\nB\nc")
    assert [sort for sort, _ in lines] == ["changed", "same", "removed", "added", "same"] and not has_more
    assert line_difference("", "\n".join(map(str, range(5_000))))[1]
    assert line_difference("same", "same") == ([], False)
