"""A warm process that says, when asked, what has changed since it was loaded: `python watcher.py PROJECT`."""

from __future__ import annotations

import sys
from pathlib import Path

from kedro_console.project import bytecode, freshness, record, warm


def main() -> None:
    given = Path(sys.argv[1])
    bytecode.distrust_old_bytecode()
    found = record.begin()
    problem = ""
    try:
        warm.warm_up(given.resolve(), "", [])
    except Exception as error:
        problem = repr(error)
    record.end(found)
    fresh = freshness.Freshness(found, given, given.resolve())
    print("loaded", problem, flush=True)
    for _ in sys.stdin:
        print(fresh.changed(at_once=True), flush=True)


main()
