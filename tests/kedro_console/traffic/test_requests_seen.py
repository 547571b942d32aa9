"""The requests of a node are counted and failed ones kept, and nothing that is secret leaves its process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_client import Conversation
from kedro_projects import make_project, one_node

from kedro_console import wire
from tests.flaky_api import Api, flaky_api

SECRETS = (
    "hunter2-and-more",
    "tok-abcdef-123456",
    "key-in-a-query-99",
    "pw!in/url 8",
    "cookie-9f8e7d6c",
    "env-secret-5150",
)
CREDENTIALS = """
vendor:
  user: olga
  password: hunter2-and-more
  token: tok-abcdef-123456
"""


@pytest.fixture
def api() -> Iterator[Api]:
    with flaky_api() as found:
        yield found


@pytest.fixture
def run_node(tmp_path: Path, start_host: Any) -> Any:
    """`run_node("requests.get(URL)")` runs these lines as a node of a project with credentials."""

    def run(body: str, **environment: str) -> Conversation:
        lines = [f"    {line}" for line in body.strip().splitlines()]
        code = "\n".join(["import logging", "import sys", "", "def work():", *lines, "    return 1"])
        project = make_project(tmp_path / "project", **one_node(code))
        (project / "conf/local/credentials.yml").write_text(CREDENTIALS)
        return start_host(project, environment=environment).run()

    return run


def everything(said: Conversation) -> str:
    return "\n".join(
        [*(message.to_json().decode() for message in said.messages), *(line.text for line in said.lines())]
    )


def records(said: Conversation) -> list[wire.RequestMade]:
    return said.all(wire.RequestMade)


def counts(said: Conversation) -> dict[tuple[str, str, int], int]:
    found: dict[tuple[str, str, int], int] = {}
    for event in said.all(wire.RequestsCounted):
        for node, host, status, number, _ in event.counts:
            found[node, host, status] = found.get((node, host, status), 0) + number
    return found


def test_a_node_that_swallows_a_connection_error_still_leaves_its_record(run_node: Any) -> None:
    said = run_node("""
import requests
try:
    requests.get("http://127.0.0.1:9/x", params={"page": 1})
except requests.ConnectionError:
    pass
""")
    assert said.one(wire.RunFinished)
    (record,) = records(said)
    assert (record.node, record.method, record.url) == ("work", "GET", "http://127.0.0.1:9/x?page=1")
    assert record.exception == "requests.exceptions.ConnectionError" and "refused" in record.message
    assert counts(said) == {("work", "127.0.0.1:9", 0): 1}


USED = {
    "requests": "import requests\nrequests.post(URL, json={'q': 1}, headers={'X-Plain': 'y'})",
    "httpx2": "import httpx2\nhttpx2.post(URL, json={'q': 1}, headers={'X-Plain': 'y'})",
    "urllib3": "import urllib3\nurllib3.PoolManager().request('POST', URL, json={'q': 1}, headers={'X-Plain': 'y'})",
    "urllib": "import urllib.request, urllib.error\ntry:\n    urllib.request.urlopen(urllib.request.Request("
    "URL, b'{\"q\": 1}', {'X-Plain': 'y', 'Content-type': 'application/json'}))\nexcept urllib.error.HTTPError: pass",
}


@pytest.mark.parametrize("library", USED)
def test_each_library_leaves_a_whole_record_of_what_failed(api: Api, run_node: Any, library: str) -> None:
    said = run_node(USED[library].replace("URL", repr(f"{api.url}/500")))
    assert said.one(wire.RunFinished)
    (record,) = records(said)
    assert (record.library, record.method, record.status, record.host) == (library, "POST", 500, api.url[7:])
    assert json.loads(record.body) == {"q": 1} and len(record.attempts) == 1
    assert {name.lower(): value for name, value in record.headers.items()}["x-plain"] == "y"
    assert library == "urllib" or json.loads(record.response)["detail"] == "no"
    assert counts(said) == {("work", api.url[7:], 500): 1}


ASYNC = """
import asyncio, httpx2
async def ask():
    async with httpx2.AsyncClient() as client:
        await asyncio.gather(*(client.get(URL + path) for path in ("/200", "/200", "/404")))
