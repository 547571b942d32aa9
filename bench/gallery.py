"""`python -m bench.gallery`: a picture of each page, from a made-up history of three weeks, into docs/gallery.

Light and dark, 1440 and 390 pixels wide, as small WebP files; README.md beside them shows them all.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench import huge_project, large_project
from bench.stage import ROOT, Console, console

FOLDER: Final = ROOT / "docs" / "gallery"
FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844)}
THEMES: Final = ("light", "dark")
QUALITY: Final = 55
SETTLED_MILLISECONDS: Final = 400
READER_MILLISECONDS: Final = 3_000
"""Until the browser's own reader shows a document."""

PAGES: Final[dict[str, str]] = {
    "home": "/", "runs": "/runs/", "runs-search": "/runs/?q=status:failed,crashed+error:timed",
    "run": "/runs/{run}/", "run-graph": "/runs/{run}/?tab=graph", "run-timeline": "/runs/{run}/?tab=timeline",
    "run-drawer": "/runs/{run}/?node={node}",
    "run-log": "/runs/{run}/logs/", "run-files": "/runs/{run}/?tab=artifacts", "run-failed": "/runs/{failed}/",
    "run-compare": "/runs/{failed}/compare/", "run-resume": "/runs/{failed}/resume/", "pipelines": "/pipelines/",
    "pipeline": "/pipelines/{pipeline}/", "run-form": "/pipelines/{pipeline}/run/", "library": "/library/?all=1",
    "library-links": "/library/links/", "file": "/artifacts/{artifact}/", "compare": "/artifacts/{pptx}/compare/",
    "compare-table": "/artifacts/{csv}/compare/",
    "file-parquet": "/artifacts/{parquet}/", "file-csv": "/artifacts/{csv}/?sort=-delay_minutes",
    "file-workbook": "/artifacts/{xlsx}/?sheet=2", "file-slides": "/artifacts/{pptx}/", "file-pdf": "/artifacts/{pdf}/",
    "shared": "/share/{share}/", "shared-password": "/share/{share_closed}/",
    "large": "/runs/{large}/", "large-graph": "/pipelines/{markets}/?unfold=emea.dach",
    "large-unfolded": "/pipelines/{markets}/?unfold=*", "large-timeline": "/runs/{large}/?tab=timeline",
    "large-failed": "/runs/{broken}/", "large-resume": "/runs/{broken}/resume/",
    "large-form": "/pipelines/{markets}/run/", "large-form-found": "/pipelines/{markets}/run/",
    "huge-folded": "/pipelines/{huge_in_namespaces}/", "huge-unfolded": "/pipelines/{huge_in_namespaces}/?unfold=*",
    "huge-without-namespaces": "/pipelines/{huge_without_namespaces}/", "schedules": "/schedules/",
    "schedule": "/schedules/{schedule}/", "schedule-new": "/schedules/new/",
    "schedules-month": "/schedules/?view=month",
    "backfill-new": "/backfills/new/?pipeline={pipeline}", "backfill": "/backfills/{backfill}/",
    "week": "/week/", "backfills": "/backfills/", "rules": "/rules/", "rule": "/rules/{rule}/",
    "rule-new": "/rules/new/", "firings": "/rules/firings/", "quotas": "/quotas/", "quota": "/quotas/{quota}/",
    "queues": "/batch-queues/", "queue": "/batch-queues/{queue}/", "requests": "/requests/",
    "request": "/requests/{request}/", "workers": "/workers/", "notifications": "/notifications/",
    "activity": "/activity/", "admin": "/admin/", "admin-runs": "/admin/jobs/run/",
    "admin-projects": "/admin/jobs/project/", "admin-people": "/admin/auth/user/",
}  # fmt: skip


ROWS: Final = {
    "run": "/jobs?status=completed&pipeline=reporting&limit=1",
    "failed": "/jobs?status=failed&pipeline=reporting&limit=1",
    "artifact": "/artifacts?name=report.pptx&limit=1",
    "rule": "/rules",
    "queue": "/queues",
    "request": "/requests?limit=1",
}
KEYS: Final = {"run": "number", "failed": "number", "queue": "name"}


