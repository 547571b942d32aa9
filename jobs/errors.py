"""Errors sorted by who can put them right; each reads aloud as a sentence that says what to do."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from kedro_console import wire

LIKENESS: Final = 0.4
"""How alike a name of a pipeline, a project or a queue has to be to have been meant, from 0 to 1."""


def nearest_of(name: str, known: Iterable[str], most: int = 3, likeness: float = LIKENESS) -> list[str]:
    """The known names that were probably meant, the likeliest first."""
    return get_close_matches(name, sorted(known), most, likeness)


def did_you_mean(nearest: Sequence[str], otherwise: str = "") -> str:
    """To be put after a sentence: a question with these names; `otherwise` when there is none."""
    return f" Did you mean {' or '.join(nearest)}?" if nearest else otherwise


class ConsoleError(Exception):
    """What each of the console's errors is: its text is meant for a person."""


class RequestError(ConsoleError):
    """The person who asked can put it right."""


class UnknownPipeline(RequestError):
    """There is no such pipeline (in this project): the `fact`; `nearest` names those that were probably meant."""

    def __init__(self, name: str, nearest: list[str], *, project: str = "", unread: Sequence[str] = ()) -> None:
        hint = did_you_mean(nearest, " `GET /api/v1/pipelines` lists them.")
        place = f" in the project {project}" if project else ""
        blind = f" Not all of {' and '.join(unread)} could be read: its page says why." if unread else ""
        self.fact = f"There is no pipeline “{name}”{place}.{blind}"
        super().__init__(f"{self.fact}{hint}")
        self.nearest = nearest


class UnknownProject(RequestError):
    """There is no such project; `nearest` names the ones that were probably meant."""

    def __init__(self, name: str, nearest: list[str], known: list[str]) -> None:
        there = f" There are {', '.join(known)}." if known else " There is none at all."
        super().__init__(f"There is no project “{name}”.{did_you_mean(nearest, there)}")
        self.nearest = nearest


class AmbiguousPipeline(RequestError):
    """Several projects have a pipeline of this name; `projects` names them."""

    def __init__(self, name: str, projects: list[str]) -> None:
        super().__init__(
            f"{' and '.join(projects)} have a pipeline “{name}”: say which `project` is meant, or write "
            f"{projects[0]}/{name}."
        )
        self.projects = projects


class UnknownQueue(RequestError):
    """There is no such batch queue; `nearest` names the ones that were probably meant."""

    def __init__(self, name: str, nearest: list[str]) -> None:
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else "its first item creates it."
        super().__init__(f"There is no batch queue “{name[:80]}”: {hint}")
        self.nearest = nearest


class BadParameters(RequestError):
    """Some parameters cannot be used; `fields` has one sentence for each, by its dotted name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {sentence}" for name, sentence in fields.items()))
        self.fields = dict(fields)


class Stale(RequestError):
    """Somebody else has changed meanwhile what was to be saved: `names` of it, whose `version` now is another."""

    def __init__(self, sentence: str, *, version: str, names: Sequence[str]) -> None:
        super().__init__(sentence)
        self.version, self.names = version, list(names)


class IllegalMove(RequestError):
    """A row was asked to become what it cannot become; an answer, not a fault."""

    def __init__(self, noun: str, status: str, to: str) -> None:
        super().__init__(f"A {status} {noun} cannot become {to}.")


class NotNow(RequestError):
    """It may be asked again: something that is under way stands against it."""


class SchedulePaused(NotNow):
    """Somebody paused it after its due time had been decided."""


class TickTaken(RequestError):
    """Another has decided this due time."""

    def __init__(self) -> None:
        super().__init__("This due time has been decided already.")


class NothingToResume(RequestError):
    """Every node of the run can be reused."""


class ProjectError(ConsoleError):
    """The Kedro project's owner can put it right."""


class EmptyPipeline(ProjectError):
    """The pipeline has no nodes, and nobody chose some of them."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The pipeline “{name}” contains no nodes. "
            "Please ensure that at least one pipeline with nodes has been defined."
        )


class NotRead(ProjectError):
    """The project's reading took too long or was killed: what is wrong with the project, if anything, is not known."""


class HostLost(ProjectError):
    """The project's host was killed before it could listen: nothing is known about the project."""


class HostLeft(ProjectError):
    """The project's host served and has ended since, or is about to: another one has to be started."""


class StepFailed(ConsoleError):
    """What Celery's `AsyncResult.get()` raises for a step that failed or crashed."""


class PlatformError(ConsoleError):
    """Ops can put it right: broker, store, worker."""


class NoSharedStore(PlatformError):
    """The workers that would share the steps of a run see no common folder; `workers` names one of each."""

    def __init__(self, workers: Sequence[str], folder: str) -> None:
        listed = f"{', '.join(workers[:-1])} and {workers[-1]}"
        super().__init__(
            f"The steps of this run would not find each other's data: the workers {listed} do not share {folder}. "
            "Set CONSOLE_RUN_STORE for all of them to an address such as s3://bucket/runs or to a folder that each "
            "mounts, or start the run in one process (runner sequential or threads)."
        )
        self.workers = list(workers)


class StoreAway(PlatformError):
    """The artifact store, or the machine that keeps a file for it, does not answer now and may do so later."""


class LeaseLost(ConsoleError):
    """This supervisor no longer owns its step; whatever it still wanted to write is refused."""


def one_line(failure: wire.Failure) -> str:
    """An exception as one line that people can read aloud."""
    message = " ".join(failure.message.split())
    name = failure.exception.rpartition(".")[2]
    return f"{name}: {message}"[:1000] if message else name
