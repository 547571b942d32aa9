"""What happens around a run: the demo API is there when it is needed, and S3 finds its credentials."""

from __future__ import annotations

import logging
import os
import socket
import threading
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from demo_api.server import ApiServer
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from demo import s3

logger = logging.getLogger(__name__)

LOOPBACK = {"127.0.0.1", "localhost"}
ADDRESSES = ("params:api_url", "params:sources", "params:metrics_api", "params:chat_api", "params:rows_api")


class DemoApiHook:
    """Serves the demo API for the time of a run when the run asks this machine and nobody listens there."""

    def __init__(self) -> None:
        self.server: ApiServer | None = None

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        for text in asked_addresses(pipeline, catalog):
            address = urlsplit(text)
            if address.hostname in LOOPBACK and address.port and not is_listening(address.hostname, address.port):
                self.serve(address.hostname, address.port)
                return

    @hook_impl
    def after_pipeline_run(self) -> None:
        self.stop()

    @hook_impl
    def on_pipeline_error(self) -> None:
        self.stop()

    def serve(self, host: str, port: int) -> None:
        try:
            self.server = ApiServer(host, port)
        except OSError as error:  # another run was faster; if it was not, the fetch says who does not answer
            logger.info("The demo API is not served by this run: %s:%d, %s.", host, port, error.strerror)
            return
        threading.Thread(target=self.server.serve_forever, args=(0.05,), name="demo-api", daemon=True).start()
        logger.info("Nothing listens on %s:%d: the demo API serves there for the time of this run.", host, port)

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class S3CredentialsHook:
    """Hands the optional credentials `dev_s3` to the upload nodes; without it boto3 looks where it always looks."""

    @hook_impl
    def after_catalog_created(self, conf_creds: dict[str, Any]) -> None:
        s3.use_credentials((conf_creds or {}).get("dev_s3") or {})


def api_hooks() -> list[Any]:
    """None with DEMO_API_URL: whoever set it runs the server, and no hook keeps the nodes of a run in one process."""
    return [] if os.environ.get("DEMO_API_URL") else [DemoApiHook()]


def console_hooks() -> list[Any]:
    """Under plain `kedro run` these tell batch queues how the run ended, and this process keeps the API's limits."""
    if not find_spec("kedro_console"):
        return []
    from kedro_console import batches_hooks, quotas

    quotas.local("metrics", requests=1, seconds=2)
    quotas.local("chat", requests=1, seconds=60)
    quotas.local("internal", requests=10, rows=1_000, seconds=300)
    return [batches_hooks.hooks]


def asked_addresses(pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
    """The addresses that the parameters of this pipeline name."""
    found: list[str] = []
    for name in sorted(pipeline.inputs().intersection(ADDRESSES)):
        value = catalog.load(name)
        found += [value] if isinstance(value, str) else value
    return found


def is_listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
