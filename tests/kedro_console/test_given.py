"""What a node gives by itself: files to keep and its progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kedro_console import artifacts, progress, wire
from kedro_console.deliveries import DeliveryError, deliver


def test_a_node_keeps_bytes_and_files_under_a_name(run_body: Any) -> None:
    said = run_body("""
from kedro_console import artifacts
from pathlib import Path
Path("data/table.csv").write_text("a,b")
assert artifacts.keep(b"{}", "found.json")
assert artifacts.keep("data/table.csv") and artifacts.keep("data/table.csv", "b.csv")
try:
    artifacts.keep("conf/base/parameters.yml")
except Exception as error:
    print(error)
""")
    assert said.all(wire.RunFinished), said.text
    kept = [event.kept for event in said.all(wire.FileKept)]
    assert [each.name for each in kept] == ["found.json", "table.csv", "b.csv"]
    assert Path(kept[0].path).read_bytes() == b"{}" and kept[1].sha256 == kept[2].sha256
    assert "files of conf/ may hold credentials" in said.text


def test_a_node_tells_its_progress(run_body: Any) -> None:
    said = run_body("""
from kedro_console import progress
assert list(progress.track([1, 2, 3], "Asking")) == [1, 2, 3]
progress.tell(2.5, 5, label="Uploading", unit="MB")
""")
    bars = [(event.node, event.label, event.done, event.total) for event in said.all(wire.ProgressMade)]
    assert bars == [("work", "Asking", 0, 3), ("work", "Asking", 3, 3), ("work", "Uploading", 2.5, 5)]


def test_without_the_console_nothing_is_kept_and_nothing_fails() -> None:
    assert artifacts.keep(b"x", "x.txt") is False
    assert list(progress.track(iter("ab"))) == ["a", "b"]


@pytest.mark.parametrize("place", ["reports/x.zip", "s3://reports", "s3://reports/folder/", "https://a/b"])
def test_a_delivery_needs_a_whole_place(place: str) -> None:
    with pytest.raises(DeliveryError, match="write s3://bucket"):
        deliver("x.zip", place)


def test_a_store_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"x")
    given = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "eu"}
    with pytest.raises(DeliveryError, match=r"x\.zip could not be delivered to s3://reports/x\.zip"):
        deliver(tmp_path / "x.zip", "s3://reports/x.zip", credentials=given, endpoint_url="http://127.0.0.1:9")
