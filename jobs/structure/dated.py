"""The date that a run is for, as the parameter wants it that gets it: a date stays a date, text keeps its form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from jobs.errors import BadParameters
from jobs.models import Pipeline, Snapshot
from jobs.structure.parameters import settled
from jobs.structure.paths import Path, at, leaves, merge, named, nested, parsed, places
from jobs.structure.values import shown
from kedro_console.wire import Group, Json, Key, ProjectSnapshot, Value

FORMS: Final = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%Y%m%d", "%Y-%m", "%Y%m", "%Y"),
    *("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"),
)
"""Of texts whose day, month and year cannot be mistaken for each other."""
NUMBERS: Final = {8: "%Y%m%d", 6: "%Y%m", 4: "%Y"}
YEARS: Final = range(1900, 2200)
PREFIX: Final = "params:"


def path_of(text: str, known: Group) -> Path:
    """The parameter that somebody names, as Kedro does (`params:date`) or without its prefix; () for none."""
    name = text.strip().removeprefix(PREFIX)
    return parsed(name, known) if name else ()


def dates_in(values: Group, names: Iterable[str]) -> list[Path]:
    """Of the parameters with these names, or in them, those that hold a date now."""
    found = [path for name in names for above in places(values, name) for path in _dates(values, above)]
    return list(dict.fromkeys(found))


def _dates(values: Group, above: Path) -> Iterator[Path]:
    for path, value in leaves(at(values, above)[1], above):
        is_text = isinstance(value, str) and any(_has_form(value, form) for form in FORMS if "%d" in form)
        if is_text or isinstance(value, date):
            yield path


def with_date(
    parameters: Group, path: Path, due: datetime, *, zone: ZoneInfo, picture: ProjectSnapshot, defaults: Group
) -> dict[Key, Value]:
    """These nested parameters, and the date of this due time at `path`; as they are where `path` is ()."""
    if not path:
        return dict(parameters)
    return merge(parameters, nested([(path, date_value(due.astimezone(zone), path, picture, defaults))]))


def dated(
    parameters: Group, path: Path, due: datetime, zone: ZoneInfo, *, pipeline: Pipeline, snapshot: Snapshot
) -> dict[Key, Value]:
    """The parameters of the run for this due time; BadParameters where no date fits."""
    known = snapshot.picture.parameters
    defaults = merge(merge(known, settled(pipeline.default_parameters, known)), parameters)
    return with_date(parameters, path, due, zone=zone, picture=snapshot.picture, defaults=defaults)


def date_value(local: datetime, path: Path, picture: ProjectSnapshot, defaults: Group) -> Value:
    """The date in the form of what the parameter holds now; BadParameters for one that can hold no date."""
    found, sample = at(defaults, path)
    if not found or sample is None:
        return _by_schema(local, next(_formats(path, picture), ""))
    value = _as(local, sample)
    if value is None:
        name, there = named(path, picture.parameters), shown({path[-1]: sample})
        raise BadParameters({name: f"Holds {str(next(iter(there.values())))[:60]}, so it can hold no date."})
    return value


def _as(local: datetime, sample: Value) -> Value:
    """None: no date can be like this sample."""
    if isinstance(sample, datetime):
        return local if sample.tzinfo else local.replace(tzinfo=None)
    if isinstance(sample, date):
        return local.date()
    if isinstance(sample, str):
        return _as_text(local, sample.strip())
    if isinstance(sample, int) and not isinstance(sample, bool):
        form = NUMBERS.get(len(str(sample)))
        return int(local.strftime(form)) if form and _has_form(str(sample), form) else None
    return None


def _as_text(local: datetime, sample: str) -> str:
    """In the same form; what is no date now (“latest”, or empty) gets the day as ISO 8601 writes it."""
    for form in FORMS:
        if _has_form(sample, form):
            return local.strftime(form)
    try:
        moment = datetime.fromisoformat(sample)
    except ValueError:
        return local.date().isoformat()
    if moment.tzinfo is None:
        return local.replace(tzinfo=None).isoformat(sample[10], "seconds")
    if sample.endswith("Z"):
        return f"{local.astimezone(UTC).replace(tzinfo=None).isoformat(sample[10], 'seconds')}Z"
    return local.isoformat(sample[10], "seconds")


def _has_form(sample: str, form: str) -> bool:
    try:
        moment = datetime.strptime(sample, form)
    except ValueError:
        return False
    return moment.strftime(form) == sample and moment.year in YEARS


def _by_schema(local: datetime, form: str) -> str:
    return local.isoformat("T", "seconds") if form == "date-time" else local.date().isoformat()


def _formats(path: Path, picture: ProjectSnapshot) -> Iterator[str]:
    """What the schemas that reach this parameter call its text."""
    for name, schema in picture.schemas.items():
        for above in places(picture.parameters, name):
            if path[: len(above)] == above and (form := _format(_inner(schema, path[len(above) :]))):
                yield form


def _inner(schema: Json, path: Path) -> Json:
    for key in path:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(str(key), {}) if isinstance(properties, dict) else {}
    return schema


def _format(schema: Json) -> str:
    if not isinstance(schema, dict):
        return ""
    choices = schema.get("anyOf")
    inner = [_format(choice) for choice in choices] if isinstance(choices, list) else []
    return str(schema.get("format") or next(filter(None, inner), ""))
