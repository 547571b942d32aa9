"""Many files as one zip, written while it is sent: memory stays that of one chunk."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import PurePosixPath
from typing import IO, Final

from console.files.downloads import CHUNK, safe_name
from console.files.kinds import kind_of
from jobs.models import Artifact


class _Outgoing:
    """The unseekable file that the zip is written to; what was written is taken from it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self, *, whole: bool = False) -> Iterator[bytes]:
        """What was written, once it is worth sending: small files go together."""
        if whole or self._size >= CHUNK:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            yield data


class _Archive(zipfile.ZipFile):
    """A zip that is written once: what its end lists of each file is on the disk until then, not in memory."""

    def __init__(self, outgoing: _Outgoing) -> None:
        super().__init__(outgoing, "w", allowZip64=True)  # type: ignore[call-overload]
        self._outgoing = outgoing
        self._listed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the archive
        self._count = 0

    def forget(self) -> None:
        """Put the entries away that are complete."""
        for entry in self.filelist:
            self._listed.write(_listing(entry))
            self._count += 1
        self.filelist.clear()
        self.NameToInfo.clear()

    def ended(self) -> Iterator[bytes]:
        """What stands after the files: the list of them, and where that is."""
        self.forget()
        start, size = self.start_dir, self._listed.tell()
        self._listed.seek(0)
        while data := self._listed.read(CHUNK):
            yield data
        count = min(self._count, FEW)
        if count == FEW or size >= NARROW or start >= NARROW:
            yield WIDE_END.pack(b"PK\6\6", WIDE_END.size - 12, 45, 45, 0, 0, self._count, self._count, size, start)
            yield WIDE_PLACE.pack(b"PK\6\7", 0, start + size, 1)
        yield END.pack(b"PK\5\6", 0, 0, count, count, min(size, NARROW), min(start, NARROW), 0)

    def close(self) -> None:
        """Nothing is written here: a list of a million files is not one piece."""
        self.fp = None
        self._listed.close()


LISTED: Final = struct.Struct("<4s4B4HL2L5H2L")
UTF_8: Final = 0x800
"""The flag of a name that is more than ASCII."""
FEW: Final = 0xFFFF
NARROW: Final = 0xFFFFFFFF
"""A number that is so large stands in the wide form."""
WIDE_END: Final = struct.Struct("<4sQ2H2L4Q")
WIDE_PLACE: Final = struct.Struct("<4sLQL")
END: Final = struct.Struct("<4s4H2LH")


def _listing(entry: zipfile.ZipInfo) -> bytes:
    """What the list of a zip says of a file."""
    year, month, day, hour, minute, second = entry.date_time
    name, flags = entry.filename.encode(), entry.flag_bits | (0 if entry.filename.isascii() else UTF_8)
    numbers = (entry.file_size, entry.compress_size, entry.header_offset)
    wide = [number for number in numbers if number >= NARROW]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, packed, place = (min(number, NARROW) for number in numbers)
    head = LISTED.pack(
        b"PK\1\2", 45, entry.create_system, 45, entry.reserved, flags, entry.compress_type,
        hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day, entry.CRC,
        packed, size, len(name), len(extra), 0, 0, entry.internal_attr, entry.external_attr, place,
    )  # fmt: skip
    return head + name + extra


class _Names:
    """Which names are taken, kept on the disk: there may be millions."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # a file without a name
        self._rows.execute("CREATE TABLE taken (name TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID")

    def take(self, name: str) -> int:
        """How often it was taken, this time too. Some file systems do not tell cases apart."""
        add = "INSERT INTO taken VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        ((times,),) = self._rows.execute(add, [name.lower()]).fetchall()
        return int(times)

    def close(self) -> None:
        self._rows.close()


def stream(artifacts: Iterable[Artifact], open_file: Callable[[Artifact], IO[bytes]]) -> Iterator[bytes]:
    """The bytes of a zip of these artifacts; equal names get a number."""
    outgoing = _Outgoing()
    with closing(_Names()) as taken, _Archive(outgoing) as archive:
        for artifact in artifacts:
            with open_file(artifact) as file, archive.open(_info(artifact, taken), "w", force_zip64=True) as entry:
                while data := file.read(CHUNK):
                    entry.write(data)
                    yield from outgoing.take()
            archive.forget()
        yield from outgoing.take(whole=True)
        yield from archive.ended()


def _info(artifact: Artifact, taken: _Names) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(_unique(safe_name(artifact.name), taken), artifact.created_at.timetuple()[:6])
    is_packed = kind_of(artifact.name).is_packed
    info.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _unique(name: str, taken: _Names) -> str:
    found = name
    while (times := taken.take(found)) > 1:
        if found != name:  # a file is called like that
            times = taken.take(name)
        path = PurePosixPath(name)
        found = f"{path.stem} ({times}){path.suffix}"
    return found