PLACES: Final = {str(ROOT): "/srv/console", sys.prefix: "/srv/console/.venv", platform.node(): "server"}
"""What is only of this machine, and what the pictures show instead."""
PLACES_HIDDEN: Final = """places => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    for (const [place, shown] of Object.entries(places))
      if (node.textContent.includes(place)) node.textContent = node.textContent.replaceAll(place, shown);
}"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=3_000)
    asked.add_argument("--folder", type=Path, default=FOLDER)
    asked.add_argument("--only", default="", help="Pages whose name contains one of these.")
    options = asked.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="kc-gallery-") as folder,
        console(before=_before(options.runs, folder)) as made,
    ):
        pages = {
            name: path
            for name, path in _addresses(made).items()
            if any(part in name for part in options.only.split(","))
        }
        PLACES[folder] = "/srv"
        for name, taken in _pictures(made, pages):
            (options.folder / name).write_bytes(taken)
            print(f"{name}: {len(taken) / 1000:.0f} kB", flush=True)
    _index(options.folder)


def _before(runs: int, folder: str) -> list[tuple[str, ...]]:
    """What `manage.py` does before the console starts; the large project comes when there is a history."""
    seed = ("seed", "--runs", str(runs), "--days", "21")
    large, huge = large_project.make(Path(folder) / "markets"), huge_project.make(Path(folder) / "atlas")
    added = [("project", "add", str(each)) for each in (large, huge)]
    return [("prepare",), ("project", "add", "pipelines/demo"), seed, *added]


def _addresses(made: Console) -> dict[str, str]:
    """The pages, with the newest row of each kind for its argument."""
    found = {name: made.call("GET", path) for name, path in ROWS.items()}
    named = {name: rows[0][KEYS.get(name, "id")] for name, rows in found.items() if rows}
    named |= {"pipeline": 3, "quota": 1, "node": "write_csv_and_zip", **_made_here(made)}
    return {
        name: path.format(**named) for name, path in PAGES.items() if set(re.findall(r"{(\w+)}", path)) <= set(named)
    }


def _made_here(made: Console) -> dict[str, Any]:
    """What no history has: runs of the large project, one that succeeds and one that fails, and `gallery_rows`."""
    words = [sys.executable, "-m", "bench.gallery_rows"]
    told = subprocess.run(words, cwd=ROOT, env=made.environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows: dict[str, Any] = json.loads(told.splitlines()[-1])
    good = _run(made, {})
    broken = _run(made, {"emea": {"uk": {"model": {"score": {"is_strict": True}}}}})
    return {"large": good["number"], "broken": broken["number"], **rows}


def _run(made: Console, parameters: dict[str, Any]) -> dict[str, Any]:
    """A run of the large project that has ended."""
    job = made.call("POST", "/jobs", {"pipeline_name": "markets/markets", "parameters": parameters})
    return made.ended(job)


def _pictures(made: Console, pages: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    from playwright.sync_api import sync_playwright

    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    origin = made.url.removesuffix("/api/v1")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=next(filter(None, found)), args=FLAGS)
        for theme in THEMES:
            for size, (width, height) in SIZES.items():
                context = browser.new_context(
                    base_url=origin, viewport={"width": width, "height": height}, color_scheme=theme
                )
                page = context.new_page()
                page.set_default_timeout(60_000)
                before = [name for name in pages if name in STRANGERS]
                for name in [*before, "", *(name for name in pages if name not in before)]:
                    if not name:
                        _log_in(page, made)
                    elif taken := _picture(page, name, pages[name]):
                        yield f"{name}-{theme}-{size}.webp", taken
                context.close()
        browser.close()


def _picture(page: Any, name: str, path: str) -> bytes:
    """Of the page when it has settled, after what is done on it; empty when it is not there."""
    answer = page.goto(path)
    if answer is None or not answer.ok:
        print(f"{name} is not there: {path}", flush=True)
        return b""
    ACTS.get(name, lambda _: None)(page)
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    page.evaluate(PLACES_HIDDEN, PLACES)
    return _small(page.screenshot())


def _scroll_rows(page: Any) -> None:
    page.wait_for_selector("[data-described='1']")
    page.evaluate("document.querySelector('[data-rows-box]').scrollTop = 60000")


def _find_parameter(page: Any) -> None:
    page.fill("[data-find-parameter]", "weights.by.region")


def _next_slide(page: Any) -> None:
    page.wait_for_selector("[data-drawn='6']")
    page.focus("[data-slides-stage]")
    for _ in range(4):
        page.keyboard.press("ArrowRight")


ACTS: Final[dict[str, Callable[[Any], None]]] = {
    "file-parquet": _scroll_rows,
    "file-csv": lambda page: page.wait_for_selector("[data-described='1']"),
    "file-workbook": lambda page: page.wait_for_selector("[data-described='1']"),
    "file-slides": _next_slide,
    "file-pdf": lambda page: page.wait_for_timeout(READER_MILLISECONDS),
    "large-form-found": _find_parameter,
}
STRANGERS: Final = ("shared", "shared-password")
"""Pages that nobody has to log in for: the first that a browser opens."""


def _log_in(page: Any, made: Console) -> None:
    page.goto("/login/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", made.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/")


def _small(picture: bytes) -> bytes:
    from PIL import Image

    packed = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(packed, "WEBP", quality=QUALITY, method=6)
    return packed.getvalue()


def _index(folder: Path) -> None:
    """README.md: a row for each page, a picture for each theme and width."""
    names = sorted({re.sub(r"-(light|dark)-(wide|narrow)\.webp$", "", file.name) for file in folder.glob("*.webp")})
    order = [name for name in PAGES if name in names]
    lines = [
        "# Gallery",
        "",
        "Every page, from a made-up history of three weeks (`make gallery`), as an administrator sees it.",
        "",
    ]
    for name in order:
        shown = [f"{name}-{theme}-{size}.webp" for size in SIZES for theme in THEMES]
        wide, narrow = shown[:2], shown[2:]
        lines += [f"## {name.replace('-', ', ').capitalize()}", ""]
        lines += [
            " ".join(f'<img src="{each}" width="{width}" alt="{name}">' for each in row)
            for row, width in ((wide, 440), (narrow, 160))
        ]
        lines += [""]
    (folder / "README.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
