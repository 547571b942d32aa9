"""Where Kedro 0.18.14 to 1.x differ, in one place. Kedro is imported late: this module itself loads nothing."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Json = Any
COPIED_BY_MEMORY_DATASET = ("pandas", "numpy")  # MemoryDataset tries to import them at every use
IMPORTED_BY_A_RUN = ("pydantic.main",)  # by the validation of Kedro 1.x, where the project has it
BAD_PARAMETERS = ("ParameterValidationError", "ModelInstantiationError")
MISSING_CONFIG = ("MissingConfigException",)
CHOICES = ("from_nodes", "to_nodes", "from_inputs", "to_outputs")
PASSING = ("memorydataset", "cacheddataset", "_sharedmemorydataset")
MISSING_DATASET = ("DatasetNotFoundError", "DataSetNotFoundError")


def kedro_version() -> str:
    import kedro

    return str(kedro.__version__)


def create_session(project_path: Path, env: str, parameters: dict[str, Json]) -> Any:
    """A KedroSession that has not run; the runtime parameters go in here in every version."""
    from kedro.framework.session import KedroSession

    known = inspect.signature(KedroSession.create).parameters
    name = "runtime_params" if "runtime_params" in known else "extra_params"
    arguments = {"project_path": project_path, "env": env or None, name: parameters or None}
    with _known_plugins():
        return KedroSession.create(**arguments)


def run(session: Any, pipeline: str, choices: dict[str, list[str]], **arguments: Any) -> Any:
    """`session.run` of one pipeline by name, as the command `kedro run` calls it: hooks see the same run parameters.

    What this Kedro does not know of `only_missing_outputs` is left to the runner.
    """
    known = inspect.signature(session.run).parameters
    named = {"pipeline_names": [pipeline]} if "pipeline_names" in known else {"pipeline_name": pipeline}
    if "only_missing_outputs" not in known:
        arguments.pop("only_missing_outputs")
    return session.run(**named, **_chosen(pipeline, choices, "namespaces" in known), **arguments)


def _chosen(pipeline: str, choices: dict[str, list[str]], is_plural: bool) -> dict[str, Any]:
    chosen: dict[str, Any] = {name: choices.get(name, []) for name in CHOICES}
    nodes, namespaces = choices.get("nodes", []), choices.get("namespaces", [])
    if len(namespaces) > 1 and not is_plural:  # before 1.0 there is room for one
        inside = [node.name for node in registered(pipeline, []).nodes if _is_in(node.namespace, namespaces)]
        nodes, namespaces = [name for name in inside if not nodes or name in nodes], []
    chosen["tags"], chosen["node_names"] = tuple(choices.get("tags", ())), tuple(nodes)
    if is_plural:
        return {**chosen, "namespaces": namespaces}
    return {**chosen, "namespace": namespaces[0] if namespaces else None}


def _is_in(namespace: Any, names: list[str]) -> bool:
    return bool(namespace) and namespace.startswith(tuple(names))


def conf_source() -> str:
    """The folder of the project's configuration, as its settings name it."""
    from kedro.framework.project import settings

    return str(getattr(settings, "CONF_SOURCE", "") or "conf")


def set_up_logging(project_path: Path, env: str) -> None:
    """What a session of Kedro 0.18 does before the pipelines are imported: conf/*/logging.yml, once."""
    from kedro.framework.session import KedroSession

    if not hasattr(KedroSession, "_setup_logging"):
        return
    from kedro.framework.context import context
    from kedro.framework.project import configure_logging

    convert: Callable[..., Any] = context._convert_paths_to_absolute_posix
    try:
        found = config_loader(project_path, env, {})["logging"]
    except Exception as error:
        if type(error).__name__ not in MISSING_CONFIG:
            raise
    else:
        configure_logging(convert(project_path=project_path, conf_dictionary=found))
    KedroSession._setup_logging = lambda self: None


def when_pipelines_are_taken(then: Callable[[], None]) -> None:
    """Calls that when a session takes the first of its pipelines: only now would `kedro run` import them."""
    from kedro.framework.project import pipelines

    class Known(dict):  # type: ignore[type-arg]
        def __getitem__(self, name: str) -> Any:
            then()
            return super().__getitem__(name)

    pipelines._content = Known(pipelines._content)


@contextlib.contextmanager
def saved_at_its_end(session: Any, *, is_shared: bool) -> Iterator[None]:
    """What `with session:` does in `kedro run`: SESSION_STORE_CLASS saves it, with the exception if there is one.

    `is_shared`: other processes of the run save it too, and one that cannot does not fail its step.
    """
    try:
        yield
    except BaseException as error:
        _save(session, (type(error), error, error.__traceback__), is_shared=True)  # its own error is what counts
        raise
    _save(session, (None, None, None), is_shared=is_shared)


