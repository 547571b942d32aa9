"""The in-memory datasets of a distributed run, on disk between its steps: written whole or not at all, read exactly."""

from __future__ import annotations

import functools
import importlib.util
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from kedro_console import wire
from kedro_console.child.kept_values import kept
from kedro_console.child.shelf import Shelf, sync
from kedro_console.project import compat
from kedro_console.reading.registry import is_parameter

PARQUET = b"PAR1"
EXACT_KINDS = frozenset("biuf")  # numpy kinds that parquet gives back unchanged
EXACT_NAMES = frozenset({"str", "string", "datetime64[ns]", "datetime64[us]", "datetime64[ms]"})


class StoreError(Exception):
    """A value that cannot travel between the steps of a run, as a sentence; `dataset` is whose value."""

    def __init__(self, sentence: str, dataset: str) -> None:
        super().__init__(sentence)
        self.dataset = dataset


class LentGone(Exception):
    """A value that an earlier run made is no longer in its store, as a sentence; `dataset` is whose value."""

    def __init__(self, dataset: str, address: str) -> None:
        what = f"{dataset}, which an earlier run made, is no longer in its store {address}."
        super().__init__(f"{what} Start the run again: it makes it anew.")
        self.dataset = dataset


class StoreHooks:
    """Puts a store dataset in the place of every in-memory dataset of the pipeline, before anything is loaded."""

    def __init__(self, place: Shelf, in_memory: Iterable[str] = (), lent: Mapping[str, Shelf] | None = None) -> None:
        self._shelf = place
        self._in_memory = frozenset(in_memory)
        self._lent = lent or {}
        """By file: the store of an earlier run, for what this one only reads."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        self._shelf.open()
        made = pipeline.all_outputs()
        for name in _names(pipeline):
            if not is_parameter(name) and wire.bare(name) not in self._in_memory and is_in_memory(catalog, name):
                lender = None if name in made else self._lent.get(wire.store_file(name))
                compat.put_dataset(catalog, name, store_dataset(lender or self._shelf, name, is_lent=bool(lender)))


def _names(pipeline: Any) -> Iterable[str]:
    find = getattr(pipeline, "datasets", None) or pipeline.data_sets
    return sorted(find())


def is_in_memory(catalog: Any, name: str) -> bool:
    """Not one that holds data already: a hook of the project put it there, and does so in every step."""
    if not compat.is_registered(catalog, name):
        return True
    dataset = compat.dataset_of(catalog, name)
    return compat.is_ephemeral(dataset) and not (dataset is not None and dataset.exists())


def store_dataset(place: Shelf, name: str, *, is_lent: bool = False) -> Any:
    """A Kedro dataset that keeps one value on this shelf."""
    return _dataset_class()(place, name, is_lent)


@functools.lru_cache(maxsize=1)
def _dataset_class() -> Any:
    """Made once: Kedro wraps each class of datasets again, and a node may have a hundred of them."""

    def keep(self: Any, place: Shelf, name: str, is_lent: bool) -> None:
        self._shelf, self._name, self._is_lent = place, name, is_lent

    def load(self: Any) -> Any:
        try:
            return read(self._shelf, self._name)
        except FileNotFoundError as error:
            if self._is_lent:
                raise LentGone(self._name, self._shelf.address) from error
            raise

    def save(self: Any, data: Any) -> None:
        write(self._shelf, self._name, data)

    base = compat.dataset_class()
    is_new = getattr(base.load, "__isabstractmethod__", False)  # before 0.19 a dataset defines _load and _save
    methods = {"load": load, "save": save} if is_new else {"_load": load, "_save": save}
    more = {
        "__init__": keep,
        "_EPHEMERAL": True,  # it stands in the place of one that is
        "_exists": lambda self: self._shelf.has(wire.store_file(self._name)),
        "_describe": lambda self: {"dataset": self._name},
        "__module__": __name__,
    }
    return type("StoreDataset", (base,), {**methods, **more})


# ---- files ---------------------------------------------------------------------------------------


def write(place: Shelf, name: str, data: Any) -> None:
    """Replaces the stored value in one moment; a reader sees the old or the new one, never a half."""
    with place.new(wire.store_file(name)) as part:
        if not (is_exact_in_parquet(data) and _write_table(part, data)):
            _pickle(part, name, data)
        sync(part)
    kept.put(place, wire.store_file(name), data)


def read(place: Shelf, name: str) -> Any:
    data = kept.get(place, wire.store_file(name))
    if data is not None:
        return data
    try:
        with place.local(wire.store_file(name)) as path, path.open("rb") as file:
            is_table = file.read(len(PARQUET)) == PARQUET
            file.seek(0)
            return _read_table(path) if is_table else pickle.load(file)  # noqa: S301  (our own run wrote it)
    except FileNotFoundError:
        raise FileNotFoundError(f"No step of this run has saved {name} yet: run the node that makes it.") from None


def _write_table(part: Path, data: Any) -> bool:
    """False when this pyarrow cannot hold the table: it is pickled then."""
    try:
        words = [name for name, dtype in data.dtypes.items() if str(dtype) in ("str", "string")]
        data.to_parquet(part, engine="pyarrow", use_dictionary=words)  # numbers gain nothing by it, and it takes time
    except Exception:  # noqa: BLE001  (pyarrow has its own classes, and is not imported here)
        part.unlink(missing_ok=True)
        return False
    return True


def _pickle(part: Path, name: str, data: Any) -> None:
    try:
        with part.open("xb") as file:
            pickle.dump(data, file, protocol=pickle.HIGHEST_PROTOCOL)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        sentence = (
            f"{name} ({type(data).__name__}) cannot be handed to another process ({error}). Run this pipeline in one "
            f"process, or give {name} an entry in the catalog."
        )
        raise StoreError(sentence, name) from error


def _read_table(path: Path) -> Any:
    import pandas  # only a table is stored like this, and pandas made it

    return pandas.read_parquet(path, engine="pyarrow")


def is_exact_in_parquet(data: Any) -> bool:
    """Whether parquet gives this pandas table back exactly as it is; anything else is pickled."""
    cls = type(data)
    if cls.__name__ != "DataFrame" or cls.__module__.partition(".")[0] != "pandas" or not _has_pyarrow():
        return False
    names = list(data.columns)
    is_plain = type(data.index).__name__ == "RangeIndex" and data.index.name is None and data.columns.name is None
    has_text_names = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return is_plain and has_text_names and not data.attrs and all(_is_exact(dtype) for dtype in data.dtypes)


def _is_exact(dtype: Any) -> bool:
    return str(dtype) in EXACT_NAMES or (dtype.kind in EXACT_KINDS and type(dtype).__module__.startswith("numpy"))


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None
