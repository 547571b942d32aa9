from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.drawing.gantt import Told, gantt
from console.pages.attempts import attempts
from console.pages.run_page import LABELS, Pace, pace
from jobs import clock
from jobs.insight.durations import usual
from jobs.insight.explain import why_waiting
from jobs.models import Artifact, Event, NodeRun, Run, Step, UnkeptFile, Upload, Worker
from jobs.runs.cancel import cancel
from jobs.states import NodeStatus, Status
from jobs.steps.advance import Outcome, finish
from tests.factories import make_pipeline, make_run, make_user
from tests.views.artifacts import an_artifact
from tests.views.scenes import HTMX, a_worker, ended, failed_in_a_node, logged_in, page_of, running

pytestmark = pytest.mark.django_db

TABS = [tab for tab in LABELS if tab != "logs"]


def body(run: Run, tab: str = "", role: str = "viewer", **headers: str) -> str:
    answer = logged_in(role).get(page_of(run, tab), **headers)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("make", [make_run, running, ended, failed_in_a_node])
def test_every_tab_of_a_run_in_every_state_answers(tab: str, make) -> None:  # type: ignore[no-untyped-def]
    assert f'aria-labelledby="tab-{tab}"' in body(make(), tab)


@pytest.mark.parametrize("tab", TABS)
def test_the_fragment_is_the_part_that_the_page_includes(tab: str) -> None:
    run = running()
    fragment = body(run, tab, **HTMX)
    assert "<html" not in fragment
    assert f'id="panel-{tab}"' in fragment and f'data-run="{run.pk}"' in fragment


def test_a_live_run_is_asked_for_again_and_an_ended_one_is_not() -> None:
    run = running()
    asks = 'hx-include="#graph-state" hx-trigger="every 2s"'
    assert f'hx-get="/runs/{run.pk}/?poll=1" {asks}' in body(run)
    assert f'hx-get="/runs/{run.pk}/?tab=nodes&amp;node=fetch&amp;poll=1" {asks}' in body(run, "nodes&node=fetch")
    run.end(Status.SUCCEEDED, at=clock.now(), by="t")
    assert "hx-trigger" not in body(run, **HTMX)


def test_refreshing_the_page_of_a_log_leaves_its_lines_alone() -> None:
    fragment = body(running(), "logs", **HTMX)
    assert 'id="panel-logs"' in fragment and 'data-morph="keep"' in fragment


def test_an_unknown_tab_is_the_first_one() -> None:
    assert 'id="panel-graph"' in body(running(), "nonsense")


@pytest.mark.parametrize(("role", "cancel"), [("viewer", False), ("analyst", False), ("operator", True)])
def test_only_who_may_cancel_sees_the_button(role: str, cancel: bool) -> None:
    run = running()
    assert (f"/runs/{run.pk}/cancel/" in body(run, role=role)) is cancel


def test_the_actions_fit_the_state() -> None:
    live, done = running(), ended()
    assert "retry/" not in body(live, role="operator")
    assert "retry/" in body(done, role="operator") and "cancel/" not in body(done, role="operator")


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("analyst", 403), ("operator", 302), ("admin", 302)])
@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_only_operators_act(role: str, status: int, verb: str) -> None:
    assert logged_in(role).post(f"/runs/{running().pk}/{verb}/").status_code == status


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_an_action_is_a_post_and_strangers_are_sent_to_the_login(client: Client, verb: str) -> None:
    path = f"/runs/{running().pk}/{verb}/"
    assert logged_in("operator").get(path).status_code == 405
    assert client.post(path)["Location"].startswith("/login/")
    checked = Client(enforce_csrf_checks=True)
    checked.force_login(make_user("nora", "operator"))
    assert checked.post(path).status_code == 403


def test_cancelling_writes_who_asked() -> None:
    run = running()
    page = logged_in("operator").post(f"/runs/{run.pk}/cancel/", follow=True).content.decode()
    run.refresh_from_db()
    assert run.cancel_requested_by == "operator"
    assert f"Run #{run.pk} was asked to stop." in page
    assert "operator asked" in page and "asked to stop" in page


