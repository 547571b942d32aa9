"""Rows that are loaded again are there once, whatever happened in between, in SQLite and in PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from databases import Database, emptied, postgres

from kedro_console import here, tables
from kedro_console.tables import Loaded, LoadError, load

PIPELINES = Path(tables.__file__).resolve().parents[1]
ROWS = [{"keyword": "tea", "volume": 3}, {"keyword": "Kaffee", "volume": 5}]


@pytest.fixture(scope="module")
def postgres_address() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "postgres":
        return emptied(request.getfixturevalue("postgres_address"))
    return Database(f"sqlite:///{tmp_path / 'tables.db'}")


def loaded(database: Database, rows: Any = ROWS, run_id: str = "a", **options: Any) -> Loaded:
    return load(rows, "metrics", connection=database.address, run_id=run_id, **options)


def found(database: Database, columns: str = "keyword, volume, run_id") -> list[tuple[Any, ...]]:
    return sorted(database.ask(f"SELECT {columns} FROM metrics"), key=str)


# ---- once, however often ----------------------------------------------------------------------------


def test_a_load_that_is_repeated_leaves_its_rows_once(database: Database) -> None:
    assert loaded(database) == Loaded(2, 0)
    assert loaded(database, ROWS[:1]) == Loaded(1, 2)
    assert found(database) == [("tea", 3, "a")]


def test_other_runs_rows_stay_as_they_are(database: Database) -> None:
    loaded(database, run_id="a")
    loaded(database, ROWS[:1], run_id="b")
    loaded(database, [], run_id="a")
    assert found(database) == [("tea", 3, "b")]


def test_parts_of_one_run_do_not_replace_each_other(database: Database) -> None:
    loaded(database, ROWS[:1], part="first")
    loaded(database, ROWS[1:], part="second")
    loaded(database, ROWS[1:], part="second")
    assert found(database) == [("Kaffee", 5, "a/second"), ("tea", 3, "a/first")]


def test_a_row_with_a_key_takes_the_place_of_another_runs_row(database: Database) -> None:
    loaded(database, run_id="died", key="keyword")
    loaded(database, [{"keyword": "tea", "volume": 4}, {"keyword": "tea", "volume": 9}], run_id="next", key="keyword")
    assert found(database) == [("Kaffee", 5, "died"), ("tea", 9, "next")]


def test_a_load_that_fails_in_the_middle_leaves_the_table_as_it_was(database: Database) -> None:
    loaded(database)
    rows = ({"keyword": str(number), "volume": 1 if number < 25_000 else "x"} for number in range(30_000))
    with pytest.raises(LoadError, match=r"Row 25001, column volume"):
        loaded(database, rows, columns={"keyword": None, "volume": {"cast": "int"}})
    assert found(database) == [("Kaffee", 5, "a"), ("tea", 3, "a")]


ENDLESS = """
import sys
from kedro_console.tables import load
def rows():
    for number in range(10**9):
        if number == 60_000:
            print("midway", flush=True)
            sys.stdin.read()
        yield {"keyword": str(number), "volume": number}
