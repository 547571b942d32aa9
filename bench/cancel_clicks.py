"""Presses of Cancel on runs under way, 0.3, 1.5, 3 and 6 seconds after the question: how many stopped the run.

Usage: python -m bench.cancel_clicks [ROUNDS]
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Any

from playwright.sync_api import sync_playwright

from bench.lay_out import lay_out
from bench.stage import Console, conditions, console, table

SLOW = """
import time
from kedro.pipeline import Pipeline, node


def wait_long():
    for _ in range(600):
        time.sleep(0.1)
    return 1


def register_pipelines():
    return {"__default__": Pipeline([node(wait_long, None, "waited", name="wait_long")])}
"""
WAITS = (0.3, 1.5, 3.0, 6.0)
PASSWORD = "presses-of-a-bench"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def press(page: Any, stage: Console, seconds: float) -> float | None:
    """Seconds from the press to the end of the run; None when it went on."""
    job = stage.call("POST", "/jobs", {"pipeline_name": "__default__", "project": "slow"})
    while stage.call("GET", f"/jobs/{job['id']}")["status"] in ("queued", "pending"):
        time.sleep(0.05)
    page.goto(job["url"])
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.wait_for_timeout(seconds * 1000)
    began = time.monotonic()
    page.get_by_role("button", name="Cancel the run").click()
    try:
        ended = stage.ended(job, seconds=20)
    except SystemExit:
        return None
    return time.monotonic() - began if ended["status"] == "cancelled" else None


def log_in(page: Any, stage: Console) -> None:
    page.goto(stage.url.removesuffix("/api/v1") + "/login/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#home").wait_for()


def main(rounds: int) -> None:
    """Print how many of the presses stopped their run, by the time that the question stood there."""
    browser = next(path for name in BROWSERS if (path := shutil.which(name)))
    rows = []
    os.environ["CONSOLE_ADMIN_PASSWORD"] = PASSWORD
    with console("--no-demo") as stage, sync_playwright() as driver:
        project = lay_out(stage.folder / "slow", "slow", modules={"pipeline_registry": SLOW}, configuration={})
        stage.manage("project", "add", str(project), "--name", "slow", "--python", sys.executable)
        page = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"]).new_page()
        log_in(page, stage)
        for wait in WAITS:
            took = [press(page, stage, wait) for _ in range(rounds)]
            good = [seconds for seconds in took if seconds is not None]
            rows.append([f"{wait} s", f"{len(good)} of {rounds}", f"{max(good, default=0):.2f} s"])
    print(conditions())
    print(table(["question stood for", "stopped", "slowest from press to end"], rows))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
