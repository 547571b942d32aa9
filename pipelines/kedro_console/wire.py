"""What the console and a project's host say to each other. Standard library only: both sides import it.

Two streams share one Unix socket, told apart by the first byte of a frame:
`J` a JSON message (one of the classes below), `L` raw bytes of the child's log pipe.

The child writes log lines into that pipe as
`\\x1e{level}\\x1f{stream}\\x1f{node}\\x1f{logger}\\x1f{text}\\n`; a line without the mark was written by something that
is not Python (a C library, a program that a node started) and belongs to the only node that runs: the child says which
one that is as `\\x1e\\x1f{node}\\n`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

from kedro_console.kinds import Other as Other
from kedro_console.kinds import kind_of as kind_of
from kedro_console.kinds import packed as packed
from kedro_console.kinds import read_kind as read_kind
from kedro_console.kinds import text_of_kind as text_of_kind
from kedro_console.kinds import unpacked as unpacked
from kedro_console.secret_names import HIDDEN as HIDDEN
from kedro_console.secret_names import SEALED as SEALED
from kedro_console.secret_names import hidden as hidden
from kedro_console.secret_names import secrets_in as secrets_in
from kedro_console.secret_names import with_secrets as with_secrets

HEADER: Final = struct.Struct("!cI")
JSON_FRAME: Final = b"J"
LOG_FRAME: Final = b"L"
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
MAX_EVENT_BYTES: Final = 150_000  # an event is one packet between child and host; the kernel's limit is ~208 kB
MAX_LINE_BYTES: Final = 64 * 1024
MAX_STORE_NAME: Final = 120
MARK: Final = "\x1e"
SPLIT: Final = "\x1f"
HEAD: Final = re.compile(rb"\x1e[^\x1e\x1f]{0,80}\x1f")

Json = Any
"""A value that json can write: None, bool, int, float, str, list or dict of those."""


class WireError(Exception):
    """The other side sent something that is not a message of ours."""


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
    parameters: dict[str, Json] = field(default_factory=dict)  # runtime parameters, nested and packed
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
    """Requests since the last such event: [node, host, status (0: no answer), how many, seconds of all] each."""

    kind: ClassVar[str] = "requests_counted"
    counts: list[list[Json]]


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
    attempts: list[dict[str, Json]] = field(default_factory=list)  # at, seconds, status, error of each
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
    attempts: list[dict[str, Json]]


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


MESSAGES: Final[dict[str, type[Message]]] = {
    cls.kind: cls
    for cls in (
        StepStarted, StopAsked, LeaveAsked, LeaseRenewed, Answered, StepRefused, ChildStarted, RunStarted, NodesSkipped,
        NodeStarted, NodeFinished, NodeFailed, DatasetLoaded, DatasetSaved, ProgressMade, Asked, RequestsCounted,
        RequestMade, RequestRecovered, FileKept, FileUnkept, FunctionReturned, RunFinished, RunFailed, MemoryMeasured,
        ChildWaited,
        ChildExited,
    )
}  # fmt: skip

NESTED: Final[dict[str, type[Any]]] = {"failure": Failure, "kept": KeptFile}


def parse(data: bytes) -> Message:
    """The message in these bytes; WireError when it is none of ours. Unknown fields of a newer side are dropped."""
    try:
        raw = json.loads(data)
        if any(mark in data for mark in HOSTILE):
            raw = clean(raw)
        cls = MESSAGES[raw.pop("kind")]
        known = {f.name for f in fields(cls)}
        return cls(**{name: _nested(name, value) for name, value in raw.items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"Not a message: {data[:200]!r} ({error})") from error


def _nested(name: str, value: Json) -> Any:
    if name not in NESTED or value is None:
        return value
    if name == "failure":
        value = {**value, "frames": [Frame(**frame) for frame in value.get("frames", [])]}
    return NESTED[name](**value)


def frame(kind: bytes, payload: bytes) -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


class FrameReader:
    """Cuts a byte stream into (kind, payload) frames; feed it what arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer)
            if kind not in (JSON_FRAME, LOG_FRAME) or length > MAX_FRAME_BYTES:
                raise WireError(f"Not a frame: {bytes(self._buffer[:40])!r}")
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
        return frames


def send(connection: socket.socket, message: Message) -> None:
    connection.sendall(frame(JSON_FRAME, message.to_json()))


@dataclass(frozen=True)
class LogLine:
    level: str  # DEBUG INFO WARNING ERROR CRITICAL, or the project's own
    stream: str  # stdout | stderr | logging | raw
    node: str  # "" = the step as a whole
    text: str
    logger: str = ""  # of stream "logging": its name


