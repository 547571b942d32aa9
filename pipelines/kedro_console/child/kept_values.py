"""Large tables and arrays that a process has saved for other steps, and may itself read again: kept beside their file.

Only values that are the same whether they are copied or read back are kept, so that it does not matter for a node in
which process it runs. As in Kedro's MemoryDataset there is a copy at each save and at each load.
"""

from __future__ import annotations

import sys
from typing import Any

from kedro_console.child.shelf import Shelf
from kedro_console.line import processes

LEAST_BYTES = 1024 * 1024
MOST_BYTES = 2 * 1024**3
KINDS = frozenset("biufcmMSU")


class KeptValues:
    """Values by shelf and name, the newest ones that fit; one whose file has changed is not given out."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], tuple[Any, Any, int]] = {}
        self.limit_bytes = 0

    @property
    def size_bytes(self) -> int:
        return sum(size for _, _, size in self._values.values())

    def put(self, place: Shelf, name: str, data: Any) -> None:
        """Keep a copy of what was just saved there, if it is large, plain, and there is room."""
        self._values.pop((place.address, name), None)
        size = plain_bytes(data)
        if size < LEAST_BYTES:
            return
        most = min(MOST_BYTES, processes.available_bytes() // 4, (self.limit_bytes or 4 * MOST_BYTES) // 4)
        mark = place.mark(name)
        if mark is None or size > most:
            return
        while self._values and self.size_bytes + size > most:
            del self._values[next(iter(self._values))]
        self._values[place.address, name] = (mark, _copy(data), size)

    def get(self, place: Shelf, name: str) -> Any:
        """A copy of the value; None when it is not kept, or its file is another one by now."""
        mark, data, _ = self._values.get((place.address, name), (None, None, 0))
        return _copy(data) if mark is not None and mark == place.mark(name) else None


kept = KeptValues()


def _copy(data: Any) -> Any:
    return data.copy(order="K") if type(data).__name__ == "ndarray" else data.copy()


def plain_bytes(data: Any) -> int:
    """The size of a pandas table or series, or a numpy array, that holds nothing but values; 0 for all else."""
    cls = type(data)
    module, name = cls.__module__.partition(".")[0], cls.__name__
    if (module, name) == ("numpy", "ndarray"):
        return int(data.nbytes) if data.dtype.kind in KINDS else 0
    if module != "pandas" or name not in ("DataFrame", "Series"):
        return 0
    columns = [data] if name == "Series" else [data.iloc[:, place] for place in range(data.shape[1])]
    is_plain = _is_plain(data.index) and all(_is_plain(column) for column in columns)
    return int(data.memory_usage(deep=False).sum() if name == "DataFrame" else data.nbytes) if is_plain else 0


def _is_plain(column: Any) -> bool:
    """Numbers, times and text; a column of objects only when each is text or missing."""
    if str(column.dtype) in ("str", "string", "category") or column.dtype.kind in KINDS:
        return bool(str(column.dtype) != "category" or column.cat.categories.dtype.kind != "O")
    pandas = sys.modules["pandas"]
    return bool(column.dtype.kind == "O" and pandas.api.types.infer_dtype(column, skipna=True) == "string")


def give_back() -> None:
    """Hand the memory that pyarrow has freed back to the machine."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None:
        pyarrow.default_memory_pool().release_unused()
