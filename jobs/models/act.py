"""What people and tokens did: one row for each act, in the transaction that does it, whichever door it came through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from jobs import clock
from jobs.encryption import EncryptedJSONField
from kedro_console.wire import HIDDEN, Json, clean, hidden, json_safe, with_secrets

VERBS: Final = (
    "added", "backed up", "cancelled", "changed", "deleted", "dismissed", "downloaded", "drained", "dropped",
    "forced", "heeded", "ignored", "logged in", "logged out", "opened", "paused", "prioritized", "purged", "put back",
    "put in", "replayed", "resized", "restored", "resumed", "retried", "revoked", "seeded", "shared", "started",
    "stopped", "switched off", "switched on", "tested",
)  # fmt: skip
"""All that is recorded; the test of the record holds it true."""

OTHER: Final = f"{HIDDEN} (another)"
LONGEST_VALUE: Final = 2_000
"""Characters of a text in `before` and `after`; the rest is cut."""


class Door(models.TextChoices):
    PAGE = "page", "page"
    ADMIN = "admin", "admin"
    API = "api", "API"
    COMMAND = "command", "command"


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, a token of theirs, or whoever uses a command on the server."""

    name: str
    door: Door
    user_id: int | None = None
    token: str = ""
    address: str = ""


_acting: ContextVar[Callable[[], Actor | None]] = ContextVar("acting", default=lambda: None)
_acts: ContextVar[list[Act] | None] = ContextVar("acts", default=None)


@contextmanager
def acting(who: Callable[[], Actor | None]) -> Iterator[list[Act]]:
    """While this lasts, what is done is done by that actor (asked for when it is needed); gives what was recorded."""
    acts: list[Act] = []
    before, before_acts = _acting.set(who), _acts.set(acts)
    try:
        yield acts
    finally:
        _acting.reset(before)
        _acts.reset(before_acts)


class ActQuerySet(models.QuerySet["Act"]):
    def narrowed(self, *, actor: str = "", verb: str = "", thing: str = "", before: int | None = None) -> ActQuerySet:
        """The newest first; `actor` is a person or a token, `thing` a kind, or one thing of it as `run:12`."""
        kind, _, key = thing.partition(":")
        rows = self.order_by("-id")
        rows = rows.filter(self._by(actor)) if actor else rows
        rows = rows.filter(verb=verb) if verb else rows
        rows = rows.filter(kind=kind) if kind else rows
        rows = rows.filter(models.Q(key=key) | models.Q(key="", name=key)) if key else rows
        return rows if before is None else rows.filter(pk__lt=before)

    def _by(self, name: str) -> models.Q:
        """Of a person, a token or both: asked for at once, a name that is neither would be looked for in every row."""
        sides = (models.Q(actor=name), models.Q(token=name))
        known = [side for side in sides if self.filter(side).order_by().exists()]
        return reduce(or_, known) if known else models.Q(pk__in=())


