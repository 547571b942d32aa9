from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse

from kedro_console.wire import Json

REQUESTS, ROWS = "requests", "rows"
PERIODS = ((3600, "hour"), (60, "minute"), (1, "second"))
LATE = timedelta(seconds=3)
"""Who does not come within this time of its turn is not waited for; it keeps its place."""


class Quota(models.Model):
    """A named limit of an outside API, shared by all workers; its counters belong to whoever holds its lock."""

    EDITED: ClassVar = ("name", "description", "windows")

    name = models.CharField(
        max_length=80,
        unique=True,
        validators=[RegexValidator(r"^[\w.-]+\Z", "A name has letters, digits, dots, dashes and underscores only.")],
        help_text="What nodes and pipelines call it.",
    )
    description = models.TextField(blank=True)

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True, help_text="Empty: until somebody opens it.")
    paused_by = models.CharField(max_length=150, blank=True)
    paused_reason = models.CharField(max_length=200, blank=True)
    closed_until = models.DateTimeField(null=True, blank=True, help_text="What the API itself asked for.")
    closed_reason = models.CharField(max_length=200, blank=True)

    open_requests = models.BigIntegerField(default=0, editable=False)
    open_rows = models.BigIntegerField(default=0, editable=False)
    settled_requests = models.BigIntegerField(default=0, editable=False)
    settled_rows = models.BigIntegerField(default=0, editable=False)
    settled_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Of its newest settled grant.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        permissions = [("pause_quota", "Can pause and open quotas")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("quota", args=[self.pk])

    def is_paused(self, at: datetime) -> bool:
        return self.paused_at is not None and (self.paused_until is None or at < self.paused_until)

    def is_closed(self, at: datetime) -> bool:
        """The API said when to come again, and it is not yet that time."""
        return self.closed_until is not None and at < self.closed_until

    def open_of(self, unit: str) -> int:
        return self.open_requests if unit == REQUESTS else self.open_rows

    def settled_of(self, unit: str) -> int:
        return self.settled_requests if unit == REQUESTS else self.settled_rows


class Window(models.Model):
    """A limit within any span of some seconds, or within a calendar day of a zone."""

    class Unit(models.TextChoices):
        REQUESTS = REQUESTS, "requests"
        ROWS = ROWS, "rows"

    quota = models.ForeignKey(Quota, models.CASCADE, related_name="windows")
    unit = models.CharField(max_length=20, choices=Unit, default=Unit.REQUESTS)
    allowed = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    seconds = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: a calendar day.")
    zone = models.CharField(max_length=64, blank=True, help_text="Whose calendar day.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(allowed__gt=0), name="window_allows_something"),
            models.CheckConstraint(
                condition=models.Q(seconds__gt=0, zone="") | (models.Q(seconds__isnull=True) & ~models.Q(zone="")),
                name="window_rolls_or_is_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.allowed:,} {self.unit if self.allowed > 1 else self.unit[:-1]} per {self.period}"

    @property
    def period(self) -> str:
        if self.seconds is None:
            return f"day in {self.zone}"
        size, word = next((size, word) for size, word in PERIODS if self.seconds % size == 0)
        count = self.seconds // size
        return word if count == 1 else f"{count} {word}s"

    @property
    def length(self) -> timedelta:
        """Of a calendar day the usual one: two in a year are an hour shorter or longer."""
        return timedelta(seconds=self.seconds) if self.seconds else timedelta(days=1)

    def since(self, at: datetime) -> datetime:
        """What was settled at this moment or before does not count any more at `at`."""
        if self.seconds:
            return at - self.length
        return self.day(at) - timedelta(microseconds=1)

    def day(self, at: datetime, *, later: int = 0) -> datetime:
        """The first moment, UTC, of the calendar day of `at`, or of one `later`."""
        date = at.astimezone(ZoneInfo(self.zone)).date() + timedelta(days=later)
        return datetime.combine(date, time.min, ZoneInfo(self.zone)).astimezone(UTC)


class GrantQuerySet(models.QuerySet["Grant"]):
    def waiting(self) -> GrantQuerySet:
        """Asked for and not given; the first come first."""
        return self.filter(taken_at__isnull=True, settled_at__isnull=True).order_by("pk")

    def held(self) -> GrantQuerySet:
        """Given and not settled: the request may be on its way."""
        return self.filter(taken_at__isnull=False, settled_at__isnull=True).order_by("pk")

    def settled(self) -> GrantQuerySet:
        return self.filter(settled_at__isnull=False)

    def expected(self, at: datetime) -> GrantQuerySet:
        """Those in the line that will come: not late, and held back by no other quota."""
        return self.waiting().filter(due_at__gt=at - LATE, waits_elsewhere=False)


class Grant(models.Model):
    """One use of a quota: asked for, then taken, then settled when the answer came, which is when it counts.

    The sums are those of the quota after it was settled: what is used within a window is the difference of two rows.
    """

    quota = models.ForeignKey(Quota, models.CASCADE, related_name="grants")
    run = models.ForeignKey("jobs.Run", models.SET_NULL, null=True, blank=True, related_name="grants")
    step = models.ForeignKey("jobs.Step", models.SET_NULL, null=True, blank=True, related_name="grants")
    node = models.CharField(max_length=500, blank=True)
    requests = models.PositiveIntegerField(default=1)
    rows = models.PositiveIntegerField(default=0)
    is_reserved = models.BooleanField(default=False, help_text="For the run as a whole; its nodes use it up.")

    asked_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True, help_text="While it waits: when its turn should come.")
    waits_elsewhere = models.BooleanField(default=False, help_text="Another quota holds it back for longer.")
    taken_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="The HTTP status of the answer.")
    retry_after_seconds = models.FloatField(null=True, blank=True)
    sum_requests = models.BigIntegerField(null=True, editable=False)
    sum_rows = models.BigIntegerField(null=True, editable=False)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(settled_at__isnull=True) | models.Q(taken_at__isnull=False),
                name="grant_settled_was_taken",
            )
        ]
        indexes = [
            models.Index(fields=["quota", "settled_at"], name="grant_by_settled"),
            models.Index(fields=["quota", "sum_requests"], name="grant_by_requests"),
            models.Index(fields=["quota", "sum_rows"], name="grant_by_rows"),
            models.Index(fields=["quota", "id"], condition=models.Q(settled_at__isnull=True), name="grant_unsettled"),
            models.Index(fields=["quota", "-id"], condition=models.Q(status__gte=400), name="grant_refused"),
        ]

    def __str__(self) -> str:
        return f"grant {self.pk} of {self.quota}"

    def amount(self, unit: str) -> int:
        return self.requests if unit == REQUESTS else self.rows


def check_takes(takes: Json) -> None:
    """ValidationError unless this names known quotas, each with a number of requests."""
    if not isinstance(takes, dict):
        raise ValidationError('Write an object of quotas and requests, such as {"chat": 1}.')
    known = set(Quota.objects.values_list("name", flat=True)) if takes else set()
    for name, requests in takes.items():
        if name not in known:
            raise ValidationError(f"There is no quota “{name}”: create it on the page Quotas first.")
        if type(requests) is not int or requests < 1:
            raise ValidationError(f"{name}: write a whole number of requests, at least 1.")
        least = Window.objects.filter(quota__name=name, unit=REQUESTS, allowed__lt=requests).first()
        if least:
            raise ValidationError(f"{name}: {requests:,} requests at once can never be granted: it allows {least}.")
