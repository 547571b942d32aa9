from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import OutputWrapper
from django.db import connection

from console.management import bars, given
from console.management.bars import Bars
from console.management.commands import run as command
from jobs.errors import BadParameters
from jobs.models import Artifact, NodeRun, Run, Snapshot, UnkeptFile, Worker
from jobs.states import Cause, NodeStatus, Status
from tests.commands.conftest import Said
from tests.factories import AT, content, make_pipeline, make_project, make_run

Manage = Callable[..., Said]


def test_a_run_is_started_and_its_number_and_address_are_printed(manage: Manage) -> None:
    make_pipeline()
    said = manage("run", "report", "--param", "options.top=3", "--param", "dry=true")
    run = Run.objects.get()
    assert said.code == 0
    assert said.out == f"Run #{run.pk} of shop / report is queued: http://127.0.0.1:8000/runs/{run.pk}/\n"
    assert run.parameters == {"options": {"top": 3}, "dry": True}
    assert (run.cause, run.cause_detail) == (Cause.MANUAL, "from the command line")


def test_the_address_of_a_run_is_that_of_the_tree_that_is_up(manage, settings, tmp_path):
    make_pipeline()
    settings.VAR = tmp_path
    (tmp_path / "up.lock").write_text('{"pid": 1, "address": "http://127.0.0.1:8123"}')
    said = manage("run", "report")
    assert said.out.endswith(f": http://127.0.0.1:8123/runs/{Run.objects.get().pk}/\n")


def test_the_file_gives_parameters_and_the_words_after_it_count_more(manage: Manage, tmp_path) -> None:
    make_pipeline()
    file = tmp_path / "p.yml"
    file.write_text("options:\n  top: 5\n  kind: line\ndry: true\n")
    manage("run", "report", "--params-file", str(file), "--param", "options.top=7")
    assert Run.objects.get().parameters == {"options": {"top": 7, "kind": "line"}, "dry": True}


def test_all_choices_of_kedro_run_are_taken(manage: Manage) -> None:
    make_pipeline()
    options = ["--nodes", "process", "--from-inputs", "raw_data", "--to-outputs", "processed_data,raw_data"]
    said = manage(
        "run", "report", *options, "--only-missing-outputs", "--load-versions", "raw_data:2026-01-01T00.00.00.000Z"
    )
    assert said.code == 0
    assert Run.objects.get().selection == {
        "nodes": ["process"],
        "from_inputs": ["raw_data"],
        "to_outputs": ["processed_data", "raw_data"],
        "only_missing_outputs": True,
        "load_versions": {"raw_data": "2026-01-01T00.00.00.000Z"},
    }
    refused = manage("run", "report", "--namespaces", "a")
    assert (refused.code, "There is no namespace “a” in this pipeline." in refused.err) == (2, True)
    assert manage("run", "report", "--load-versions", "raw_data").code == 2


def test_a_name_of_two_projects_is_wrong_use_and_an_empty_pipeline_a_failure(manage: Manage) -> None:
    first = make_pipeline("report", make_project("a", "/srv/a"))
    make_pipeline("report", make_project("b", "/srv/b"))
    said = manage("run", "report")
    assert (said.code, "a and b have a pipeline “report”" in said.err) == (2, True)
    empty = {"name": "empty", "nodes": [], "inputs": [], "outputs": [], "parameters": []}
    Snapshot.objects.create(project=first.project, revision="r", content=content(pipelines=[empty]), taken_at=AT)
    make_pipeline("empty", first.project)
    said = manage("run", "a/empty")
    assert (said.code, "contains no nodes" in said.err) == (1, True)
    assert manage("run", "x", "--project", "nope").code == 2


def test_the_names_of_unnamed_nodes_are_one_name_each() -> None:
    odd = "make([raw, params:top],[x]) -> [a;b]"
    assert given.names([f"fetch, {odd},<lambda>([None]) -> [z]", "last"]) == [
        "fetch",
        odd,
        "<lambda>([None]) -> [z]",
        "last",
    ]


def test_nodes_tags_runner_and_project_are_chosen(manage: Manage) -> None:
    make_pipeline()
    manage("run", "report", "--project", "shop", "--from-nodes", "process", "--to-nodes", "process,write")
    manage("run", "shop/report", "--tags", "io", "--runner", "threads")
    second, first = Run.objects.all()
    assert first.nodes == ["process", "write"]
    assert (second.nodes, second.runner) == (["fetch", "write"], "threads")


