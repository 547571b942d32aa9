"""Cases that no `kedro run` answers: what doors, previews and schedules say; each gives its problems in sentences."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.cases.console import Answer, Console
from tests.cases.described import Case, Command

Step = Callable[[Console, Path], Iterator[str]]
REGISTRY = """
from kedro.pipeline import node, pipeline
from . import nodes as n
def register_pipelines():
    return PIPELINES
"""
PYPROJECT = """
[tool.kedro]
package_name = "tiny"
project_name = "NAME"
kedro_init_version = "1.7.0"
source_dir = "src"
"""
READ_SECONDS = 90


def small(folder: Path, nodes: str, pipelines: str, catalog: str = "") -> Path:
    """A Kedro project in a few lines: `pipelines` is the dict that register_pipelines returns."""
    files = {
        "pyproject.toml": PYPROJECT.replace("NAME", folder.name),
        "src/tiny/__init__.py": "",
        "src/tiny/settings.py": "",
        "src/tiny/nodes.py": nodes,
        "src/tiny/pipeline_registry.py": REGISTRY.replace("PIPELINES", pipelines),
        "conf/base/catalog.yml": catalog,
        "conf/base/parameters.yml": "{}\n",
        "conf/local/.gitkeep": "",
        "data/.gitkeep": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def add(console: Console, folder: Path, name: str) -> Iterator[str]:
    added = console.add(Case(name, folder), folder, name)
    if added.exit_code:
        yield f"project add ended {added.exit_code}: {' '.join(added.lines[-4:])}"


def says(answer: Answer, status: int, *words: str) -> Iterator[str]:
    """A problem for another status, and for each word that the answer has not."""
    text = json.dumps(answer.body, ensure_ascii=False)
    if answer.status != status:
        yield f"answered {answer.status} instead of {status}: {text[:200]}"
    yield from (f"does not say “{word}”: {text[:200]}" for word in words if word not in text)


def job_of(console: Console, name: str, command: Command = Command(), **more: Any) -> str:  # noqa: B008  (frozen)
    answer = console.submit(name, command, **more)
    assert answer.status == 201, answer
    return str(answer.body["id"])


def completed(console: Console, name: str, command: Command = Command()) -> tuple[dict[str, Any], list[str]]:  # noqa: B008
    """The job when it has ended, and a problem when it did not complete."""
    job = job_of(console, name, command)
    console.ended(job)
    found = console.job(job)
    return found, [] if found["status"] == "completed" else [f"ended {found['status']}: {found['error_message']}"]


# ---- doors


ONE = "{'__default__': pipeline([node(n.one, None, 'value', name='one')])}"


def ambiguous_default(console: Console, place: Path) -> Iterator[str]:
    """A name that two projects have starts nothing: the answer says whose it is."""
    for name in ("twin-one", "twin-two"):
        yield from add(console, small(place / name, "def one(): return 1\n", ONE), name)
    yield from says(console.ask("POST", "jobs", {"pipeline_name": "__default__"}), 409, "twin-one", "twin-two")
    body = {"pipeline_name": "__default__", "project": "twin-none"}
    yield from says(console.ask("POST", "jobs", body), 404, "twin-none")
    body = {"pipeline_name": "twin-one/__default__", "project": "twin-two"}
    yield from says(console.ask("POST", "jobs", body), 422, "twin-one", "twin-two")
    body = {"pipeline_name": "__default__", "project": "twin-two"}
    yield from says(console.ask("POST", "jobs", body), 201, "twin-two")


def bad_read_kills_project(console: Console, place: Path) -> Iterator[str]:
    """While the project is broken every door says its error; when it is repaired it runs, and nobody has to read it."""
    folder = small(place / "deployed", "def one(): return 1\n", ONE)
    yield from add(console, folder, "deployed")
    yield from completed(console, "deployed")[1]
    nodes = folder / "src/tiny/nodes.py"
    nodes.write_text("import not_there_yet\ndef one(): return 1\n")
    console.manage("project", "check", "deployed")
    yield from says(console.submit("deployed", Command()), 409, "not_there_yet")
    nodes.write_text("def one(): return 2\n")
    console.until(
        lambda: console.submit("deployed", Command()).status == 201, READ_SECONDS, "The mended project starts"
    )
    found, problems = completed(console, "deployed")
    yield from problems
    if found["results"]["value"].get("value") != 2:
        yield f"ran other code: {found['results']}"


def project_that_is_not_there(console: Console, place: Path) -> Iterator[str]:
    """A folder that is gone is red on Home, and an error of the file is told with its line."""
    folder = small(place / "moved", "def one(): return 1\n", ONE)
    yield from add(console, folder, "moved-away")
    folder.rename(place / "elsewhere")
    page = console.until(lambda: _home_about(console, "moved-away"), READ_SECONDS, "Home tells that the folder is gone")
    if "moved-away" not in page:
        yield "Home does not name the project whose folder is gone"
    (place / "elsewhere").rename(folder)
    (folder / "pyproject.toml").write_text("[tool.kedro\n")
    checked = " ".join(console.manage("project", "check", "moved-away").lines)
    if "line 1" not in checked or "package_name" in checked:
        yield f"the check does not tell the error of pyproject.toml: {checked[-300:]}"


def _home_about(console: Console, name: str) -> str:
    """Home, once it says something is wrong with that project."""
    page = console.page("/")
    return page if name in page and f"Good: {name}" not in page and "does not exist" in page else ""


# ---- code


MIXED = """
import time
from pathlib import Path
VERSION = "one"
def first():
    Path("data/begun").write_text("")
    while not Path("data/go").exists(): time.sleep(0.05)
    return VERSION
