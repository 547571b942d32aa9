"""Send failed requests again, one after the other: asked for here, done by a worker, told row by row.

A request is sent at most once in a replay. When its worker is lost while it is on its way, nobody knows whether it
arrived: one that changes nothing (GET) is sent again, any other is left as unknown and says so.
"""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F

from jobs import clock
from jobs.errors import IllegalMove, LeaseLost, NotNow, PlatformError, ProjectError, RequestError
from jobs.interpreters.artifacts import keep
from jobs.interpreters.call import call
from jobs.models import Replay, RequestRecord, Resend
from jobs.models.act import record
from jobs.reconnect import for_seconds, patiently
from jobs.resends.grants import Permission, ask, settle
from jobs.states import ReplayStatus, RequestStatus, ResendStatus
from jobs.steps import uploads
from jobs.steps.dispatch import publish
from kedro_console import wire
from kedro_console.wire import Json

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

FUNCTION: Final = "kedro_console.replay:replay"
MOST: Final = 10_000
TIMEOUT_SECONDS: Final = 60.0
CALL_SECONDS: Final = 120.0
LEASE: Final = timedelta(seconds=CALL_SECONDS + 60)
PATIENCE_SECONDS: Final = 60.0
"""How long what came back waits for a database that is away."""
SHORT_WAIT: Final = timedelta(seconds=10)
"""How long a worker itself waits for a quota; if it takes longer, it gives the replay back."""
LOOK_AGAIN: Final = timedelta(minutes=5)
"""How often a paused quota is asked, since nobody knows when it opens."""
PATIENCE: Final = timedelta(seconds=10)
BATCH: Final = 50


# ---- asking for one


def start_replay(
    records: Iterable[RequestRecord], *, at: datetime, by: User | None = None, by_name: str = ""
) -> Replay:
    """Queue these requests to be sent again; NotNow when there is none that can be."""
    with transaction.atomic():
        chosen = _free(records)
        replay = Replay.objects.create(
            created_at=at,
            requested_by=by,
            requested_by_name=by_name or (by.get_username() if by else ""),
            total=len(chosen),
            queue=chosen[0].run.pipeline.queue,
        )
        rows = (Resend(replay=replay, record=record, position=place) for place, record in enumerate(chosen))
        Resend.objects.bulk_create(rows, batch_size=500)
        record("replayed", replay, after={"requests": len(chosen), "first": str(chosen[0])})
        transaction.on_commit(partial(send_replay, replay.pk, at))
    return replay


def _free(records: Iterable[RequestRecord]) -> list[RequestRecord]:
    """Those of them that are open, can be sent again, and are in no replay that is under way."""
    under_way = set(Resend.objects.filter(replay__finished_at=None).values_list("record_id", flat=True))
    free = [record for record in records if record.is_open and not record.why_no_replay and record.pk not in under_way]
    if not free:
        raise NotNow("None of these requests is open and can be sent again, or they are already being replayed.")
    if len(free) > MOST:
        raise RequestError(f"A replay sends at most {MOST:,} requests: choose fewer.")
    return free


def send_replay(replay_id: int, at: datetime) -> bool:
    """Tell Celery of it; False with the broker away: the reconciler does it later."""
    replay = Replay.objects.get(pk=replay_id)
    is_told = _publish(replay)
    if is_told:
        Replay.objects.filter(pk=replay_id).update(sent_at=at)
    return is_told


def send_unheard_replays(at: datetime) -> int:
    """Tell Celery of replays that no worker has: never told, due by now, or their worker lost; how many."""
    sent = 0
    for replay in Replay.objects.unheard(at, PATIENCE)[:BATCH]:
        mine = Replay.objects.unheard(at, PATIENCE).filter(pk=replay.pk).update(sent_at=at)
        sent += bool(mine and _publish(replay))
    return sent


def _publish(replay: Replay) -> bool:
    return publish("jobs.replay", [replay.pk], queue=replay.queue, task_id=str(replay.task_id))


# ---- doing it


def replay(replay_id: int, *, worker_name: str) -> bool:
    """Send what is left of it; False when there is nothing to do here (another worker has it, or it waits)."""
    row = Replay.objects.get(pk=replay_id)
    try:
        token = row.claim(at=clock.now(), worker_name=worker_name, lease=LEASE)
    except IllegalMove as refusal:
        logger.info("%s was not claimed: %s", row, refusal)
        return False
    try:
        _settle_unknown(row, token)
        while turn := _next(row):
            try:
                if not _may_go(row, token, turn):
                    return True
            except RequestError as refusal:
                _record(row, token, turn, ResendStatus.FAILED, error=str(refusal)[:500])
                continue
            _send(row, token, turn)
        row.hold(token, status=ReplayStatus.FINISHED, finished_at=clock.now(), lease_expires_at=None)
    except LeaseLost as lost:
        logger.warning("%s", lost)
    return True


def _next(row: Replay) -> Resend | None:
    waiting = row.resends.filter(status=ResendStatus.WAITING).order_by("position")
    return waiting.select_related("record__run__pipeline__project", "record__step").first()


