from __future__ import annotations

from datetime import datetime

from django.db import models, transaction

from jobs.errors import RequestError
from jobs.models.act import record
from jobs.models.request_record import RequestRecord
from jobs.states import RequestStatus


class IgnoredHost(models.Model):
    """A host whose failed requests do not come into the inbox; they stay with their runs."""

    host = models.CharField(max_length=255, unique=True)
    ignored_at = models.DateTimeField()
    ignored_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return self.host

    @classmethod
    @transaction.atomic
    def ignore(cls, host: str, *, at: datetime, by: str) -> int:
        """From now on, including what is open; how many. RequestError for no host, or one already ignored."""
        host = host.strip().lower()[:255]
        if not host:
            raise RequestError("Give the host to ignore.")
        _, is_new = cls.objects.get_or_create(host=host, defaults={"ignored_at": at, "ignored_by": by[:150]})
        if not is_new:
            raise RequestError(f"{host} is already ignored.")
        facts = {"status": RequestStatus.IGNORED, "settled_at": at, "settled_by": by[:150]}
        count = RequestRecord.objects.open().filter(host=host).update(**facts)
        record("ignored", host, kind="host", after={"requests": count})
        return count

    @classmethod
    @transaction.atomic
    def heed(cls, host: str) -> int:
        """Stop ignoring it: what was ignored is open again; how many. RequestError when it was not ignored."""
        host = host.strip().lower()
        if not cls.objects.filter(host=host).delete()[0]:
            raise RequestError(f"{host} is not ignored.")
        facts = {"status": RequestStatus.OPEN, "settled_at": None, "settled_by": ""}
        count = RequestRecord.objects.filter(host=host, status=RequestStatus.IGNORED).update(**facts)
        record("heeded", host, kind="host", after={"requests": count})
        return count
