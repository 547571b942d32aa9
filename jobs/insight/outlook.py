"""What resuming a run would come to: how much of each namespace is reused, how much runs, and for about how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.insight.durations import usual_of_nodes
from jobs.models import NodeRun, Run
from jobs.runs.preview_reuse import Preview
from jobs.runs.spread import Part


@dataclass(frozen=True)
class Space:
    """A namespace, "" for the nodes outside of any; `seconds` is None where no time of a node is known."""

    name: str
    reused: int
    rerun: int
    seconds: float | None


@dataclass(frozen=True)
class Outlook:
    spaces: list[Space]

    @property
    def reused(self) -> int:
        return sum(space.reused for space in self.spaces)

    @property
    def rerun(self) -> int:
        return sum(space.rerun for space in self.spaces)

    @property
    def seconds(self) -> float | None:
        """Of all nodes that run, one after the other, as far as their times are known."""
        known = [space.seconds for space in self.spaces if space.seconds is not None]
        return sum(known) if known else None

    @property
    def is_all(self) -> bool:
        """Nothing can be reused, although something runs."""
        return self.rerun > 0 and not self.reused


def outlook(run: Run, found: Preview) -> Outlook:
    """By the usual times of the pipeline's nodes; of a node without one by its time in this run."""
    own = {row.name: row.seconds for row in NodeRun.of(run) if row.seconds is not None}
    times = {**own, **usual_of_nodes(run.pipeline_id)}
    names = dict.fromkeys(map(_space_of, [*found.rerun, *found.reuse]))
    return Outlook([_space(name, found, times) for name in sorted(names)])


def _space(name: str, found: Preview, times: Mapping[str, float]) -> Space:
    rerun, reused = _inside(name, found.rerun), _inside(name, found.reuse)
    known = [seconds for part in rerun if (seconds := times.get(part.node)) is not None]
    return Space(name, len(reused), len(rerun), sum(known) if known else None)


def _inside(name: str, parts: Iterable[Part]) -> list[Part]:
    return [part for part in parts if _space_of(part) == name]


def _space_of(part: Part) -> str:
    """`emea.dach.clean` is in `emea.dach`; the name of a node that was given none has brackets."""
    return "" if "(" in part.node else part.node.rpartition(".")[0]