def _save(session: Any, ended: tuple[Any, ...], *, is_shared: bool) -> None:
    try:
        session.__exit__(*ended)
    except Exception as error:
        if not is_shared:
            raise
        logging.getLogger(__name__).warning("The session store could not save this session: %s", error)


def keep_pipelines(requested: str) -> None:
    """Kedro 1.x registers all pipelines again when one is named: what the warm-up has loaded holds that one too."""
    from kedro.framework.project import pipelines

    if getattr(pipelines, "_is_data_loaded", False) and hasattr(pipelines, "_requested_pipelines"):
        pipelines._requested_pipelines = [requested]


def keep_context(session: Any) -> None:
    """Makes the session load its context once, and that one read each part of its configuration once."""
    load: Callable[[], Any] = session.load_context
    known: list[Any] = []

    def load_once() -> Any:
        if not known:
            known.append(load())
            known[0].config_loader.__class__ = _read_once(type(known[0].config_loader))
        return known[0]

    session.load_context = load_once


def _read_once(loader_class: Any) -> Any:
    """The project's loader class, but for what it has read before: a copy of that."""

    def get(self: Any, key: str) -> Any:
        known: dict[str, Any] = self.__dict__.setdefault("_read_before", {})
        if key not in known:
            try:
                known[key] = loader_class.__getitem__(self, key)
            except Exception as error:  # noqa: BLE001  (there are no credentials, for example: Kedro asks each time)
                known[key] = _without_frames(error)
        if isinstance(known[key], Exception):
            raise _copied(known[key])  # what is raised holds the frames of those who catch it
        return copy.deepcopy(known[key])

    def put(self: Any, key: str, value: Any) -> None:
        self.__dict__.setdefault("_read_before", {}).pop(key, None)
        loader_class.__setitem__(self, key, value)

    methods = {"__getitem__": get, "__setitem__": put, "__module__": loader_class.__module__}
    return type(loader_class.__name__, (loader_class,), methods)


def _without_frames(error: Exception) -> Exception:
    """The error without what its frames hold: that would live as long as the session."""
    seen: BaseException | None = error
    while seen is not None:
        seen.__traceback__, seen = None, seen.__cause__ or seen.__context__
    return error


def _copied(error: Exception) -> Exception:
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001  (a class with a way of its own to be made)
        return error.with_traceback(None)


def allow_again(session: Any) -> None:
    """Kedro lets a session run once; this one ran a step, and the next step of the same run may follow."""
    session._run_called = False


def quicken_pipelines() -> None:
    """Makes choosing a few nodes of a large pipeline cheap: each step of a distributed run does it."""
    from kedro.framework.project import pipelines

    for known in dict(pipelines).values():
        with contextlib.suppress(TypeError):  # a class of the project's own
            known.__class__ = _quick_pipeline()


def let_go() -> None:
    """Holds nothing of Kedro any more: Python takes it and the project apart as if we had not been here."""
    _quick_pipeline.cache_clear()


@functools.lru_cache(maxsize=1)
def _quick_pipeline() -> Any:
    """A pipeline whose nodes are chosen by name without sorting all the others again, twice."""
    from kedro.pipeline import Pipeline

    class QuickPipeline(Pipeline):
        def __radd__(self, other: Any) -> Any:
            return self if isinstance(other, Pipeline) and not other.nodes else super().__add__(other)

        def filter(self, **chosen: Any) -> Any:
            names = set(chosen.pop("node_names", None) or ())
            nodes = [node for node in self.nodes if node.name in names]
            if len(nodes) == len(names) > 0 and not any(chosen.values()):
                return Pipeline(nodes)
            return super().filter(node_names=names or None, **chosen)

    return QuickPipeline


def force_version(session: Any, version: str) -> None:
    """Makes `version` the save version of every versioned dataset, and Kedro's run id."""
    session._store["session_id"] = version
    if hasattr(session._store, "_session_id"):
        session._store._session_id = version


def runner(name: str, max_workers: int) -> Any:
    from kedro.runner import SequentialRunner, ThreadRunner

    return ThreadRunner(max_workers=max_workers) if name == "threads" else SequentialRunner()


def dataset_of(catalog: Any, name: str) -> Any:
    """The dataset object of that name; None when the catalog has none (an in-memory one of old versions)."""
    find: Callable[[str], Any] = catalog.get if hasattr(catalog, "get") else catalog._get_dataset
    try:
        return find(name)
    except Exception as error:
        if type(error).__name__ in MISSING_DATASET:
            return None
        raise


def put_dataset(catalog: Any, name: str, dataset: Any) -> None:
    """Replaces (or adds) a dataset of the catalog."""
    if hasattr(catalog, "__setitem__"):
        catalog[name] = dataset
    else:
        catalog.add(name, dataset, replace=True)


def is_registered(catalog: Any, name: str) -> bool:
    return name in catalog


