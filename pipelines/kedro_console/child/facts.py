"""What can be said cheaply about a value and its dataset, without importing what made them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path, PurePath
from typing import Any

from kedro_console import wire

MAX_VALUE_BYTES = 20_000
LOOKED_AT = 20
SAMPLE_ROWS = 5
SAMPLE_COLUMNS = 50
MAX_CELL = 200
PLACES = (
    "_path", "filepath", "path", "_file_path", "file_path", "_save_path", "_folder", "folder", "_directory", "_dirpath"
)  # fmt: skip
"""Where the classes of other people keep their path; Kedro's own have `_filepath`."""
CREDENTIALS_IN_URL = re.compile(r"//[^/@\s]*@")


def shape(data: object) -> tuple[int | None, int | None]:
    """(rows, columns) of a table, a list of records or an array of one or two dimensions; (None, None) of all else."""
    if data is None or isinstance(data, (str, bytes, int, float)):
        return None, None
    if isinstance(data, (list, tuple, dict, set, frozenset)):
        return (len(data) if not data or _are_records(data) else None), None
    try:
        found = getattr(data, "shape", None)
    except Exception:  # noqa: BLE001  (an attribute of a foreign class may do anything)
        return None, None
    if not isinstance(found, tuple) or not 0 < len(found) < 3 or not all(isinstance(size, int) for size in found):
        return None, None
    return found[0], (found[1] if len(found) > 1 else None)


def _are_records(data: Any) -> bool:
    """A list of mappings or of lists, as far as one looks; an object with names is none."""
    return isinstance(data, (list, tuple)) and all(isinstance(each, (dict, list, tuple)) for each in data[:LOOKED_AT])


def parts(data: object) -> int | None:
    """How many tables a mapping of tables holds, for example the sheets of a workbook; None for all else."""
    if not isinstance(data, dict) or not data:
        return None
    is_whole = all(isinstance(name, str) and shape(each)[0] is not None for name, each in data.items())
    return len(data) if is_whole else None


def sample(data: object) -> list[dict[str, Any]]:
    """The first rows of a table (pandas, polars, pyarrow, a list of dicts) as plain JSON; [] for anything else."""
    try:
        return [_cells(row) for row in _first_rows(data)]
    except Exception:  # noqa: BLE001  (a preview never harms a run)
        return []


def _first_rows(data: Any) -> list[dict[Any, Any]]:
    if isinstance(data, list):
        return [row for row in data[:SAMPLE_ROWS] if isinstance(row, dict)]
    library = type(data).__module__.partition(".")[0]
    if library == "pandas" and type(data).__name__ == "DataFrame":
        head = data.iloc[:SAMPLE_ROWS, :SAMPLE_COLUMNS].astype(object)
        return [dict(zip(head.columns, row)) for row in head.to_numpy().tolist()]
    if library == "polars" and type(data).__name__ == "DataFrame":
        return list(data[:SAMPLE_ROWS, :SAMPLE_COLUMNS].to_dicts())
    if library == "pyarrow" and type(data).__name__ == "Table":
        return list(data.slice(0, SAMPLE_ROWS).to_pylist())
    return []


def _cells(row: dict[Any, Any]) -> dict[str, Any]:
    cells = list(row.items())[:SAMPLE_COLUMNS]
    return {str(name)[:MAX_CELL]: _cell(value) for name, value in cells}


def _cell(value: Any) -> Any:
    safe = wire.json_safe(value, depth=2, items=20)
    if isinstance(safe, (bool, int, float)) or safe is None:
        return safe
    return str(safe)[:MAX_CELL]


