"""Kill −9 at a random moment, many times: `make kills TIMES=50`. Ends with 1 when a run is neither whole nor resumable.

A child, a worker with all of its children, or everything at once, Redis, beat and pages included. Each time the run
completes by itself or says what is missing; it is resumed then, and what nodes wrote tells what was executed again.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile

from tests.chaos.run import prepare


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="the moments and victims; printed when not given")
    parser.add_argument("--lease", type=int, default=4, help="seconds")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, ledger and database")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    folder = tempfile.mkdtemp(prefix="kc-kills-")
    print(f"seed {seed}, everything is in {folder}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    prepare(folder, given.lease)
    from tests.chaos.rounds import Kills, text

    rounds = Kills(seed, given.lease).do(given.times)
    print(text(rounds, seed))
    is_wrong = any(one.violations for one in rounds)
    if not (given.keep or is_wrong):
        shutil.rmtree(folder)
    return 1 if is_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
