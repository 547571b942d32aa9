"""What the product is judged by: each case of its own is the same by plain Kedro and by the console."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cases.console import ROOT

pytestmark = [pytest.mark.live, pytest.mark.long, pytest.mark.timeout(1200)]


def test_the_console_does_what_kedro_run_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cases"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1150
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
