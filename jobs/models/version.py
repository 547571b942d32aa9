"""What people edit of a row has a version, so that nobody saves over what somebody else has changed meanwhile.

A version is a short text that is made of the row itself: a mark for each thing that people edit, in a fixed order. What
our own processes write beside it (counters, due times) does not change it. A page carries the version that it shows,
a caller of the API the one that it read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from jobs.encryption import EncryptedJSONField
from jobs.errors import PlatformError, Stale
from jobs.models.act import UNTOLD, Act, kind_of_thing
from kedro_console.wire import HIDDEN, Json, hidden, json_safe, with_secrets

MARK: Final = 6
"""Characters for each thing: one change in sixteen million millions is taken for none."""
RECENT: Final = 20
"""Acts among which the one is looked for that changed it."""
NOT_EDITED: Final = UNTOLD | {"last_run_at", "total_run_count", "created_at", "is_registered"}


def edited(row: models.Model) -> tuple[str, ...]:
    """The names of what people edit of it; a model that does not say so has all of its own columns."""
    told: tuple[str, ...] = getattr(row, "EDITED", ())
    fields = (*row._meta.concrete_fields, *row._meta.many_to_many)
    return told or tuple(
        each.name for each in fields if each.editable and not each.primary_key and each.name not in NOT_EDITED
    )


def version_of(row: models.Model, more: Sequence[str] = ()) -> str:
    """The version of a row as it is in memory; `more` names what is edited with it."""
    return "".join(_mark(row, name) for name in (*edited(row), *more))


@contextmanager
def as_seen(row: models.Model, *seen: str, more: Sequence[str] = ()) -> Iterator[None]:
    """A transaction in which nobody else edits the row; Stale when it is none of the versions that were `seen`.

    Without a version nothing is asked.
    """
    with transaction.atomic():
        check_seen(row, *seen, more=more)
        yield


def check_seen(row: models.Model, *seen: str, more: Sequence[str] = ()) -> None:
    """Hold the row until this transaction ends; Stale when it is none of the versions that were `seen`."""
    rows = type(row)._base_manager.filter(pk=row.pk)
    held = rows.select_for_update(of=("self",), no_key=not getattr(row, "LOCKED_WITH_KEY", False)).first()
    if held is None:
        raise Stale(f"{row} was deleted meanwhile: nothing was saved.", version="", names=[])
    now, versions = version_of(held, more), [each for each in seen if each]
    if versions and now not in versions:
        names = _differ(versions[0], now, (*edited(held), *more))
        raise Stale(_sentence(held, names), version=now, names=names)


def _differ(seen: str, now: str, names: Sequence[str]) -> list[str]:
    """What was changed; nothing is known of a version that is not one of this kind of row."""
    if len(seen) != len(now):
        return []
    places = (slice(at, at + MARK) for at in range(0, len(now), MARK))
    return [name for name, place in zip(names, places, strict=True) if seen[place] != now[place]]


def label_of(row: models.Model, name: str) -> str:
    """What people call it."""
    field = next((each for each in row._meta.get_fields() if each.name == name), None)
    return str(getattr(field, "verbose_name", "") or name.removeprefix("is_").replace("_", " "))


def told_of(row: models.Model, name: str) -> Json:
    """The value of it for people: secrets are masked, and what is encrypted is only said to be there."""
    if _is_sealed(row, name):
        return HIDDEN if _sealed(row, name) else ""
    value = getattr(row, name)
    if isinstance(value, models.Manager):
        return sorted(str(each) for each in value.all())
    if isinstance(value, models.Model | date | time):
        return str(timezone.localtime(value) if isinstance(value, datetime) else value)
    mark = getattr(row, "marked", None)
    value = mark(value) if mark and isinstance(value, dict) and "parameters" in name else value
    return json_safe(with_secrets(value, hidden))  # type: ignore[no-any-return]


def _mark(row: models.Model, name: str) -> str:
    text = json.dumps(_raw(row, name), sort_keys=True, cls=_Encoder)
    digest = salted_hmac("jobs.version", f"{row._meta.label}.{name}:{text}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest)[:MARK].decode()


def _sealed(row: models.Model, name: str) -> object:
    """What is encrypted, or that it cannot be read with today's keys."""
    try:
        return getattr(row, name)
    except PlatformError as error:
        return str(error)


def _raw(row: models.Model, name: str) -> object:
    if _is_sealed(row, name):
        return _sealed(row, name)
    value = getattr(row, name)
    if isinstance(value, models.Manager):
        return sorted(str(each) for each in value.all())
    if isinstance(value, models.Model):
        return value.pk
    return json_safe(value, depth=100, items=1_000_000)


class _Encoder(DjangoJSONEncoder):
    def default(self, o: object) -> object:
        try:
            return super().default(o)
        except TypeError:
            return str(o)


def _is_sealed(row: models.Model, name: str) -> bool:
    return any(each.name == name and isinstance(each, EncryptedJSONField) for each in row._meta.concrete_fields)


def _sentence(row: models.Model, names: Sequence[str]) -> str:
    what = _listed([label_of(row, name) for name in names]) or "it"
    act = _who(row, names)
    if act is None:
        return f"{what[:1].upper()}{what[1:]} of {row} changed meanwhile: nothing was saved."
    when = f"{timezone.localtime(act.at):%Y-%m-%d at %H:%M:%S}"
    return f"{act.token or act.actor} changed {what} of {row} on {when}: nothing was saved."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def _who(row: models.Model, names: Sequence[str]) -> Act | None:
    """The newest act that changed one of these; the newest of all when none says which it changed."""
    things = [row, *(getattr(row, each) for each in getattr(row, "EDITED_AS", ()))]
    here = models.Q()
    for thing in things:
        here |= models.Q(kind=kind_of_thing(thing), key=str(thing.pk))
    acts = list(Act.objects.filter(here).exclude(verb__in=("started", "downloaded")).order_by("-id")[:RECENT])
    wanted = {name.replace("_", " ") for name in names}
    found = (act for act in acts if wanted & {name.replace("_", " ") for name in {**act.before, **act.after}})
    return next(found, acts[0] if acts else None)
