"""A run as three panes: what its address says is what one sees, and the panes say the same."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from jobs import clock
from jobs.models import Event, NodeRun, Run
from jobs.states import NodeStatus, Status
from tests import large_pipelines as large
from tests.factories import make_pipeline
from tests.views.artifacts import an_artifact
from tests.views.scenes import HTMX, ended, failed_in_a_node, logged_in, page_of, running, with_log

pytestmark = pytest.mark.django_db


def see(run: Run, query: str = "", role: str = "operator", **headers: str) -> str:
    answer = logged_in(role).get(f"{page_of(run)}?{query}", **headers)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(text: str) -> list[str]:
    """What the tree names, from top to bottom."""
    tree = text.partition('id="tree"')[2].partition("</nav>")[0]
    return re.findall(r'kc-tree-name" title="([^"]*)"', tree)


def test_a_large_pipeline_is_folded_in_the_tree_as_in_the_graph_and_opens_where_it_failed() -> None:
    run = running(pipeline=large.sixty_nodes())
    run.node_runs.update(status=NodeStatus.WAITING)
    assert rows(see(run)) == ["emea", "apac"]
    NodeRun.objects.filter(run=run, name="apac.uk.load.step_3").update(status=NodeStatus.FAILED)
    text = see(run)
    assert "apac.uk.load.step_3" in rows(text) and "emea.uk" not in rows(text)
    assert ">1 failed</a>" in text and 'aria-expanded="true"' in text


def test_the_tree_folds_and_unfolds_by_links_that_keep_the_rest_of_the_address() -> None:
    run = running(pipeline=large.sixty_nodes())
    text = see(run, "tab=timeline&unfold=emea.uk.load")
    assert "emea.uk.load.step_0" in rows(text)
    unfold = re.search(r'href="([^"]*)" data-pane data-card="[^"]*" aria-expanded="false"><span[^>]*title="apac"', text)
    assert unfold and "tab=timeline" in unfold[1] and "unfold=apac" in unfold[1] and "unfold=emea.uk.load" in unfold[1]
    assert len(rows(see(run, "unfold=*"))) > 60


def test_find_shows_folded_nodes_too_and_only_those_that_failed() -> None:
    run = running(pipeline=large.sixty_nodes())
    NodeRun.objects.filter(run=run, name="apac.uk.load.step_3").update(status=NodeStatus.FAILED)
    text = see(run, "find=UK.load")
    assert len(rows(text)) == 10 and "10 of 60 nodes" in text
    assert rows(see(run, "only=failed")) == ["apac.uk.load.step_3"]
    assert rows(see(run, "find=nothing+like+it")) == []


def test_a_time_beside_the_usual_one_marks_what_is_slow() -> None:
    pipeline = make_pipeline()
    for _ in range(3):
        ended(pipeline=pipeline).node_runs.update(status=NodeStatus.SUCCEEDED, seconds=2.0)
    run = ended(pipeline=pipeline)
    run.node_runs.update(status=NodeStatus.SUCCEEDED, seconds=2.5)
    run.node_runs.filter(name="process").update(seconds=9.0)
    text = see(run)
    assert text.count("▲") == 1 and ", slow: usually 2.0s" in text


def test_the_header_says_how_long_it_will_still_take_by_the_nodes_that_are_left() -> None:
    pipeline = make_pipeline()
    for _ in range(2):
        done = ended(pipeline=pipeline, seconds=100)
        for position, seconds in enumerate((10, 80, 10)):
            done.node_runs.filter(position=position).update(status=NodeStatus.SUCCEEDED, seconds=seconds)
    run = running(pipeline=pipeline, at=clock.now() - timedelta(seconds=10))
    run.node_runs.filter(position=0).update(status=NodeStatus.SUCCEEDED)
    assert "about 1m 30s left" in see(run)
    run.node_runs.filter(position=1).update(status=NodeStatus.SUCCEEDED)
    text = see(run)
    assert "about 10s left" in text and text.count("kc-tick") >= 2


def test_the_details_of_a_node_are_its_facts_in_this_run() -> None:
    run = failed_in_a_node()
    step = run.steps.get()
    run.node_runs.update(step=step)
    facts = {"dataset": "raw_data", "type": "pandas.CSVDataset", "rows": 1200, "columns": 7, "size_bytes": 34_000}
    Event.objects.create(run=run, step=step, seq=900, at=clock.now(), kind="dataset_saved", node="fetch", data=facts)
    Run.objects.filter(pk=run.pk).update(resolved_parameters={"api_url": "http://127.0.0.1/x"})
    with_log(run, [f"row {n}" for n in range(40)], node="fetch")
    artifact = an_artifact(run, "raw.csv", b"a,b", node="fetch", dataset="raw_data")
    text = see(run, "node=fetch")
    drawer = text.partition('id="drawer"')[2].partition("</aside>")[0]
    assert "1,200 × 7" in drawer and "34.0 kB" in drawer and "month must be in 1..12" in drawer
    assert "http://127.0.0.1/x" in drawer and "row 39" in drawer and "row 20" not in drawer
    assert f"file={artifact.uuid}" in drawer and f"from={run.pk}&from_nodes=fetch" in drawer.replace("&amp;", "&")
    assert 'aria-current="true"' in text.partition('id="tree"')[2].partition("</nav>")[0]
    assert "from_nodes" not in see(run, "node=fetch", role="viewer")
    assert "This run has no node nobody" in see(run, "node=nobody")


def test_run_from_here_opens_the_form_with_the_values_of_the_run_and_the_node() -> None:
    run = failed_in_a_node()
    page = logged_in("operator").get(f"/pipelines/{run.pipeline_id}/run/?from={run.pk}&from_nodes=process")
    assert page.context["form"].show(page.context["form"].selection)["from_nodes"] == ["process"]
    assert "2 nodes</span> of 3" in page.content.decode()


def test_what_follows_from_the_address_is_not_the_address_of_another() -> None:
    evil = '"><script>alert(1)</script>'
    run = running()
    for name in ("node", "find", "only", "unfold", "tab", "file"):
        assert evil not in see(run, f"{name}={evil}")


def test_a_refresh_leaves_out_what_does_not_change_by_itself() -> None:
    run = running()
    whole, poll = see(run, **HTMX), see(run, "poll=1", **HTMX)
    assert f'id="strip-{run.pk}"' in whole and 'id="strip" data-left-out' in poll
    assert re.search(r'data-view="([^"]*)"', whole)[1] == re.search(r'data-view="([^"]*)"', poll)[1]  # type: ignore[index]


def test_many_who_watch_get_what_was_rendered_once_each_with_buttons_of_their_own(
    django_assert_max_num_queries,  # type: ignore[no-untyped-def]
) -> None:
    run = running()
    first = see(run, "poll=1", **HTMX)
    other, same = logged_in("admin"), logged_in("operator")
    with django_assert_max_num_queries(8):
        again = same.get(f"{page_of(run)}?poll=1", **HTMX).content.decode()
    panes = first.partition('id="run"')[2]
    assert again.partition('id="run"')[2] == panes and "csrfmiddlewaretoken" not in panes
    assert f'action="/runs/{run.pk}/cancel/"' in again and "csrfmiddlewaretoken" in again
    assert "/cancel/" not in see(run, "poll=1", role="viewer", **HTMX)
    assert other.get(f"{page_of(run)}?poll=1", **HTMX).status_code == 200
    run.end(Status.FAILED, at=clock.now(), by="t", error="The disk is full.")
    assert "The disk is full." in see(run, "poll=1", **HTMX)


def test_the_runs_around_it_lead_to_the_same_view_of_them_and_show_how_the_node_went() -> None:
    pipeline = make_pipeline()
    runs = [ended(Status.SUCCEEDED, pipeline=pipeline) for _ in range(30)]
    runs[3].node_runs.filter(name="fetch").update(status=NodeStatus.FAILED)
    text = see(runs[2], "tab=timeline&node=fetch")
    strip = text.partition('id="strip"')[2].partition("</nav>")[0].replace("&amp;", "&")
    assert f'href="/runs/{runs[3].pk}/?tab=timeline&node=fetch"' in strip
    assert f"fetch in run {runs[3].pk}: failed" in strip
    assert f'id="strip-{runs[0].pk}"' in strip and f'id="strip-{runs[29].pk}"' not in strip


def test_a_look_inside_a_file_is_in_the_pane_for_those_who_may_open_it() -> None:
    run = ended()
    artifact = an_artifact(run, "a.csv", b"name,hp\nann,9\n")
    text = see(run, f"tab=artifacts&file={artifact.uuid}", role="analyst")
    assert "data-table" in text and "ann" in text
    assert "Your role may not open files" in see(run, f"tab=artifacts&file={artifact.uuid}", role="viewer")
    assert "data-left-out" in see(run, f"tab=artifacts&poll=1&file={artifact.uuid}", role="analyst", **HTMX)
    for wrong in ("x", "00000000-0000-0000-0000-000000000000"):
        assert "a.csv" in see(run, f"tab=artifacts&file={wrong}")


def test_many_files_come_by_the_hundred() -> None:
    run = ended()
    for n in range(102):
        an_artifact(run, f"f{n}.csv", b"a")
    text = see(run, "tab=artifacts")
    assert "f99.csv" in text and "f100.csv" not in text
    more = re.search(r"after=(\d+)", text)
    assert more and "f101.csv" in see(run, f"tab=artifacts&after={more[1]}")


def test_a_run_whose_picture_is_gone_shows_the_nodes_that_it_had() -> None:
    run = running()
    Run.objects.filter(pk=run.pk).update(snapshot=None)
    text = see(run, "node=fetch")
    assert rows(text) == ["fetch", "process", "write"] and 'id="panel-nodes"' in text and "running" in text


def test_five_hundred_nodes_are_a_few_rows_until_they_are_unfolded() -> None:
    for make in (large.five_hundred, large.five_hundred_in_namespaces):
        run = running(pipeline=make())
        run.node_runs.update(status=NodeStatus.WAITING)
        assert len(rows(see(run))) <= 25
        assert len(rows(see(run, "unfold=*"))) >= 500
        Run.objects.all().delete()
        run.pipeline.delete()
        run.pipeline.project.delete()