def version(a): return VERSION
def join(b, c, a): return {"first": a, "left": b, "right": c, "join": VERSION}
"""
MIXED_NODES = (
    "{'__default__': pipeline([node(n.first, None, 'a', name='first'), node(n.version, 'a', 'b', name='left'), "
    "node(n.version, 'a', 'c', name='right'), node(n.join, ['b', 'c', 'a'], 'd', name='join')])}"
)


def mixed_code_in_one_run(console: Console, place: Path) -> Iterator[str]:
    """A run goes on with the code that it began with, also when a node is renamed meanwhile; the next has the new."""
    folder = small(place / "mixed", MIXED, MIXED_NODES)
    yield from add(console, folder, "mixed")
    job = job_of(console, "mixed", runner="distributed")
    console.until((folder / "data/begun").exists, READ_SECONDS, "The first node begins")
    (folder / "src/tiny/nodes.py").write_text(MIXED.replace('"one"', '"two"'))
    registry = folder / "src/tiny/pipeline_registry.py"
    registry.write_text(registry.read_text().replace("'left'", "'lefthand'"))
    (folder / "data/go").write_text("")
    yield from _all_of("one", console, job)
    yield from _all_of("two", console, job_of(console, "mixed", runner="distributed"))


def _all_of(version: str, console: Console, job: str) -> Iterator[str]:
    console.ended(job)
    found = console.job(job)
    value = ((found["results"] or {}).get("d") or {}).get("value")
    if found["status"] != "completed" or set((value or {}).values()) != {version}:
        yield f"{found['status']} with {value} instead of {version} everywhere: {found['error_message']}"


# ---- what a run leaves


def not_kept_and_not_told(console: Console, place: Path) -> Iterator[str]:
    """Each free output is an artifact, whatever its type and place, or the job says why it is none."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as reports:  # not below the project, nor where runs have theirs
        yield from _kept_or_told(console, place, Path(reports) / "outside.csv")


