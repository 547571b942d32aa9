"""Keep what a run leaves behind: staged files become immutable, stored by checksum."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from jobs.errors import PlatformError
from jobs.models import Artifact
from kedro_console.wire import DatasetSaved, FileUnkept, KeptFile


def store() -> Storage:
    return storages["artifacts"]


def key_of(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def keep(kept: KeptFile) -> None:
    """Move a staged file into the store; PlatformError when the store does not take it (the staged file stays)."""
    target, key = store(), key_of(kept.sha256)
    try:
        if isinstance(target, FileSystemStorage):
            _keep_in_folder(Path(kept.path), Path(target.path(key)))
        elif not target.exists(key):
            with Path(kept.path).open("rb") as staged:
                target.save(key, File(staged))
            Path(kept.path).unlink()
    except Exception as error:
        raise PlatformError(
            f"The artifact store is unreachable: {error}. The file {kept.name} stays at {kept.path}."
        ) from error


def _keep_in_folder(staged: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    staged.chmod(0o440)
    try:
        staged.replace(place)
    except OSError:  # the store is on another disk
        draft = place.with_name(f"{place.name}.{os.getpid()}")
        shutil.copyfile(staged, draft)
        draft.chmod(0o440)
        draft.replace(place)
        staged.unlink()


def described(event: DatasetSaved, kept: KeptFile) -> dict[str, Any]:
    """The columns of the Artifact row of a kept file, without its run and time."""
    return {
        "dataset": event.dataset,
        "node": event.node,
        "name": kept.name[-255:],
        "media_type": kept.media_type[:120],
        "size_bytes": kept.size_bytes,
        "sha256": kept.sha256,
        "rows": event.rows,
        "columns": event.columns,
    }


def unkept(event: FileUnkept) -> dict[str, Any]:
    """The columns of the UnkeptFile row of what is not kept, without its run and time."""
    return {
        "dataset": event.dataset[:300],
        "node": event.node,
        "name": event.name[-255:],
        "path": event.path,
        "reason": event.reason,
    }


def open_file(artifact: Artifact) -> File[bytes]:
    """The artifact's bytes, seekable; PlatformError when the store is away or has lost them."""
    try:
        return store().open(artifact.store_key, "rb")
    except Exception as error:
        raise PlatformError(f"The file {artifact.name} could not be read from the artifact store: {error}.") from error