def test_a_queued_run_is_cancelled_at_once_and_the_question_says_that_nothing_was_done() -> None:
    run = make_run()
    assert f"Cancel run #{run.pk}? It has not started: nothing was done, and nothing will be." in body(
        run, role="operator"
    )
    page = logged_in("operator").post(f"/runs/{run.pk}/cancel/", follow=True).content.decode()
    assert f"Run #{run.pk} is cancelled." in page and 'id="stopping"' not in page


def test_the_question_says_where_the_nodes_at_work_are() -> None:
    run = running()
    run.node_runs.filter(position=0).update(progress={"done": 9, "total": 60, "label": "lines"})
    asked = f"Cancel run #{run.pk}? fetch is at 9 of 60; 0 of 3 nodes are done; files written so far stay."
    assert asked in body(run, role="operator")
    run.node_runs.update(status=NodeStatus.RUNNING, progress=None)
    NodeRun.objects.bulk_create(
        NodeRun(run=run, name=f"n{n}", position=n + 9, status=NodeStatus.RUNNING) for n in range(4)
    )
    assert "write is running; 4 more nodes are running; 0 of 3" in body(run, role="operator")


def sent(run: Run, stage: str, *, ago: float, due: float) -> None:
    at = clock.now()
    step = run.steps.get()
    moments = {"at": at - timedelta(seconds=ago), "next_at": at + timedelta(seconds=due)}
    step.stops = [*(step.stops or []), {"stage": stage, **{name: at.isoformat() for name, at in moments.items()}}]
    step.save(update_fields=["stops"])


def test_a_stop_shows_its_stages_with_names_and_may_be_forced_by_those_who_may_cancel() -> None:
    a_worker()
    run = running()
    cancel(run, at=clock.now(), by="olga")
    assert "its worker hears of it within a second" in body(run)
    run.steps.update(pid=4321)
    run.node_runs.update(step=run.steps.get())
    sent(run, "interrupt", ago=4, due=6)
    text = body(run)
    assert re.search(r"interrupt sent <span data-since=[^>]+>4\.\ds</span> ago · terminated in <span data-until", text)
    assert "process 4321 on worker@test: fetch" in text and "olga asked" in text
    assert '<span class="kc-phase-name">interrupted</span>' in text and "by worker@test" in text
    assert "/force/" not in text and f"/runs/{run.pk}/force/" in body(run, role="operator")
    assert logged_in("viewer").post(f"/runs/{run.pk}/force/").status_code == 403
    said = logged_in("operator").post(f"/runs/{run.pk}/force/", follow=True).content.decode()
    assert f"What is left of run #{run.pk} is being killed." in said and "forced it" in said
    assert f'action="/runs/{run.pk}/force/"' not in said
    run.refresh_from_db()
    assert run.force_requested_by == "operator"
    sent(run, "kill", ago=1, due=5)
    assert "kill sent" in body(run)
    finish(run.steps.get(), Outcome(Status.CANCELLED), token=run.steps.get().lease_token, at=clock.now(), by="w")
    run.refresh_from_db()
    text = body(run)
    phases = re.findall(r'kc-phase-name">([^<]+)<', text)
    assert phases[-1] == "gone: cancelled"
    assert set(phases) == {"queued", "running", "interrupted", "asked to stop", "killed", "forced", "gone: cancelled"}
    assert 'id="stopping"' not in text


def test_a_silent_worker_is_named_with_the_moment_at_which_it_loses_the_step() -> None:
    run = running()
    run.steps.update(lease_expires_at=clock.now() + timedelta(seconds=40))
    cancel(run, at=clock.now(), by="olga")
    text = body(run, role="operator")
    assert "the worker worker@test says nothing. When its lease ends (in <span data-until" in text
    assert "/force/" not in text


def test_force_on_a_run_that_nobody_asked_to_stop_asks_it_too_and_an_ended_one_refuses() -> None:
    run = running()
    logged_in("operator").post(f"/runs/{run.pk}/force/")
    run.refresh_from_db()
    assert (run.cancel_requested_by, run.force_requested_by) == ("operator", "operator")
    page = logged_in("operator").post(f"/runs/{ended().pk}/force/", follow=True).content.decode()
    assert "A succeeded run cannot become cancelled." in page


