from __future__ import annotations

import io
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

from console.files.zips import stream
from jobs.models import Artifact
from tests.factories import AT


def named(names: Iterable[str]) -> Iterator[Artifact]:
    return (Artifact(name=name, created_at=AT) for name in names)


def opened(artifact: Artifact) -> io.BytesIO:
    return io.BytesIO(f"content of {artifact.name}".encode())


def test_more_files_than_an_old_zip_may_list_are_all_in_it_and_little_is_held_in_memory() -> None:
    names = [f"part-{number:06}.csv" for number in range(66_000)]
    parts = stream(named(names), opened)
    with tempfile.TemporaryFile() as whole:
        whole.write(next(parts))
        tracemalloc.start()
        for part in parts:
            whole.write(part)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        archive = zipfile.ZipFile(whole)
        assert archive.namelist() == names
        assert archive.read("part-000007.csv") == archive.read("part-065999.csv").replace(b"065999", b"000007")
        assert archive.getinfo("part-000007.csv").date_time == AT.timetuple()[:6]
    assert held < 8_000_000


def test_equal_names_get_numbers_however_many_there_are() -> None:
    names = ["a.csv", "A.csv", "a (2).csv", "a (4).csv", "a.csv", "a.csv", "Zürich.csv"]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(stream(named(names), opened))))
    found = archive.namelist()
    assert len({name.lower() for name in found}) == len(names)
    assert found[0] == "a.csv" and found[-1] == "Zürich.csv"
    assert archive.testzip() is None
    many = chain(stream(named(repeat("same.csv", 20_000)), opened))
    assert len(set(zipfile.ZipFile(io.BytesIO(b"".join(many))).namelist())) == 20_000


def test_a_zip_of_nothing_is_one() -> None:
    assert zipfile.ZipFile(io.BytesIO(b"".join(stream([], opened)))).namelist() == []
