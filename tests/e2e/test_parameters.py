"""What a node is given is what plain Kedro gives it for the same values in parameters.yml, letter by letter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from jobs import clock
from jobs.interpreters.snapshots import add_project
from jobs.models import Project, Run
from jobs.runs.retry import retry
from jobs.states import Status
from tests.e2e.running import ended
from tests.factories import make_user
from tests.kedro_console.kedro_projects import make_project

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

NODES = """
def tell(parameters):
    return "\\n".join(f"{key!r}: {value!r}" for key, value in sorted(parameters.items(), key=str))

def tell_one(value):
    return repr(value)
"""
PIPELINES = """
from kedro.pipeline import node, pipeline
from . import nodes

def register_pipelines():
    return {"__default__": pipeline([
        node(nodes.tell, "parameters", "told", name="tell"),
        node(nodes.tell_one, "params:a.b", "one", name="tell_one"),
    ])}
"""
CATALOG = """
told: {type: text.TextDataset, filepath: data/told.txt}
one: {type: text.TextDataset, filepath: data/one.txt}
"""
PARAMETERS = """
"a.b": 5
2014.preprocessing.scouts: {depth: 3, "per.day": {"x y/z": 1}}
g: {h: 3, "i.j": 4}
"with space": 1
größe: 1
"a=b": 9
"a:b": 9
2024: {x: 1}
limit: .inf
floor: .nan
day: 2026-01-02
raw: !!binary aGVsbG8=
nothing: null
whole: 5.0
many: [2026-01-02, .inf, {"x.y": 1}]
"""
CHANGED = """
"a.b": 7
2014.preprocessing.scouts: {depth: 4, "per.day": {"x y/z": 2}}
g: {h: 3, "i.j": 5}
"with space": 2
größe: 3
"a=b": 10
"a:b": 11
2024: {x: 12}
limit: 5
floor: -.inf
day: 2026-03-01
raw: !!binary eA==
nothing: 1e5
whole: 5.0
many: [2026-01-03, -.inf]
"""
KINDS = {
    "limit": 5,
    "floor": "-.inf",
    "day": "2026-03-01",
    "raw": "eA==",
    "nothing": 1e5,
    "many": ["2026-01-03", "-.inf"],
}
PLAIN = """
import sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
with KedroSession.create(project_path=Path.cwd()) as session:
    session.run()
"""


def a_project(folder: Path, parameters: str) -> Path:
    made = make_project(folder, "odd", NODES, PIPELINES, CATALOG)
    (made / "conf/base/parameters.yml").write_text(parameters, "utf-8")
    return made


def told(folder: Path) -> str:
    return (folder / "data/told.txt").read_text("utf-8") + (folder / "data/one.txt").read_text("utf-8")


def plain(folder: Path, parameters: str) -> str:
    """What plain Kedro tells with these values in its configuration."""
    made = a_project(folder, parameters)
    subprocess.run([sys.executable, "-c", PLAIN], cwd=made, check=True, capture_output=True)
    return told(made)


@pytest.fixture
def project(transactional_db: None, tmp_path: Path) -> Iterator[Project]:
    yield add_project(a_project(tmp_path / "odd", PARAMETERS), at=clock.now())


def finished(run: Run) -> Run:
    run = ended(run)
    assert (run.status, run.error) == (Status.SUCCEEDED, "")
    return run


def api(project: Project, parameters: dict[str, Any]) -> Run:
    client = Client()
    client.force_login(make_user())
    body = {"pipeline_name": "__default__", "project": project.name, "parameters": parameters}
    answer = client.post("/api/v1/jobs", json.dumps(body), content_type="application/json")
    assert answer.status_code == 201, answer.content
    return finished(Run.objects.get(uuid=answer.json()["id"]))


def form(project: Project, **changes: str) -> Run:
    """The run form as a browser sends it back, with these texts in the fields of these names."""
    client = Client()
    client.force_login(make_user("frida"))
    address = f"/pipelines/{project.pipelines.get(name='__default__').pk}/run/"
    shown = client.get(address).context["form"]
    sent = {name: shown[name].value() for name in shown.fields}
    sent = {name: "on" if value is True else value for name, value in sent.items() if value not in (None, False)}
    assert {f"p:{name}" for name in changes} <= shown.fields.keys()
    answer = client.post(address, {**sent, **{f"p:{name}": text for name, text in changes.items()}})
    assert answer.status_code == 302, answer.context["form"].errors
    return finished(Run.objects.latest("id"))


def command(project: Project, *words: str) -> Run:
    out = StringIO()
    call_command("run", "__default__", "--project", project.name, *words, "--json", stdout=out)
    return finished(Run.objects.get(uuid=json.loads(out.getvalue())["id"]))


def test_a_form_that_nobody_touched_gives_what_plain_kedro_gives(
    worker: object, project: Project, tmp_path: Path
) -> None:
    run = form(project)
    assert run.parameters == {}
    assert told(project.folder) == plain(tmp_path / "plain", PARAMETERS)


def test_keys_with_dots_and_other_signs_are_changed_at_every_door(
    worker: object, project: Project, tmp_path: Path
) -> None:
    wanted = plain(tmp_path / "plain", CHANGED)
    form(
        project,
        **{"a.b": "7", "2014.preprocessing.scouts.depth": "4", "2014.preprocessing.scouts.per.day.x y/z": "2"},
        **{"g.i.j": "5", "with space": "2", "größe": "3", '"a=b"': "10", "a:b": "11", "2024.x": "12"},
        limit="5",
        floor="-.inf",
        day="2026-03-01",
        raw="eA==",
        nothing="1e5",
        many='["2026-01-03", -Infinity]',
    )
    assert told(project.folder) == wanted
    changed = {"2014.preprocessing.scouts": {"depth": 4, "per.day": {"x y/z": 2}}, "g": {"i.j": 5}, "a=b": 10}
    job = api(project, {"a.b": 7, **changed, "with space": 2, "größe": 3, "a:b": 11, "2024": {"x": 12}, **KINDS})
    assert told(project.folder) == wanted
    words = ("a.b=7", "2014.preprocessing.scouts.depth=4", '2014.preprocessing.scouts."per.day"."x y/z"=2', "g.i.j=5")
    words += ("with space=2", "größe=3", "a=b=10", "a:b=11", "2024.x=12", "limit=5", "floor=-.inf", "day=2026-03-01")
    words += ("raw=eA==", "nothing=1e5", "many=[2026-01-03, -.inf]")
    command(project, *(word for pair in words for word in ("--param", pair)))
    assert told(project.folder) == wanted
    (file := tmp_path / "given.yml").write_text(CHANGED, "utf-8")
    command(project, "--params-file", str(file))
    assert told(project.folder) == wanted
    command(project)
    assert told(project.folder) != wanted
    finished(retry(job, at=clock.now()))
    assert told(project.folder) == wanted
