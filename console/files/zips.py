"""Many files as one zip, written while it is sent: memory stays that of one chunk."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO

from console.files.downloads import CHUNK, safe_name
from console.files.kinds import kind_of
from jobs.models import Artifact


class _Outgoing:
    """The unseekable file that the zip is written to; what was written is taken from it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


def stream(artifacts: Iterable[Artifact], open_file: Callable[[Artifact], IO[bytes]]) -> Iterator[bytes]:
    """The bytes of a zip of these artifacts; equal names get a number."""
    outgoing = _Outgoing()
    taken: set[str] = set()
    with zipfile.ZipFile(outgoing, "w", allowZip64=True) as archive:  # type: ignore[call-overload]
        for artifact in artifacts:
            with open_file(artifact) as file, archive.open(_info(artifact, taken), "w", force_zip64=True) as entry:
                while data := file.read(CHUNK):
                    entry.write(data)
                    yield outgoing.take()
    yield outgoing.take()


def _info(artifact: Artifact, taken: set[str]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(_unique(safe_name(artifact.name), taken), artifact.created_at.timetuple()[:6])
    is_packed = kind_of(artifact.name).is_packed
    info.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _unique(name: str, taken: set[str]) -> str:
    path, number = PurePosixPath(name), 1
    while name.lower() in taken:  # some file systems do not tell cases apart
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    taken.add(name.lower())
    return name