def test_an_ended_run_refuses_to_be_cancelled_with_a_sentence() -> None:
    page = logged_in("operator").post(f"/runs/{ended().pk}/cancel/", follow=True).content.decode()
    assert "A succeeded run cannot become cancelled." in page


def test_running_again_leads_to_the_new_run_and_both_name_each_other() -> None:
    run = failed_in_a_node()
    page = logged_in("operator").post(f"/runs/{run.pk}/retry/", follow=True)
    again = Run.objects.get(retry_of=run)
    assert page.redirect_chain == [(f"/runs/{again.pk}/", 302)]
    assert f"again after #{run.pk}" in page.content.decode()
    assert f'href="/runs/{again.pk}/">#{again.pk}' in body(run)


def test_the_failure_card_has_the_line_the_node_and_our_frame_with_library_frames_folded() -> None:
    text = body(failed_in_a_node())
    assert "ValueError</span> month must be in 1..12" in text
    assert "src/nodes.py" in text
    assert "1 library frame</summary>" in text
    assert 'data-copy="#traceback"' in text


def test_a_crashed_run_says_what_its_process_left() -> None:
    run = running()
    run.steps.update(exit_signal=9, peak_memory_bytes=2_100_000_000, finished_at=clock.now(), status="crashed")
    run.end(Status.CRASHED, at=clock.now(), by="t", error="It was killed: it used more than 2.0 GB.")
    text = body(run)
    assert "It was killed: it used more than 2.0 GB." in text
    assert "by signal 9" in text and "peak memory 2.1 GB" in text


def test_what_a_project_reports_is_escaped_everywhere() -> None:
    evil = "<script>alert(1)</script>"
    run = failed_in_a_node(evil)
    NodeRun.objects.filter(run=run, position=1).update(name=evil, progress={"label": evil, "done": 1, "total": 2})
    Run.objects.filter(pk=run.pk).update(
        parameters={evil: evil}, resolved_parameters={evil: {evil: evil}}, versions={evil: evil}, revision=evil,
        results={evil: {"type": evil, "value": evil, "path": evil}},
    )  # fmt: skip
    run.refresh_from_db()
    for tab in TABS:
        assert evil not in body(run, tab)


def test_artifacts_are_downloaded_only_by_those_who_may() -> None:
    run = ended()
    Artifact.objects.create(
        run=run, dataset="zip_file", name="a.zip", media_type="application/zip", size_bytes=10, sha256="0" * 64,
        created_at=clock.now(),
    )  # fmt: skip
    assert "/download/" not in body(run, "artifacts", role="viewer")
    assert "/download/" in body(run, "artifacts", role="analyst")


def test_a_cancelled_run_says_who_when_and_where_and_looks_like_no_failure() -> None:
    run = running()
    cancel(run, at=clock.now(), by="olga")
    node = run.node_runs.get(position=0)
    NodeRun.objects.filter(pk=node.pk).update(status=NodeStatus.CANCELLED, reason="It was at src/a.py:7 in fetch.")
    finish(run.steps.get(), Outcome(Status.CANCELLED), token=run.steps.get().lease_token, at=clock.now(), by="t")
    run.refresh_from_db()
    assert run.error == f"Cancelled by olga while {node.name} ran."
    for tab in TABS:
        text = body(run, tab)
        assert f"Cancelled by olga while {node.name} ran. Asked " in text and "It was at src/a.py:7 in fetch." in text
        assert "kc-failure" not in text and "kc-message-error" not in text and not re.search(r"kc-bad\b", text)
    assert not re.search(r"kc-bad\b", logged_in("viewer").get("/runs/").content.decode())


