"""Which path answers what, and which policies guard it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from http import HTTPStatus

from demo_api import chat, datasets, internal, metrics
from demo_api.messages import Answer, Refusal, Request
from demo_api.policies import Policy, delay_when_asked, fail_when_asked

Route = Callable[[Request, str], Answer]
Routes = list[tuple[str, re.Pattern[str], Route]]

PAGE_SIZE = 500
LARGEST_PAGE = 5_000
LAST_PAGE = 1_000_000


def show_health(request: Request, name: str) -> Answer:
    return Answer({"status": "ok", "datasets": len(datasets.sources())})


def list_datasets(request: Request, name: str) -> Answer:
    items = [
        {
            "name": each,
            "count": len(datasets.rows(each)),
            "columns": list(datasets.rows(each)[0]),
            "description": datasets.descriptions().get(each, ""),
            "url": f"{request.base}/datasets/{each}",
        }
        for each in datasets.sources()
    ]
    return Answer({"total": len(items), "items": items})


def show_dataset(request: Request, name: str) -> Answer:
    if name not in datasets.sources():
        raise Refusal(HTTPStatus.NOT_FOUND, unknown_dataset(name))
    page = request.number("page", default=1, at_least=1, at_most=LAST_PAGE)
    page_size = request.number("page_size", default=PAGE_SIZE, at_least=1, at_most=LARGEST_PAGE)
    rows = datasets.rows(name)
    pages = math.ceil(len(rows) / page_size)
    following = request.url(page=page + 1, page_size=page_size) if page < pages else None
    body = {
        "name": name,
        "page": page,
        "page_size": page_size,
        "total": len(rows),
        "pages": pages,
        "items": rows[(page - 1) * page_size : page * page_size],
        "next": following,
    }
    return Answer(body, headers={"Link": f'<{following}>; rel="next"'} if following else {})


def unknown_dataset(name: str) -> str:
    near = get_close_matches(name, datasets.sources(), n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "GET /datasets lists all of them."
    return f"There is no data set {name[:80]!r}. {hint}"


ROUTES: Routes = [
    ("GET", re.compile(r"/health"), show_health),
    ("GET", re.compile(r"/datasets"), list_datasets),
    ("GET", re.compile(r"/datasets/([^/]+)"), show_dataset),
    ("POST", re.compile(r"/metrics"), metrics.show_metrics),
    ("POST", re.compile(r"/v1/chat/completions"), chat.complete),
    ("GET", re.compile(r"/internal/rows"), internal.show_rows),
]

POLICIES: list[tuple[str, Policy]] = [
    (prefix, policy)
    for prefix in ("/datasets", "/metrics", "/v1", "/internal")
    for policy in (delay_when_asked, fail_when_asked)
]


def answer(request: Request, policies: Sequence[tuple[str, Policy]], routes: Routes = ROUTES) -> Answer:
    """Ask the policies of the path in order, then its route; a Refusal becomes a JSON sentence."""
    try:
        for prefix, policy in policies:
            if request.path.startswith(prefix):
                policy(request)
        return route(request, routes)
    except Refusal as refusal:
        return Answer.refused(refusal)


def route(request: Request, routes: Routes) -> Answer:
    allowed = set()
    for method, pattern, show in routes:
        match = pattern.fullmatch(request.path)
        if match and method == request.method:
            return show(request, *(match.groups() or ("",)))
        if match:
            allowed.add(method)
    if allowed:
        allow = ", ".join(sorted(allowed))
        sentence = f"{request.path} answers {allow} only."
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, sentence, {"Allow": allow})
    raise Refusal(HTTPStatus.NOT_FOUND, f"Nothing is at {request.path[:80]}. Try /datasets or /health.")
