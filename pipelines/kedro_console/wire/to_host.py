"""What a supervisor says to a project's host and its child."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from kedro_console.wire.message import Message
from kedro_console.wire.values import Json


@dataclass(frozen=True)
class StepStarted(Message):
    """Run these nodes of this pipeline in one child. `nodes` empty = what `choices` choose; both empty = all of it."""

    kind: ClassVar[str] = "step_started"
    run_id: str
    step_id: str
    pipeline: str
    nodes: list[str] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)  # nodes, from_nodes … as `kedro run` knows them
    runner: str = "sequential"  # or "threads"
    max_workers: int = 4
    parameters: dict[Any, Any] = field(default_factory=dict)  # runtime parameters, nested and packed
    secret_parameters: dict[str, list[list[str]]] = field(default_factory=dict)  # see `wire.secret_places`
    save_version: str = ""  # Kedro version id for versioned datasets; "" = Kedro's own timestamp
    load_versions: dict[str, str] = field(default_factory=dict)
    only_missing_outputs: bool = False  # a node runs when an output is missing, or one below it needs what it makes
    chosen: list[str] = field(default_factory=list)  # all nodes of the run, of other steps too; [] = the pipeline's
    folder: str = ""  # the step's own folder: kept artifacts are staged below it
    store_folder: str = ""  # distributed run: where in-memory datasets are kept between steps; "" = in memory
    copies_folder: str = ""  # run of one process: where copies of in-memory datasets are kept; "" = nowhere
    copies_bytes: int = 0  # at most so much of them
    lent: dict[str, list[str]] = field(default_factory=dict)  # stores of earlier runs: which files are read there
    in_memory: list[str] = field(default_factory=list)  # datasets that stay in this process, whatever the store
    tracking_file: str = ""  # where the run's steps tell each other their tracking run; "" = it has this step alone
    free_outputs: list[str] = field(default_factory=list)  # the run's final outputs: their small values are reported
    memory_limit_bytes: int = 0  # 0 = none
    artifact_limit_bytes: int = 1024**3  # a larger file is named, not kept
    expected_revision: str = ""  # what the launch saw: a host of another one looks at the files at once
    begun_with: str = ""  # `code_of` the run's first step: a host that has kept it runs the others too
    held_until: float = 0.0  # seconds of the machine's monotonic clock: the host ends the child then; 0 = never
    function: str = ""  # "package.module:name": call this instead of running a pipeline, and report what it returns
    arguments: dict[str, Json] = field(default_factory=dict)  # of that function, by keyword
    may_go_on: bool = False  # after a success the child may wait for the next step of this run (`child_waited`)


@dataclass(frozen=True)
class StopAsked(Message):
    """Stop the child: `interrupt` (SIGINT), `terminate` (SIGTERM) or `kill` (SIGKILL), to its process group."""

    kind: ClassVar[str] = "stop_asked"
    stage: str


@dataclass(frozen=True)
class LeaveAsked(Message):
    """Nothing follows: the child that waits ends as a program does. Asked of a host, it ends with its last step."""

    kind: ClassVar[str] = "leave_asked"
    is_for_host: bool = False


@dataclass(frozen=True)
class LeaseRenewed(Message):
    """The supervisor holds its step until then (as `held_until`): it may sleep, and the child must not outlast it."""

    kind: ClassVar[str] = "lease_renewed"
    held_until: float


@dataclass(frozen=True)
class Answered(Message):
    """The answer to the child's question of this number; `error` is a sentence when there is none to give."""

    kind: ClassVar[str] = "answered"
    number: int
    data: Json = None
    error: str = ""
