"""Measure every page of the console whose state the environment names; one JSON object for `bench.pages`."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
import django

django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Max, Min  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import NoReverseMatch, get_resolver, reverse  # noqa: E402
from django.urls.resolvers import URLPattern, URLResolver  # noqa: E402

from jobs import clock  # noqa: E402
from jobs.backfills import plan  # noqa: E402
from jobs.backfills.begin import begin  # noqa: E402
from jobs.library.share import ShareOrder, share  # noqa: E402
from jobs.models import (  # noqa: E402
    Artifact,
    Backfill,
    BatchQueue,
    Pipeline,
    Quota,
    RequestRecord,
    Rule,
    Run,
    Schedule,
    Worker,
)
from jobs.schedules.dues import Cron  # noqa: E402
from jobs.schedules.edit import Wanted, create  # noqa: E402
from jobs.states import Status  # noqa: E402

STRANGER: Final = "somebody without a login:"
"""How the names of pages begin that are asked for like this."""
SEARCHES: Final = (
    "status:failed", "status:succeeded", "status:crashed,failed", "status:live", "pipeline:reporting",
    "pipeline:daily_rows", "project:demo", "cause:rule", "cause:backfill", "by:mara", "by:nobody", "since:24h",
    "since:all", "node:prompts", "node:nosuchnode", "tag:nosuchtag", "error:Permission", "error:nosuchtext",
    "nosuchword", "nosuchword since:all", "param.top:5", "param.nosuch:5 since:all", "status:failed nosuchword",
)  # fmt: skip


def addresses() -> dict[str, str]:
    """Every page by name; those with an argument for the newest row, runs also for an old and a failed one."""
    found = {name: address for name, address in _of_urlconf() if address is not None}
    runs, newest = reverse("runs"), _newest_run()
    for search in SEARCHES:
        found[f"runs {search}"] = f"{runs}?q={search.replace(' ', '+')}"
    found["runs, deep"] = f"{runs}?before={newest // 2}&q=since:all"
    found["runs, deepest"] = f"{runs}?before={min(60, newest)}&q=since:all"
    found["runs, back to newer"] = f"{runs}?after={newest // 2}&q=since:all"
    found["palette report"] = f"{reverse('palette')}?q=report"
    found["palette nosuchword"] = f"{reverse('palette')}?q=nosuchword"
    found["artifacts csv"] = f"{reverse('artifacts')}?q=csv"
    found["artifacts nosuchname"] = f"{reverse('artifacts')}?q=nosuchname"
    found["activity of mara"] = f"{reverse('activity')}?actor=mara"
    found["activity of nobody"] = f"{reverse('activity')}?actor=nobody"
    found["completions node"] = f"{reverse('runs_complete')}?q=node:"
    found["completions param"] = f"{reverse('runs_complete')}?q=param"
    for status in ("completed", "failed", "cancelled", "running", "pending"):
        found[f"api jobs {status}"] = f"{reverse('api:jobs')}?status={status}"
    found["api jobs daily_rows failed"] = f"{reverse('api:jobs')}?status=failed&pipeline=daily_rows"
    for search in ("pipeline=daily_rows", "kind=decks", "kind=archives", "kind=pictures", "name=nosuchname"):
        found[f"api artifacts {search}"] = f"{reverse('api:artifacts')}?{search}"
    found["schedules, month"] = f"{reverse('schedules')}?view=month"
    found["library, decks"] = f"{reverse('library')}?kind=decks"
    found["library nosuchname"] = f"{reverse('library')}?q=nosuchname&all=1"
    found["api latest"] = f"{reverse('api:artifact_latest')}?name=report.pptx"
    for tab in ("graph", "timeline", "artifacts", "requests", "parameters", "events"):
        found[f"run, tab {tab}"] = f"{reverse('run', args=[newest])}?tab={tab}"
    found |= _of_what_no_history_has()
    found |= _admin_filters()
    return found


def _of_what_no_history_has() -> dict[str, str]:
    """Pages of a link, a schedule and a backfill, which are made for it and kept."""
    at, by = clock.now(), User.objects.filter(is_superuser=True).order_by("pk")[0]
    file = Artifact.objects.filter(run__status=Status.SUCCEEDED).select_related("run").order_by("-pk")[0]
    _, token = share(ShareOrder(file, at + timedelta(days=1)), at=at, by=by)
    line = file.run.pipeline
    daily = Schedule.objects.filter(pipeline=line).first() or create(
        Wanted(name="Pages are measured", pipeline=line, rule=Cron("0 6 * * *"), zone="UTC"), at=at
    )
    first, last = at.date() - timedelta(days=9), at.date() - timedelta(days=1)
    wanted = plan.Wanted(pipeline=line, first_day=first, last_day=last, zone="UTC", date_parameter="")
    row = Backfill.objects.first() or begin(wanted, at=at, by=by)
    found = {f"{STRANGER} link": reverse("share", args=[token])}
    found |= {name: reverse(name, args=[daily.pk]) for name in ("schedule", "schedule_edit")}
    found |= {"backfill": reverse("backfill", args=[row.pk])}
    found |= {"schedule_new of a pipeline": reverse("schedule_new_for", args=[line.pk])}
    found |= {"backfill_new of a pipeline": f"{reverse('backfill_new')}?pipeline={line.pk}"}
    return found


def _newest_run() -> int:
    return Run.objects.aggregate(Max("pk"))["pk__max"] or 1


def _of_urlconf() -> Iterator[tuple[str, str | None]]:
    for name, pattern in _patterns(get_resolver(), []):
        keys = list(pattern.pattern.converters)
        for label, values in _arguments(name, keys):
            with suppress(NoReverseMatch):
                yield f"{name}{label}", reverse(name, kwargs=values)
    for model, row in ((model, admin.site._registry[model]) for model in admin.site._registry):
        meta = model._meta
        newest = model._default_manager.order_by("-pk").first()
        if newest is not None:
            yield (
                f"admin {meta.model_name} newest",
                reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[newest.pk]),
            )
        if row.search_fields:
            address = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            yield f"admin {meta.model_name} nosuchword", f"{address}?q=nosuchword"


def _patterns(resolver: URLResolver, spaces: list[str]) -> Iterator[tuple[str, URLPattern]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from _patterns(each, [*spaces, each.namespace] if each.namespace else spaces)
        elif each.name:
            yield ":".join([*spaces, each.name]), each


def _arguments(name: str, keys: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A label and values for each variant of an address."""
    if not keys:
        yield "", {}
    elif keys[0] in ("number", "job"):
        ends = Run.objects.filter(status=Status.FAILED).aggregate(new=Max("pk"), old=Min("pk"))
        chosen = {"": _newest_run(), ", old": 1, ", failed": ends["new"], ", old failed": ends["old"]}
        yield from ((label, {keys[0]: value}) for label, value in chosen.items() if value)
    elif keys[0] in ("uuid", "artifact"):
        for label, order in (("", "-pk"), (", old", "pk")):
            if row := Artifact.objects.order_by(order).first():
                yield label, {keys[0]: row.uuid}
    elif keys == ["pk", "name"]:
        row = Artifact.objects.filter(run__status=Status.SUCCEEDED).select_related("run").order_by("-pk").first()
        yield "", {"pk": row.run.pipeline_id, "name": row.name} if row else {}
    elif keys == ["project", "name"]:
        yield "", {"project": "demo", "name": "reporting"}
    elif values := {key: _value(name, key) for key in keys if _value(name, key) is not None}:
        yield "", values


