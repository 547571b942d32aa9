"""What stands in the way of a run, collected while a project is read: each as one sentence that says what to do."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType

from kedro_console import wire
from kedro_console.words import failures
from kedro_console.words.requirements import is_known, package_of

STANDARD = getattr(sys, "stdlib_module_names", frozenset(sys.builtin_module_names))  # since Python 3.10


class Problems:
    """The problems found so far; the same sentence is kept once."""

    def __init__(self, project_path: Path) -> None:
        self.project_path = project_path
        self.package = ""  # the project's own package, once it is known
        self.found: list[wire.Problem] = []

    def error(self, subject: str, sentence: str, failure: wire.Failure | None = None) -> None:
        self._add(wire.Problem("error", subject, sentence, failure))

    def warning(self, subject: str, sentence: str, failure: wire.Failure | None = None) -> None:
        self._add(wire.Problem("warning", subject, sentence, failure))

    def _add(self, problem: wire.Problem) -> None:
        if all(problem.sentence != known.sentence for known in self.found):
            self.found.append(problem)

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.found)

    @contextmanager
    def caught(self, subject: str, what: str) -> Iterator[None]:
        """Runs code of the project's; what it raises becomes an error: "`what` …" and how to repair it."""
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001  (code of the project may raise anything)
            self.raised(subject, what, error)

    def raised(self, subject: str, what: str, error: BaseException) -> None:
        failure = failures.describe(error, self.project_path)
        self.error(subject, self._explain(what, error, failure), failure)

    def _explain(self, what: str, error: BaseException, failure: wire.Failure) -> str:
        """One sentence for this exception: a missing package and a syntax error have their own."""
        place = _place(failure)
        module = missing_module(error)
        if module and self.owns(module):
            return f"{what}: the project has no module '{module}'; correct the import{place}, or add the module."
        if module:
            return missing_package(module, place)
        if isinstance(error, KeyError):
            return _missing_key(what, error, place)
        if isinstance(error, SyntaxError):
            return f"{what}: {error.msg}{place}; correct the Python there."
        message = " ".join(failure.message.split())[:500]
        return f"{what}: {failure.exception}: {message.rstrip('.')}{place or '; correct it and check again'}."

    def owns(self, module: str) -> bool:
        return bool(self.package) and module.split(".")[0] == self.package

    def relative(self, text: object) -> str:
        """`text` with paths below the project made relative to it."""
        return str(text).replace(f"{self.project_path}/", "")


def _missing_key(what: str, error: KeyError, place: str) -> str:
    """A key that is not there: of the environment, or of what the code at that place looks into."""
    names = [code.co_filename for code in _codes(error)]
    if names and names[-1].endswith(("<frozen os>", f"{os.sep}os.py")):
        return f"{what}: the environment variable {error} is not set{place}; add it to the project's variables."
    text = failures.message_of(error).rstrip(".")
    if not text.startswith("Key "):
        return f"{what}: {text}{place or '; correct it and check again'}."
    return f"{what}: {text[:1].lower()}{text[1:]}{place}; add that key to what is read there, or correct its name."


def _codes(error: BaseException) -> Iterator[CodeType]:
    current = error.__traceback__
    while current is not None:
        yield current.tb_frame.f_code
        current = current.tb_next


def _place(failure: wire.Failure) -> str:
    """Where the project's own code failed: " (src/demo/nodes.py, line 3)"; "" when it did not."""
    own = [frame for frame in failure.frames if frame.is_project]
    return f" ({own[-1].file}, line {own[-1].line})" if own else ""


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def missing_module(error: BaseException) -> str:
    """The module whose absence made this exception; "" when another reason did."""
    return next((each.name or "" for each in chain(error) if isinstance(each, ModuleNotFoundError)), "")


def missing_package(module: str, place: str = "") -> str:
    """The sentence for a module that cannot be imported."""
    top, package = module.split(".")[0], package_of(module)
    if top in STANDARD and "." in module:
        return f"The installed package '{top}' has no module '{module}': it is Python's own; correct the import."
    if is_installed(top) and "." in module:
        return (
            f"The installed package '{package}' has no module '{module}': install the version of '{package}' that the "
            f"project was written for with {sys.executable} -m pip."
        )
    return f"The package '{package}' is missing in the project's interpreter{place}: {mend(package)}."


def is_installed(module: str) -> bool:
    """Whether this top-level module is there; a namespace alone, like `google`, is nothing."""
    found = _spec(module)
    return found is not None and found.origin is not None


def _spec(module: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def mend(*packages: str) -> str:
    """How to get these packages: by a command only when somebody we trust names them so."""
    if all(is_known(package) for package in packages):
        return install(*packages)
    return f"install it for {sys.executable} by the name that the project's requirements give it"


def install(*packages: str) -> str:
    """The command that installs packages for the project."""
    return f"{sys.executable} -m pip install {' '.join(packages)}"
