"""The store in S3 over HTTP: ranges, retries, parts, and what it does when the store hangs."""

from __future__ import annotations

import io
import os
import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings as django_settings
from django.core.files.storage import storages
from django.urls import reverse

from console.files import s3_store
from console.files.s3_store import PART, PIECE, S3Store
from console.files.tables.asked import wish
from console.files.tables.readers import READERS, rows_of
from jobs.errors import PlatformError
from jobs.interpreters.artifacts import open_kept
from jobs.models import Artifact
from tests.flaky_s3 import Proxy, flaky_s3, store_settings
from tests.views.artifacts import an_artifact
from tests.views.scenes import ended, logged_in

pytestmark = pytest.mark.django_db

LARGE = random.Random(7).randbytes(2 * PART + 12_345)


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[Proxy, Any]]:
    with flaky_s3(django_settings.VAR / "moto.log") as found:
        yield found


@pytest.fixture
def proxy(s3: tuple[Proxy, Any], settings: Any) -> Iterator[Proxy]:
    """The store behind its proxy is the artifact store."""
    proxy, bucket = s3
    settings.STORAGES = settings.STORAGES | {"artifacts": store_settings(bucket.name, proxy.url)}
    proxy.calls.clear()
    yield proxy
    proxy.failing, proxy.bytes_per_second = 0.0, 0
    proxy.go_on()


@pytest.fixture
def bucket(s3: tuple[Proxy, Any]) -> Any:
    return s3[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "READ_SECONDS", 1)
    monkeypatch.setattr(s3_store, "PATIENCE_SECONDS", 0.5)


def store() -> S3Store:
    found = storages["artifacts"]
    assert isinstance(found, S3Store)
    return found


def given(proxy: Proxy) -> int:
    """How many bytes of objects the store gave."""
    return sum(call.sent for call in proxy.calls if call.method == "GET")


def download(artifact: Artifact, **headers: str) -> Any:
    return logged_in("analyst").get(reverse("artifact_download", args=[artifact.uuid]), headers=headers)


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=1000-1099", 1000, 1099), ("bytes=-100", len(LARGE) - 100, len(LARGE) - 1), ("bytes=0-0", 0, 0)],
)
def test_a_range_costs_the_store_what_it_gives(proxy: Proxy, asked: str, first: int, last: int) -> None:
    artifact = an_artifact(ended(), "large.bin", LARGE, media_type="application/octet-stream")
    proxy.calls.clear()
    response = download(artifact, Range=asked)
    assert (response.status_code, body(response)) == (206, LARGE[first : last + 1])
    assert given(proxy) == last - first + 1


def test_a_range_outside_an_if_none_match_and_a_head_cost_nothing(proxy: Proxy) -> None:
    artifact = an_artifact(ended(), "large.bin", LARGE)
    proxy.calls.clear()
    assert download(artifact, Range=f"bytes={len(LARGE)}-").status_code == 416
    assert download(artifact, **{"If-None-Match": f'"{artifact.sha256}"'}).status_code == 304
    head = logged_in("analyst").head(reverse("artifact_download", args=[artifact.uuid]))
    assert head["Content-Length"] == str(len(LARGE))
    assert not proxy.calls


def test_a_download_through_a_store_that_fails_often_is_whole(proxy: Proxy) -> None:
    artifact = an_artifact(ended(), "large.bin", LARGE)
    proxy.failing = 0.2
    response = download(artifact)
    assert body(response) == LARGE
    assert proxy.failed > 5


def test_a_download_that_is_given_up_fetches_no_more(proxy: Proxy) -> None:
    artifact = an_artifact(ended(), "large.bin", LARGE)
    proxy.calls.clear()
    response = download(artifact)
    next(iter(response.streaming_content))
    response.close()
    assert given(proxy) <= 2 * PIECE


def test_little_reads_are_read_ahead(proxy: Proxy) -> None:
    artifact = an_artifact(ended(), "large.bin", LARGE)
    proxy.calls.clear()
    with open_kept(artifact.sha256, artifact.name) as file:
        file.seek(10)
        assert b"".join(file.read(7) for _ in range(500)) == LARGE[10:3510]
    assert [call.method for call in proxy.calls] == ["HEAD", "GET"]


def test_the_contents_of_a_zip_cost_its_directory(proxy: Proxy) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("large.bin", LARGE)
        archive.writestr("small.txt", "x")
    artifact = an_artifact(ended(), "many.zip", whole.getvalue())
    proxy.calls.clear()
    page = logged_in("analyst").get(reverse("artifact", args=[artifact.uuid])).content.decode()
    assert "small.txt" in page
    assert given(proxy) <= 2 * PIECE


def test_all_files_as_one_zip_come_piece_by_piece(proxy: Proxy) -> None:
    run = ended()
    an_artifact(run, "large.bin", LARGE, media_type="application/octet-stream")
    an_artifact(run, "small.csv", b"a\n1\n")
    proxy.calls.clear()
    proxy.failing = 0.1
    response = logged_in("analyst").get(reverse("run_artifacts_zip", args=[run.pk]))
    archive = zipfile.ZipFile(io.BytesIO(body(response)))
    assert {name: archive.read(name) for name in archive.namelist()} == {"large.bin": LARGE, "small.csv": b"a\n1\n"}
    assert max(call.sent for call in proxy.calls) <= PIECE