def test_a_bar_shows_what_its_heading_says() -> None:
    run = ended()
    NodeRun.objects.filter(run=run).update(status=NodeStatus.SUCCEEDED, started_at=clock.now(), progress=None)
    for position, seconds in enumerate((1, 4, 2)):
        NodeRun.objects.filter(run=run, position=position).update(seconds=seconds)
    NodeRun.objects.filter(run=run, position=0).update(progress={"label": "rows", "done": 3, "total": 4, "unit": "it"})
    text = body(run, "nodes")
    assert [f'title="{share} % of the longest node"' in text for share in (25, 100, 50)] == [True] * 3
    assert 'aria-valuenow="75"' in text and "rows" in text and text.count("reports none") == 2


def pace_of(run: Run, seconds: float = 0) -> Pace:
    """So long after its start."""
    assert run.started_at
    return pace(run, run.started_at + timedelta(seconds=seconds), usual(run.pipeline_id, before=run.pk))


def test_the_bar_of_a_run_says_what_it_is_a_share_of() -> None:
    pipeline = make_pipeline()
    run = running(pipeline=pipeline)
    assert pace_of(run).measure == "Nodes done" and 'aria-label="Nodes done"' in body(run)
    earlier = ended(pipeline=pipeline, seconds=100)
    assert earlier.pk > run.pk and pace_of(running(pipeline=pipeline)).measure.startswith("Time")


def test_what_is_not_kept_is_said_in_the_head_of_every_tab_and_in_full_among_the_artifacts() -> None:
    run = ended()
    assert "not kept" not in body(run, "artifacts")
    facts = {"dataset": "d", "node": "n", "created_at": clock.now()}
    UnkeptFile.objects.create(run=run, name="a.tsv", path="/srv/<b>a.tsv", reason="a.tsv was not kept.", **facts)
    assert all("1 file was not kept" in body(run, tab) for tab in TABS)
    text = body(run, "artifacts")
    assert "a.tsv was not kept." in text and "/srv/&lt;b&gt;a.tsv" in text and "left no files" not in text
    UnkeptFile.objects.create(run=run, name="b.tsv", path="/srv/b.tsv", reason="b.tsv was not kept: gone.", **facts)
    assert "2 files were not kept" in body(run)


def test_what_of_a_million_files_is_unsent_is_asked_of_the_few_that_wait() -> None:
    if connection.vendor == "sqlite":  # the other decides by what is in its tables
        plan = ended().unsent.explain()
        assert "artifact_by_sum (run_id=? AND sha256=?)" in plan, plan


def test_a_file_that_the_store_did_not_take_yet_is_amber_with_reason_and_place() -> None:
    run = ended()
    artifact = an_artifact(run, "a.csv", b"a")
    facts = {"sha256": artifact.sha256, "name": "a.csv", "size_bytes": 1, "path": "/var/unsent/x", "host": "w1"}
    upload = Upload.objects.create(due_at=clock.now(), created_at=clock.now(), **facts)
    text = body(run)
    assert "1 file is on the way to the store" in text and 'id="poll"' in text
    Upload.objects.filter(pk=upload.pk).update(error="Nobody listens.", attempts=2)
    text = body(run, "artifacts")
    assert "1 file is kept, not yet in the store" in text and 'hx-trigger="every 10s"' in text
    assert all(words in text for words in ("2 times: Nobody listens.", "/var/unsent/x", "on w1"))
    assert "No worker is alive on w1" in text
    upload.delete()
    assert "the store" not in body(run) and 'id="poll"' not in body(run)


def test_a_file_that_nobody_sends_is_amber_though_nobody_refused_it() -> None:
    run = ended()
    artifact = an_artifact(run, "a.csv", b"a")
    at = clock.now()
    Worker.objects.create(name="w", host="w1", pid=1, slots=1, started_at=at, heartbeat_at=at)
    facts = {"sha256": artifact.sha256, "name": "a.csv", "size_bytes": 1, "path": "/var/unsent/x", "host": "w1"}
    Upload.objects.create(due_at=at, created_at=at - timedelta(minutes=1), **facts)
    text = body(run, "artifacts")
    assert "1 file is kept, not yet in the store" in text and "is kept on w1 and sent again" in text


