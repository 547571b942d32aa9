"""What may be done about a wait, each as one form that asks first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.urls import reverse

from jobs.insight.explain import Act, Reason
from jobs.models import Run


@dataclass(frozen=True)
class Way:
    """A button: who may press it, what it asks, and what is said when there is nothing to do any more."""

    permission: str
    label: str
    address: str
    asks: str = ""
    """Empty: it is a link to a page."""
    yes: str = ""
    gone: str = ""
    fields: dict[str, object] = field(default_factory=dict)
    is_red: bool = False


@dataclass(frozen=True)
class Wait:
    """A reason, and the ways out of it."""

    reason: Reason
    ways: list[Way]


def waits(run: Run, reasons: Iterable[Reason]) -> list[Wait]:
    return [Wait(reason, [way for act in reason.acts for way in _ways(run, reason, act)]) for reason in reasons]


def _ways(run: Run, reason: Reason, act: Act) -> Iterator[Way]:
    back: dict[str, object] = {"next": run.get_absolute_url()}
    if act == Act.GO_FIRST:
        yield Way(
            "jobs.start_pipeline", "Go first", reverse("run_priority", args=[run.pk]),
            f"Let run #{run.pk} go first? It gets priority 0 and takes the next free slot.",
            "Go first", f"Run #{run.pk} no longer waits for others.", {"priority": 0},
        )  # fmt: skip
    elif act == Act.RAISE_SLOTS:
        worker = reason.workers[0]
        more = worker.slots + 1
        yield Way(
            "jobs.control_worker", "Raise slots", reverse("worker_slots", args=[worker.pk]),
            f"Raise the slots of {worker} from {worker.slots} to {more}?",
            "Raise them", "This run no longer waits for its slots.", {**back, "slots": more},
        )  # fmt: skip
    elif act == Act.RESUME_WORKER:
        for worker in reason.workers:
            yield Way(
                "jobs.control_worker", f"Resume {worker}", reverse("worker_resume", args=[worker.pk]),
                f"Let {worker} take steps again? {worker.wanted_by or 'Somebody'} stopped it.",
                "Resume it", "A worker takes steps of this queue again.", back,
            )  # fmt: skip
    elif act == Act.CANCEL_OTHER and reason.run:
        other = f"#{reason.run.pk}"
        yield Way(
            "jobs.cancel_run", f"Cancel {other}", reverse("run_cancel", args=[reason.run.pk]),
            f"Cancel run {other}, so that #{run.pk} can start? Its files so far stay.",
            f"Cancel {other}", f"Run {other} has ended meanwhile.", back, is_red=True,
        )  # fmt: skip
    elif reason.quota:
        yield _of_quota(reason, act, back)


def _of_quota(reason: Reason, act: Act, back: dict[str, object]) -> Way:
    quota = reason.quota
    assert quota  # noqa: S101 - asked by whoever calls
    if act == Act.RAISE_QUOTA:
        return Way("jobs.change_quota", "Raise the quota…", reverse("quota_edit", args=[quota.pk]))
    return Way(
        "jobs.pause_quota", "Open the quota", reverse("quota_open", args=[quota.pk]),
        f"Open the quota {quota}? What waits for it goes on: only its windows limit it.",
        "Open it", f"The quota {quota} is open again.", back,
    )  # fmt: skip
