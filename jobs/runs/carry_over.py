"""What reused nodes gave for people is found at the new run too; the bytes are kept once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from jobs.models import Artifact, Run, UnkeptFile


def carry_over(old: Run, new: Run, nodes: Iterable[str], outputs: Iterable[str], at: datetime) -> None:
    """Artifacts, what was not kept, and results that these nodes of the old run made, as the new run's own rows."""
    made_by = sorted(nodes)
    rows = list(old.artifacts.filter(node__in=made_by).order_by("pk"))
    for row in rows:
        row.pk, row.uuid, row.run, row.created_at = None, uuid.uuid4(), new, at
    made = {row.dataset: str(row.uuid) for row in Artifact.objects.bulk_create(rows)}
    left = list(old.unkept_files.filter(node__in=made_by).order_by("pk"))
    for unkept in left:
        unkept.pk, unkept.run, unkept.created_at = None, new, at
    UnkeptFile.objects.bulk_create(left)
    names = set(outputs)
    results = {name: dict(result) for name, result in (old.results or {}).items() if name in names}
    for name, result in results.items():
        if "artifact" in result:
            result["artifact"] = made.get(name, result["artifact"])
    if results:
        new.results = {**(new.results or {}), **results}
        Run.objects.filter(pk=new.pk).update(results=new.results)