def test_json_is_the_job_of_the_api_and_nothing_else(manage: Manage) -> None:
    make_pipeline()
    job = json.loads(manage("run", "report", "--json").out)
    run = Run.objects.get()
    assert (job["id"], job["status"], job["artifacts"]) == (str(run.uuid), "pending", [])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["reprot"], "Did you mean report?"),
        (["nothing-like-it"], "project list"),
        (["report", "--project", "other"], "There is no project “other”"),
        (["report", "--param", "top"], "--param name=value"),
        (["report", "--param", "=1"], "--param name=value"),
        (["report", "--param", "options.top=99"], "options.top: 99 is greater than the maximum of 30"),
        (["report", "--param", "dry=[1"], "is not YAML"),
        (["report", "--param", "dry=!!python/object:os.system x"], "is not YAML"),
        (["report", "--param", "api_url=${oc.env:SECRET_KEY}"], "is configuration, not a value"),
        (["report", "--param", "options.ratio=.nan"], "finite number"),
        (["report", "--params-file", "/nowhere/p.yml"], "could not be read"),
        (["report", "--from-nodes", "proces"], "Did you mean process?"),
        (["report", "--runner", "gpu"], "invalid choice"),
        (["report", "--what"], "unrecognized arguments"),
    ],
)
def test_wrong_use_leaves_with_2_and_a_sentence_and_starts_nothing(manage: Manage, words, sentence) -> None:
    make_pipeline()
    said = manage("run", *words)
    assert (said.code, said.out, Run.objects.count()) == (2, "", 0)
    assert sentence in said.err


@pytest.mark.parametrize("content", ["- a\n", "a: [", "\ufeff\x00", "just text"])
def test_a_file_that_holds_no_parameters_is_refused(manage: Manage, tmp_path, content: str) -> None:
    make_pipeline()
    (tmp_path / "p.yml").write_text(content)
    said = manage("run", "report", "--params-file", str(tmp_path / "p.yml"))
    assert (said.code, Run.objects.count()) == (2, 0)


def test_a_project_that_cannot_run_leaves_with_1(manage: Manage) -> None:
    pipeline = make_pipeline()
    pipeline.project.snapshots.all().delete()
    said = manage("run", "report")
    assert said.code == 1
    assert "project check shop" in said.err


# ---- waiting


class Life:
    """What a worker would do to the run, one move for each look of the waiting command."""

    def __init__(self, *moves: Callable[[Run], object]) -> None:
        self.moves = list(moves)

    def sleep(self, _: float) -> None:
        if self.moves:
            self.moves.pop(0)(Run.objects.get())


@pytest.fixture
def live(monkeypatch) -> Callable[..., None]:
    def set_moves(*moves: Callable[[Run], object]) -> None:
        monkeypatch.setattr(command.time, "sleep", Life(*moves).sleep)

    return set_moves


def start(run: Run) -> None:
    run.start(at=AT, by="w")
    NodeRun.objects.filter(name="fetch").update(status=NodeStatus.RUNNING, started_at=AT)


def finish_fetch(run: Run) -> None:
    NodeRun.objects.filter(name="fetch").update(status=NodeStatus.SUCCEEDED, seconds=0.25)


def end_as(status: Status, error: str = "") -> Callable[[Run], object]:
    return lambda run: run.end(status, at=AT + timedelta(seconds=4), by="w", error=error)


@pytest.mark.parametrize(
    ("status", "code"), [(Status.SUCCEEDED, 0), (Status.FAILED, 1), (Status.CRASHED, 1), (Status.CANCELLED, 3)]
)
def test_waiting_ends_as_the_run_ends(manage: Manage, live, status: Status, code: int) -> None:
    make_pipeline()
    live(start, end_as(status, "" if status == Status.SUCCEEDED else "Node fetch: no rows"))
    said = manage("run", "report", "--wait")
    assert said.code == code
    assert f"{status} after 4.0 s" in said.out
    assert ("no rows" in said.err) is (status != Status.SUCCEEDED)


def test_where_nothing_can_be_painted_each_change_is_a_line(manage: Manage, live) -> None:
    make_pipeline()
    live(start, finish_fetch, lambda run: None, end_as(Status.SUCCEEDED))
    said = manage("run", "report", "--wait")
    assert said.out.splitlines()[1:3] == ["0/3 nodes: fetch running", "1/3 nodes: fetch succeeded in 0.2 s"]
    assert "\x1b" not in said.out


