"""The dataset behind `type: kedro_console.tables.LoadedTable`."""

from __future__ import annotations

import re
from typing import Any

from kedro.io import AbstractDataset
from kedro.io.core import DatasetError, Version

from kedro_console.line import here
from kedro_console.loading.columns import Columns
from kedro_console.loading.databases import opened
from kedro_console.loading.load import RUN_COLUMN, current_run, load


class LoadedTable(AbstractDataset[Any, Any]):
    """A table of a database whose rows carry the run's id; saving replaces this run's rows, loading gives them back."""

    versioned = True  # Kedro hands over its session's id as the version to save: the run's id without the console

    def __init__(
        self,
        *,
        table: str,
        connection: str = "",
        credentials: dict[str, Any] | None = None,
        columns: Columns | None = None,
        key: str | list[str] = (),  # type: ignore[assignment]
        part: str = "",
        run_column: str = RUN_COLUMN,
        version: Version | None = None,
        metadata: Any = None,
    ) -> None:
        self._connection = connection or str((credentials or {}).get("con", ""))
        if not self._connection:
            raise DatasetError(f"{table}: name a connection, or credentials that have con: an address.")
        self._table, self._columns, self._key, self._part = table, columns, key, part
        self._run_column, self._version, self.metadata = run_column, version, metadata
        self._is_saved = False

    def save(self, data: Any) -> None:
        load(
            data, self._table, connection=self._connection, run_id=self._run_id(), part=self._part,
            columns=self._columns, key=self._key, run_column=self._run_column,
        )  # fmt: skip
        self._is_saved = True

    def load(self) -> Any:
        """What this run saved: a DataFrame where pandas is installed, else a list of rows."""
        rows = self._rows()
        if not rows and not self._is_saved:
            raise DatasetError(f"This run saved nothing in {self._table}: other runs' rows are read with a query.")
        for row in rows:
            row.pop(self._run_column)
        try:
            import pandas
        except ImportError:
            return rows
        return pandas.DataFrame.from_records(rows)

    def _rows(self) -> list[dict[str, Any]]:
        with opened(self._connection, self._table, owner=self._tag()) as table:
            return list(table.rows(self._run_column, self._tag())) if table.column_names() else []

    def _exists(self) -> bool:
        return bool(self._rows())

    def _run_id(self) -> str:
        return here.run_id() or (self._version.save if self._version else None) or current_run()

    def _tag(self) -> str:
        return "/".join(filter(None, (self._run_id(), self._part)))

    def _describe(self) -> dict[str, Any]:
        address = re.sub(r"(?<=://)[^/@]*@", "***@", self._connection)
        return {"table": self._table, "connection": address, "key": self._key, "part": self._part}
