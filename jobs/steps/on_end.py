"""What follows an end, told to those who write ends: a run that is started may end others, so this is no import."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.models import Run
from kedro_console.wire import Json


@dataclass(frozen=True)
class Follower:
    """A story that goes on where a run or a node ends, in the transaction that writes the end."""

    lock: Callable[[int], None]
    """Takes what it will need for a run of this pipeline, before the run's own row is locked."""
    run_ended: Callable[[Run, datetime], None]
    is_awaited: Callable[[int, Collection[str]], bool]
    """Whether it goes on at the end of one of these nodes of this pipeline."""
    nodes_ended: Callable[[Run, Collection[str], Mapping[str, Mapping[str, Json]], datetime], None]
    """Also given the results that the run's row does not have yet."""


FOLLOWERS: Final[list[Follower]] = []
"""Filled when the app is ready."""


def lock(pipeline_id: int) -> None:
    for follower in FOLLOWERS:
        follower.lock(pipeline_id)


def run_ended(run: Run, at: datetime) -> None:
    for follower in FOLLOWERS:
        follower.run_ended(run, at)


def lock_for_nodes(pipeline_id: int, nodes: Collection[str]) -> bool:
    """Lock as for a run's end if something follows one of these nodes; whether it does."""
    is_awaited = bool(nodes) and any(follower.is_awaited(pipeline_id, nodes) for follower in FOLLOWERS)
    if is_awaited:
        lock(pipeline_id)
    return is_awaited


def nodes_ended(run: Run, nodes: Collection[str], results: Mapping[str, Mapping[str, Json]], at: datetime) -> None:
    for follower in FOLLOWERS:
        follower.nodes_ended(run, nodes, results, at)
