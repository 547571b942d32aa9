from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina
from demo.pipelines.data_loading.fetch import FetchSettings
from demo.pipelines.subcollectors import create_pipeline
from demo.pipelines.subcollectors.collect import Collected, collect
from demo.pipelines.subcollectors.gather import TooManyMissing, cleanup, collector_gathering, process
from demo.pipelines.subcollectors.request import NothingToCollect, requester
from demo_api.server import ApiServer

from tests.demo.conftest import Kedro, all_rows, free_port
from tests.demo.trouble import failing, guarded

REQUEST = {"request_id": "r1", "topic": ""}
PATIENT = FetchSettings()


@pytest.fixture(autouse=True)
def no_waiting_between_tries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.mark.parametrize(("nodes", "sources"), [(8, 3), (8, 50), (50, 50), (1, 7)])
def test_every_source_is_in_exactly_one_share(nodes: int, sources: int) -> None:
    wanted = [f"http://127.0.0.1/{number}" for number in range(sources)]
    request, *shares = requester(nodes)("cars", [*wanted, wanted[0]])
    assert len(shares) == nodes
    assert sorted(source for share in shares for source in share) == sorted(wanted)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert isinstance(request, dict)
    assert request["topic"] == "cars"
    assert len(request["request_id"]) == 32


def test_without_sources_there_is_nothing_to_request() -> None:
    with pytest.raises(NothingToCollect, match="name at least one address"):
        requester(8)("cars", [])


def test_the_graph_has_as_many_collect_nodes_as_it_is_told() -> None:
    for nodes in (1, 8, 50):
        names = [node.name for node in create_pipeline(nodes).nodes]
        assert sum(name.startswith("collect_") for name in names) == nodes
        assert names[-3:] == ["collector_gathering", "cleanup", "process"]


def test_a_collector_brings_every_row_of_every_page(api: ApiServer) -> None:
    (found,) = collect(REQUEST, [f"{api.url}/datasets/airports"], PATIENT)
    assert (len(found.rows), found.missing) == (len(all_rows(f"{api.url}/datasets/airports")), "")


def test_only_rows_about_the_topic_are_brought(api: ApiServer) -> None:
    (found,) = collect({**REQUEST, "topic": "FORD"}, [f"{api.url}/datasets/cars"], PATIENT)
    names = [row["Name"] for row in all_rows(f"{api.url}/datasets/cars") if "ford" in row["Name"]]
    assert [row["Name"] for row in found.rows] == names


def test_a_collector_that_fails_twice_is_not_missing() -> None:
    policy, seen = failing(2, 500)
    with guarded(policy) as server:
        (found,) = collect(REQUEST, [f"{server.url}/datasets/cars"], PATIENT)
    assert (len(found.rows), found.missing, len(seen)) == (406, "", 3)


def test_a_collector_that_gives_up_is_missing_and_harms_no_other(api: ApiServer) -> None:
    gone = f"http://127.0.0.1:{free_port()}/datasets/cars"
    first, second = collect(REQUEST, [gone, f"{api.url}/datasets/cars"], PATIENT)
    assert "could not be reached" in first.missing
    assert (len(second.rows), second.missing) == (406, "")


def test_the_gathering_joins_within_the_tolerance_and_names_the_missing() -> None:
    lists = [[Collected("http://x/b", [{"n": 1}])], [], [Collected("http://x/a", missing="It is gone.")]]
    rows, missing = collector_gathering(1, *lists)
    assert rows == [{"n": 1, "source": "b"}]
    assert missing == ["http://x/a"]


def test_beyond_the_tolerance_one_sentence_names_the_missing() -> None:
    lists = [[Collected(f"http://x/{name}", missing=f"{name} is gone.") for name in "ba"], [Collected("http://x/c")]]
    sentence = "2 of 3 collectors are missing and 1 may be: http://x/a, http://x/b. The first says: a is gone."
    with pytest.raises(TooManyMissing, match=re.escape(sentence)):
        collector_gathering(1, *lists)


def test_cleanup_drops_what_is_empty_or_there_already() -> None:
    rows = [
        {"n": 1, "v": None, "source": "a"},
        {"n": None, "source": "a"},
        {"source": "a", "n": 1},
        {"n": 1, "source": "b"},
    ]
    assert cleanup(rows) == [{"n": 1, "source": "a"}, {"n": 1, "source": "b"}]


def test_process_answers_the_request() -> None:
    assert process(REQUEST, [{"n": 1}, {"n": 2}]) == {"request_id": "r1", "item_count": 2}


@pytest.mark.parametrize("count", [3, 50])
def test_a_plain_kedro_run_collects_from_any_number_of_sources(
    kedro: Kedro, project: Path, api: ApiServer, count: int
) -> None:
    sources = [f"{api.url}/datasets/cars?page_size=500&collector={number}" for number in range(count)]
    local = project / "conf" / "local" / "parameters_subcollectors.yml"
    local.parent.mkdir(exist_ok=True)
    local.write_text(json.dumps({"sources": sources, "topic": "ford"}))
    catalog = project / "conf" / "local" / "catalog.yml"
    catalog.write_text("collection: {type: json.JSONDataset, filepath: data/08_reporting/collection.json}\n")
    done = kedro("--pipelines", "subcollectors", DEMO_API_URL=api.url)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads((project / "data" / "08_reporting" / "collection.json").read_text())
    about = [row for row in all_rows(f"{api.url}/datasets/cars") if "ford" in row["Name"]]
    assert answer["item_count"] == len({json.dumps(row, sort_keys=True) for row in about})