class Act(models.Model):
    """Somebody did something to something; never changed afterwards."""

    at = models.DateTimeField()
    user_id = models.BigIntegerField(null=True, help_text="The account, which may be gone by now.")
    actor = models.CharField(max_length=150)
    token = models.CharField(max_length=110, blank=True, help_text="The API token that was used.")
    door = models.CharField(max_length=10, choices=Door)
    address = models.CharField(max_length=45, blank=True)
    verb = models.CharField(max_length=40)
    kind = models.CharField(max_length=60, help_text="What sort of thing it was done to.")
    key = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=300, blank=True)
    before = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    why = models.CharField(max_length=500, blank=True)

    objects = ActQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["kind", "key", "-id"], name="act_by_thing"),
            models.Index(fields=["actor", "-id"], name="act_by_actor"),
            models.Index(fields=["token", "-id"], name="act_by_token"),
            models.Index(fields=["verb", "-id"], name="act_by_verb"),
            models.Index(fields=["at"], name="act_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.kind} {self.name}"

    @property
    def object(self) -> str:
        """What it was done to, as the filter takes it."""
        return f"{self.kind}:{self.key or self.name}"

    @property
    def changes(self) -> list[tuple[str, list[Any], list[Any]]]:
        """(what, before, after) of each fact that differs; no value where it was not told."""
        names = {**self.before, **self.after}
        return [(name.replace("_", " "), _told(self.before, name), _told(self.after, name)) for name in names]


def _told(facts: dict[str, Any], name: str) -> list[Any]:
    return [facts[name]] if name in facts else []


def record(
    verb: str,
    thing: models.Model | str,
    *,
    kind: str = "",
    before: Mapping[str, Json] | None = None,
    after: Mapping[str, Json] | None = None,
    why: str = "",
) -> None:
    """Write down that the actor of this request or command did this; nothing when no person or token acts.

    `thing` is a row, or the name of something that is none and then has a `kind`. Secrets are masked.
    """
    actor = _acting.get()()
    if actor is None:
        return
    row = thing if isinstance(thing, models.Model) else None
    act = Act.objects.create(
        at=clock.now(),
        user_id=actor.user_id,
        actor=_text(actor.name, 150),
        token=_text(actor.token, 110),
        door=actor.door,
        address=actor.address[:45],
        verb=verb,
        kind=kind or (kind_of_thing(row) if row else ""),
        key=_key_of(row) if row else "",
        name=_text(str(thing), 300),
        before=_shown(before or {}),
        after=_shown(after or {}),
        why=_text(why, 500),
    )
    acts = _acts.get()
    if acts is not None:
        acts.append(act)


@contextmanager
def recorded(verb: str, thing: models.Model, *, why: str = "") -> Iterator[None]:
    """Record what the block changes of this row: the facts that differ, as they were and as they are."""
    if _acting.get()() is None:
        yield
        return
    old = _fresh(thing)
    before, sealed = facts_of(old), _sealed(old)
    yield
    new = _fresh(thing)
    after = {**facts_of(new), **{name: OTHER for name, value in _sealed(new).items() if value != sealed.get(name)}}
    differ = {name for name in before | after if before.get(name) != after.get(name)}
    record(
        verb,
        thing,
        before={name: before.get(name) for name in sorted(differ)},
        after={name: after.get(name) for name in sorted(differ)},
        why=why,
    )


def was_recorded(thing: models.Model) -> bool:
    """Whether something was written down of this row in this request already."""
    acts, key, kind = _acts.get() or [], _key_of(thing), kind_of_thing(thing)
    return any((act.kind, act.key) == (kind, key) for act in acts)


def facts_of(row: models.Model | None) -> dict[str, Json]:
    """The columns of a row that say something to people; what is encrypted is only said to be there."""
    if row is None:
        return {}
    fields = (each for each in row._meta.concrete_fields if not each.primary_key and each.attname not in UNTOLD)
    return {each.name: _fact(row, each) for each in fields}


UNTOLD: Final = frozenset({"password", "digest", "token_key", "last_login", "date_changed", "content", "edited_at"})


def _fact(row: models.Model, field: models.Field[Any, Any]) -> Any:
    value = field.value_from_object(row)
    return (HIDDEN if value else value) if isinstance(field, EncryptedJSONField) else value


def _sealed(row: models.Model | None) -> dict[str, object]:
    """What is encrypted in the row, and told to nobody."""
    fields = row._meta.concrete_fields if row else ()
    return {each.name: each.value_from_object(row) for each in fields if row and isinstance(each, EncryptedJSONField)}


def _key_of(row: models.Model) -> str:
    """Its number; of a token its public beginning, as its key is a hash of what is secret."""
    public = vars(row).get("token_key", row.pk)
    return str(public)[:100]


def object_name(row: models.Model) -> str:
    """How `narrowed` is asked for this row."""
    return f"{kind_of_thing(row)}:{_key_of(row)}"


def kind_of_thing(row: models.Model) -> str:
    return str(row._meta.verbose_name)


def _fresh(thing: models.Model) -> models.Model | None:
    return type(thing)._base_manager.filter(pk=thing.pk).first()


def _shown(facts: Mapping[str, Json]) -> dict[str, Any]:
    plain = json_safe(with_secrets(facts, hidden))
    return {str(clean(name)): _cut(clean(value)) for name, value in plain.items()}


def _text(text: str, longest: int) -> str:
    """As every database takes it, whatever was typed."""
    return str(clean(text))[:longest]


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}…"
    return value
