"""The words of a message: the console's own, or a subscription's, with the facts put in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from jobs.errors import did_you_mean, nearest_of
from jobs.models import News, Run, Subscription
from jobs.states import NewsKind
from jobs.telling.links import link
from kedro_console.wire import clean

PLACE: Final = re.compile(r"\{([^{}\n]{1,40})\}")
"""A fact to be put in, as {run}."""
FACTS: Final[dict[str, str]] = {
    "title": "the sentence that the console would say",
    "kind": "what kind of news it is",
    "project": "the project",
    "pipeline": "the pipeline",
    "run": "the number of the run",
    "status": "how the run ended, or stands",
    "error": "why it failed",
    "times": "how many failures in a row",
    "files": "the names of new files",
    "time": "when it happened, in the subscription's time zone",
    "link": "the address of the page that shows more",
}
SUBJECT: Final = "{title}"
BODY: Final = "{title}\n\n{error}\n\n{link}"
LONGEST_SUBJECT: Final = 250
LONGEST_BODY: Final = 8_000


def facts_of(news: News, zone: str = "UTC") -> dict[str, str]:
    """What a template may name; "" for what this news does not have."""
    run, pipeline = news.run, news.pipeline
    return {
        "title": news.title,
        "kind": NewsKind(news.kind).label,
        "project": pipeline.project.name if pipeline else "",
        "pipeline": pipeline.name if pipeline else "",
        "run": str(news.run_id or ""),
        "status": run.status if run else "",
        "error": str(news.facts.get("error", "")),
        "times": str(news.facts.get("times", news.times)),
        "files": ", ".join(news.facts.get("files", [])),
        "time": _in_zone(news.at, zone),
        "link": link(news.place),
    }


def _in_zone(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def written(news: News, subscription: Subscription | None) -> tuple[str, str]:
    """Subject, in one line, and body."""
    facts = facts_of(news, subscription.zone if subscription else "UTC")
    subject = (subscription.subject if subscription else "") or SUBJECT
    body = (subscription.body if subscription else "") or BODY
    return one_line(fill(subject, facts))[:LONGEST_SUBJECT], _tidy(fill(body, facts))[:LONGEST_BODY]


def fill(template: str, facts: dict[str, str]) -> str:
    """Each {fact} by what it is; braces around anything else stay."""
    put: Callable[[re.Match[str]], str] = lambda found: facts.get(found[1].strip(), found[0])  # noqa: E731
    return str(clean(PLACE.sub(put, template)))


def one_line(text: str) -> str:
    return " ".join(text.split())


def _tidy(text: str) -> str:
    """Without the gap that a fact leaves which is not known."""
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def refusal(template: str) -> str:
    """Why this template cannot be used, as a sentence; "" when it can."""
    for name in PLACE.findall(template):
        if name.strip() not in FACTS:
            nearest = nearest_of(name.strip(), FACTS)
            otherwise = f" There are {', '.join(FACTS)}."
            return f"There is no fact {{{name}}}.{did_you_mean(nearest, otherwise)}"
    return ""


def as_if(run: Run, kind: NewsKind, at: datetime) -> News:
    """News of this kind as this run would make them, for a preview: not written down."""
    titles = {
        NewsKind.FAILING: f"{run.pipeline} failed: run #{run.pk}",
        NewsKind.STILL_FAILING: f"{run.pipeline} has failed 10 times in a row, lastly in run #{run.pk}",
        NewsKind.RECOVERED: f"{run.pipeline} succeeds again, after a failure: run #{run.pk}",
        NewsKind.SLOW: f"{run.pipeline} is slower than usual: run #{run.pk}",
    }
    title = titles.get(kind) or f"{run.pipeline}, {kind.label}: run #{run.pk}"
    files = list(run.artifacts.order_by("pk").values_list("name", flat=True)[:50])
    error = run.error[:2_000] if kind in (NewsKind.FAILING, NewsKind.STILL_FAILING) else ""
    facts = {"error": error, "files": files}
    return News(kind=kind, title=title, pipeline=run.pipeline, run=run, at=run.finished_at or at, facts=facts)
