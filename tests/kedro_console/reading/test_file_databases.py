"""Which datasets are in a database that one process at a time may use."""

from __future__ import annotations

from typing import Any

import pytest

from kedro_console.reading.file_databases import database_of

SECRET = {"shop": {"con": "sqlite:///data/shop.db?timeout=5"}, "big": {"con": "postgresql+psycopg://u:p@h/x"}}


@pytest.mark.parametrize(
    ("entry", "database"),
    [
        ({"type": "ibis.TableDataset", "connection": {"backend": "duckdb", "database": "a.db"}}, "duckdb a.db"),
        ({"type": "ibis.TableDataset", "connection": {"backend": "duckdb"}}, "duckdb memory"),
        ({"type": "ibis.TableDataset", "connection": {"backend": "sqlite", "database": ":memory:"}}, "sqlite memory"),
        ({"type": "ibis.TableDataset", "connection": {"backend": "postgres", "database": "x"}}, ""),
        ({"type": "ibis.TableDataset", "connection": "duckdb:///b.ddb"}, "duckdb b.ddb"),
        ({"type": "pandas.SQLTableDataset", "credentials": "shop"}, "sqlite data/shop.db"),
        ({"type": "pandas.SQLTableDataset", "credentials": "big"}, ""),
        ({"type": "pandas.SQLTableDataset", "credentials": {"con": "sqlite://"}}, "sqlite memory"),
        ({"type": "pandas.SQLQueryDataset", "credentials": {"con": "duckdb:////srv/c.duckdb"}}, "duckdb /srv/c.duckdb"),
        ({"type": "my.OwnDataset", "filepath": "data/own.duckdb"}, "duckdb data/own.duckdb"),
        ({"type": "pandas.CSVDataset", "filepath": "data/a.csv", "credentials": "gone"}, ""),
    ],
)  # fmt: skip
def test_a_database_file_is_recognised_by_its_dataset(entry: dict[str, Any], database: str) -> None:
    assert database_of(entry, SECRET) == database
