"""Runs while the artifact store in S3 fails, is away and hangs: the tests of it, with longer faults.

Usage: python -m bench.store_faults [SECONDS]
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.stage import ROOT, conditions


def main(seconds: str) -> int:
    """The exit code of the tests."""
    print(f"The store is away, then hangs, for {seconds} s each; {conditions()}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "--durations=0", "tests/e2e/test_store_faults.py"]
    environment = {**os.environ, "STORE_AWAY_SECONDS": seconds}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "60"))
