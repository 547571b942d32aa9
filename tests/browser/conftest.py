"""A real browser on a real server; without a Chromium these tests are skipped by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # the browser's driver runs a loop in the test's thread

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    is_there = bool(_chromium())
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not is_there:
                item.add_marker(pytest.mark.skip(reason="needs a Chromium on the PATH"))


def _chromium() -> str | None:
    try:
        import playwright  # noqa: F401
    except ImportError:
        return None
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield browser
        browser.close()


class Complaints(list[str]):
    """What a page did that no page of ours does: errors on the console, requests to elsewhere."""

    def watch(self, page: Any, origin: str) -> None:
        page.on("console", lambda message: self.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((origin, "data:", "blob:")) else self.append(f"asked {request.url}")
            ),
        )


@pytest.fixture
def complaints() -> Complaints:
    """A test that breaks something on purpose clears them."""
    return Complaints()


@pytest.fixture
def open_as(chromium: Any, live_server: Any, complaints: Complaints) -> Iterator[Callable[..., Any]]:
    """Open a page as someone of this role; at the end nothing may have been complained about."""
    from tests.views.scenes import logged_in

    contexts = []

    def open_page(role: str, path: str, **options: Any) -> Any:
        context = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 860}, **options)
        contexts.append(context)
        session = logged_in(role).cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(20_000)
        complaints.watch(page, live_server.url)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