asyncio.run(ask())
"""


def test_async_requests_are_seen_as_well(api: Api, run_node: Any) -> None:
    said = run_node(ASYNC.replace("URL", repr(api.url)))
    assert counts(said) == {("work", api.url[7:], 200): 2, ("work", api.url[7:], 404): 1}
    assert [record.url for record in records(said)] == [f"{api.url}/404"]


RETRIED = """
import httpx2, stamina
for attempt in stamina.retry_context(on=httpx2.HTTPError, attempts=4, wait_initial=0.01, wait_jitter=0):
    with attempt:
        httpx2.get(URL).raise_for_status()
"""


def test_attempts_of_one_call_are_one_record_and_its_success_is_told(api: Api, run_node: Any) -> None:
    said = run_node(RETRIED.replace("URL", repr(f"{api.url}/503,503,200")))
    assert [len(record.attempts) for record in records(said)] == [1, 2]
    assert len({record.call for record in records(said)}) == 1
    recovered = said.one(wire.RequestRecovered)
    assert recovered.call == records(said)[0].call
    assert [attempt["status"] for attempt in recovered.attempts] == [503, 503, 200]


def test_the_retries_of_urllib3_are_attempts_of_one_call(api: Api, run_node: Any) -> None:
    said = run_node(f"""
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
session = requests.Session()
session.mount("http://", HTTPAdapter(max_retries=Retry(2, status_forcelist=[503], backoff_factor=0)))
try:
    session.get("{api.url}/503")
except requests.RetryError:
    pass
""")
    (record,) = records(said)
    assert [attempt["status"] for attempt in record.attempts] == [503, 503, 503]
    assert record.exception == "requests.exceptions.RetryError" and record.status == 503


def test_behaviour_is_untouched_streams_are_not_read_and_exceptions_are_the_same(api: Api, run_node: Any) -> None:
    said = run_node(f"""
import httpx2, requests
with httpx2.stream("GET", "{api.url}/500") as answer:
    assert not answer.is_stream_consumed
    assert b"detail" in answer.read()
answer = requests.get("{api.url}/500", stream=True)
assert answer.raw.tell() == 0 and answer.json()["detail"] == "no"
try:
    httpx2.get("http://127.0.0.1:9/")
except httpx2.ConnectError as error:
    assert error.__traceback__.tb_next is not None and error.__cause__ is not None
try:
    requests.Session().send(requests.Request("GET", "http://127.0.0.1:9"))
except ValueError as error:
    assert "You can only send PreparedRequests" in str(error)
loader = sys.modules["requests.sessions"].__spec__.loader
assert requests.Session.send.__name__ == "send" and type(loader).__module__ != "kedro_console.taps"
""")
    assert said.one(wire.RunFinished), said.text
    assert [record.response for record in records(said) if record.url] == ["", "", ""]


LEAKY = """
import os, http.client, httpx2, requests, yaml
logging.basicConfig(level=logging.DEBUG, force=False)
logging.getLogger().setLevel(logging.DEBUG)
secret = yaml.safe_load(open("conf/local/credentials.yml"))["vendor"]
headers = {"Authorization": "Bearer " + secret["token"], "X-Api-Key": os.environ["VENDOR_SECRET"],
           "Cookie": "session=cookie-9f8e7d6c"}
http.client.HTTPConnection.debuglevel = 1
address = URL + "/500?api_key=key-in-a-query-99&page=2"
requests.post(address, headers=headers, json={"login": {"password": secret["password"]}, "note": secret["token"]})
httpx2.get(address, headers=headers)
httpx2.post(URL + "/500", data={"client_secret": "key-in-a-query-99"}, auth=("olga", secret["password"]))
with_password = URL.replace("://", "://olga:pw!in%2Furl%208@") + "/500"
httpx2.get(with_password)
print("now", with_password, headers)
logging.getLogger("demo").warning("token is %s", secret["token"])
try:
    requests.get("http://olga:pw!in%2Furl%208@127.0.0.1:9/x?api_key=key-in-a-query-99")
except requests.ConnectionError as error:
    raise RuntimeError(f"no answer of {with_password} with {headers}") from error