def test_what_hangs_is_answered_with_a_sentence_and_asked_again_only_later(proxy: Proxy, impatient: None) -> None:
    artifact = an_artifact(ended(), "cars.csv")
    fresh = S3Store(**django_settings.STORAGES["artifacts"]["OPTIONS"])
    proxy.hang()
    with pytest.raises(Exception, match=r"(?i)timeout"):
        fresh.open(artifact.store_key)
    began = time.monotonic()
    with pytest.raises(s3_store.StoreSilent):
        fresh.open(artifact.store_key)
    assert time.monotonic() - began < 0.5


def test_a_page_and_a_download_of_a_store_that_is_away_say_so(proxy: Proxy, impatient: None) -> None:
    artifact = an_artifact(ended(), "cars.csv")
    proxy.is_away = True
    answer = download(artifact)
    assert answer.status_code == 503 and "could not be read from the artifact store" in answer.content.decode()
    page = logged_in("analyst").get(reverse("artifact", args=[artifact.uuid]))
    assert page.status_code == 200 and "could not be read from the artifact store" in page.content.decode()
    assert logged_in("analyst").get(reverse("run_artifacts_zip", args=[artifact.run_id])).status_code == 503


def test_a_store_that_goes_away_within_a_preview_is_no_error_of_the_file(proxy: Proxy, impatient: None) -> None:
    artifact = an_artifact(ended(), "cars.csv")
    file = open_kept(artifact.sha256, artifact.name)
    proxy.is_away = True
    with pytest.raises(PlatformError, match="did not give the whole file"):
        file.read(4)


def parts_sent(proxy: Proxy) -> list[str]:
    paths = [call.path for call in proxy.calls if call.method == "PUT" and call.status == 200]
    return [path.partition("partNumber=")[2].partition("&")[0] for path in paths]


def test_a_large_file_is_sent_in_parts_and_each_part_once(
    proxy: Proxy, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_store, "PATIENCE_SECONDS", 60.0)  # on a busy machine a part takes seconds
    path = tmp_path / "large"
    path.write_bytes(os.urandom(3 * PART + 5))
    proxy.fates = ["", "reset afterwards", "", "reset afterwards", "", "500", ""]  # list, begin twice, two parts
    renewals: list[int] = []

    def renew() -> None:
        renewals.append(len(renewals))
        if len(renewals) == 3:
            monkeypatch.setattr(s3_store, "PATIENCE_SECONDS", 1.0)
            proxy.is_away = True

    with pytest.raises(Exception, match=r"(?i)connect|closed|reset"):
        store().take("some/large", path, renew)
    assert proxy.fates == [] and parts_sent(proxy) == ["1", "2"]
    assert len(list(bucket.meta.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"])) == 2
    proxy.go_on()
    proxy.calls.clear()
    proxy.fates = ["500", "", "reset", "", "", "500", "", "reset afterwards", "", "reset afterwards", "", ""]
    monkeypatch.setattr(s3_store, "PATIENCE_SECONDS", 60.0)
    store().take("some/large", path, lambda: None)
    assert proxy.fates == []
    assert bucket.Object("console/some/large").get()["Body"].read() == path.read_bytes()
    assert set(parts_sent(proxy)) == {"3", "4"}
    assert "Uploads" not in bucket.meta.client.list_multipart_uploads(Bucket=bucket.name)


def test_a_slow_line_is_no_hanging_store(proxy: Proxy, tmp_path: Path) -> None:
    path = tmp_path / "slow"
    path.write_bytes(os.urandom(7_000_000))
    proxy.bytes_per_second = 1_000_000
    began = time.monotonic()
    store().take("some/slow", path, lambda: None)
    assert time.monotonic() - began > 2 * s3_store.CONNECT_SECONDS  # which is a socket's patience while it sends
    assert store().size("some/slow") == 7_000_000


def test_where_it_is_set_a_browser_is_sent_to_the_store_itself(proxy: Proxy, settings: Any) -> None:
    import urllib.request

    artifact = an_artifact(ended(), "Q1 report.csv", b"a\n1\n")
    settings.CONSOLE_S3_REDIRECT = True
    answer = download(artifact)
    assert answer.status_code == 302 and answer["Cache-Control"] == "no-store"
    with urllib.request.urlopen(answer["Location"]) as found:
        assert found.read() == b"a\n1\n"
        assert found.headers["Content-Disposition"].startswith('attachment; filename="Q1 report.csv"')
    settings.STORAGES = settings.STORAGES | {
        "artifacts": store_settings("kept", proxy.url, public_url="https://files.example.com")
    }
    assert download(artifact)["Location"].startswith("https://files.example.com/kept/console/")


def test_a_window_of_a_parquet_file_costs_the_store_no_more_than_its_rows(proxy: Proxy) -> None:
    buffer = io.BytesIO()
    numbers = random.Random(3)
    columns = {f"c{n}": [numbers.random() for _ in range(60_000)] for n in range(12)}
    pq.write_table(pa.table(columns), buffer, row_group_size=6_000)
    row = an_artifact(ended(), "large.parquet", buffer.getvalue())
    proxy.calls.clear()
    try:
        told = rows_of(row, wish(31_000, 50))
        assert told["rows"][0][0] == str(columns["c0"][31_000]) and told["total"] == 60_000
        assert given(proxy) < row.size_bytes / 4
        assert rows_of(row, wish(0, 1, sort="-c3"))["rows"][0][3] == str(max(columns["c3"]))
    finally:
        READERS.close()
