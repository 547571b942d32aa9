"""What may follow what: one table for runs and steps, one for node runs."""

from typing import Final

from django.db import models


class Status(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    CRASHED = "crashed", "crashed"


NEXT: Final[dict[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED, Status.CRASHED}),
    Status.RUNNING: frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.CRASHED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.CRASHED: frozenset(),
}

LIVE: Final = frozenset(status for status, following in NEXT.items() if following)
FINAL: Final = frozenset(status for status, following in NEXT.items() if not following)


def sources(to: Status) -> frozenset[Status]:
    """The statuses from which a row may move to `to`."""
    return frozenset(status for status, following in NEXT.items() if to in following)


class NodeStatus(models.TextChoices):
    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    CRASHED = "crashed", "crashed"
    BLOCKED = "blocked", "blocked"
    REUSED = "reused", "reused"


NODE_LIVE: Final = frozenset({NodeStatus.WAITING, NodeStatus.RUNNING})
NODE_DONE: Final = frozenset({NodeStatus.SUCCEEDED, NodeStatus.REUSED})


class Cause(models.TextChoices):
    MANUAL = "manual", "manual"
    API = "api", "API"
    SCHEDULE = "schedule", "schedule"
    RULE = "rule", "rule"
    RETRY = "retry", "retry"
    BACKFILL = "backfill", "backfill"


class Overlap(models.TextChoices):
    """What a run does when another of its pipeline is under way."""

    BOTH = "both", "run both"
    WAIT = "wait", "wait in line"
    SKIP = "skip", "skip"
    CANCEL = "cancel", "cancel the older"


class Missed(models.TextChoices):
    """Which due times start a run afterwards when nobody was there to decide them."""

    NOTHING = "nothing", "nothing"
    NEWEST = "newest", "only the newest"
    ALL = "all", "all, up to a number and an age"


class TickDecision(models.TextChoices):
    """What came of one due time of a schedule; only `due` is still to come."""

    DUE = "due", "about to start"
    STARTED = "started", "started"
    SKIPPED = "skipped", "skipped: another run was still going"
    PAUSED = "paused", "paused"
    MISSED = "missed", "missed"
    REFUSED = "refused", "refused"
    DUPLICATE = "duplicate", "had started already"
    MADE_UP = "made_up", "made up for"


class Wanted(models.TextChoices):
    """What people want of a worker."""

    WORKING = "working", "working"
    PAUSED = "paused", "paused: takes no new steps"
    DRAINING = "draining", "draining: finishes its steps, then ends"


class Runner(models.TextChoices):
    SEQUENTIAL = "sequential", "sequential (one process)"
    THREADS = "threads", "threads (one process)"
    DISTRIBUTED = "distributed", "distributed (many workers)"


class Grouping(models.TextChoices):
    """Which nodes of a distributed run share a step."""

    NODE = "node", "each node its own step, chains in one"
    NAMESPACE = "namespace", "a step for each namespace"
    TAG = "tag", "a step for each tag step-NAME"


class Wants(models.TextChoices):
    """How many of a rule's sources have to end."""

    ANY = "any", "any of them"
    ALL = "all", "all of them"


class Occasion(models.TextChoices):
    """How a run (or a node) has to end for a rule."""

    SUCCEEDED = "succeeded", "succeeds"
    FAILED = "failed", "fails or crashes"
    FINISHED = "finished", "ends, however"
    PRODUCED = "produced", "succeeds and produces something"


class Correlate(models.TextChoices):
    """Which runs of several sources belong together."""

    ROOT = "root", "the same first run"
    TICK = "tick", "the same tick of a schedule"


class Decision(models.TextChoices):
    """What came of one firing."""

    STARTED = "started", "started"
    UNMET = "unmet", "condition was false"
    REFUSED = "refused", "refused"
    CAPPED = "capped", "capped"
    DECIDING = "deciding", "deciding"
    FAILED = "failed", "failed"
    DISABLED = "disabled", "rule was off"


class ItemStatus(models.TextChoices):
    """Where a piece of stored work is: only done and dropped items do not come back."""

    WAITING = "waiting", "waiting"
    TAKEN = "taken", "taken"
    DONE = "done", "done"
    PARKED = "parked", "parked"


class RequestStatus(models.TextChoices):
    """What became of a failed request."""

    OPEN = "open", "open"
    RECOVERED = "recovered", "recovered: a later attempt succeeded"
    REPLAYED = "replayed", "replayed with success"
    DISMISSED = "dismissed", "dismissed"
    IGNORED = "ignored", "of a host that is ignored"


class ReplayStatus(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    FINISHED = "finished", "finished"
    CANCELLED = "cancelled", "cancelled"


class ResendStatus(models.TextChoices):
    """How one request of a replay went."""

    WAITING = "waiting", "waiting"
    SENDING = "sending", "sending"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    UNKNOWN = "unknown", "unknown: its worker was lost while it was sent"


class BackfillStatus(models.TextChoices):
    """Whether a backfill starts its next dates."""

    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    STOPPED = "stopped", "stopped"
    FINISHED = "finished", "finished"


class DateStatus(models.TextChoices):
    """Where one date of a backfill is."""

    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    SKIPPED = "skipped", "skipped"


class Again(models.TextChoices):
    """Which dates of its range a backfill runs."""

    NEW = "new", "only dates that never ran"
    UNSUCCESSFUL = "unsuccessful", "also dates that failed"
    ALL = "all", "all dates, also those that succeeded"


class Direction(models.TextChoices):
    """Which date of a backfill comes first."""

    OLDEST = "oldest", "oldest first"
    NEWEST = "newest", "newest first"


class NewsKind(models.TextChoices):
    """What people can be told of."""

    FAILING = "failing", "started failing"
    STILL_FAILING = "still_failing", "still failing"
    RECOVERED = "recovered", "recovered"
    LATE = "late", "late"
    SLOW = "slow", "slower than usual"
    LITTLE = "little", "nothing, or far less than usual"
    MISSED = "missed", "schedule missed or refused"
    QUOTA = "quota", "quota near its end"
    WAITING = "waiting", "waits too long"
    WORKER = "worker", "worker lost"
    FILE = "file", "new file"
    CHANNEL = "channel", "channel does not work"
    TEST = "test", "test"


class ChannelKind(models.TextChoices):
    MAIL = "mail", "mail"
    SERVICE = "service", "chat or push service"
    WEBHOOK = "webhook", "signed webhook"


class DeliveryStatus(models.TextChoices):
    WAITING = "waiting", "waiting"
    SENT = "sent", "sent"
    FAILED = "failed", "given up"
