"""Breaks one thing after another, in an order that its seed gives."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import connection
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis as Client
from redis.exceptions import RedisError

from jobs import clock
from jobs.errors import IllegalMove
from jobs.models import Run, Step
from jobs.runs.cancel import cancel
from jobs.states import Status
from tests.chaos import databases
from tests.chaos.fleet import BEAT, QUEUE, WEB, Fleet, Redis, family, hosts_and_children

WEIGHTS: Final = {
    "beat killed": 2,
    "pages killed": 2,
    "child killed": 6,
    "host killed": 2,
    "worker killed": 3,
    "worker stopped": 3,
    "worker terminated": 2,
    "redis restarted with its file": 2,
    "redis restarted without its file": 2,
    "redis stopped": 1,
    "redis flushed": 2,
    "database locked": 1,
    "sessions ended": 2,
    "database restarted": 2,
    "database crashed": 2,
    "database hangs": 1,
    "messages doubled": 3,
    "messages dropped": 3,
    "run cancelled": 3,
}
POSTGRES_ONLY: Final = frozenset({"sessions ended", "database restarted", "database crashed", "database hangs"})


@dataclass(frozen=True)
class Fault:
    """What was done and when (seconds since the epoch)."""

    kind: str
    at: float
    whom: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.whom}".strip()


@dataclass(frozen=True)
class Measures:
    """How long the long faults take."""

    stop_seconds: tuple[float, float]
    lock_seconds: float
    between_seconds: tuple[float, float]


class Tormentor(threading.Thread):
    """One fault after another until it is asked to end, or each kind once; a stopped worker is resumed meanwhile."""

    def __init__(
        self,
        seed: int,
        fleet: Fleet,
        redis: Redis,
        mark: str,
        measures: Measures,
        *,
        is_each_once: bool = False,
        only: Collection[str] = (),
        times: int = 1,
    ) -> None:
        super().__init__(name="tormentor")
        self.faults: list[Fault] = []
        self.problem: BaseException | None = None
        self._order, self._random = Random(seed), Random(seed + 1)
        self._is_each_once, self._only, self._times = is_each_once, only, times
        self._fleet, self._redis, self._mark, self._measures = fleet, redis, mark, measures
        self._is_over = threading.Event()
        self._timers: list[threading.Timer] = []
        self._stopped: dict[str, int] = {}

    @property
    def kinds(self) -> list[str]:
        chosen = [kind for kind in WEIGHTS if not self._only or kind in self._only]
        return [kind for kind in chosen if databases.is_postgres() or kind not in POSTGRES_ONLY]

    @property
    def by_kind(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.faults)

    def run(self) -> None:
        try:
            for kind in self._orders():
                while not self.strike(kind) and self._is_each_once and not self._is_over.wait(0.1):
                    continue
                if self._is_over.wait(self._random.uniform(*self._measures.between_seconds)):
                    break
        except BaseException as error:
            self.problem = error
        connection.close()

    def _orders(self) -> Iterator[str]:
        if self._is_each_once:
            yield from self.kinds * self._times
            return
        while True:
            yield self._order.choices(self.kinds, [WEIGHTS[kind] for kind in self.kinds])[0]

    def end(self) -> None:
        """No more faults; every stopped worker goes on."""
        self._is_over.set()
        if self.is_alive():
            self.join()
        for timer in self._timers:
            timer.join()
        if self.problem:
            raise self.problem

    def strike(self, kind: str) -> bool:
        """Do this; False when there was nothing to do it to."""
        doings: dict[str, Callable[[], str | None]] = {
            "beat killed": lambda: self._kill([self._fleet.pid(BEAT)]),
            "pages killed": self._kill_pages,
            "child killed": lambda: self._kill(hosts_and_children(self._mark)[1]),
            "host killed": lambda: self._kill(hosts_and_children(self._mark)[0]),
            "worker killed": lambda: self._signal_worker(signal.SIGKILL),
            "worker stopped": self._stop_worker,
            "worker terminated": lambda: self._signal_worker(signal.SIGTERM),
            "redis restarted with its file": lambda: self._restart_redis(keeps_file=True),
            "redis restarted without its file": lambda: self._restart_redis(keeps_file=False),
            "redis stopped": self._stop_redis,
            "redis flushed": self._flush,
            "database locked": self._lock,
            "sessions ended": self._cut_off,
            "database restarted": lambda: self._restart_database(is_crash=False),
            "database crashed": lambda: self._restart_database(is_crash=True),
            "database hangs": self._hang,
            "messages doubled": self._double,
            "messages dropped": self._drop,
            "run cancelled": self._cancel,
        }
        at = time.time()
        try:
            whom = doings[kind]()
        except (RedisError, BrokerError):
            return False  # Redis is away from an earlier fault
        if whom is None:
            return False
        self.faults.append(Fault(kind, at, whom))
        print(f"{time.strftime('%H:%M:%S', time.gmtime(at))} {self.faults[-1]}", flush=True)
        return True

    # ---- processes

    def _kill(self, pids: list[int]) -> str | None:
        if not pids:
            return None
        pid = self._random.choice(sorted(pids))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return str(pid)

    def _kill_pages(self) -> str:
        """All of them, or only what answers: the one above it starts another then."""
        pids = family(self._fleet.pid(WEB))
        chosen = pids if self._random.random() < 0.5 else pids[1:]
        for pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return " ".join(map(str, chosen))

    def _signal_worker(self, number: signal.Signals) -> str:
        name = self._random.choice(self._fleet.names)
        self._fleet.signal(name, number)
        return f"{name}@chaos"

    def _stop_worker(self) -> str | None:
        """Longer than its lease, at whatever it is at."""
        name = self._random.choice(self._fleet.names)
        pid = self._fleet.pid(name)
        if name in self._stopped:
            return None
        self._fleet.signal(name, signal.SIGSTOP)
        self._stopped[name] = pid
        timer = threading.Timer(self._random.uniform(*self._measures.stop_seconds), self._resume, [name])
        self._timers.append(timer)
        timer.start()
        return f"{name}@chaos"

    def _resume(self, name: str) -> None:
        if self._fleet.pid(name) == self._stopped.pop(name):
            self._fleet.signal(name, signal.SIGCONT)

    # ---- the broker

    def _client(self) -> Client:
        return Client(unix_socket_path=settings.REDIS_URL.removeprefix("unix://"), socket_timeout=3)

    def _restart_redis(self, *, keeps_file: bool) -> str:
        self._redis.kill(keeps_file=keeps_file)
        time.sleep(self._random.uniform(0, 2))
        self._redis.start()
        return ""

    def _stop_redis(self) -> str:
        """Longer than a client waits for an answer."""
        self._redis.signal(signal.SIGSTOP)
        timer = threading.Timer(
            self._random.uniform(*self._measures.stop_seconds), self._redis.signal, [signal.SIGCONT]
        )
        self._timers.append(timer)
        timer.start()
        return ""

    def _flush(self) -> str:
        self._client().flushall()
        return ""

    def _double(self) -> str | None:
        """Send again what was sent before: of steps that wait, run or ended long ago."""
        known = databases.patiently(lambda: list(Step.objects.order_by("-pk").values_list("pk", flat=True)[:30]))
        chosen = self._random.sample(known, min(5, len(known)))
        for step_id in chosen:
            current_app.send_task("jobs.execute", [step_id], queue=QUEUE)
        return f"of {len(chosen)} steps" if chosen else None

    def _drop(self) -> str | None:
        client = self._client()
        keys = [key for key in client.scan_iter(f"kc:{QUEUE}*") if client.type(key) == b"list"]
        dropped = sum(client.lpop(key) is not None for key in keys for _ in range(3))
        return f"{dropped}" if dropped else None

    # ---- the database, and people

    def _lock(self) -> str:
        databases.lock(self._measures.lock_seconds)
        return f"for {self._measures.lock_seconds:g} s"

    def _cut_off(self) -> str:
        databases.cut_off()
        return ""

    def _restart_database(self, *, is_crash: bool) -> str:
        away = self._random.uniform(0, 2)
        databases.Server().restart(is_crash=is_crash, away_seconds=away)
        return f"after {away:.1f} s"

    def _hang(self) -> str:
        databases.Server().hang(self._measures.lock_seconds)
        return f"for {self._measures.lock_seconds:g} s"

    def _cancel(self) -> str | None:
        live = Run.objects.live().filter(cancel_requested_at=None)
        pks = databases.patiently(lambda: list(live.order_by("pk").values_list("pk", flat=True)))
        if not pks:
            return None
        run = databases.patiently(lambda: Run.objects.get(pk=self._random.choice(pks)))
        try:
            databases.patiently(lambda: cancel(run, at=clock.now(), by="tormentor"))
        except IllegalMove:
            return None  # it ended in this moment
        return f"{run}, {Status(run.status).label}"