def mark_line(level: str, stream: str, node: str, text: str, logger: str = "") -> bytes:
    """One log line as the child writes it into the pipe: several at newlines, and where it is very long."""
    head = f"{MARK}{level}{SPLIT}{stream}{SPLIT}{node}{SPLIT}{logger}{SPLIT}"
    parts = text.split("\n")
    if len(text) > MAX_LINE_BYTES:
        parts = [part[at : at + MAX_LINE_BYTES] for part in parts for at in range(0, len(part) or 1, MAX_LINE_BYTES)]
    return (head + f"\n{head}".join(parts) + "\n").encode("utf-8", "backslashreplace")


def mark_node(node: str) -> bytes:
    """From here on this node alone runs ("": none, or several)."""
    return f"{MARK}{SPLIT}{node}\n".encode("utf-8", "backslashreplace")


class LineReader:
    """The opposite of `mark_line`, for whatever comes out of a child's pipe: nothing of it is lost."""

    def __init__(self) -> None:
        self._rest = b""
        self._node = ""

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that these bytes end."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        found = [line for raw in whole for line in self._read(raw)]
        if len(self._rest) > 5 * MAX_LINE_BYTES:
            found += self._read(self._rest)
            self._rest = b""
        return found

    def close(self) -> list[LogLine]:
        """What is left over without a newline."""
        rest, self._rest = self._rest, b""
        return self._read(rest) if rest else []

    def _read(self, raw: bytes) -> list[LogLine]:
        marked = HEAD.search(raw)
        if marked is None:
            return self._read_raw(raw)
        if marked.start():
            return self._read_raw(raw[: marked.start()]) + self._read(raw[marked.start() :])
        parts = _as_text(raw)[1:].split(SPLIT, 4)
        if len(parts) == 5:
            level, stream, node, logger, text = parts
            return [LogLine(level, stream, node, text, logger)]
        if len(parts) == 2 and not parts[0]:
            self._node = parts[1]
            return []
        return self._read_raw(raw)

    def _read_raw(self, raw: bytes) -> list[LogLine]:
        raw = raw[:-1] if raw.endswith(b"\r") else raw
        parts = [raw] if len(raw) <= MAX_LINE_BYTES else list(_cut(raw))
        return [LogLine("INFO", "raw", self._node, _as_text(part)) for part in parts]


def _cut(raw: bytes) -> Iterator[bytes]:
    """Pieces of a long line, none of which ends within a character."""
    start = 0
    while start < len(raw):
        end = start + MAX_LINE_BYTES
        while end < len(raw) and end > start + MAX_LINE_BYTES - 4 and raw[end] & 0xC0 == 0x80:
            end -= 1
        yield raw[start:end]
        start = end


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def store_file(dataset: str) -> str:
    """The name of this dataset's file in a run's store: safe, readable and different for every dataset."""
    bare = dataset.partition("@")[0]
    quoted = quote(bare, safe="")
    if len(quoted) > MAX_STORE_NAME:
        quoted = f"{quoted[:80]}-{hashlib.sha256(bare.encode()).hexdigest()[:16]}"
    return f"{quoted}.data"


HOSTILE: Final = (b"\\ud", b"\\u0000", b"NaN", b"Infinity")
"""What valid JSON may hold and a database does not take."""


def clean(value: Json) -> Json:
    """JSON that every database takes: no NUL characters, no lone surrogates, no NaN."""
    if isinstance(value, str):
        return value.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(str(name)): clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return json_safe(value) if isinstance(value, float) else value


def json_safe(value: Json, *, depth: int = 6, items: int = 1_000) -> Json:
    """`value` as plain JSON: NaN and infinities become text, foreign objects their repr, deep or long ones are cut."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return {str(k): json_safe(v, depth=depth - 1, items=items) for k, v in list(value.items())[:items]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(v, depth=depth - 1, items=items) for v in list(value)[:items]]
    return str(value)[:2_000]


# ---- the content of files, as both sides compare it ------------------------------------------------

UNKNOWN: Final = "?"
"""Instead of a digest: nobody can say whether it is the same as before."""
WATCHED: Final = (".py", ".yml", ".yaml", ".json", ".toml", ".cfg", ".ini", ".sql", ".txt")
TEMPLATES: Final = (".j2", ".jinja", ".jinja2", ".tmpl", ".tpl", ".mako", ".mustache", ".html")
NEVER_SOURCES: Final = frozenset({"__pycache__", "node_modules", "site-packages"})
AT_THE_TOP_NO_SOURCES: Final = frozenset({"data", "logs", "venv", "build", "dist"}) | NEVER_SOURCES
"""Directly in a project's folder; below its sources a package may well be called so."""
BLOCK: Final = 1024 * 1024


