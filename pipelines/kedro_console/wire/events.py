"""What a host and its child report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kedro_console.wire.message import Message
from kedro_console.wire.values import Json


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
    reason: str = ""  # bad_parameters | missing_dataset | interrupted | unshareable | lent_gone | ""
    dataset: str = ""  # unshareable: whose value cannot be handed to another process; lent_gone: which is not there


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
