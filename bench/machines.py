"""Three machines on one wire that is cut, goes dead and is slow, and a rolling upgrade, with runs under way.

Usage: python -m bench.machines [--seconds 15] [--rounds 1] [--only FAULT] [--interpreter PYTHON] [--short] [--keep]
As root. One machine has the pages, beat, PostgreSQL, a Redis with TLS and a password and an S3 server, the two others a
worker each. Everything that a visitor was promised is audited at the end by what nodes wrote outside of the console.
With an interpreter that has s3fs the steps of a run meet in S3, otherwise in a folder that the machines share.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from cryptography.fernet import Fernet

from bench.network import missing, network
from bench.servers import BUCKET, servers
from bench.stage import ROOT, conditions

LEASE_SECONDS = 8


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.machines", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="how long each fault lasts (default %(default)g)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault (default %(default)d)")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="this fault; again: others")
    parser.add_argument("--interpreter", default=sys.executable, help="the project's Python")
    parser.add_argument("--short", action="store_true", help="faults alone: no part is replaced or asked to end")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and ledger")
    return parser.parse_args()


def settings(given: argparse.Namespace, folder: Path, servers: dict[str, str], address: str) -> dict[str, str]:
    """What all parts and this process have in common."""
    has_s3fs = not subprocess.run([given.interpreter, "-c", "import s3fs"], capture_output=True, check=False).returncode
    return {
        **servers,
        "CONSOLE_RUN_STORE": f"s3://{BUCKET}/runs" if has_s3fs else str(folder / "shared"),
        "CONSOLE_LEASE_SECONDS": str(LEASE_SECONDS),
        "CONSOLE_WORKER_QUEUES": "chaos,default",
        "CONSOLE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "SECRET_KEY": "only-for-a-trial-" + uuid.uuid4().hex * 2,
        "CONSOLE_ADMIN_PASSWORD": uuid.uuid4().hex,
        "CONSOLE_BIND": address,
        "ALLOWED_HOSTS": address,
        "CONSOLE_URL": f"http://{address}:8000",
        "PYTHONUNBUFFERED": "1",
    }


def main() -> int:
    given = arguments()
    if why := missing():
        print(f"Not tried here. {why}")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="kc-machines-"))
    print(f"everything is in {folder}; {conditions()}", flush=True)
    with network("one", "two", "three") as machines, servers(machines[0], folder) as found:
        known = settings(given, folder, found.settings, machines[0].address)
        os.environ |= {**known, "CONSOLE_VAR": str(folder / "outside"), "DJANGO_SETTINGS_MODULE": "console.settings"}
        sys.path.insert(0, str(ROOT / "pipelines"))
        import django

        django.setup()
        from bench.machines_trial import Trial, text

        report = Trial(folder, machines, found, known, given).run()
    print(text(report, given.seconds), flush=True)
    if not given.keep and report.is_good:
        shutil.rmtree(folder)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
