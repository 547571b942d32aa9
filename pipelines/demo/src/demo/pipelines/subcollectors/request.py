"""Make the request that all collectors work for."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

logger = logging.getLogger(__name__)

Request = dict[str, str]
Share = list[str]


class NothingToCollect(ValueError):
    """The list of sources is empty."""


def requester(nodes: int) -> Callable[[str, list[str]], tuple[Request | Share, ...]]:
    """`collector_request` for a graph with so many collect nodes; it has an output for each of them."""

    def collector_request(topic: str, sources: list[str]) -> tuple[Request | Share, ...]:
        """A new request, and the sources shared among the collect nodes: node i takes the i-th, (i + nodes)-th, …"""
        wanted = list(dict.fromkeys(sources))
        if not wanted:
            raise NothingToCollect("params:sources is empty: name at least one address to collect from.")
        request = {"request_id": uuid.uuid4().hex, "topic": topic}
        logger.info("Request %s collects from %d sources.", request["request_id"], len(wanted))
        return (request, *(wanted[position::nodes] for position in range(nodes)))

    return collector_request