def sha256_of(path: Path) -> str:
    """The digest of that file's content; "" when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def watched_files(project_path: Path, folders: list[str]) -> list[str]:
    """The files of sources and configuration below these folders of the project, relative to it; no credentials."""
    found: list[str] = []
    for folder in folders:
        top = str(project_path / folder)
        for place, below, names in os.walk(top):
            is_top = place == top == str(project_path)
            left_out = AT_THE_TOP_NO_SOURCES if is_top else NEVER_SOURCES
            below[:] = [name for name in below if not name.startswith(".") and name not in left_out]
            kept = (name for name in names if name.endswith(WATCHED) and "credentials" not in name)
            found += [(Path(place) / name).relative_to(project_path).as_posix() for name in kept]
    return sorted(set(found))


# ---- the snapshot: printed as one JSON object by `python -m kedro_console.snapshot` ---------------


@dataclass(frozen=True)
class SnapshotNode:
    name: str
    function: str  # qualified name
    namespace: str
    tags: list[str]
    inputs: list[str]  # datasets, parameters ("params:x", "parameters") included
    outputs: list[str]
    file: str = ""  # relative to the project
    line_start: int = 0
    line_end: int = 0
    source: str = ""  # the function's text, at most 20 kB
    is_generator: bool = False  # it yields its outputs in pieces
    files: list[str] = field(default_factory=list)  # the project's files that the function's module is made of
    bound: str = UNKNOWN  # digest of what the function has with it: arguments of a partial, closure, defaults


@dataclass(frozen=True)
class SnapshotPipeline:
    name: str
    nodes: list[SnapshotNode]  # in topological order
    inputs: list[str]  # free inputs without parameters
    outputs: list[str]  # free outputs
    parameters: list[str]  # names without the "params:" prefix that its nodes read; "*" = all (node takes `parameters`)


@dataclass(frozen=True)
class SnapshotDataset:
    name: str
    type: str
    path: str = ""  # without credentials
    is_persisted: bool = False
    is_versioned: bool = False
    database: str = ""  # the database file (or "memory") that one process at a time may use, with its kind before
    entry: str = ""  # digest of its catalog entry


@dataclass(frozen=True)
class Problem:
    """What stands in the way of a run, as one sentence that says what to do."""

    severity: str  # error | warning
    subject: str  # e.g. "dependency:openpyxl", "credentials:dev_s3", "import", "pipeline:reporting"
    sentence: str
    failure: Failure | None = None


@dataclass(frozen=True)
class SnapshotHook:
    """An object or a module with hooks that Kedro registers; without a name the import of the project itself."""

    name: str
    plugin: str  # the distribution that brings it; "" = the project's settings
    hooks: list[str]  # the names of Kedro's hooks that it implements
    reasons: list[str]  # why it counts on one process for a whole run, as parts of a sentence; [] = it does not


@dataclass(frozen=True)
class ProjectSnapshot:
    package_name: str
    kedro_version: str
    python_version: str
    revision: str
    pipelines: list[SnapshotPipeline]
    datasets: list[SnapshotDataset]
    parameters: dict[Any, Any]  # merged parameters of the Kedro environment; packed in its JSON
    schemas: dict[str, Json]  # parameter name → JSON schema of its type (pydantic or dataclass)
    problems: list[Problem]
    versions: dict[str, str] = field(default_factory=dict)
    runtime_parameters: list[str] = field(
        default_factory=list
    )  # names that the configuration takes by ${runtime_params:…}
    files: dict[str, str] = field(default_factory=dict)  # source and configuration file → SHA-256 when it was read
    folders: list[str] = field(default_factory=list)  # the folders of these files; [] when some lie elsewhere
    hooks: list[SnapshotHook] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)  # Kedro environments that it has; [] = nobody can tell


def parse_snapshot(raw: dict[str, Json]) -> ProjectSnapshot:
    """The snapshot in this JSON object; WireError when a part is missing."""
    try:
        pipelines = [
            SnapshotPipeline(**{**p, "nodes": [SnapshotNode(**n) for n in p["nodes"]]}) for p in raw["pipelines"]
        ]
        datasets = [SnapshotDataset(**d) for d in raw["datasets"]]
        problems = [Problem(**{**p, "failure": _nested("failure", p.get("failure"))}) for p in raw["problems"]]
        hooks = [SnapshotHook(**h) for h in raw.get("hooks", [])]
        parts = {"pipelines": pipelines, "datasets": datasets, "problems": problems, "hooks": hooks}
        return ProjectSnapshot(**{**raw, **parts, "parameters": unpacked(raw["parameters"])})
    except (KeyError, TypeError) as error:
        raise WireError(f"Not a snapshot: {error}") from error
