"""The messages between the console's supervisor, a project's host and its child."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Final, Union

from kedro_console.wire.values import HOSTILE, Json, WireError, clean

MAX_EVENT_BYTES: Final = 150_000  # an event is one packet between child and host; the kernel's limit is ~208 kB


@dataclass(frozen=True)
class Message:
    """A typed JSON message; `kind` names its class on the wire."""

    kind: ClassVar[str] = ""

    def to_json(self) -> bytes:
        return json.dumps({"kind": self.kind, **vars(self)}, default=_plain, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )


def _plain(value: object) -> object:
    """A nested message as a dict (without the deep copy of `asdict`: a child writes several events a node)."""
    return vars(value) if is_dataclass(value) else str(value)


def plain(message: Message) -> dict[str, Json]:
    """The message without its kind, as JSON can hold it; values are not copied."""
    nested = tuple(NESTED.values())
    return {name: asdict(value) if isinstance(value, nested) else value for name, value in vars(message).items()}


# ---- asked by the supervisor -------------------------------------------------------------------


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
    save_version: str = ""  # Kedro version id for versioned datasets; "" = Kedro's own timestamp
    load_versions: dict[str, str] = field(default_factory=dict)
    only_missing_outputs: bool = False  # a node runs when an output is missing, or one below it needs what it makes
    chosen: list[str] = field(default_factory=list)  # all nodes of the run, of other steps too; [] = the pipeline's
    folder: str = ""  # the step's own folder: kept artifacts are staged below it
    store_folder: str = ""  # distributed run: where in-memory datasets are kept between steps; "" = in memory
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


# ---- reported by the host or the child -----------------------------------------------------------


@dataclass(frozen=True)
class Event(Message):
    """An immutable fact; `at` is seconds since the epoch, UTC."""

    at: float


@dataclass(frozen=True)
class Frame:
    file: str
    line: int
    function: str
    code: str
    is_project: bool


@dataclass(frozen=True)
class Failure:
    """An exception as people need it: one line, and the frames with the project's own marked."""

    exception: str  # qualified class name, e.g. "ValueError", "kedro.io.core.DatasetError"
    message: str
    frames: list[Frame] = field(default_factory=list)
    traceback: str = ""
    classes: list[str] = field(default_factory=list)  # qualified: the exception's, its bases', and those of its causes


@dataclass(frozen=True)
class StepRefused(Event):
    """The host did not start a child. reason: `stale` (the code changed: start a new host), `broken` (the project
    cannot be imported), `unknown_pipeline`, `unknown_node` (it is not in the code any more), `bad_parameters`,
    `bad_request`, `gone` (the child that was to go on is not there: ask for a new one)."""

    kind: ClassVar[str] = "step_refused"
    reason: str
    sentence: str
    failure: Failure | None = None


@dataclass(frozen=True)
class ChildStarted(Event):
    kind: ClassVar[str] = "child_started"
    pid: int
    mode: str  # fork | standby | cold
    revision: str
    kedro_version: str
    python_version: str
    has_gone_on: bool = False  # it ran another step of this run before
    packages: str = ""  # digest of what is installed for the interpreter
    note: str = ""  # why its project cannot be kept warm, as a sentence


def code_of(revision: str, packages: str) -> str:
    """A state of a project's code and of its packages, as one word."""
    return f"{revision}/{packages}"


@dataclass(frozen=True)
class RunStarted(Event):
    """Kedro is about to run: what it resolved. `nodes` in execution order. A child that has gone on reports the nodes
    alone: parameters and versions are those of its first step."""

    kind: ClassVar[str] = "run_started"
    nodes: list[str]
    parameters: dict[str, Json]
    versions: dict[str, str]  # package name → version, of what the project imports
    is_whole: bool = False  # these are all nodes of the pipeline
    outputs: list[str] = field(default_factory=list)  # the final datasets of a whole pipeline


@dataclass(frozen=True)
class NodesSkipped(Event):
    """What these nodes make is there already, and only what was missing was asked for."""

    kind: ClassVar[str] = "nodes_skipped"
    nodes: list[str]


@dataclass(frozen=True)
class NodeStarted(Event):
    kind: ClassVar[str] = "node_started"
    node: str


@dataclass(frozen=True)
class NodeFinished(Event):
    kind: ClassVar[str] = "node_finished"
    node: str
    seconds: float


@dataclass(frozen=True)
class NodeFailed(Event):
    kind: ClassVar[str] = "node_failed"
    node: str
    seconds: float
    failure: Failure


@dataclass(frozen=True)
class KeptFile:
    """A file staged below the step's folder, complete and hashed; `name` is what people should see."""

    path: str
    name: str
    size_bytes: int
    sha256: str
    media_type: str


@dataclass(frozen=True)
class DatasetLoaded(Event):
    kind: ClassVar[str] = "dataset_loaded"
    dataset: str
    node: str
    type: str
    seconds: float
    rows: int | None = None
    columns: int | None = None
    size_bytes: int | None = None
    path: str = ""
    version: str = ""


@dataclass(frozen=True)
class DatasetSaved(Event):
    kind: ClassVar[str] = "dataset_saved"
    dataset: str
    node: str
    type: str
    seconds: float
    rows: int | None = None
    columns: int | None = None
    size_bytes: int | None = None
    path: str = ""
    version: str = ""
    value: Json = None  # a small JSON value of a free output, else None
    has_value: bool = False
    sample: list[dict[str, Json]] = field(default_factory=list)  # the first rows of a table
    names: list[str] = field(default_factory=list)  # the columns of the sample in order, which a database may not keep
    parts: int | None = None  # of a mapping of tables: how many, for example the sheets of a workbook
    kept: KeptFile | None = None
    note: str = ""  # why a file was not kept, in one sentence


