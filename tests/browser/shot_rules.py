import os
import pytest
from datetime import timedelta
from jobs import clock
from jobs.models import Firing, Rule, Run, Pipeline, Snapshot
from jobs.states import *
from jobs.cancel import cancel
from tests.jobs.chains import *
from tests.factories import *
from celery import current_app


@pytest.mark.django_db(transaction=True)
def test_shots(open_as, monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *a, **k: None)
    names = ["collect_keywords", "ask_metrics", "load_table", "store_query", "store_failed_requests", "weekly_deck"]
    project = make_project()
    picture = content()
    report = picture["pipelines"][0]
    picture["pipelines"] = [{**report, "name": name} for name in names]
    Snapshot.objects.create(project=project, revision="files-1", content=picture, taken_at=AT)
    c, a, l, q, f, d = [Pipeline.objects.create(project=project, name=name) for name in names]
    now = clock.now()
    from tests.jobs.chains import make_rule as mr

    r1 = mr(
        [c],
        a,
        name="First batch",
        outcome="produced",
        mapping={"options.top": "least(results.zip_file.rows, `30`)", "api_url": "parameters.api_url"},
    )
    r2 = mr(
        [a],
        a,
        name="Next batch while there are keywords",
        condition="results.zip_file.rows > `0` && run.iteration < `4`",
        mapping={"options.top": "least(results.zip_file.rows, `30`)"},
        max_per_hour=60,
    )
    r3 = mr([c], q, name="Keep the query's result", is_side_job=True, node="process")
    r4 = mr([a], f, name="Keep failed requests", is_side_job=True, outcome="finished")
    r5 = mr([a], l, name="Load what came", condition="results.zip_file.rows > `35`")
    r6 = mr([l, q, f], d, name="Deck when all is stored", wants="all", handler="shop.deck:is_time")
    r7 = mr([c], d, name="An old way", is_enabled=False)
    first = ended(c, results=ROWS, at=now, parameters={"api_url": "http://there/"})
    for _ in range(3):
        run = Run.objects.filter(status="queued", pipeline=a).first()
        end(run, results={"zip_file": {"type": "x", "rows": 40 - run.iteration * 3}})
    for run in Run.objects.filter(status="queued", pipeline=f)[:2]:
        end(run, Status.FAILED, error="ConnectionError: the store is away")
    for run in Run.objects.filter(status="queued", pipeline=l)[:1]:
        end(run)
    mid = Run.objects.filter(pipeline=a, status="succeeded").first()
    for dark in (False, True):
        for width in (1400, 420):
            page = open_as("admin", "/rules/", color_scheme="dark" if dark else "light")
            page.set_viewport_size({"width": width, "height": 900})
            tag = f"{'dark' if dark else 'light'}-{width}"
            if dark:
                page.evaluate(
                    "localStorage.setItem('adminTheme','\"dark\"'); document.documentElement.classList.add('dark')"
                )
            for name, path in (
                ("index", "/rules/"),
                ("show", f"/rules/{r2.pk}/"),
                ("join", f"/rules/{r6.pk}/"),
                ("edit", f"/rules/{r2.pk}/edit/"),
                ("firings", "/rules/firings/"),
                ("run", f"/runs/{mid.pk}/"),
                ("pipeline", f"/pipelines/{a.pk}/"),
            ):
                page.goto(path)
                if dark:
                    page.evaluate("document.documentElement.classList.add('dark')")
                if name == "show":
                    page.locator("form:has(#trial), form[hx-get] button").first.click()
                    page.wait_for_selector("#trial p")
                if name == "edit":
                    page.fill(
                        "textarea[name=condition]",
                        "results..rows" if width == 420 else "results.zip_file.rows > `0` && run.iteration < `9`",
                    )
                    page.wait_for_selector("#proof .kc-message, #proof .kc-bad")
                page.wait_for_timeout(300)
                page.screenshot(path=f"/tmp/shots_rules/{name}-{tag}.png", full_page=True)