def small_value(data: object) -> tuple[Any, bool]:
    """(`data` as plain JSON, True) when it is small and JSON can hold it unchanged, else (None, False)."""
    if type(data).__module__ == "numpy" and getattr(data, "ndim", 1) == 0:
        data = getattr(data, "item")()  # noqa: B009  (a numpy scalar: its plain value)
    if not isinstance(data, (type(None), bool, int, float, str, list, dict)):
        return None, False
    if isinstance(data, (str, list, dict)) and len(data) > MAX_VALUE_BYTES:
        return None, False
    try:
        text = json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None, False
    return (data, True) if len(text) <= MAX_VALUE_BYTES else (None, False)


def parameters(value: Any) -> Any:
    """Parameters without the models that Kedro made of typed ones: those become groups again."""
    if isinstance(value, dict):
        return {name: parameters(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(parameters(part) for part in value)
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


# ---- the dataset ---------------------------------------------------------------------------------


def type_name(dataset: object) -> str:
    """The class as a catalog writes it, e.g. "pandas.CSVDataset"; "MemoryDataset" for what is not in the catalog."""
    if dataset is None:
        return "MemoryDataset"
    cls = type(_inner(dataset))
    parts = cls.__module__.split(".")
    if parts[0] == "kedro_datasets" and len(parts) > 1:
        return f"{parts[1]}.{cls.__qualname__}"
    if parts[0] == "kedro":
        return cls.__qualname__
    if parts[0] == "kedro_console":  # in memory, but for the run's own store between its steps
        return "MemoryDataset"
    return f"{cls.__module__}.{cls.__qualname__}"


def location(dataset: object, *, is_save: bool) -> tuple[str, str]:
    """(path or URL without credentials, version) of what was just loaded or saved; "" where there is none."""
    dataset = _inner(dataset)
    path = getattr(dataset, "_filepath", None)
    if path is None:
        return "", ""
    version = ""
    if getattr(dataset, "_version", None) is not None:
        path, version = _versioned(dataset, is_save)
    protocol = getattr(dataset, "_protocol", "file")
    if not isinstance(protocol, str) or protocol in ("", "file", "local") or "://" in str(path):
        return CREDENTIALS_IN_URL.sub("//", str(path)), version
    return CREDENTIALS_IN_URL.sub("//", f"{protocol}://{path}"), version


def place(dataset: object) -> str:
    """Where a dataset has saved, as a local path or a URL, also one whose class names its place in its own way."""
    path = _local(location(dataset, is_save=True)[0])
    dataset = _inner(dataset)
    prefix = str(getattr(dataset, "_fs_prefix", ""))  # Spark's: the path alone is one on its cluster
    if path and "://" not in path and "://" in prefix and not prefix.startswith("file"):
        return CREDENTIALS_IN_URL.sub("//", f"{prefix}{path.lstrip('/')}")
    if path or dataset is None or type(dataset).__module__.startswith("kedro_console."):
        return path
    found = _local(next((value for name in PLACES if (value := _path_of(dataset, name))), ""))
    if "://" in found:
        return CREDENTIALS_IN_URL.sub("//", found)
    return found if found and Path(found).exists() else ""


def _local(path: str) -> str:
    return path[len("file://") :] if path.startswith("file://") else path


def _path_of(dataset: object, name: str) -> str:
    value = getattr(dataset, name, "")
    return str(value) if isinstance(value, (str, PurePath)) else ""


def _versioned(dataset: Any, is_save: bool) -> tuple[Any, str]:
    """The path with its version; not `_get_save_path`, which refuses a path that exists by now."""
    version = str((dataset.resolve_save_version() if is_save else dataset.resolve_load_version()) or "")
    return (dataset._get_versioned_path(version) if version else dataset._filepath), version


def _inner(dataset: Any) -> Any:
    """The dataset that does the work inside a CachedDataset."""
    return getattr(dataset, "_dataset", None) or dataset if type(dataset).__name__.startswith("Cached") else dataset


def local_size(path: str) -> int | None:
    """Bytes of that local file; None for a folder, a URL or nothing."""
    if not path or "://" in path:
        return None
    try:
        return Path(path).stat().st_size if Path(path).is_file() else None
    except OSError:
        return None
