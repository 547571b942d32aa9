"""A schedule's rule as data: what its row, the API and a form give and take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Final

from jobs.schedules.dues import EVERY_MONTH, LAST_WEEK, AtTimes, Cron, Days, Every, Once, Rule, Span, Sun
from jobs.structure.cron import CronError
from jobs.structure.cron import read as read_cron
from kedro_console.wire import Json

KINDS: Final = {"every": "seconds", "cron": "text", "once": "at", "sun": "event", "days": "times"}
"""Each kind of rule and what it cannot do without."""
KNOWN: Final = {
    "every": {"seconds", "anchor"},
    "cron": {"text"},
    "once": {"at"},
    "sun": {"event", "latitude", "longitude"},
    "days": {"times", "weekdays", "days_of_month", "is_last", "nth", "months"},
}
EVENTS: Final = (
    *("dawn_astronomical", "dawn_nautical", "dawn_civil", "sunrise", "solar_noon"),
    *("sunset", "dusk_civil", "dusk_nautical", "dusk_astronomical"),
)
"""In the order of a day."""
Given = Mapping[str, object]
MOST_SECONDS: Final = 366 * 86_400
MOST_TIMES: Final = 1_440
MOST_SPANS: Final = 400
YEARS: Final = range(1970, 2200)
WEEKDAYS: Final = range(1, 8)
PLACES: Final = frozenset({1, 2, 3, 4, 5, LAST_WEEK})


class RuleError(ValueError):
    """What is wrong with a rule, as a sentence."""


def stored(rule: Rule) -> dict[str, Json]:
    """The rule as data; what does not restrict it is left out."""
    data = _stored(rule)
    spans = [[first.isoformat(), last.isoformat()] for first, last in rule.left_out]
    return {**data, "left_out": spans} if spans else data


def _stored(rule: Rule) -> dict[str, Json]:
    if isinstance(rule, Every):
        return {"kind": "every", "seconds": rule.seconds, "anchor": rule.anchor.astimezone(UTC).isoformat()}
    if isinstance(rule, Cron):
        return {"kind": "cron", "text": rule.text}
    if isinstance(rule, Once):
        return {"kind": "once", "at": rule.at.astimezone(UTC).isoformat()}
    if isinstance(rule, Sun):
        return {"kind": "sun", "event": rule.event, "latitude": rule.latitude, "longitude": rule.longitude}
    days = rule.days
    facts: dict[str, Json] = {
        "weekdays": sorted(days.weekdays),
        "days_of_month": sorted(days.days_of_month),
        "is_last": days.is_last,
        "nth": sorted(list(each) for each in days.nth),
        "months": [] if days.months == EVERY_MONTH else sorted(days.months),
    }
    times = [each.isoformat("minutes" if not each.second else "seconds") for each in rule.times]
    return {"kind": "days", "times": times, **{name: fact for name, fact in facts.items() if fact}}


def read_rule(data: Json, *, at: datetime | None = None) -> Rule:
    """The rule; RuleError with a sentence. `at` is the anchor of a regular interval that gives none."""
    if not isinstance(data, Mapping) or str(data.get("kind")) not in KINDS:
        raise RuleError(f"Write which kind of rule it is: {', '.join(KINDS)}.")
    kind = str(data["kind"])
    given = {name: value for name, value in data.items() if name not in ("kind", "left_out")}
    if unknown := sorted(set(map(str, given)) - KNOWN[kind]):
        raise RuleError(f"A rule of kind {kind} knows no “{unknown[0]}”: it has {', '.join(sorted(KNOWN[kind]))}.")
    if given.get(KINDS[kind]) in (None, "", []):
        raise RuleError(f"A rule of kind {kind} needs “{KINDS[kind]}”.")
    return READERS[kind](given, at, _spans(data.get("left_out")))


def rule_in(data: Mapping[str, Json]) -> Rule:
    """The rule of a row: also one in words that only Celery understands, and that nobody could write today."""
    if data.get("kind") == "cron":
        return Cron(str(data["text"]), left_out=_spans(data.get("left_out")))
    return read_rule(data)


def _every(given: Given, at: datetime | None, left_out: tuple[Span, ...]) -> Rule:
    seconds = _number(given["seconds"], "The seconds between two due times are a number", 1, MOST_SECONDS)
    anchor = _moment(given["anchor"], "anchor") if given.get("anchor") else at
    if anchor is None:
        raise RuleError("A regular interval needs an “anchor”, the moment from which it counts.")
    return Every(seconds, anchor, left_out=left_out)


def _cron(given: Given, _: datetime | None, left_out: tuple[Span, ...]) -> Rule:
    text = " ".join(str(given["text"]).split())
    try:
        read_cron(text)
    except CronError as error:
        raise RuleError(str(error)) from None
    return Cron(text, left_out=left_out)


def _once(given: Given, _: datetime | None, left_out: tuple[Span, ...]) -> Rule:
    return Once(_moment(given["at"], "at"), left_out=left_out)


def _sun(given: Given, _: datetime | None, left_out: tuple[Span, ...]) -> Rule:
    if given["event"] not in EVENTS:
        raise RuleError(f"The sun has no such event: write one of {', '.join(EVENTS)}.")
    latitude = _number(given.get("latitude"), "The latitude is a number", -90, 90)
    longitude = _number(given.get("longitude"), "The longitude is a number", -180, 180)
    return Sun(str(given["event"]), latitude, longitude, left_out=left_out)


def _days(given: Given, _: datetime | None, left_out: tuple[Span, ...]) -> Rule:
    times = tuple(sorted({_time(each) for each in _listed(given["times"], "times")}))
    if len(times) > MOST_TIMES:
        raise RuleError(f"A day has at most {MOST_TIMES:,} due times: use a regular interval.")
    days = Days(
        months=_numbers(given.get("months"), "months", range(1, 13)) or EVERY_MONTH,
        weekdays=_numbers(given.get("weekdays"), "weekdays", WEEKDAYS),
        days_of_month=_numbers(given.get("days_of_month"), "days_of_month", range(1, 32)),
        is_last=_flag(given.get("is_last", False), "is_last"),
        nth=frozenset(_place(each) for each in _listed(given.get("nth") or [], "nth")),
    )
    return AtTimes(times, days, left_out=left_out)


READERS: Final[dict[str, Callable[[Given, datetime | None, tuple[Span, ...]], Rule]]] = {
    "every": _every,
    "cron": _cron,
    "once": _once,
    "sun": _sun,
    "days": _days,
}


def _spans(raw: Json) -> tuple[Span, ...]:
    spans = tuple(sorted(_span(each) for each in _listed(raw or [], "left_out")))
    if len(spans) > MOST_SPANS:
        raise RuleError(f"At most {MOST_SPANS} days or ranges can be left out.")
    return spans


def _span(raw: object) -> Span:
    """One day, or the first and the last of a range."""
    ends = [raw, raw] if isinstance(raw, str) else raw
    try:
        first, last = (date.fromisoformat(str(each)) for each in _listed(ends, "left_out"))
    except ValueError:
        raise RuleError("What is left out is a date such as 2026-12-24, or two: the first and the last.") from None
    if first > last:
        raise RuleError(f"What is left out begins on {first} and ends before that, on {last}.")
    if first.year not in YEARS or last.year not in YEARS:
        raise RuleError(f"What is left out lies between {YEARS[0]} and {YEARS[-1]}.")
    return first, last


def _listed(raw: object, name: str) -> list[object]:
    if not isinstance(raw, list | tuple):
        raise RuleError(f"“{name}” is a list.")
    return list(raw)


def _flag(raw: object, name: str) -> bool:
    if not isinstance(raw, bool):
        raise RuleError(f"“{name}” is true or false.")
    return raw


def _number(raw: object, what: str, least: float, most: float) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not least <= raw <= most:  # nan is in no bounds
        raise RuleError(f"{what} from {least:,} to {most:,}.")
    return float(raw)


def _numbers(raw: object, name: str, allowed: range) -> frozenset[int]:
    found = _listed(raw or [], name)
    numbers = [each for each in found if isinstance(each, int) and not isinstance(each, bool) and each in allowed]
    if len(numbers) < len(found):
        raise RuleError(f"“{name}” has numbers from {allowed[0]} to {allowed[-1]}.")
    return frozenset(numbers)


def _place(raw: object) -> tuple[int, int]:
    pair = [each for each in raw if type(each) is int] if isinstance(raw, list | tuple) and len(raw) == 2 else []
    if len(pair) < 2 or pair[0] not in PLACES or pair[1] not in WEEKDAYS:
        raise RuleError("“nth” has pairs of 1 to 5, or -1 for the last, and a weekday from 1 (Monday) to 7.")
    return pair[0], pair[1]


def _time(raw: object) -> time:
    try:
        found = time.fromisoformat(str(raw))
    except ValueError:
        raise RuleError(f"“{str(raw)[:40]}” is no time of the day: write one such as 06:30.") from None
    if found.tzinfo or found.microsecond:
        raise RuleError(f"“{str(raw)[:40]}”: write hours and minutes alone; the schedule has the time zone.")
    return found


def _moment(raw: object, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(raw))
    except ValueError:
        raise RuleError(f"“{name}” is a moment such as 2026-03-01T06:00:00+00:00.") from None
    if found.tzinfo is None:
        raise RuleError(f"“{name}” needs its offset from UTC, as in 2026-03-01T06:00:00+00:00.")
    if found.year not in YEARS:
        raise RuleError(f"“{name}” lies between {YEARS[0]} and {YEARS[-1]}.")
    return found.astimezone(UTC)
