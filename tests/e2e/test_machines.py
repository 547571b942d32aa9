"""Three machines on a wire: the shortest of what `python -m bench.machines` tries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.network import missing
from tests import live

pytestmark = [pytest.mark.live, pytest.mark.long, pytest.mark.timeout(300)]


def test_a_link_that_goes_dead_loses_and_doubles_nothing() -> None:
    if why := missing():
        pytest.skip(why)
    command = [sys.executable, "-m", "bench.machines", "--short", "--seconds", "9", "--only", "dead both ways"]
    tried = subprocess.run(command, cwd=live.ROOT, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout[-4000:] + tried.stderr[-2000:]
    assert "violations      0" in tried.stdout
