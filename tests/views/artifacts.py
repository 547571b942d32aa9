"""Artifacts with real bytes in the store."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.files.base import ContentFile

from jobs import clock
from jobs.interpreters.artifacts import key_of, store
from jobs.library.shelve import shelve
from jobs.models import Artifact, Run


def an_artifact(run: Run, name: str = "cars.csv", data: bytes = b"a,b\n1,2\n", **facts: Any) -> Artifact:
    sha256 = hashlib.sha256(data).hexdigest()
    if not store().exists(key_of(sha256)):
        store().save(key_of(sha256), ContentFile(data))
    given = {"media_type": "text/csv", "dataset": f"d{run.artifacts.count()}", "created_at": clock.now()} | facts
    artifact = Artifact.objects.create(run=run, name=name, size_bytes=len(data), sha256=sha256, **given)
    shelve(run)
    return artifact
