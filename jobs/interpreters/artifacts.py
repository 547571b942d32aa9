"""Keep what a run leaves behind: staged files become immutable, stored by checksum."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, cast

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages

from jobs.errors import PlatformError, StoreAway
from jobs.interpreters.staged import take
from jobs.models import Artifact, Upload
from kedro_console.wire import DatasetSaved, FileUnkept, Json, KeptFile

READ_AHEAD: Final = 256 * 1024


def store() -> Storage:
    return storages["artifacts"]


def key_of(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def is_remote() -> bool:
    return not isinstance(store(), FileSystemStorage)


def waiting_folder() -> Path:
    """Where kept files lie until the store has them: no folder of a run, which may be dropped."""
    folder: Path = settings.VAR / "unsent"
    return folder


def keep(kept: KeptFile, folder: Path) -> dict[str, Json] | None:
    """Move a file staged in this folder into a store on disk; else to where it waits for it, as an Upload's columns.

    PlatformError when neither can be done, or it is not the file that was told of.
    """
    refusal = ""
    try:
        staged = take(kept, folder, waiting_folder())
    except OSError as error:
        raise PlatformError(_not_kept(kept, error.strerror or str(error))) from error
    try:
        if not is_remote() and _is_on_our_disk(str(store().path(""))):
            _keep_in_folder(staged, Path(store().path(key_of(kept.sha256))))
            return None
    except OSError as error:
        refusal = f"{error.strerror or error}."
    try:
        path = _set_aside(staged, kept.sha256)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise PlatformError(_not_kept(kept, f"{refusal} {error.strerror or error}".strip())) from error
    facts: dict[str, Json] = {"sha256": kept.sha256, "name": kept.name[-255:], "size_bytes": kept.size_bytes}
    return {**facts, "path": str(path), "error": refusal, "attempts": int(bool(refusal))}


def _not_kept(kept: KeptFile, reason: str) -> str:
    return f"{kept.name} was not kept: the console could not store it: {reason}."


@lru_cache(maxsize=8)
def _is_on_our_disk(folder: str) -> bool:
    """Else a file is copied there, for as long as that takes: by who sends files, not by who keeps them."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder).stat().st_dev == waiting_folder().stat().st_dev


def _set_aside(staged: Path, sha256: str) -> Path:
    place = waiting_folder() / sha256
    place.parent.mkdir(parents=True, exist_ok=True)
    staged.chmod(0o440)
    staged.replace(place)
    os.utime(place)
    return place


def _keep_in_folder(staged: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    staged.chmod(0o440)
    try:
        staged.replace(place)
    except OSError:  # the store is on another disk
        draft = place.with_name(f"{place.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            shutil.copyfile(staged, draft)
            draft.chmod(0o440)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
        staged.unlink()


class Taker(Protocol):
    """A store elsewhere that takes a file in its own way; it calls `renew` while that lasts."""

    def take(self, name: str, path: Path, renew: Callable[[], None]) -> None: ...


def put(waiting: Path, sha256: str, size_bytes: int, renew: Callable[[], None] = lambda: None) -> None:
    """Have the store take a file that waits, and look whether it has it; any error when not."""
    target, key = store(), key_of(sha256)
    if _holds(target, key, size_bytes):
        return
    if not waiting.exists():
        raise PlatformError(f"It is no longer at {waiting}, and the store does not have it: run again what made it.")
    if isinstance(target, FileSystemStorage):
        _copy_into(target, key, waiting)
    elif hasattr(target, "take"):
        cast(Taker, target).take(key, waiting, renew)
    else:
        with waiting.open("rb") as file:
            target.save(key, File(file))
    if not _holds(target, key, size_bytes):
        raise PlatformError("It reported that it has the file, but it does not.")


def ask_store() -> None:
    """Ask the store for a word, as a page must not; any error when it is away."""
    target: Any = store()
    if isinstance(target, FileSystemStorage):
        target.delete(target.save(".examined", ContentFile(b"writable")))
    elif hasattr(target, "ask"):
        target.ask()
    else:
        target.exists(".examined")


def _copy_into(target: FileSystemStorage, key: str, waiting: Path) -> None:
    copy = waiting.with_name(f"{waiting.name}.{os.getpid()}.part")
    shutil.copyfile(waiting, copy)
    try:
        _keep_in_folder(copy, Path(target.path(key)))
    finally:
        copy.unlink(missing_ok=True)


def _holds(target: Storage, key: str, size_bytes: int) -> bool:
    try:
        return target.size(key) == size_bytes
    except FileNotFoundError:
        return False


def described(event: DatasetSaved, kept: KeptFile) -> dict[str, Json]:
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
        "parts": event.parts,
    }


def unkept(event: FileUnkept) -> dict[str, str]:
    """The columns of the UnkeptFile row of what is not kept, without its run and time."""
    return {
        "dataset": event.dataset[:300],
        "node": event.node,
        "name": event.name[-255:],
        "path": event.path,
        "reason": event.reason,
    }


def link(artifact: Artifact, disposition: str, media_type: str) -> str:
    """Where a browser fetches the file from the store itself, where that is set; "" when it has to come from us."""
    target: Any = store()
    if not settings.CONSOLE_S3_REDIRECT or not hasattr(target, "link") or artifact.upload:
        return ""
    address: str = target.link(artifact.store_key, disposition, media_type)
    return address


def open_file(artifact: Artifact) -> File[bytes]:
    """The artifact's bytes, seekable; PlatformError when the store is away or has lost them."""
    return _read_ahead(_opened(artifact.sha256, artifact.name, artifact.upload))


def open_kept(sha256: str, name: str) -> File[bytes]:
    """The bytes with this checksum, read ahead: for who reads little by little."""
    return _read_ahead(open_exactly(sha256, name))


def _read_ahead(file: File[bytes]) -> File[bytes]:
    raw: Any = file.file
    if isinstance(raw, io.RawIOBase):
        return File(io.BufferedReader(raw, READ_AHEAD), file.name)
    return file


def open_exactly(sha256: str, name: str) -> File[bytes]:
    """The bytes with this checksum, from where they wait for the store, else from it; a read fetches what it gives.

    StoreAway while the store, or the machine that has the file, may answer later.
    """
    return _opened(sha256, name, Upload.objects.filter(sha256=sha256).first())


def _opened(sha256: str, name: str, waiting: Upload | None) -> File[bytes]:
    for path in (Path(waiting.path), waiting_folder() / sha256) if waiting else ():
        with suppress(OSError):  # the store has it by now, or it waits on another machine
            return File(path.open("rb"), name)
    try:
        return store().open(key_of(sha256), "rb")
    except Exception as error:
        if waiting:
            sentence = f"The file {name} is kept on {waiting.host}, not yet in the artifact store: open it there."
            raise StoreAway(sentence) from error
        kind = PlatformError if isinstance(error, FileNotFoundError) else StoreAway
        raise kind(f"The file {name} could not be read from the artifact store: {error}.") from error
