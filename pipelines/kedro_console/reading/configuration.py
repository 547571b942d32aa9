"""What the project's own config loader makes of its conf folder, and what is wrong there."""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro_console import wire
from kedro_console.project import compat
from kedro_console.words.failures import message_of
from kedro_console.words.problems import Problems, chain

SUFFIXES = (".yml", ".yaml", ".json")
_VARIABLE = re.compile(r"\$\{\s*oc\.env:\s*([A-Za-z_]\w*)\s*\}")  # one with a default is nobody's problem
_RUNTIME = re.compile(r"\$\{\s*runtime_params:\s*([\w.]+)")
_NOT_GIVEN = re.compile(r"Runtime parameter '([^']+)' not found")
_CHANGING_HOOKS = ("after_catalog_created", "before_pipeline_run")  # those before the catalog is read are called
_REFERENCES = (
    (re.compile(r"Interpolation key '([^']+)' not found"), r"\$\{{\s*{name}\s*\}}",
     "refers to '{name}', which is not defined: define it in a file of the same kind, or correct the name"),
    (re.compile(r"Globals key '([^']+)' not found"), r"\$\{{\s*globals:\s*{name}\b",
     "takes '{name}' from the globals, where it is not defined: add it to globals.yml, or write a default"),
    (re.compile(r"Unsupported interpolation type (\S+)"), r"\$\{{\s*{name}\s*:",
     "uses the resolver '{name}', which nothing registers: add it to custom_resolvers in the project's settings.py"),
)  # fmt: skip
"""What OmegaConf says, how that looks in a file, and what to do."""
_NOT_SET = re.compile(r"Environment variable '([^']+)' not found")


@dataclass
class Configuration:
    """The merged, resolved configuration; a part is None when it could not be read."""

    catalog: dict[str, wire.Json] | None = None
    credentials: dict[str, wire.Json] | None = None
    parameters: dict[str, wire.Json] | None = None
    runtime_parameters: list[str] = field(default_factory=list)  # names that it takes by ${runtime_params:…}
    base: str = "conf/base"
    local: str = "conf/local"  # the folder of the Kedro environment
    conf: Path | None = None  # the folder that holds all of them
    environments: list[str] = field(default_factory=list)  # the folders of Kedro environments there
    may_change: bool = False  # the project has hooks that can add to the catalog, credentials or parameters

    @property
    def parameter_names(self) -> set[str]:
        """Every name that a node can read with `params:`, nested ones with dots, as Kedro offers them."""
        return set(_names(self.parameters or {}))


