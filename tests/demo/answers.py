"""How a test starts the demo API."""

from __future__ import annotations

import subprocess
import sys

from tests.demo.conftest import PROJECT


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo_api", *arguments],
        cwd=PROJECT / "src", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
