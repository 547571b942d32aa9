"""Keep a file with the run, from inside a node and without a dataset.

    from kedro_console import artifacts

    artifacts.keep("data/08_reporting/summary.xlsx")
    artifacts.keep(json.dumps(found).encode(), "found.json")

Under plain `kedro run` nothing is kept, and nothing fails.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from kedro_console import wire
from kedro_console.line import here
from kedro_console.line.keep import Keeper

keeper: Keeper | None = None
"""Set by the child that runs the step."""


def keep(content: str | os.PathLike[str] | bytes, name: str = "") -> bool:
    """Keep the file of this path, or these bytes under `name`; whether somebody keeps it.

    Raises `kedro_console.line.keep.KeepError` for a file outside the project, in conf/, or beyond the size limit.
    """
    if keeper is None or not here.is_supervised():
        return False
    kept = _of_bytes(keeper, content, name) if isinstance(content, bytes) else keeper.stage(Path(content), name)
    here.report(wire.FileKept(time.time(), here.node(), kept))
    return True


def _of_bytes(keeper: Keeper, content: bytes, name: str) -> wire.KeptFile:
    if not name:
        raise ValueError('Bytes need a name to be kept under: artifacts.keep(content, "found.json").')
    keeper.folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=keeper.folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return keeper.stage(Path(path), name)
    finally:
        Path(path).unlink()