def _kept_or_told(console: Console, place: Path, outside: Path) -> Iterator[str]:
    catalog = (
        f"outside: {{type: pandas.CSVDataset, filepath: {outside}}}\n"
        'tabs: {type: pandas.CSVDataset, filepath: data/report.tsv, save_args: {sep: "\\t"}}\n'
    )
    nodes = "import pandas as pd\ndef make():\n    d = pd.DataFrame({'a': [1]})\n    return d, d\n"
    pipelines = "{'__default__': pipeline([node(n.make, None, ['outside', 'tabs'], name='make')])}"
    yield from add(console, small(place / "kept", nodes, pipelines, catalog), "kept")
    found, problems = completed(console, "kept")
    yield from problems
    told = json.dumps(console.ask("GET", f"jobs/{found['id']}/artifacts").body)
    yield from (f"nothing is said of {name}: {told}" for name in ("outside.csv", "report.tsv") if name not in told)


def rows_of_a_dict(console: Console, place: Path) -> Iterator[str]:
    """An object has no rows."""
    catalog = "value: {type: json.JSONDataset, filepath: data/value.json}\n"
    folder = small(place / "rows", "def one(): return {'a': 1, 'b': 2, 'c': 3}\n", ONE, catalog)
    yield from add(console, folder, "rows")
    found, problems = completed(console, "rows")
    yield from problems
    if found["results"]["value"].get("rows") is not None:
        yield f"an object of three keys is told to have rows: {found['results']}"


def csv_cp1252(console: Console, place: Path) -> Iterator[str]:
    """A table in Windows' encoding is shown as it was meant, and the page says that it is."""
    nodes = (
        "from pathlib import Path\n"
        "def one():\n"
        "    Path('data/report.csv').write_bytes('Größe;Name\\n1;Müller\\n'.encode('cp1252'))\n"
        "    return 'data/report.csv'\n"
    )
    yield from add(console, small(place / "windows", nodes, ONE), "windows")
    found, problems = completed(console, "windows")
    yield from problems
    kept = console.ask("GET", f"jobs/{found['id']}/artifacts").body
    rows = kept if isinstance(kept, list) else kept.get("artifacts", [])
    page = console.page(f"/artifacts/{rows[0]['id']}/")
    yield from (f"the page does not show {word}" for word in ("Größe", "Müller", "1252") if word not in page)


# ---- pages


def home_shows_celery_repr(console: Console, place: Path) -> Iterator[str]:
    """Home names the pipeline and says when it starts in a sentence."""
    yield from add(console, small(place / "timed", "def one(): return 1\n", ONE), "timed")
    console.shell(
        "from django_celery_beat.models import CrontabSchedule, PeriodicTask\n"
        "from jobs.models import Pipeline\n"
        "import json\n"
        "pipeline = Pipeline.objects.get(project__name='timed')\n"
        "cron, _ = CrontabSchedule.objects.get_or_create(minute='0', hour='4')\n"
        "args = json.dumps([pipeline.pk])\n"
        "PeriodicTask.objects.create(name='each night', task='jobs.start', crontab=cron, args=args)\n"
    )
    page = console.page("/")
    if "&lt;crontab" in page or "<crontab" in page:
        yield "Home shows Celery's own words for a schedule"
    if "04:00" not in page and "4:00" not in page:
        yield "Home does not say when the schedule is due"


CRON = """
from console.admin.schedule_form import ScheduleForm
from jobs.models import Pipeline
pipeline = Pipeline.objects.get(project__name="words", name="__default__")
for cron in ("0 9 * * 7", "0 0 L * *", "0 9 * * fri-mon", "H * * * *", "-5 * * * *"):
    form = ScheduleForm({"name": cron, "enabled": "on", "task": "jobs.start", "pipeline": pipeline.pk,
                         "parameters": "{}", "timing": "crontab", "cron": cron, "zone": "UTC"})
    print(cron, "is", "taken" if form.is_valid() else form.errors.get_json_data())
"""
WORDS = {
    "0 9 * * 7": "taken",
    "0 0 L * *": "taken",
    "0 9 * * fri-mon": "taken",
    "H * * * *": "write a number from 0 to 59",
    "-5 * * * *": "write a number from 0 to 59",
}


