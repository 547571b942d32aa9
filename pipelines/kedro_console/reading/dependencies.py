"""Which packages a dataset needs and the interpreter lacks, found without making the dataset."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from kedro_console.words.problems import is_installed, missing_module
from kedro_console.words.requirements import is_known, normal, package_of

PREFIXES = ("kedro.io.", "kedro_datasets.", "kedro.extras.datasets.", "")
"""Where Kedro looks for a type like `pandas.CSVDataset`, in this order."""

_FAMILIES = (
    "api biosequence dask databricks email geopandas holoviews huggingface ibis json langchain matlab "
    "matplotlib networkx openxml pandas partitions pickle pillow plotly polars prophet pytorch redis "
    "snowflake spark svmlight tensorflow text tracking video yaml"
)
FAMILIES = frozenset(_FAMILIES.split())
"""The groups of kedro-datasets."""

BACKENDS = {"xlsx": "openpyxl", "xlsm": "openpyxl", "xls": "xlrd", "xlsb": "pyxlsb", "ods": "odf"}
"""Kind of workbook → the module that pandas reads it with."""


HOMES = ("kedro_datasets.", "kedro.extras.datasets.")


class Unusable(Exception):
    """A dataset's type cannot be imported. `packages` names what is missing, when that is the reason."""

    def __init__(self, packages: list[str], reason: str = "") -> None:
        super().__init__(reason)
        self.packages = packages


def dataset_class(kind: Any) -> Any:
    """The class that Kedro makes of a catalog entry's type; raises Unusable with the reason."""
    if not isinstance(kind, str):
        return kind
    for prefix in PREFIXES:
        cls = _class_at(prefix + kind)
        if cls is not None:
            return cls
    family = kind.split(".")[0]
    if kind.count(".") == 1 and family in FAMILIES and not is_distributed("kedro-datasets"):
        raise Unusable([f"kedro-datasets[{kind.replace('.', '-').lower()}]"])
    raise Unusable([], _why_not_found(kind))


def _why_not_found(kind: str) -> str:
    """What of this path is not there: its package, its module, or only the class in it."""
    for prefix in PREFIXES:
        module = _module_at((prefix + kind).rpartition(".")[0])
        if module is not None:
            names = sorted({*getattr(module, "__all__", ()), *vars(module)})
            near = get_close_matches(kind.rpartition(".")[2], names, 1, 0.6)
            return f"{module.__name__} has no such class" + (f" (did you mean {near[0]}?)" if near else "")
    top = kind.split(".")[0]
    if "." not in kind or is_installed(top):
        return "no such class is found"
    if is_known(package_of(top)):
        return f"the package '{package_of(top)}' is not installed"
    near = get_close_matches(top, FAMILIES, 1, 0.6)
    return f"nothing that is installed brings '{top}'" + (f" (did you mean {near[0]}?)" if near else "")


def _module_at(name: str) -> Any:
    try:
        return importlib.import_module(name) if name else None
    except (Exception, SystemExit):  # noqa: BLE001  (code of a package may raise anything)
        return None


def _class_at(path: str) -> Any:
    """The class at exactly this path, None when there is no such module or name; Unusable when it cannot be loaded."""
    name, _, cls = path.rpartition(".")
    try:
        return getattr(importlib.import_module(name), cls, None) if name else None
    except (Exception, SystemExit) as error:
        module = missing_module(error)
        if module and f"{name}.".startswith(f"{module}."):
            return None
        if module:
            raise Unusable([_bringing(module, name, cls)]) from error
        raise Unusable([], f"importing it raises {type(error).__name__}: {error}") from error


def _bringing(module: str, home: str, cls: str) -> str:
    """The package that brings what this class imports; where only kedro-datasets knows it, its extra."""
    package = package_of(module)
    if is_known(package) or not home.startswith(HOMES[0]):
        return package
    extra = f"{home.split('.')[1]}-{cls}"
    extras = importlib.metadata.metadata("kedro-datasets").get_all("Provides-Extra") or []
    return f"kedro-datasets[{extra.lower()}]" if normal(extra) in map(normal, extras) else package


def missing_engines(cls: Any, entry: Any) -> Iterator[str]:
    """Packages that this entry makes its class import when it is used, and that are not installed.

    What kedro-datasets lists for a class may be needed for one of its options only: so the options are looked at.
    """
    home = next((each for each in HOMES if cls.__module__.startswith(each)), "")
    family = cls.__module__[len(home) :].split(".")[0] if home else ""
    modules = _engines(f"{family}.{cls.__name__.lower()}", entry if isinstance(entry, dict) else {}) if home else []
    if modules and not any(is_installed(module.split(".")[0]) for module in modules):
        yield package_of(modules[0])


def _engines(kind: str, entry: dict[str, Any]) -> list[str]:
    """Modules of which one has to be there; [] when nothing is known to be needed."""
    arguments = [entry.get(name) for name in ("load_args", "save_args")]
    engine = next((str(each["engine"]) for each in arguments if isinstance(each, dict) and each.get("engine")), "")
    if kind.endswith(".pickledataset"):
        return [str(entry.get("backend") or "pickle")]
    if kind == "pandas.genericdataset":
        kind = f"pandas.{entry.get('file_format')}dataset"
    if kind == "pandas.exceldataset":
        suffix = str(entry.get("filepath", "")).rpartition(".")[2].lower()
        return [engine if engine in BACKENDS.values() else BACKENDS.get(suffix, "openpyxl")]
    if kind == "pandas.parquetdataset":
        return [engine] if engine in ("pyarrow", "fastparquet") else ["pyarrow", "fastparquet"]
    if kind == "pandas.xmldataset" and any(isinstance(each, dict) and each.get("parser") for each in arguments):
        return []
    return list(ENGINES.get(kind, ()))


ENGINES = {
    "dask.parquetdataset": ("pyarrow",),
    "pandas.featherdataset": ("pyarrow",),
    "pandas.gbqquerydataset": ("pandas_gbq",),
    "pandas.gbqtabledataset": ("pandas_gbq",),
    "pandas.hdfdataset": ("tables",),
    "pandas.xmldataset": ("lxml",),
}
"""Class → what pandas or dask imports when it reads or writes such a file."""


def is_distributed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def missing_for_path(path: str) -> str:
    """The package that reads this kind of path ("s3://…" → "s3fs") when it is not installed; else ""."""
    protocol, mark, _ = path.partition("://")
    if not mark:
        return ""
    import fsspec

    try:
        fsspec.get_filesystem_class(protocol.split("::")[-1])
    except ValueError:  # not a protocol of fsspec's: the dataset knows what to do with it
        return ""
    except ImportError as error:
        return package_of(missing_module(error) or protocol)
    return ""