def _names(values: dict[str, wire.Json], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")


def read(project_path: Path, env: str, problems: Problems) -> Configuration:
    """The configuration of that Kedro environment ("" = the default one)."""
    from kedro.framework.project import settings

    found = Configuration()
    with problems.caught("configuration", "The configuration cannot be read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Kedro's own use of OmegaConf warns
        found.may_change = any(hasattr(hook, name) for hook in settings.HOOKS for name in _CHANGING_HOOKS)
        _Reader(project_path, env, settings, problems).fill(found)
    return found


class _Reader:
    """Reads one Kedro environment's folders."""

    def __init__(self, project_path: Path, env: str, settings: Any, problems: Problems) -> None:
        self._project_path = project_path
        self._problems = problems
        self._conf = project_path / str(settings.CONF_SOURCE)
        arguments = settings.CONFIG_LOADER_ARGS
        self._base = arguments.get("base_env", _default(settings, "base_env"))
        self._env = env or arguments.get("default_run_env", _default(settings, "default_run_env"))
        self._shown = problems.relative(self._conf / self._env)
        self._hooked: Any = None  # the loader that hooks have seen, when there are any

    def fill(self, found: Configuration) -> None:
        found.conf = self._conf
        found.base, found.local = self._problems.relative(self._conf / self._base), self._shown
        if self._conf.is_dir():
            found.environments = self._environments()
            self._require_folders()
        elif not self._is_elsewhere():
            self._problems.error("configuration", f"The folder {self._conf.name} is missing: create it.")
            return
        self._require_variables()
        found.runtime_parameters = sorted(self._runtime_names())
        found.may_change = not self._call_hooks() or found.may_change
        found.parameters = self._part("parameters")
        found.catalog = self._part("catalog")
        with _placeholders(self._variables("credentials")):
            found.credentials = self._part("credentials")

    def _is_elsewhere(self) -> bool:
        return "://" in str(self._conf) or self._conf.is_file()  # remote, or an archive

    def _require_folders(self) -> None:
        """A missing environment is named, and the rest is read from the base environment alone."""
        if not (self._conf / self._env).is_dir():
            names = self._environments()
            self._problems.error(
                f"environment:{self._env}",
                f"The Kedro environment '{self._env}' has no folder: create {self._shown}, "
                f"or choose one of {', '.join(names)}.",
            )
            self._env = self._base
        if not (self._conf / self._base).is_dir():
            base = self._problems.relative(self._conf / self._base)
            self._problems.error(f"environment:{self._base}", f"The folder {base} is missing: create it.")

    def _environments(self) -> list[str]:
        return sorted(each.name for each in self._conf.iterdir() if each.is_dir() and each.name[0] not in "._")

    def _call_hooks(self) -> bool:
        """Lets the hooks see the context, as a run does before it reads anything; False when that went wrong."""
        given: dict[str, str] = {}
        try:
            while True:
                try:
                    self._hooked = compat.hooked_loader(self._project_path, self._env, _nested(given))
                    return True
                except Exception as error:
                    asked = _NOT_GIVEN.search(str(error))
                    if asked is None or asked.group(1) in given:
                        raise
                    given[asked.group(1)] = f"<{asked.group(1)}>"
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._problems.raised("hooks", "A hook cannot be called when the context is created", error)
        return False

    def _loader(self, given: dict[str, str]) -> Any:
        if self._hooked is not None and not given:
            return self._hooked
        loader = compat.config_loader(self._project_path, self._env, _nested(given))
        for key, value in dict(getattr(self._hooked, "data", None) or {}).items():
            loader[key] = value
        return loader

    def _part(self, key: str) -> dict[str, wire.Json] | None:
        """catalog, credentials or parameters; runtime parameters without a default are named and stand empty."""
        from kedro.config import MissingConfigException

        given: dict[str, str] = {}
        while True:
            try:
                return dict(self._loader(given)[key])
            except MissingConfigException:
                if key == "catalog" and not self._problems.has_errors:
                    self._name_no_catalog()
                return {}
            except Exception as error:  # noqa: BLE001  (custom loaders and resolvers may raise anything)
                asked = _NOT_GIVEN.search(str(error))
                if asked is None or asked.group(1) in given:
                    self._name(key, error)
                    return None
                given[asked.group(1)] = "" if key == "parameters" else f"<{asked.group(1)}>"
                self._name_runtime_parameter(asked.group(1))

    def _name_runtime_parameter(self, name: str) -> None:
        self._problems.warning(
            f"parameter:{name}",
            f"The configuration uses the runtime parameter '{name}', which has no default: give it with every run, "
            f"or write a default as in ${{runtime_params:{name}, value}}.",
        )

    def _name_no_catalog(self) -> None:
        """Kedro runs without files of parameters and credentials, and never without one of the catalog."""
        base = self._problems.relative(self._conf / self._base)
        self._problems.error(
            "configuration",
            f"There is no catalog in {' or '.join(dict.fromkeys((base, self._shown)))}, and without one no run starts: "
            f"create {base}/catalog.yml, an empty one is enough.",
        )

    # ---- what went wrong ----------------------------------------------------------------------------

    def _name(self, key: str, error: Exception) -> None:
        import yaml

        if any(isinstance(each, (yaml.YAMLError, UnicodeDecodeError)) for each in chain(error)):
            broken = [sentence for file in self._files() for sentence in self._syntax(file)]
            for sentence in broken:
                self._problems.error("configuration", sentence)
            if broken:
                return
        variable = _NOT_SET.search(str(error))
        if variable:
            self._name_variable(variable.group(1), f"The {key}")
            return
        if sentence := self._reference(str(error)):
            self._problems.error("configuration", sentence)
            return
        message = " ".join(self._problems.relative(message_of(error)).split())[:500].rstrip(".")
        folders = " and ".join(dict.fromkeys((self._problems.relative(self._conf / self._base), self._shown)))
        self._problems.error("configuration", f"The {key} cannot be read: {message}; correct the files in {folders}.")

    def _reference(self, message: str) -> str:
        """The line that refers to what is not there, and what to do about it; "" for other errors."""
        for said, look, advice in _REFERENCES:
            found = said.search(message)
            if found:
                name = found.group(1)
                pattern = re.compile(look.format(name=re.escape(name)))
                place = next((place for place, line in self._lines() if pattern.search(line)), "")
                return f"{place} {advice.format(name=name)}." if place else ""
        return ""

    def _syntax(self, file: Path) -> Iterator[str]:
        """What is wrong with this file's syntax, with its line."""
        import yaml
        from omegaconf import OmegaConf

        name = self._problems.relative(file)
        try:
            OmegaConf.load(file)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            yield f"{name}{place} is not valid YAML: {error.problem}; correct it there."
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            yield f"{name} cannot be read as UTF-8 text: {error}; save it as UTF-8."
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}; let the console's user read it."

    def _require_variables(self) -> None:
        for name, place in self._variables("credentials").items():
            self._name_variable(name, f"The credentials ({place})")

    def _name_variable(self, name: str, who: str) -> None:
        verb = "needs" if who.startswith("The catalog") else "need"
        self._problems.error(
            f"variable:{name}",
            f"{who} {verb} the environment variable '{name}', which is not set: "
            "add it to the project's environment variables.",
        )

    # ---- the files themselves -----------------------------------------------------------------------

    def _files(self) -> list[Path]:
        folders = dict.fromkeys((self._conf / self._base, self._conf / self._env))
        return sorted({each for folder in folders for each in folder.rglob("*") if each.suffix in SUFFIXES})

    def _lines(self, kind: str = "") -> Iterator[tuple[str, str]]:
        """(place, line without its comment) of the files whose path names that kind."""
        for file in self._files():
            if kind in file.relative_to(self._conf).as_posix() and file.is_file():
                for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), start=1):
                    yield f"{self._problems.relative(file)}, line {number}", re.sub(r"(^|\s)#.*", "", line)

    def _variables(self, kind: str) -> dict[str, str]:
        """Environment variables without a default that are not set, and where they are asked for."""
        found: dict[str, str] = {}
        for place, line in self._lines(kind):
            for name in _VARIABLE.findall(line):
                if name not in os.environ:
                    found.setdefault(name, place)
        return found

    def _runtime_names(self) -> set[str]:
        return {name for _, line in self._lines() for name in _RUNTIME.findall(line)}


def _default(settings: Any, name: str) -> str:
    """The environment's name that the loader takes by itself: "base" and "local" before 0.19, later none."""
    known = inspect.signature(settings.CONFIG_LOADER_CLASS).parameters.get(name)
    return str(known.default or "") if known and known.default is not known.empty else ""


def _nested(values: dict[str, str]) -> dict[str, Any]:
    """{"a.b": 1} → {"a": {"b": 1}}."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested


@contextmanager
def _placeholders(variables: dict[str, str]) -> Iterator[None]:
    """While credentials are read, missing variables are empty: the names of the credentials still come out."""
    added = [name for name in variables if name not in os.environ]
    os.environ.update(dict.fromkeys(added, ""))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