load(rows(), "metrics", connection=sys.argv[1], run_id="a", key=sys.argv[2:])
"""


@pytest.mark.parametrize("key", [[], ["keyword"]], ids=["by_run", "by_key"])
def test_a_load_that_is_killed_in_the_middle_is_as_if_it_had_not_begun(database: Database, key: list[str]) -> None:
    loaded(database, [{"keyword": "tea", "volume": 1}], key=key)
    command = [sys.executable, "-c", ENDLESS, database.address, *key]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(PIPELINES)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdout.readline() == b"midway\n"
        child.send_signal(signal.SIGKILL)
    assert found(database) == [("tea", 1, "a")]
    assert loaded(database, key=key) == Loaded(2, 1)
    assert found(database) == [("Kaffee", 5, "a"), ("tea", 3, "a")]


def test_tries_of_one_run_at_once_leave_its_rows_once_and_runs_do_not_touch_each_other(database: Database) -> None:
    rows = [{"keyword": str(number), "volume": number} for number in range(3_000)]
    together, errors = threading.Barrier(8), []

    def work(run_id: str) -> None:
        together.wait()
        try:
            loaded(database, iter(rows), run_id=run_id)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(run_id,)) for run_id in "aabbccdd"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not errors
    counted = database.ask("SELECT run_id, count(*), count(DISTINCT keyword) FROM metrics GROUP BY run_id")
    assert sorted(counted) == [(run_id, 3_000, 3_000) for run_id in "abcd"]


# ---- what is written ---------------------------------------------------------------------------------


def test_columns_are_renamed_cast_trimmed_computed_and_constant(database: Database) -> None:
    rows = [{"word": "  Green Tea ", "search volume": "1200", "cpc": 0.5, "day": "2026-03-01", "more": {"a": [1]}}]
    columns = {
        "keyword": {"from": "word", "text": ["strip", "lower"]},
        "volume": {"from": "search volume", "cast": "int"},
        "day": {"cast": "date"},
        "more": {"json": True},
        "source": {"constant": "demo"},
        "cost": {"computed": lambda row: int(row["search volume"]) * row["cpc"]},
        "title": {"computed": "os.path:basename"},
    }
    rows[0]["title"] = "x"
    columns["title"] = {"from": "word", "text": "upper"}
    loaded(database, rows, columns=columns)
    ((keyword, volume, day, more, source, cost, title),) = found(
        database, "keyword, volume, CAST(day AS TEXT), CAST(more AS TEXT), source, cost, title"
    )
    assert (keyword, volume, day, source, cost, title) == (
        "green tea", 1200, "2026-03-01", "demo", 600.0, "  GREEN TEA ",
    )  # fmt: skip
    assert json.loads(more) == {"a": [1]}


def test_a_function_is_named_and_gets_the_row(database: Database) -> None:
    loaded(database, columns={"keyword": {"computed": "builtins:len"}, "volume": None})
    assert found(database, "keyword, volume") == [(2, 3), (2, 5)]


def test_what_is_missing_is_null_and_a_frame_keeps_its_types(database: Database) -> None:
    frame = pd.DataFrame({
        "keyword": ["tea", None],
        "volume": pd.array([1, None], dtype="Int64"),
        "cpc": [0.25, np.nan],
        "at": pd.to_datetime(["2026-03-01 10:00", None], utc=True),
        "flag": [True, False],
    })  # fmt: skip
    loaded(database, frame)
    first, second = sorted(database.ask("SELECT keyword, volume, cpc, CAST(at AS TEXT), flag FROM metrics"), key=str)
    assert first[:3] == ("tea", 1, 0.25)
    assert first[3].startswith("2026-03-01 10:00:00") and first[4]
    assert second == (None, None, None, None, False)


@pytest.mark.parametrize(
    "value",
    ["quote ' and \"", "'); DROP TABLE metrics; --", "tab\tand\nline\\N", "émoji 🍵", 2**62, -0.125, True],
    ids=str,
)  # fmt: skip
def test_a_value_comes_back_as_it_was(database: Database, value: object) -> None:
    loaded(database, [{"keyword": value}])
    assert found(database, "keyword") == [(value,)]


def test_values_of_other_types_are_stored_by_their_meaning(database: Database) -> None:
    identity = uuid.UUID(int=7)
    row = {"day": date(2026, 3, 1), "price": Decimal("1.10"), "raw": b"\x00\xff", "id": identity, "n": np.int64(4)}
    loaded(database, [{**row, "at": datetime(2026, 3, 1, 8, tzinfo=UTC), "list": [1, float("nan")]}])
    ((day, price, raw, known, number, at, listed),) = database.ask(
        "SELECT CAST(day AS TEXT), CAST(price AS TEXT), raw, id, n, CAST(at AS TEXT), CAST(list AS TEXT) FROM metrics"
    )
    assert (day, price, bytes(raw), known, number) == ("2026-03-01", "1.10", b"\x00\xff", str(identity), 4)
    assert at.startswith("2026-03-01 08:00:00+00") and json.loads(listed) == [1, None]


def test_names_are_quoted_whatever_they_are(database: Database) -> None:
    table, column = 'odd "table"; DROP', 'a "b" %s ? --'
    for _ in range(2):
        load([{column: 1}], table, connection=database.address, run_id="'; --", key=column)
    assert database.ask('SELECT * FROM "odd ""table""; DROP"') == [(1, "'; --")]


def test_a_mixture_of_whole_and_other_numbers_is_numbers(database: Database) -> None:
    loaded(database, [{"keyword": 1}, {"keyword": 2.5}])
    assert found(database, "keyword") == [(1.0,), (2.5,)]


# ---- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ([{"keyword": "x", "volume": "1.5"}], {"columns": {"volume": {"cast": "int"}}}, "no whole number"),
        (ROWS, {"columns": {"keyword": "kyword"}}, "No row has kyword; they have keyword, volume."),
        (ROWS, {"columns": {"keyword": {"cast": "number"}}}, "there are int, float"),
        (ROWS, {"columns": {"keyword": {"form": "x"}}}, "form is not known"),
        (ROWS, {"columns": {"keyword": {"computed": "import os"}}}, "write package.module:function"),
        (ROWS, {"columns": {"keyword": {"computed": "os:nothing"}}}, "cannot be found"),
        (ROWS, {"key": "word"}, "The key word is no column of the rows"),
        ([{"keyword": None}], {"key": "keyword"}, "the key of a row is never empty"),
        ([{"run_id": 1}], {}, "choose another run_column"),
        ([{"keyword": object()}], {}, "Row 1, column keyword: object is nothing that a table holds"),
        (["tea"], {}, "A row is a mapping"),
        ("tea", {}, "not from str"),
        ([{"": 1}], {}, "cannot be the name of a column"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_a_sentence(tmp_path: Path, rows: Any, options: Any, sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence.replace("(", r"\(")):
        loaded(Database(f"sqlite:///{tmp_path / 'x.db'}"), rows, **options)


def test_a_table_that_does_not_fit_is_told_before_anything_changes(database: Database) -> None:
    database.ask("CREATE TABLE metrics (keyword TEXT)")
    with pytest.raises(LoadError, match="has no column volume, run_id; it has keyword"):
        loaded(database)
    database.ask("DROP TABLE metrics")
    loaded(database)
    with pytest.raises(LoadError, match="has no unique index over keyword"):
        loaded(database, key="keyword")


def test_a_column_that_comes_late_is_not_lost_in_silence(database: Database) -> None:
    rows = [{"keyword": str(number)} for number in range(10_001)] + [{"keyword": "x", "volume": 1}]
    with pytest.raises(LoadError, match="Row 10002 has what earlier rows have not: volume"):
        loaded(database, rows)


@pytest.mark.parametrize("address", ["mysql://x/y", "", "sqlite://"])
def test_an_address_of_another_database_is_refused(address: str) -> None:
    with pytest.raises(LoadError, match="write sqlite"):
        load(ROWS, "metrics", connection=address, run_id="a")


def test_without_psycopg_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LoadError, match="pip install 'psycopg"):
        load(ROWS, "metrics", connection="postgresql://nobody@127.0.0.1/x", run_id="a")


# ---- whose rows --------------------------------------------------------------------------------------


def test_without_the_console_one_process_is_one_run(database: Database) -> None:
    assert not here.is_supervised()
    for _ in range(2):
        load(ROWS, "metrics", connection=database.address)
    assert len(found(database)) == 2


def test_the_dataset_saves_the_rows_of_its_run_and_gives_them_back(database: Database) -> None:
    from kedro.io import DataCatalog

    def catalog(session: str) -> DataCatalog:
        entry = {"type": "kedro_console.tables.LoadedTable", "table": "metrics", "credentials": "db", "key": "keyword"}
        return DataCatalog.from_config(
            {"metrics": entry}, {"db": {"con": database.address}}, save_version=session, load_versions={}
        )

    first = catalog("2026-03-01T08.00.00.000Z")
    first.save("metrics", pd.DataFrame(ROWS))
    first.save("metrics", pd.DataFrame(ROWS))
    assert sorted(first.load("metrics").to_dict("records"), key=str) == sorted(ROWS, key=str)
    assert {run for *_, run in found(database)} == {"2026-03-01T08.00.00.000Z"}
    with pytest.raises(Exception, match="This run saved nothing in metrics"):
        catalog("another").load("metrics")
    assert not catalog("another").exists("metrics")


def test_a_password_is_not_in_the_description_of_the_dataset() -> None:
    from kedro_console.tables import LoadedTable

    assert "secret" not in str(LoadedTable(table="t", connection="postgresql://me:secret@host/db"))


@pytest.mark.parametrize("password", ["se%zzcret", "se%3Acret"])
def test_a_password_is_not_in_the_sentence_about_a_database_that_is_not_there(password: str) -> None:
    with pytest.raises(LoadError, match="PostgreSQL, table metrics") as refused:
        load(ROWS, "metrics", connection=f"postgresql://me:{password}@127.0.0.1:1/db", run_id="a")
    assert password not in str(refused.value) and "se:cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_module_needs_the_standard_library_alone() -> None:
    code = "import sys, kedro_console.tables; print({'kedro', 'pandas', 'numpy', 'psycopg'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PIPELINES, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