def _value(name: str, key: str) -> Any:
    """Of the newest row of what the name is about."""
    about = {"pipeline": Pipeline, "quota": Quota, "request": RequestRecord, "rule": Rule, "worker": Worker}
    about |= {"queue": BatchQueue, "batch": BatchQueue}
    word = name.removeprefix("api:").removeprefix("admin:").partition("_")[0].removesuffix("s")
    row = about[word].objects.order_by("-pk").first() if word in about else None
    return row and (row.pk if key in ("pk", "rule") else row.name)


def _admin_filters() -> dict[str, str]:
    """The first choice of each filter of each list of the admin."""
    found, client = {}, _client()
    for model in admin.site._registry:
        meta = model._meta
        address = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        page = client.get(address)
        text = page.content.decode() if page.status_code == 200 else ""
        seen = dict.fromkeys(re.findall(r'href="(\?[^"#]+)"', text))
        for link in list(seen)[:4]:
            found[f"admin {meta.model_name} {link}"] = address + link.replace("&amp;", "&")
    return found


def _client() -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.filter(is_superuser=True).order_by("pk")[0])
    return client


class Counter:
    def __init__(self) -> None:
        self.queries = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries += 1
        return execute(sql, params, many, context)


def _clock() -> Callable[[], float]:
    if connection.vendor == "sqlite":
        return time.thread_time
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        spent = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    if not spent.exists():
        return time.perf_counter
    return lambda: time.thread_time() + int(spent.read_text().split()[0]) / 1e9


def measured(client: Client, address: str, rounds: int) -> dict[str, Any] | None:
    """Milliseconds of each round, queries and bytes of a page; None for what is no page that one can get.

    Processor time, of this thread and of the database's process that answers it: it hardly depends on what else the
    machine does. A server whose process cannot be seen leaves the time on the wall.
    """
    clock = _clock()
    counter, times, size = Counter(), [], 0
    for number in range(rounds + 1):
        counter.queries, begun = 0, clock()
        with connection.execute_wrapper(counter):
            answer = client.get(address)
            size = len(b"".join(answer.streaming_content)) if answer.streaming else len(answer.content)  # type: ignore[attr-defined,arg-type]
        if answer.status_code not in (200, 302, 304):
            return None
        if number:  # the first is one that nothing was cached for
            times.append(1000 * (clock() - begun))
    return {"times": times, "queries": counter.queries, "bytes": size}


def main() -> None:
    """First the names of the pages as a line of JSON; then for each name that is asked for a line with what it took."""
    rounds, only = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    known = {name: address for name, address in addresses().items() if only in name and "logout" not in name}
    clients = {True: Client(HTTP_HOST="127.0.0.1"), False: _client()}
    _tell(list(known))
    for line in sys.stdin:
        name = line.rstrip("\n")
        client = clients[name.startswith(STRANGER)]
        _tell(measured(client, known[name], max(rounds, 1)) if name in known else None)


def _tell(what: Any) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