def test_the_queries_do_not_grow_with_the_nodes(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    run, client = running(), logged_in("viewer")
    NodeRun.objects.bulk_create(NodeRun(run=run, name=f"n{n}", position=n + 9) for n in range(200))
    with django_assert_max_num_queries(24):
        client.get(page_of(run))
    with django_assert_max_num_queries(19):
        client.get(page_of(run) + "?poll=1", **HTMX)


def test_the_pace_is_measured_against_the_last_successes_alone() -> None:
    pipeline = make_pipeline()
    for seconds in (10, 20, 30):
        ended(pipeline=pipeline, seconds=seconds)
    ended(Status.FAILED, pipeline=pipeline, seconds=1)
    normal = usual(pipeline.pk)
    assert normal and (normal.median, normal.count) == (20, 3)
    run = running(pipeline=pipeline, at=clock.now() - timedelta(seconds=25))
    assert not pace_of(run, 25).is_late
    assert pace_of(run, 40).is_late


def test_without_a_success_nothing_is_claimed_about_the_usual_time() -> None:
    assert usual(make_pipeline().pk) is None


def sentences(run: Run) -> list[str]:
    return [reason.sentence for reason in why_waiting(run, clock.now())]


def test_a_queued_run_without_any_worker_says_so_first() -> None:
    assert sentences(make_run())[0] == "No worker is alive."


def test_a_queued_run_names_the_queue_that_nobody_hears() -> None:
    a_worker(queues=["other"])
    assert sentences(make_run())[0] == "No worker listens to the queue default."


def test_a_queued_run_counts_the_busy_slots_and_who_is_before_it() -> None:
    a_worker(slots=2, busy=2)
    make_run()
    assert sentences(make_run())[0] == "All 2 slots of the queue default are busy; one step is before it."


def test_an_ended_run_does_not_wait() -> None:
    assert sentences(ended()) == []


def test_bars_of_the_timeline_stay_inside_it() -> None:
    run = ended(seconds=10)
    start = run.started_at
    assert start
    run.node_runs.filter(position=0).update(
        started_at=start, finished_at=start + timedelta(seconds=2.5), status=NodeStatus.SUCCEEDED
    )
    run.node_runs.filter(position=1).update(started_at=start + timedelta(seconds=5), status=NodeStatus.CRASHED)
    bars = gantt(run, list(run.node_runs.all()), clock.now()).bars
    assert [(bar.left, bar.width) for bar in bars] == [(0, 25), (50, 50), (None, 0)]


def test_the_timeline_marks_loads_saves_and_the_longest_chain() -> None:
    run = ended(seconds=10)
    start = run.started_at
    assert start
    nodes = list(run.node_runs.order_by("position")[:3])
    for node, (first, last) in zip(nodes, [(2, 4), (4, 9), (4, 5)], strict=True):
        node.started_at, node.finished_at = start + timedelta(seconds=first), start + timedelta(seconds=last)
    one, two, three = (node.name for node in nodes)
    told = [Told("dataset_loaded", two, start + timedelta(seconds=5), 1)]
    drawn = gantt(run, nodes, clock.now(), told, {one: [], two: [one], three: [one]})
    assert [bar.is_critical for bar in drawn.bars] == [True, True, False] and drawn.critical_seconds == 7
    assert [(part.kind, part.left, part.width) for part in drawn.bars[1].parts] == [("load", 40, 10)]
    assert drawn.start and (drawn.start.width, drawn.start_seconds) == (20, 2)
    step = run.steps.get()
    run.node_runs.filter(name=two).update(started_at=start, finished_at=run.finished_at)
    facts = {"kind": "dataset_saved", "node": two, "at": start + timedelta(seconds=3), "data": {"seconds": 2}}
    Event.objects.create(run=run, step=step, seq=run.seq + 1, **facts)
    assert 'class="kc-gantt-save" x="10.000%"' in body(run, "timeline")


def test_an_operator_lets_a_waiting_run_go_first() -> None:
    run = make_run()
    client = logged_in("operator")
    assert f'action="/runs/{run.pk}/priority/"' in client.get(page_of(run)).content.decode()
    said = client.post(f"/runs/{run.pk}/priority/", {"priority": "0"}, follow=True).content.decode()
    assert f"What is waiting in run #{run.pk} now has priority 0." in said
    assert run.steps.get().priority == 0
    for wrong in ("", "10", "-1", "x", "²"):
        said = client.post(f"/runs/{run.pk}/priority/", {"priority": wrong}, follow=True).content.decode()
        assert "A priority is a whole number from 0" in said


def test_who_may_not_start_runs_moves_none_and_one_that_runs_shows_no_priority() -> None:
    assert "/priority/" not in body(make_run(), role="analyst")
    assert "/priority/" not in body(running(), role="operator")
    run = make_run()
    assert logged_in("analyst").post(f"/runs/{run.pk}/priority/", {"priority": "0"}).status_code == 403
    assert run.steps.get().priority == 5


def tried(run: Run, ends: list[tuple[str, float, float]]) -> None:
    """The events of the run's first node: how each attempt ended, after and until how many seconds."""
    node, start, seq = run.node_runs.get(position=0), run.started_at, 0
    assert start
    Step.objects.filter(run=run).delete()
    for number, (end, first, last) in enumerate(ends, 1):
        facts = {"status": Status.CRASHED, "finished_at": start + timedelta(seconds=last), "queue": "default"}
        step = Step.objects.create(run=run, position=0, attempt=number, nodes=[node.name], **facts)
        kinds = [("node_started", first), *([(end, last)] if end else [])]
        for kind, seconds in kinds:
            seq += 1
            Event.objects.create(
                run=run, step=step, seq=run.seq + seq, kind=kind, node=node.name, at=start + timedelta(seconds=seconds)
            )
    first, last = ends[-1][1:]
    run.node_runs.filter(pk=node.pk).update(
        attempts=len(ends), started_at=start + timedelta(seconds=first), finished_at=start + timedelta(seconds=last),
        status=NodeStatus.SUCCEEDED, seconds=last - first,
    )  # fmt: skip


def test_each_attempt_of_a_node_has_a_bar_that_tells_how_it_ended_and_how_long_it_took() -> None:
    run = ended(seconds=10)
    tried(run, [("node_failed", 0, 2), ("", 3, 4), ("node_finished", 5, 10)])
    found = attempts(run, list(run.node_runs.all()))
    assert list(found) == [run.node_runs.get(position=0).name]
    bar = gantt(run, list(run.node_runs.all()), clock.now(), tried=found).bars[0]
    assert [(lane.number, lane.of, lane.status, lane.left, lane.width) for lane in bar.lanes] == [
        (1, 3, "failed", 0, 20),
        (2, 3, "crashed", 30, 10),
        (3, 3, "succeeded", 50, 50),
    ]
    assert gantt(run, list(run.node_runs.all()), clock.now(), tried=found).start_seconds == 0
    shown = body(run, "timeline")
    assert shown.count('class="kc-gantt-try"') == 3 and "attempt 2 of 3" in shown
    assert re.search(r"Attempt 1: failed after 2[.\d]*s", shown) and re.search(r"Attempt 3: succeeded after 5", shown)


def test_a_node_that_waits_for_its_next_attempt_shows_the_one_that_failed() -> None:
    run = running()
    tried(run, [("node_failed", 0, 2)])
    run.node_runs.filter(position=0).update(attempts=1, started_at=None, finished_at=None, status=NodeStatus.WAITING)
    (only,) = attempts(run, list(run.node_runs.all())).values()
    assert [(each.number, each.status) for each in only] == [(1, "failed")]


def test_attempts_whose_events_are_gone_keep_the_numbers_of_those_that_are_there() -> None:
    run = ended(seconds=10)
    tried(run, [("node_failed", 0, 2), ("node_finished", 5, 10)])
    run.node_runs.filter(position=0).update(attempts=6)
    (only,) = attempts(run, list(run.node_runs.all())).values()
    assert [each.number for each in only] == [5, 6]


def test_a_node_of_one_attempt_asks_for_no_event() -> None:
    run = ended()
    with CaptureQueriesContext(connection) as asked:
        assert attempts(run, list(NodeRun.of(run))) == {}
    assert len(asked) <= 1