def is_ephemeral(dataset: Any) -> bool:
    if type(dataset).__name__.lower() == "cacheddataset":  # Kedro marks it, and what is inside may be a file
        dataset = dataset._dataset
    return dataset is None or bool(getattr(dataset, "_EPHEMERAL", False)) or "Memory" in type(dataset).__name__


def is_passing(dataset: Any) -> bool:
    """What Kedro itself takes for a dataset that outlives no run; before 0.19 it had no mark for that."""
    mark = getattr(dataset, "_EPHEMERAL", None)
    return type(dataset).__name__.lower() in PASSING if mark is None else bool(mark)


def pipeline_of(nodes: list[Any]) -> Any:
    from kedro.pipeline import Pipeline

    return Pipeline(nodes)


def registered(name: str, nodes: list[str]) -> Any:
    """The project's pipeline of that name; with nodes those alone."""
    from kedro.framework.project import pipelines

    return pipelines[name].filter(node_names=nodes) if nodes else pipelines[name]


def dataset_class() -> Any:
    from kedro import io

    return getattr(io, "AbstractDataset", None) or io.AbstractDataSet


def dataset_classes(catalog_config: dict[str, Json]) -> Iterator[tuple[str, Exception | None]]:
    """Imports the class of every catalog entry without making a dataset; yields (name, what went wrong)."""
    from kedro.io.core import parse_dataset_definition

    for name, entry in catalog_config.items():
        if not isinstance(entry, dict) or "type" not in entry:
            continue
        try:
            parse_dataset_definition(_without_credentials(entry))
            yield name, None
        except Exception as error:  # noqa: BLE001  (reported by the run or the snapshot that needs it)
            yield name, error


def _without_credentials(entry: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in entry.items() if key not in ("credentials", "validator")}


def catalog_config(project_path: Path, env: str, parameters: dict[str, Json]) -> dict[str, Json]:
    """The resolved catalog configuration, read with the project's own config loader."""
    return dict(config_loader(project_path, env, parameters)["catalog"])


def hooked_loader(project_path: Path, env: str, parameters: dict[str, Json]) -> Any:
    """The config loader as a run gets it from its hooks; None when no hook looks before the catalog is read."""
    from kedro.framework.project import settings

    if not any(hasattr(hook, "after_context_created") for hook in (*settings.HOOKS, *_plugin_hooks(settings))):
        return None
    return create_session(project_path, env, parameters).load_context().config_loader


def _plugin_hooks(settings: Any) -> Iterator[Any]:
    import importlib.metadata

    disabled = set(settings.DISABLE_HOOKS_FOR_PLUGINS)
    for distribution in importlib.metadata.distributions():
        points = [point for point in distribution.entry_points if point.group == "kedro.hooks"]
        if points and distribution.metadata["Name"] not in disabled:
            yield from (point.load() for point in points)


def config_loader(project_path: Path, env: str, parameters: dict[str, Json]) -> Any:
    from kedro.framework.project import settings

    return settings.CONFIG_LOADER_CLASS(
        conf_source=str(project_path / settings.CONF_SOURCE),
        env=env or None,
        runtime_params=parameters or None,
        **settings.CONFIG_LOADER_ARGS,
    )


# ---- what a session does again each time, remembered from the warm-up -----------------------------


class _Plugin:
    """An installed distribution with Kedro hooks, read once: the real one reads its files at every question."""

    def __init__(self, distribution: Any) -> None:
        self.entry_points = [point for point in distribution.entry_points if point.group == "kedro.hooks"]
        self.metadata = distribution.metadata if self.entry_points else {}
        self.version = distribution.version if self.entry_points else ""
        self.name = self.metadata["Name"] if self.entry_points else ""


_plugins: list[_Plugin] | None = None


def remember_plugins() -> None:
    """Finds the installed distributions with Kedro hooks, and imports the hooks, once."""
    import importlib.metadata

    global _plugins
    found = [_Plugin(distribution) for distribution in importlib.metadata.distributions()]
    _plugins = [plugin for plugin in found if plugin.entry_points]
    for plugin in _plugins:
        for point in plugin.entry_points:
            point.load()


@contextlib.contextmanager
def _known_plugins() -> Iterator[None]:
    """While a session is made, pluggy sees only the distributions that have Kedro hooks: it reads each of them."""
    import importlib.metadata

    if _plugins is None:
        yield
        return
    known, original = _plugins, importlib.metadata.distributions
    importlib.metadata.distributions = lambda **_: iter(known)  # type: ignore[assignment]
    try:
        yield
    finally:
        importlib.metadata.distributions = original


def remember_git(project_path: Path) -> None:
    """`git describe` once instead of two processes for each session; a new commit makes a new host."""
    module = sys.modules.get("kedro.framework.session.session")
    describe = getattr(module, "_describe_git", None)
    if module is None or describe is None:
        return
    known = describe(project_path)
    module._describe_git = lambda _: known  # type: ignore[attr-defined]
