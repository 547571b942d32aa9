"""The demo project: in a clone where it lies; from a wheel a copy in the state, as Kedro writes into its project."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Final

from console.env import BASE, ENV, IS_INSTALLED
from jobs.models import Project

SHIPPED: Final = BASE / "demo" if IS_INSTALLED else BASE / "pipelines" / "demo"
PLACE: Final = ENV.var / "demo" if IS_INSTALLED else SHIPPED
STAMP: Final = ".shipped"
NO_SOURCE: Final = ("__pycache__", "data")


def lay_out(shipped: Path = SHIPPED, place: Path = PLACE) -> None:
    """The demo's files are there as they are shipped; what its runs wrote stays. Of one version it is copied once."""
    if shipped == place:
        return
    digest = _digest(shipped)
    stamp = place / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    shutil.rmtree(place / "src", ignore_errors=True)  # what an older version had would be found beside the new
    shutil.copytree(shipped, place, ignore=shutil.ignore_patterns(*NO_SOURCE), dirs_exist_ok=True)
    stamp.write_text(digest)


def follow_moved(place: Path = PLACE) -> None:
    """The tree was moved, or its Python is another: the demo is where it is now, and runs with the Python of here."""
    moved = Project.objects.filter(name="demo").first()
    if moved is None or (moved.folder != place and moved.folder.is_dir()):
        return  # there is none, or it is one of a person's own
    if not (moved.path.endswith("/pipelines/demo") or "DEMO_API_URL" in moved.environment):
        return
    if moved.folder == place and Path(moved.interpreter).exists():
        return
    if not Project.objects.filter(path=str(place)).exclude(pk=moved.pk).exists():
        moved.path, moved.interpreter = str(place), sys.executable
        moved.save(update_fields=["path", "interpreter"])


def _digest(folder: Path) -> str:
    said = hashlib.sha256()
    for name in sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file()):
        if not {*NO_SOURCE} & {*name.parts}:
            said.update(f"{name}\0".encode() + (folder / name).read_bytes() + b"\0")
    return said.hexdigest()