def cron_words(console: Console, place: Path) -> Iterator[str]:
    """7 is Sunday, L the last day of the month; what cannot be read is refused with what to write instead."""
    yield from add(console, small(place / "words", "def one(): return 1\n", ONE), "words")
    said = "\n".join(console.shell(CRON))
    for cron, words in WORDS.items():
        found = next((line for line in said.splitlines() if line.startswith(f"{cron} is")), "")
        if words not in found:
            yield f"{cron}: {found}"


EDITED = """
import json
from datetime import timedelta
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from jobs import clock
from jobs.models import Pipeline
from jobs.schedules.schedules import wish
pipeline = Pipeline.objects.get(project__name="edited", name="__default__")
now = clock.now()
late, soon = ((now + timedelta(minutes=more)).minute for more in (30, -1))
rule = CrontabSchedule.objects.create(minute=str(late), timezone="UTC")
row = PeriodicTask.objects.create(name="edited", task="jobs.start", crontab=rule, kwargs=wish(pipeline, {}))
PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=now - timedelta(minutes=30))
row = PeriodicTask.objects.get(pk=row.pk)
row.crontab = CrontabSchedule.objects.create(minute=str(soon), timezone="UTC")
row.save()
"""
BEATS_SECONDS = 15
"""Beat looks at changed schedules every five."""


def edit_fires_at_once(console: Console, place: Path) -> Iterator[str]:
    """A schedule that is edited to a minute that has just passed waits for the next hour."""
    yield from add(console, small(place / "edited", "def one(): return 1\n", ONE), "edited")
    console.shell(EDITED)
    deadline = time.monotonic() + BEATS_SECONDS
    started = lambda: console.ask("GET", "jobs?pipeline=edited/__default__").body  # noqa: E731
    console.until(lambda: started() or time.monotonic() > deadline, 2 * BEATS_SECONDS, "The console answers")
    if jobs := started():
        yield f"the edit started job {jobs[0]['number']}"


MANY = (
    "{'__default__': pipeline([node(n.one, None, 'd1', name='node_001')] + "
    "[node(n.same, f'd{(i + 1) // 3}', f'd{i}', name=f'node_{i:03d}') for i in range(2, 501)])}"
)
PAGE_SECONDS = 2


def graph_of_five_hundred(console: Console, place: Path) -> Iterator[str]:
    """The page of a large pipeline shows boxes with their counts; each leads to its nodes, all of them in time."""
    yield from add(console, small(place / "many", "def one(): return 1\ndef same(x): return x\n", MANY), "many")
    pk = console.shell("from jobs.models import Pipeline; print(Pipeline.objects.get(project__name='many').pk)")[-1]
    folded = console.page(f"/pipelines/{pk}/")
    boxes = re.findall(r'href="(\?unfold=[^"]*)"[^>]*aria-label="Unfold ([^"]*): (\d+) nodes', folded)
    if not boxes or sum(int(count) for *_, count in boxes) != 500:
        yield f"the boxes do not hold 500 nodes: {boxes}"
    for address, name, _ in boxes[:1]:
        if f"Fold {name}: " not in console.page(f"/pipelines/{pk}/{address}"):
            yield f"{address} does not open {name}"
    started = time.monotonic()
    everything = console.page(f"/pipelines/{pk}/?unfold=*")
    seconds = time.monotonic() - started
    if (count := len(re.findall(r'class="\s*kc-node kc-node-node', everything))) != 500:
        yield f"unfolded there are {count} nodes"
    if seconds > PAGE_SECONDS:
        yield f"500 unfolded nodes took {seconds:.1f} s"


STEPS: dict[str, Step] = {
    "ambiguous-default": ambiguous_default,
    "bad-read-kills-project": bad_read_kills_project,
    "cron-words": cron_words,
    "csv-cp1252": csv_cp1252,
    "edit-fires-at-once": edit_fires_at_once,
    "graph-of-five-hundred": graph_of_five_hundred,
    "home-shows-celery-repr": home_shows_celery_repr,
    "mixed-code-in-one-run": mixed_code_in_one_run,
    "not-kept-and-not-told": not_kept_and_not_told,
    "project-that-is-not-there": project_that_is_not_there,
    "rows-of-a-dict": rows_of_a_dict,
}