def test_artifacts_are_printed_with_their_addresses(manage: Manage, live) -> None:
    make_pipeline()

    def keep(run: Run) -> None:
        start(run)
        Artifact.objects.create(
            run=run, dataset="zip_file", name="r.zip", media_type="application/zip", size_bytes=12_345, sha256="0" * 64,
            created_at=AT,
        )  # fmt: skip

    live(keep, end_as(Status.SUCCEEDED))
    said = manage("run", "report", "--wait")
    artifact = Artifact.objects.get()
    assert said.out.splitlines()[-1] == (
        f"  r.zip  12,345 bytes  http://127.0.0.1:8000/artifacts/{artifact.uuid}/download/"
    )


def test_what_is_not_kept_is_printed_with_its_reason(manage: Manage, live) -> None:
    make_pipeline()

    def leave(run: Run) -> None:
        start(run)
        facts = {"dataset": "d", "node": "n", "path": "/srv/a.tsv", "created_at": AT}
        UnkeptFile.objects.create(run=run, name="a.tsv", reason="a.tsv was not kept: no room.", **facts)

    live(leave, end_as(Status.SUCCEEDED))
    assert "a.tsv was not kept: no room." in manage("run", "report", "--wait").err


def test_json_with_wait_is_the_finished_job(manage: Manage, live) -> None:
    make_pipeline()
    live(start, end_as(Status.FAILED, "Node fetch: no rows"))
    said = manage("run", "report", "--wait", "--json")
    job = json.loads(said.out)
    assert (said.code, job["status"], job["error_message"], job["execution_time"]) == (
        1,
        "failed",
        "Node fetch: no rows",
        4.0,
    )


def test_ctrl_c_leaves_the_run_going_and_says_so(manage: Manage, live) -> None:
    make_pipeline()

    def interrupt(run: Run) -> None:
        raise KeyboardInterrupt

    live(start, interrupt)
    said = manage("run", "report", "--wait")
    assert said.code == 130
    assert "goes on without you" in said.err
    assert Run.objects.get().status == Status.RUNNING
    assert Run.objects.get().cancel_requested_at is None


def test_without_a_worker_the_wait_says_why_nothing_happens(manage: Manage, live) -> None:
    from jobs import clock

    make_pipeline()
    live(start, end_as(Status.SUCCEEDED))
    assert "No worker is alive" in manage("run", "report", "--wait").err
    Run.objects.all().delete()
    at = clock.now()
    Worker.objects.create(name="w", host="h", pid=1, slots=1, started_at=at, heartbeat_at=at)
    live(start, end_as(Status.SUCCEEDED))
    assert "No worker" not in manage("run", "report", "--wait").err


# ---- bars


def test_on_a_terminal_the_picture_is_painted_over_itself(db) -> None:
    run = make_run()
    out = io.StringIO()
    painted = Bars(OutputWrapper(out), is_painted=True)
    start(run)
    NodeRun.objects.filter(name="fetch").update(progress={"label": "pages", "done": 3, "total": 12, "unit": "it"})
    painted.show(run, list(run.node_runs.all()), AT + timedelta(seconds=65))
    painted.show(run, list(run.node_runs.all()), AT + timedelta(seconds=66))
    first, second = out.getvalue().split("\x1b[2A\x1b[J")
    assert "0/3 nodes  1:05  running" in first
    assert "[######..................]  25% fetch  pages 3/12 it  1:05" in second.replace("1:06", "1:05")


def test_why_a_run_waits_is_said_once(db) -> None:
    run, plain, painted = make_run(), io.StringIO(), io.StringIO()
    run.wait_reason = "run #1 is running and writes rows, as this one will"
    told = Bars(OutputWrapper(plain), is_painted=False)
    for _ in range(2):
        told.show(run, list(run.node_runs.all()), AT)
    Bars(OutputWrapper(painted), is_painted=True).show(run, list(run.node_runs.all()), AT)
    assert plain.getvalue() == f"Waits: {run.wait_reason}.\n"
    assert f"waits: {run.wait_reason}" in painted.getvalue()


def test_what_a_node_calls_its_progress_does_not_steer_the_terminal(db) -> None:
    run = make_run()
    start(run)
    NodeRun.objects.filter(name="fetch").update(
        progress={"label": "\x1b[31mred\x1b]0;title\x07\n", "done": 1, "total": None, "unit": "\x1b[2J"}
    )
    out = io.StringIO()
    Bars(OutputWrapper(out), is_painted=True).show(run, list(run.node_runs.all()), AT)
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("\n") == 2


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(0, 0, "  0%"), (1, 2, " 50%"), (5, 2, "100%"), (-1, 2, "  0%")],
)
def test_a_bar_stays_within_its_frame(done: float, total: float, text: str) -> None:
    shown = bars.bar(done, total)
    assert len(shown) == bars.BAR + 7
    assert shown.endswith(text)


