"""The chaos test: `make chaos MINUTES=10`. Ends with 1 when anything was lost, doubled or left.

Without DATABASE_URL it makes a SQLite database in a folder of its own; one that is given has to be empty.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="how long; 0: each kind of fault once")
    parser.add_argument("--seed", type=int, default=None, help="the order of the faults; printed when not given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=3, help="of each worker")
    parser.add_argument("--lease", type=int, default=4, help="seconds; a stopped worker is stopped for longer")
    parser.add_argument("--lock", type=float, default=10, help="seconds for which the database is locked")
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="this kind of fault; again: others")
    parser.add_argument("--times", type=int, default=1, help="with --minutes 0: each kind so often")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, ledger and database")
    return parser.parse_args()


def prepare(folder: str, lease_seconds: int) -> None:
    """Settings of its own, before Django reads them; the ledger is beside CONSOLE_VAR, where project code may write."""
    var = Path(folder) / "var"
    var.mkdir()
    os.environ |= {
        "CONSOLE_VAR": str(var),
        "CONSOLE_LEASE_SECONDS": str(lease_seconds),
        "SECRET_KEY": "only-for-tests-" + "0" * 40,
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    for name in ("REDIS_URL", "ARTIFACT_STORE", "ALLOWED_HOSTS", "CONSOLE_ANONYMOUS_API", "CONSOLE_BIND"):
        os.environ.pop(name, None)
    import django

    django.setup()
    logging.getLogger("jobs").setLevel(logging.ERROR)  # that the broker is away is what is wanted here


def main() -> int:
    given = arguments()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    folder = tempfile.mkdtemp(prefix="kc-chaos-")
    print(f"seed {seed}, everything is in {folder}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # also told to stop it ends what it started
    prepare(folder, given.lease)
    from tests.chaos.report import text
    from tests.chaos.storm import Plan, Storm
    from tests.chaos.tormentor import Measures

    is_short = not given.minutes
    measures = Measures(
        stop_seconds=(given.lease + 1, given.lease + (2 if is_short else 5)),
        lock_seconds=given.lock,
        between_seconds=(0.1, 0.6) if is_short and given.times == 1 else (0.5, 2.5),
    )
    plan = Plan(
        seed=seed, seconds=60 * given.minutes, workers=given.workers, slots=given.slots,
        lease_seconds=given.lease, measures=measures, longest_nap=2 if is_short else 10,
        only=tuple(given.only), times=given.times,
    )  # fmt: skip
    report = Storm(plan).run()
    print(text(report), flush=True)
    if not (given.keep or report.verdict.violations):
        shutil.rmtree(folder)
    return 1 if report.verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
