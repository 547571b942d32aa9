"""Pages show what a look at the ground found lately, and do not wait for one that takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from django.core.cache import cache

from console.pages import findings
from console.pages.findings import lately
from jobs.insight.examine import Finding
from tests.live import until


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


class Ground:
    """Counts how often it was looked at; a look goes on while `is_slow`."""

    def __init__(self) -> None:
        self.looks = 0
        self.may_end = threading.Event()
        self.may_end.set()

    def look(self) -> list[Finding]:
        self.looks += 1
        found = [Finding("store", True, f"Look {self.looks}.")]
        assert self.may_end.wait(30)
        return found

    def shown(self) -> str:
        (finding,) = lately("ground", self.look)
        return finding.sentence


def test_many_pages_share_a_look_and_the_first_waits_for_it() -> None:
    ground = Ground()
    assert [ground.shown() for _ in range(5)] == ["Look 1."] * 5
    assert ground.looks == 1


@pytest.mark.parametrize("age", ["FRESH_SECONDS", "OLD_SECONDS"])
def test_while_a_look_hangs_pages_show_what_the_last_one_found(monkeypatch: pytest.MonkeyPatch, age: str) -> None:
    ground = Ground()
    ground.shown()
    for name in {age, "FRESH_SECONDS"}:
        monkeypatch.setattr(findings, name, 0.0)
    ground.may_end.clear()
    began = time.monotonic()
    assert [ground.shown() for _ in range(2)] == ["Look 1."] * 2
    assert time.monotonic() - began < 2 and ground.looks == 2
    ground.may_end.set()
    monkeypatch.setattr(findings, "FRESH_SECONDS", 60.0)
    until(lambda: ground.shown() == "Look 2.", what="the next look is shown")


def test_a_look_that_fails_leaves_what_was_found_before(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ground = Ground()
    ground.shown()
    monkeypatch.setattr(findings, "FRESH_SECONDS", 0.0)

    def fail() -> list[Finding]:
        raise OSError("no disk")

    assert [each.sentence for each in lately("ground", fail)] == ["Look 1."]
    until(lambda: "no disk" in caplog.text, what="the failure is in the log")
