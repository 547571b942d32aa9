"""What reused nodes gave for people is found at the new run too; the bytes are kept once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from jobs.models import Artifact, Run, UnkeptFile

FILES_AT_ONCE: Final = 1_000


def carry_over(old: Run, new: Run, nodes: Iterable[str], outputs: Iterable[str], at: datetime) -> None:
    """Artifacts, what was not kept, and results that these nodes of the old run made, as the new run's own rows."""
    made_by = sorted(nodes)
    names = set(outputs)
    made = _copied(old, new, made_by, names, at)
    left = list(old.unkept_files.filter(node__in=made_by).order_by("pk"))
    for unkept in left:
        unkept.pk, unkept.run, unkept.created_at = None, new, at
    UnkeptFile.objects.bulk_create(left)
    results = {name: dict(result) for name, result in (old.results or {}).items() if name in names}
    for name, result in results.items():
        if "artifact" in result:
            result["artifact"] = made.get(name, result["artifact"])
    if results:
        new.results = {**(new.results or {}), **results}
        Run.objects.filter(pk=new.pk).update(results=new.results)


def _copied(old: Run, new: Run, made_by: list[str], results: set[str], at: datetime) -> dict[str, str]:
    """The rows of its files, some at a time; of those that are results the new address by dataset."""
    made: dict[str, str] = {}
    last = 0
    while rows := list(old.artifacts.filter(node__in=made_by, pk__gt=last).order_by("pk")[:FILES_AT_ONCE]):
        last = rows[-1].pk
        for row in rows:
            row.pk, row.uuid, row.run, row.created_at = None, uuid.uuid4(), new, at
        made |= {row.dataset: str(row.uuid) for row in Artifact.objects.bulk_create(rows) if row.dataset in results}
    return made
