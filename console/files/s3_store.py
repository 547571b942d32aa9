"""The artifact store in S3: short calls, objects read by ranges, and a store that is silent is not waited for twice."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from django.core.files import File
from storages.backends.s3 import ClientError, S3Storage

from jobs.errors import StoreAway

CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 10
PATIENCE_SECONDS: Final = 4.0
"""A call that fails sooner is made again until then; one that hung for so long is not."""
WAITS: Final = (0.05, 0.2, 0.5, 1.0, 1.5)
PIECE: Final = 256 * 1024
PART: Final = 8 * 1024 * 1024
MOST_PARTS: Final = 9_000
LINK_SECONDS: Final = 300
SILENT_SECONDS: Final = 5.0
READERS: Final = 4
"""How many threads of a process may wait for the store at once."""
CONNECTIONS: Final = 20
PASSING: Final = frozenset({408, 409, 429})
"""What below 500 may be answered otherwise in a moment."""
T = TypeVar("T")


class StoreSilent(Exception):
    """The store hung a moment ago, or too many reads hang just now."""


class S3Store(S3Storage):
    """django-storages' own would wait for minutes, copy whole objects to read a part, and make a client per thread."""

    def __init__(self, **options: Any) -> None:
        self._public_url = options.pop("public_url", None)
        super().__init__(**options)
        given: Any = getattr(self, "client_config")  # noqa: B009 - it has no type
        kind = type(given)
        limits = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": 1},  # here they would be made without looking at the time
            "max_pool_connections": CONNECTIONS,
        }
        setattr(self, "client_config", given.merge(kind(**limits)))  # noqa: B010
        self._making = threading.RLock()
        self._shared: tuple[int, Any] | None = None
        self._signing: tuple[int, Any] | None = None
        self._readers = threading.BoundedSemaphore(READERS)
        self._silent_until = 0.0

    @property
    def connection(self) -> Any:
        """One for all threads of this process: each costs a tenth of a second and megabytes, and may be shared."""
        with self._making:
            if self._shared is None or self._shared[0] != os.getpid():
                self._shared = os.getpid(), super().connection
            return self._shared[1]

    @property
    def _client(self) -> Any:
        return self.connection.meta.client

    def _place(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}

    # ---- reading

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            return super()._open(name, mode)
        if time.monotonic() < self._silent_until:
            raise StoreSilent("it did not answer a moment ago; try again in some seconds")
        with self._reader():
            pieces: Any = Pieces(self, name, self._size(name))
            return File(pieces, name)

    def size(self, name: str) -> int:
        """FileNotFoundError when it is not there, which S3 calls forbidden to those who may not list its keys."""
        try:
            return self._size(name)
        except ClientError as error:
            if status_of(error) == 403:
                raise FileNotFoundError(name) from error
            raise

    def _size(self, name: str) -> int:
        try:
            return int(_patiently(lambda: self._client.head_object(**self._place(name)))["ContentLength"])
        except ClientError as error:
            if status_of(error) == 404:
                raise FileNotFoundError(f"it is not there: {name}") from error
            raise

    def read_piece(self, name: str, first: int, last: int) -> bytes:
        """These bytes of the object, and no others are fetched; StoreAway when it does not give them."""
        try:
            with self._reader():
                return _patiently(lambda: self._piece(name, first, last))
        except Exception as error:
            raise StoreAway(f"The artifact store did not give the whole file: {error}.") from error

    def _piece(self, name: str, first: int, last: int) -> bytes:
        found = self._client.get_object(**self._place(name), Range=f"bytes={first}-{last}")
        with found["Body"] as body:
            if not found.get("ContentRange", f"bytes {first}-" if not first else "").startswith(f"bytes {first}-"):
                raise OSError("The store does not give parts of an object.")
            data: bytes = body.read(last - first + 1)
        if len(data) != last - first + 1:
            raise OSError(f"The store gave {len(data)} bytes of {last - first + 1}.")
        return data

    @contextmanager
    def _reader(self) -> Iterator[None]:
        """A store that hangs holds a few threads of a process for some seconds, never all of them."""
        if not self._readers.acquire(timeout=CONNECT_SECONDS):
            raise StoreSilent("others wait for it already; try again in some seconds")
        began = time.monotonic()
        try:
            yield
        except Exception:
            if time.monotonic() - began >= min(CONNECT_SECONDS, READ_SECONDS):
                self._silent_until = time.monotonic() + SILENT_SECONDS
            raise
        finally:
            self._readers.release()

    def link(self, name: str, disposition: str, media_type: str) -> str:
        """An address at the store itself that gives the file, as a download, to whoever has it; for five minutes."""
        answer = {"ResponseContentDisposition": disposition, "ResponseContentType": media_type}
        signer = self._signer if self._public_url else self._client
        address: str = signer.generate_presigned_url(
            "get_object", Params={**self._place(name), **answer}, ExpiresIn=LINK_SECONDS
        )
        return address

    @property
    def _signer(self) -> Any:
        """It signs for the host that browsers know; it asks nobody."""
        with self._making:
            if self._signing is None or self._signing[0] != os.getpid():
                session = self._create_session()
                place = {"region_name": self.region_name, "endpoint_url": self._public_url}
                self._signing = os.getpid(), session.client("s3", config=self.client_config, **place)
            return self._signing[1]

    def ask(self) -> None:
        """Ask for an object that is not there: whoever says so is reached, knows the bucket and our keys."""
        try:
            _patiently(lambda: self._client.get_object(**self._place(".examined")))
        except ClientError as error:  # who may not list keys is not told which of them are missing
            if error.response.get("Error", {}).get("Code") not in ("NoSuchKey", "AccessDenied"):
                raise

    # ---- writing

    def take(self, name: str, path: Path, renew: Callable[[], None]) -> None:
        """Send the file, a large one in parts; parts of an earlier try that the store has are not sent again."""
        size = path.stat().st_size
        with path.open("rb") as file:
            if size <= PART:
                _patiently(lambda: self._put(name, file))
            else:
                self._take_in_parts(name, file, size, renew)

    def _put(self, name: str, file: Any) -> None:
        file.seek(0)
        self._client.put_object(**self._place(name), Body=file, **self._get_write_parameters(name))

    def _take_in_parts(self, name: str, file: Any, size: int, renew: Callable[[], None]) -> None:
        place, length = self._place(name), part_bytes(size)
        upload, known, others = self._begun(name)
        parts = []
        for number, start in enumerate(range(0, size, length), 1):
            renew()
            wanted = min(length, size - start)
            if known.get(number, ("", 0))[1] != wanted:
                file.seek(start)
                known[number] = self._send_part(place, upload, number, file.read(wanted)), wanted
            parts.append({"PartNumber": number, "ETag": known[number][0]})
        self._complete({**place, "UploadId": upload}, parts)
        for other in others:
            with suppress(Exception):  # the store's own rules for what is left remove it later
                self._client.abort_multipart_upload(**place, UploadId=other)

    def _complete(self, upload: dict[str, str], parts: list[dict[str, Any]]) -> None:
        try:
            _patiently(lambda: self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}))
        except ClientError as error:
            if status_of(error) == 404:  # an earlier try ended it, and its answer was lost
                return
            self._client.abort_multipart_upload(**upload)  # the next try begins again
            raise

    def _send_part(self, place: dict[str, str], upload: str, number: int, data: bytes) -> str:
        def send() -> Any:  # as a file: the patience of a socket is then for each block, not for all of it
            return self._client.upload_part(**place, UploadId=upload, PartNumber=number, Body=io.BytesIO(data))

        return str(_patiently(send)["ETag"])

    def _begun(self, name: str) -> tuple[str, dict[int, tuple[str, int]], list[str]]:
        """The upload in parts of this object of which the store has most, what it has of it, and the other uploads.

        There are others where the answer to a beginning was lost, and it was asked for again. A new one when none was.
        """
        place = self._place(name)
        begun: list[tuple[str, dict[int, tuple[str, int]]]] = []
        try:
            found = _patiently(lambda: self._client.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"]))
            uploads = [row["UploadId"] for row in found.get("Uploads", []) if row["Key"] == place["Key"]]
            begun = [(upload, self._parts(place, upload)) for upload in uploads]
        except ClientError:
            pass  # not every store lists them, or lists them to everybody
        if begun:
            upload, known = max(begun, key=lambda each: len(each[1]))
            return upload, known, [other for other, _ in begun if other != upload]
        new = _patiently(lambda: self._client.create_multipart_upload(**place, **self._get_write_parameters(name)))
        return new["UploadId"], {}, []

    def _parts(self, place: dict[str, str], upload: str) -> dict[int, tuple[str, int]]:
        pages = self._client.get_paginator("list_parts").paginate(**place, UploadId=upload)
        rows = _patiently(lambda: [row for page in pages for row in page.get("Parts", [])])
        return {row["PartNumber"]: (row["ETag"], row["Size"]) for row in rows}


class Pieces(io.RawIOBase):
    """A stored object as a file: a read fetches what it gives, at most a piece at once."""

    def __init__(self, store: S3Store, name: str, size: int) -> None:
        self._store, self._name, self._size, self._at = store, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"There is no place {start + offset} in a file.")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self.read_at_once(min(len(buffer), PIECE))
        buffer[: len(data)] = data
        return len(data)

    def read_at_once(self, size: int) -> bytes:
        """So many bytes, up to the end, in one request: for who knows that all of them are needed."""
        wanted = min(size, self._size - self._at)
        if wanted <= 0:
            return b""
        data = self._store.read_piece(self._name, self._at, self._at + wanted - 1)
        self._at += wanted
        return data

    def readall(self) -> bytes:
        parts = []
        while part := self.read(PIECE):
            parts.append(part)
        return b"".join(parts)


def part_bytes(size: int) -> int:
    """How long the parts of a file of this size are: the same at each try, and never more parts than S3 takes."""
    return max(PART, -(-size // MOST_PARTS))


def status_of(error: Any) -> int:
    """Of a refusal of the store, its HTTP status."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _patiently(call: Callable[[], T]) -> T:
    """What the call gives; one that fails and did not hang is made again a few times."""
    began = time.monotonic()
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            if not _is_passing(error) or time.monotonic() - began + wait > PATIENCE_SECONDS:
                raise
        time.sleep(wait)
    return call()


def _is_passing(error: Exception) -> bool:
    """Whether the next try may end otherwise: no refusal, and no request that cannot be made."""
    return not isinstance(error, ClientError) or (status := status_of(error)) >= 500 or status in PASSING
