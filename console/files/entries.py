"""Single files of a zip: listed by folder, opened and sent without unpacking anything else."""

from __future__ import annotations

import mimetypes
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Final

from console.files.bounded import TooMuch, listed
from console.files.downloads import Content
from jobs.interpreters.artifacts import open_file
from jobs.models import Artifact

MB: Final = 1_000_000
SHOWN_BYTES: Final = 25 * MB
BROKEN: Final = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError, EOFError, RuntimeError,
                 zlib.error)  # fmt: skip
UNREADABLE: Final = "This cannot be read as a zip file, whatever its name says."


class ArchiveError(Exception):
    """Why the archive, or this file in it, cannot be read, as a sentence."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive, as the archive itself claims; `number` is its place in the list of contents."""

    number: int
    name: str
    size_bytes: int
    packed_bytes: int
    is_folder: bool


def entries(file: IO[bytes]) -> list[Entry]:
    """All that the archive lists; ArchiveError when the list is too long or none."""
    try:
        infos = listed(file)
    except TooMuch as error:
        raise ArchiveError("Its list of contents is too long for a preview. Download it to see it.") from error
    except BROKEN as error:
        raise ArchiveError(UNREADABLE) from error
    return [Entry(number, each.filename, each.file_size, each.compress_size, each.is_dir())
            for number, each in enumerate(infos)]  # fmt: skip


def find_entry(artifact: Artifact, number: int) -> Entry:
    """The file of this number; ArchiveError when there is none."""
    with open_file(artifact) as file:
        found = entries(file)
    if not 0 <= number < len(found) or found[number].is_folder:
        raise ArchiveError("There is no such file in the archive.")
    return found[number]


def open_entry(artifact: Artifact, entry: Entry) -> IO[bytes]:
    """Its bytes, unpacked while they are read, and never more than it claims; ArchiveError when they cannot be had."""
    file = open_file(artifact)
    try:
        archive = zipfile.ZipFile(file)
        info = archive.infolist()[entry.number]
        if info.flag_bits & 1:
            raise ArchiveError("This file is locked by a password. Download the archive.")
        return archive.open(info)
    except ArchiveError:
        file.close()
        raise
    except BROKEN as error:
        file.close()
        raise ArchiveError("This file of the archive cannot be unpacked.") from error


def as_artifact(artifact: Artifact, entry: Entry) -> Artifact:
    """What a preview takes for it; it is no row."""
    name = entry.name.rstrip("/").rpartition("/")[2][-255:] or "file"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Artifact(uuid=artifact.uuid, name=name, media_type=kind, size_bytes=entry.size_bytes)


def unpacked(artifact: Artifact, entry: Entry) -> IO[bytes]:
    """Its beginning in memory, where a preview can go to and fro; ArchiveError."""
    with open_entry(artifact, entry) as file:
        try:
            return BytesIO(file.read(SHOWN_BYTES))
        except BROKEN as error:
            raise ArchiveError("This file of the archive cannot be unpacked.") from error


def content_of_entry(artifact: Artifact, entry: Entry) -> Content:
    """To be sent as any download."""
    plain = as_artifact(artifact, entry)
    mark = f"{artifact.sha256}-{entry.number}"
    return Content(lambda: open_entry(artifact, entry), plain.name, entry.size_bytes, plain.media_type, mark)