def test_hours_are_shown_when_there_are_some() -> None:
    assert [bars.clock(seconds) for seconds in (0, 61, 3661, -5)] == ["0:00", "1:01", "1:01:01", "0:00"]


# ---- what was typed


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("a=1", 1),
        ("a=1.5", 1.5),
        ("a=true", True),
        ("a=null", None),
        ("a=", ""),
        ("a=x=y", "x=y"),
        ("a=[1, two]", [1, "two"]),
        ("a={b: 1}", {"b": 1}),
        ("a=2024-05-06", "2024-05-06"),
        ("a='1'", "1"),
    ],
)
def test_values_are_typed_as_yaml_types_them(pair: str, value: object) -> None:
    assert given.parameters([pair], "", {}) == {"a": value}


def test_a_value_that_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(BadParameters, match="is no parameter"):
        given.parameters(["a=!!set {b, c}"], "", {})


@pytest.mark.parametrize("pair", ["a=" + "[" * 900 + "]" * 900, "a" + ".b" * 5_000 + "=1", "a=" + "[" * 500])
def test_what_is_nested_too_deeply_is_refused(pair: str) -> None:
    with pytest.raises(BadParameters):
        given.parameters([pair], "", {})


@pytest.mark.parametrize("text", ["2026-02-30 10:00:00", "2026-01-02", "~x", "@x"])
def test_a_text_that_looks_like_a_date_stays_text(text: str) -> None:
    if text == "@x":
        with pytest.raises(BadParameters, match="is not YAML"):
            given.parameters([f"a={text}"], "", {})
    else:
        assert given.parameters([f"a={text}"], "", {}) == {"a": text}


def test_names_are_split_at_commas_outside_of_brackets() -> None:
    assert given.names(["a,b", " c ", "f([x,y]) -> [z]"]) == ["a", "b", "c", "f([x,y]) -> [z]"]


def test_waiting_sees_what_another_connection_wrote(transactional_db) -> None:
    """The wait reads the row again each time, on its own connection."""
    make_pipeline()
    out = io.StringIO()
    seen: list[str] = []

    def work() -> None:
        deadline = time.monotonic() + 30
        while not (run := Run.objects.first()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert run is not None
        run.start(at=AT, by="w").end(Status.SUCCEEDED, at=AT, by="w")
        seen.append(run.status)
        connection.close()

    other = threading.Thread(target=work)
    other.start()
    call_command("run", "report", "--wait", stdout=out, stderr=io.StringIO())
    other.join(10)
    assert seen == [Status.SUCCEEDED]
    assert "succeeded" in out.getvalue()


def test_a_run_that_ended_is_resumed_by_its_number(manage: Manage) -> None:
    old = make_run()
    assert manage("run", "--resume", str(old.pk)).code == 2  # it has not ended
    old.end(Status.CANCELLED, at=AT, by="t")
    said = manage("run", "--resume", str(old.pk), "--param", "dry=true")
    new = Run.objects.get(retry_of=old)
    assert said.out.startswith(f"Run #{new.pk} of shop / report is queued:")
    assert new.parameters == {"dry": True}


@pytest.mark.parametrize("words", [[], ["report", "--resume", "1"], ["--resume", "99"]])
def test_either_a_pipeline_or_a_run_to_resume_is_named(manage: Manage, words: list[str]) -> None:
    make_pipeline()
    assert manage("run", *words).code == 2
    assert not Run.objects.exists()


def test_what_resuming_comes_to_is_told_before_and_starts_nothing(manage: Manage) -> None:
    old = make_run()
    refused = manage("run", "--resume", str(old.pk), "--dry-run")
    assert refused.code == 2 and "ended" in refused.err
    old.end(Status.CANCELLED, at=AT, by="t")
    said = manage("run", "--resume", str(old.pk), "--dry-run")
    assert said.code == 0
    assert said.out.startswith(f"Resuming run #{old.pk} of shop / report: 0 reused, 3 nodes run")
    assert "Copies between nodes: automatic" in said.out and "Nothing was started." in said.out
    told = json.loads(manage("run", "--resume", str(old.pk), "--dry-run", "--json").out)
    assert (told["reused"], told["rerun"], told["copies"]) == (0, 3, "automatic")
    assert Run.objects.count() == 1


def test_a_dry_run_is_of_a_run_to_resume_alone(manage: Manage) -> None:
    make_pipeline()
    for words in (["report", "--dry-run"], ["--dry-run"], ["--resume", "99", "--dry-run"]):
        assert manage("run", *words).code == 2
    assert not Run.objects.exists()