@dataclass(frozen=True)
class ProgressMade(Event):
    kind: ClassVar[str] = "progress_made"
    node: str
    label: str
    done: float
    total: float | None
    unit: str = ""


@dataclass(frozen=True)
class Asked(Event):
    """A node wants something that rows know or decide (`what`: grant_taken, items_taken …); its thread waits."""

    kind: ClassVar[str] = "asked"
    number: int
    what: str
    node: str
    data: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class RequestsCounted(Event):
    """Requests since the last such event: node, host, status (0: no answer), how many, seconds of all each."""

    kind: ClassVar[str] = "requests_counted"
    counts: list[tuple[str, str, int, int, float]]


@dataclass(frozen=True)
class RequestMade(Event):
    """A request failed. What was secret in it stands as `***fingerprint***`; a later event of the same `call` is the
    same request, tried again."""

    kind: ClassVar[str] = "request_made"
    call: str
    node: str
    library: str
    method: str
    url: str
    host: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    is_body_whole: bool = True
    status: int = 0  # 0: there was no answer
    response_headers: dict[str, str] = field(default_factory=dict)
    response: str = ""
    is_response_whole: bool = True
    seconds: float = 0.0
    attempts: list[dict[str, float | str]] = field(default_factory=list)  # at, seconds, status, error of each
    exception: str = ""  # qualified class name
    message: str = ""
    quota: str = ""
    quota_rows: int = 0
    is_signed: bool = False  # AWS: neither headers nor bodies are kept, and it cannot be sent again


@dataclass(frozen=True)
class RequestRecovered(Event):
    """The failed request of this `call` was tried again and succeeded."""

    kind: ClassVar[str] = "request_recovered"
    call: str
    node: str
    attempts: list[dict[str, float | str]]


@dataclass(frozen=True)
class FileKept(Event):
    """A node gave a file to keep (without a dataset), or a dataset's value names it beside others."""

    kind: ClassVar[str] = "file_kept"
    node: str
    kept: KeptFile
    dataset: str = ""  # whose value names several files


@dataclass(frozen=True)
class FileUnkept(Event):
    """A file or folder that the run left for people is not kept, or not all of it."""

    kind: ClassVar[str] = "file_unkept"
    node: str
    dataset: str
    name: str
    path: str  # where it lies, as text for people
    reason: str  # one sentence, with what to do


@dataclass(frozen=True)
class FunctionReturned(Event):
    """What the called function gave back, as plain JSON."""

    kind: ClassVar[str] = "function_returned"
    value: Json


@dataclass(frozen=True)
class RunFinished(Event):
    kind: ClassVar[str] = "run_finished"
    seconds: float


@dataclass(frozen=True)
class RunFailed(Event):
    """Kedro ended with an exception (also one outside any node: configuration, catalog, parameters)."""

    kind: ClassVar[str] = "run_failed"
    seconds: float
    node: str  # "" when no node was running
    failure: Failure
    reason: str = ""  # bad_parameters | missing_dataset | interrupted | unshareable | ""
    dataset: str = ""  # unshareable: whose value cannot be handed to another process


@dataclass(frozen=True)
class MemoryMeasured(Event):
    kind: ClassVar[str] = "memory_measured"
    used_bytes: int


@dataclass(frozen=True)
class ChildWaited(Event):
    """The last message of a step whose child lives on: it waits for the next step of the run, or for `leave_asked`."""

    kind: ClassVar[str] = "child_waited"
    peak_memory_bytes: int
    cpu_seconds: float


@dataclass(frozen=True)
class ChildExited(Event):
    """The last message of a step: the process (group) is gone."""

    kind: ClassVar[str] = "child_exited"
    exit_code: int | None
    signal: int | None
    peak_memory_bytes: int
    cpu_seconds: float
    memory_limit_bytes: int = 0  # not 0: the host killed it for using more than this
    is_hung: bool = False  # no first event in time, in every mode
    is_unheld: bool = False  # the host killed it because its supervisor did not renew the lease
    is_stuck: bool = False  # the host killed it because its end did not come to an end


Order = Union[StepStarted, StopAsked, LeaveAsked, LeaseRenewed, Answered]
"""What a supervisor says."""
Reported = Union[
    StepRefused, ChildStarted, RunStarted, NodesSkipped, NodeStarted, NodeFinished, NodeFailed, DatasetLoaded,
    DatasetSaved, ProgressMade, Asked, RequestsCounted, RequestMade, RequestRecovered, FileKept, FileUnkept,
    FunctionReturned, RunFinished, RunFailed, MemoryMeasured, ChildWaited, ChildExited,
]  # fmt: skip
"""What a host or its child says."""
AnyMessage = Union[Order, Reported]

MESSAGES: Final[dict[str, type[AnyMessage]]] = {
    cls.kind: cls
    for cls in AnyMessage.__args__  # type: ignore[attr-defined]
}

NESTED: Final[dict[str, type[Any]]] = {"failure": Failure, "kept": KeptFile}


def parse(data: bytes) -> AnyMessage:
    """The message in these bytes; WireError when it is none of ours. Unknown fields of a newer side are dropped."""
    try:
        raw = json.loads(data)
        if any(mark in data for mark in HOSTILE):
            raw = clean(raw)
        cls = MESSAGES[raw.pop("kind")]
        known = {f.name for f in fields(cls)}
        return cls(**{name: nested(name, value) for name, value in raw.items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"Not a message: {data[:200]!r} ({error})") from error


def nested(name: str, value: Any) -> Any:
    if name not in NESTED or value is None:
        return value
    if name == "failure":
        value = {**value, "frames": [Frame(**frame) for frame in value.get("frames", [])]}
    return NESTED[name](**value)