def _settle_unknown(row: Replay, token: uuid.UUID) -> None:
    """What a lost worker was sending: what changes nothing is sent again, the rest is not."""
    for turn in row.resends.filter(status=ResendStatus.SENDING).select_related("record__step"):
        settle(turn, 0, {}, clock.now())
        if turn.record.may_be_sent_twice:
            turn.status = ResendStatus.WAITING
            turn.save(update_fields=["status"])
        else:
            error = (
                "The worker was lost while this was sent: whether it arrived is not known. Replay it again if that is "
                "harmless."
            )
            _record(row, token, turn, ResendStatus.UNKNOWN, error=error)


def _may_go(row: Replay, token: uuid.UUID, turn: Resend) -> bool:
    """Wait for the quota; False when that takes long and the replay was given back until then."""
    while not (given := ask(turn, clock.now())).is_given:
        at = clock.now()
        due = given.at or at + LOOK_AGAIN
        if due - at > SHORT_WAIT:
            _give_back(row, token, given, due)
            return False
        row.hold(token, lease_expires_at=at + LEASE, wait_reason=given.reason[:300])
        time.sleep(max(0.01, (due - at).total_seconds()))
    row.hold(token, lease_expires_at=clock.now() + LEASE, wait_reason="")
    return True


def _give_back(row: Replay, token: uuid.UUID, given: Permission, due: datetime) -> None:
    row.hold(
        token,
        status=ReplayStatus.QUEUED,
        eligible_at=due,
        wait_reason=given.reason[:300],
        lease_token=None,
        lease_expires_at=None,
    )


def _send(row: Replay, token: uuid.UUID, turn: Resend) -> None:
    """Send one request and write down what came back."""
    if not turn.record.is_open:  # somebody dismissed it meanwhile
        return _record(row, token, turn, ResendStatus.FAILED, error="It is not in the inbox any more.")
    with transaction.atomic():
        row.hold(token, lease_expires_at=clock.now() + LEASE)
        turn.status, turn.at = ResendStatus.SENDING, clock.now()
        turn.save(update_fields=["status", "at"])
    project = turn.record.run.pipeline.project_id
    folder: Path = settings.VAR / "replays" / str(project) / str(uuid.uuid4())
    try:
        found = _called(turn.record, folder / "answer")
        patiently(partial(_settle, turn, found), is_over=for_seconds(PATIENCE_SECONDS))
        _answered(row, token, turn, found, folder / "answer")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(turn: Resend, found: _Found) -> None:
    turn.refresh_from_db(fields=["grant"])  # an earlier try may have been undone, or done
    settle(turn, found.status, found.headers, clock.now())


@dataclass(frozen=True)
class _Found:
    """What `kedro_console.replay` tells of an answer; status 0: there was none, and `error` says why."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    response: str = ""
    is_whole: bool = False
    size_bytes: int = 0
    sha256: str = ""
    media_type: str = ""
    seconds: float = 0.0
    error: str = ""

    @classmethod
    def read(cls, told: Any) -> _Found:
        return cls(**{each.name: told[each.name] for each in fields(cls) if told.get(each.name) is not None})


def _called(record: RequestRecord, file: Path) -> _Found:
    arguments: dict[str, Json] = {"request": record.as_sent(), "file": str(file), "timeout": TIMEOUT_SECONDS}
    try:
        return _Found.read(call(record.run.pipeline.project, FUNCTION, arguments, seconds=CALL_SECONDS))
    except ProjectError as error:
        return _Found(status=0, error=str(error)[:500])


def _answered(row: Replay, token: uuid.UUID, turn: Resend, found: _Found, file: Path) -> None:
    facts: dict[str, Json] = {
        "seconds": found.seconds,
        "status_code": found.status,
        "headers": found.headers,
        "response": found.response,
        "media_type": found.media_type[:120],
        "size_bytes": found.size_bytes,
    }
    if not found.status or found.status >= 400:
        return _record(row, token, turn, ResendStatus.FAILED, error=found.error[:500], **facts)
    if found.is_whole:
        facts |= _stored(found, file)
    return _record(row, token, turn, ResendStatus.SUCCEEDED, **facts)


def _stored(found: _Found, file: Path) -> dict[str, str]:
    """The whole answer goes into the artifact store; without the store its beginning is what is left."""
    kept = wire.KeptFile(str(file), "answer", found.size_bytes, found.sha256, found.media_type)
    try:
        waiting = keep(kept, file.parent)
    except PlatformError as error:
        return {"error": str(error)[:500]}
    uploads.wait([waiting] if waiting else [], clock.now())
    return {"sha256": kept.sha256}


def _record(row: Replay, token: uuid.UUID, turn: Resend, status: ResendStatus, **facts: Json) -> None:
    """The end of one turn, only while the replay is ours; what came back is not given up with the database."""
    patiently(partial(_write, row, token, turn, status, facts), is_over=for_seconds(PATIENCE_SECONDS))


def _write(row: Replay, token: uuid.UUID, turn: Resend, status: ResendStatus, facts: dict[str, Json]) -> None:
    is_good = status == ResendStatus.SUCCEEDED
    at = clock.now()
    with transaction.atomic():
        if not Resend.objects.filter(pk=turn.pk).exclude(status=status).update(status=status, **facts):
            return  # an earlier try did it, and only its answer was lost
        row.hold(token, **({"done": F("done") + 1} if is_good else {"failed": F("failed") + 1}))
        if is_good:
            RequestRecord.objects.filter(pk=turn.record_id).open().update(
                status=RequestStatus.REPLAYED, settled_at=at, settled_by=row.requested_by_name, settled_why=str(row)
            )
