"""Makes a process ready to run the project: everything is imported, nothing is used."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro_console.project import command_line, compat, forkable, generators, moments
from kedro_console.project.kept_code import Kept
from kedro_console.words import handlers

log = logging.getLogger("kedro_console")

ALIASES = {"scikit_learn": "sklearn", "pyyaml": "yaml", "pillow": "PIL", "python_dateutil": "dateutil",
           "python_pptx": "pptx", "beautifulsoup4": "bs4", "opencv_python": "cv2", "python_docx": "docx"}  # fmt: skip


@dataclass
class Warmth:
    """What the warm-up found."""

    package: str = ""
    pipelines: dict[str, frozenset[str]] = field(default_factory=dict)  # and the names of their nodes
    versions: dict[str, str] = field(default_factory=dict)  # distribution → version, of what is imported
    random_state: Any = None  # of `random`, when the project seeds it while it is imported
    is_numpy_seeded: bool = False
    revision: str = ""  # of what was loaded, where it is known
    kept: Kept | None = None  # what a host's children import from
    generators: generators.Generators | None = None
    numpy_state: Any = None  # of numpy's own generator, when the project seeds it
    why_not_fork: str = ""  # the rest of a sentence about the project
    is_of_a_moment: bool = False  # nor may it be loaded before a run: it takes the time, or an id, while it is imported
    acts_at_its_end: bool = False  # something made while the project was imported


def prepare_environment() -> None:
    """What must be in the environment before Kedro is imported."""
    os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")


def drop_working_folder() -> None:
    """`python -m` puts the caller's folder first on the path; the project must not import from there."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folder = str(Path.cwd())
    if sys.path and sys.path[0] in ("", folder) and folder not in named:
        del sys.path[0]


def warm_up(project_path: Path, env: str, learned: Iterable[str]) -> Warmth:
    """Imports Kedro, the project, its plugins and the classes of its datasets; raises what the project raises."""
    prepare_environment()
    before = forkable.Before()
    handlers.hold(hears_prints=True)
    os.chdir(project_path)
    command_line.pretend(env)
    _import_quietly((*compat.COPIED_BY_MEMORY_DATASET, *compat.IMPORTED_BY_A_RUN))
    random.random()  # noqa: S311  (the first use changes the key, and Kedro's own logging uses it)
    seeds = _seeds()
    watch = generators.Watch()
    warmth = _import_project(project_path, env)
    handlers.stop_recording()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _import_datasets(project_path, env)
        _import_quietly(learned)
        compat.remember_plugins()
        compat.remember_git(project_path)
    for name in ("kedro_console.child.hooks", "kedro_console.child.store", "kedro_console.child.copies"):
        importlib.import_module(name)
    warmth.versions = versions()
    is_python_seeded, warmth.is_numpy_seeded = (a != b for a, b in zip(seeds, _seeds()))
    warmth.random_state = random.getstate() if is_python_seeded else None
    if warmth.is_numpy_seeded:
        warmth.numpy_state = sys.modules["numpy"].random.get_state()
    gc.collect()
    warmth.generators = watch.end()
    warmth.acts_at_its_end = forkable.acts_at_its_end(project_path)
    taken = moments.found(project_path)
    warmth.why_not_fork, warmth.is_of_a_moment = taken or before.why_not(), bool(taken)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # else each copy would write it
    gc.freeze()
    return warmth


def _import_project(project_path: Path, env: str) -> Warmth:
    from kedro.framework.project import pipelines, validate_settings
    from kedro.framework.startup import bootstrap_project

    metadata = bootstrap_project(project_path)
    validate_settings()
    compat.set_up_logging(project_path, env)
    handlers.begin_pipelines()
    known = {name: frozenset(node.name for node in pipelines[name].nodes) for name in sorted(pipelines)}
    compat.quicken_pipelines()
    return Warmth(package=metadata.package_name, pipelines=known)


def _import_datasets(project_path: Path, env: str) -> None:
    """Reads the configuration once and imports the dataset classes; what is wrong there is for the run to say."""
    entries: dict[str, Any] = {"kedro_console": {"type": "MemoryDataset"}}
    loader = compat.config_loader(project_path, env, {})
    for part in ("parameters", "credentials", "catalog"):
        try:
            found = loader[part]
        except Exception as error:  # noqa: BLE001  (project configuration may raise anything)
            log.debug("The %s are not read at warm-up: %s", part, error)
            continue
        if part == "catalog":
            entries.update(found)
    for name, problem in compat.dataset_classes(entries):
        if problem is not None:
            log.debug("The class of dataset %s cannot be imported: %s", name, problem)


def _import_quietly(names: Iterable[str]) -> None:
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  (it was useful once; the run imports it again if it needs it)
            log.debug("%s is not preloaded: %s", name, error)


# ---- random numbers ------------------------------------------------------------------------------


def _seeds() -> tuple[Any, Any]:
    """The keys of Python's and numpy's generators: they change when somebody seeds them, hardly ever by use."""
    numpy = sys.modules.get("numpy")
    key = numpy.random.get_state()[1].tobytes() if numpy else None
    return hash(random.getstate()[1][:-1]), key


def reseed(warmth: Warmth) -> None:
    """New random numbers for a forked child, unless the project seeded them: then each run starts the same."""
    if warmth.random_state is not None:
        random.setstate(warmth.random_state)  # Python itself has reseeded after the fork
    numpy = sys.modules.get("numpy")
    if numpy and not warmth.is_numpy_seeded:
        numpy.random.seed()
    if warmth.generators:
        warmth.generators.renew()


def restart(warmth: Warmth) -> None:
    """Before the next step of a child: random numbers as a new process has them."""
    numpy = sys.modules.get("numpy")
    if numpy and warmth.numpy_state is not None:
        numpy.random.set_state(warmth.numpy_state)
    if warmth.generators:
        warmth.generators.restart()
    reseed(warmth)


# ---- versions ------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """Distribution → version, of what is imported now."""
    known = _distributions()
    tops = {name for name in sys.modules if "." not in name}
    return dict(sorted(known[top] for top in tops if top in known))


def _distributions() -> dict[str, tuple[str, str]]:
    """Top-level module → (distribution, version), from the folder names of what is installed."""
    found: dict[str, tuple[str, str]] = {}
    for folder in dict.fromkeys(sys.path):
        try:
            names = [entry.name for entry in os.scandir(folder or ".") if entry.name.endswith(".dist-info")]
        except OSError:
            continue
        for name in names:
            distribution, _, version = name[: -len(".dist-info")].partition("-")
            for module in _modules(Path(folder) / name, distribution):
                found.setdefault(module, (distribution, version))
    return found


def _modules(folder: Path, distribution: str) -> list[str]:
    plain = distribution.lower().replace("-", "_")
    try:
        listed = (folder / "top_level.txt").read_text("utf-8", "replace").split()
    except OSError:
        listed = []
    return [*listed, plain, distribution, ALIASES.get(plain, plain)]