"""


def test_no_secret_reaches_a_record_a_log_line_or_a_traceback(api: Api, run_node: Any) -> None:
    said = run_node(LEAKY.replace("URL", repr(api.url)), VENDOR_SECRET="env-secret-5150")
    assert said.one(wire.RunFailed).failure.exception == "RuntimeError", said.text
    assert len(records(said)) == 5
    told = everything(said)
    for secret in (*SECRETS, "pw!in%2Furl%208", "answered-token-77"):
        assert secret not in told, next(line for line in told.splitlines() if secret in line)[:600]
    first = records(said)[0]
    assert first.url.startswith(f"{api.url}/500?api_key=***") and first.url.endswith("***&page=2")
    assert first.headers["Authorization"].startswith("Bearer ***")
    assert "api_key" in told and "no answer of http://olga:***@127.0.0.1" in told


def test_a_project_that_uses_no_library_pays_nothing_and_one_is_patched_when_it_is_imported(run_node: Any) -> None:
    said = run_node("""
import kedro_console.traffic.taps
from importlib import import_module
assert "httpx2" not in sys.modules
client = import_module("httpx2").Client
assert client.send.__wrapped__.__name__ == "send"
""")
    assert said.one(wire.RunFinished), said.text


def test_a_million_failures_are_counted_and_some_are_kept(api: Api, run_node: Any) -> None:
    said = run_node(f"""
import httpx2
from kedro_console.traffic import traffic
traffic.MOST_KEPT = 3
with httpx2.Client() as client:
    for number in range(6):
        client.get("{api.url}/404/" + str(number))
""")
    assert len(records(said)) == 3 and counts(said)["work", api.url[7:], 404] == 6
    assert any("further ones are only counted" in line.text for line in said.lines())


AWS = """
import boto3
from botocore.config import Config
given = {"aws_access_key_id": "AKIDEXAMPLE77", "aws_secret_access_key": "wJalrXUtnFEMI-K7", "region_name": "eu"}
client = boto3.client("s3", endpoint_url=URL, config=Config(retries={"max_attempts": 0}), **given)
for method, facts in (("head_object", {"Bucket": "404"}), ("put_object", {"Bucket": "403", "Body": b"row"})):
    try:
        getattr(client, method)(Key="a", **facts)
    except Exception as error:
        print(type(error).__name__)
"""


def test_a_request_signed_for_aws_is_counted_and_kept_without_its_inside(api: Api, run_node: Any) -> None:
    said = run_node(AWS.replace("URL", repr(api.url)))
    assert said.one(wire.RunFinished), said.text
    assert counts(said) == {("work", api.url[7:], 404): 1, ("work", api.url[7:], 403): 1}
    (record,) = records(said)
    assert (record.method, record.status, record.is_signed) == ("PUT", 403, True)
    assert not (record.headers or record.body or record.response or record.response_headers)
    assert "AWS4-HMAC" not in everything(said) and "AKIDEXAMPLE77" not in record.url


def test_a_forked_process_of_a_node_is_seen_too(api: Api, run_node: Any) -> None:
    said = run_node(f"""
import multiprocessing, httpx2
def ask():
    httpx2.get("{api.url}/200")
    httpx2.get("{api.url}/404")
process = multiprocessing.get_context("fork").Process(target=ask)
process.start()
process.join()
assert process.exitcode == 0
""")
    assert said.one(wire.RunFinished), said.text
    assert counts(said) == {("work", api.url[7:], 200): 1, ("work", api.url[7:], 404): 1}
    assert [record.status for record in records(said)] == [404]


def test_a_probe_for_a_cloud_is_neither_counted_nor_kept(run_node: Any, api: Api) -> None:
    said = run_node(
        f"""
import requests, urllib.request
for address in ("http://169.254.169.254/latest/api/token", "http://metadata.google.internal/", "http://[fd00:ec2::254]/"):
    try:
        requests.get(address, timeout=0.2)
    except Exception:
        pass
    try:
        urllib.request.urlopen(address, timeout=0.2)
    except Exception:
        pass
requests.get({api.url + "/missing"!r})
"""
    )
    assert {record.host for record in records(said)} <= {api.url.removeprefix("http://")}
    hosts = {host for counted in said.all(wire.RequestsCounted) for _, host, *_ in counted.counts}
    assert hosts == {api.url.removeprefix("http://")}
