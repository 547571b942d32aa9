"""When a rule is due, in words: each sentence is true of the due times, because it is made of the same rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, time
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from jobs.schedules.dues import EVERY_MONTH, AtTimes, Days, Every, Once, Rule, Sun, walls
from jobs.schedules.sun import is_daily
from jobs.structure.spoken import listed

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PLACES: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}
DAY: Final = 86_400
SIZES: Final = (("hour", 3_600), ("minute", 60), ("second", 1))
HOUR: Final = 60
DAY_MINUTES: Final = 24 * HOUR
FEW: Final = 4
"""Up to how many times are spelt out even though they are evenly spaced."""
TOGETHER: Final = 3
"""From how many consecutive ones on only the first and the last are named."""


def sentence(rule: Rule, zone: ZoneInfo) -> str:
    """Such as “Monday to Friday at 06:00, Europe/Berlin”."""
    if wall := walls(rule):
        text = _at_times(wall)
    elif isinstance(rule, Every):
        text = f"every {every_in_words(rule.seconds)}"
    elif isinstance(rule, Once):
        at = rule.at.astimezone(zone)
        text = f"once, on {WEEKDAYS[at.weekday()]} {day_in_words(at.date())} at {_clock(at.time())}"
    else:
        assert isinstance(rule, Sun)  # noqa: S101 - narrows the type
        text = _of_the_sun(rule)
    where = "" if isinstance(rule, Every | Sun) and not rule.left_out else f", {zone.key}"
    return f"{text[:1].upper()}{text[1:]}{_left_out(rule.left_out)}{where}"


def _at_times(rule: AtTimes) -> str:
    days, times = days_in_words(rule.days), times_in_words(rule.times)
    if times.startswith("at "):
        return f"{days}{'' if _is_short(rule.days) else ','} {times}"
    return times if days == "every day" else f"{times}, {days}"


def _of_the_sun(rule: Sun) -> str:
    north = f"{abs(rule.latitude):g}° {'south' if rule.latitude < 0 else 'north'}"
    east = f"{abs(rule.longitude):g}° {'west' if rule.longitude < 0 else 'east'}"
    if_it_is = "" if is_daily(rule.event, rule.latitude) else ", on days that have one"
    return f"at {event_in_words(rule.event)} at {north}, {east}{if_it_is}"


def event_in_words(event: str) -> str:
    """`sunrise`, `solar noon`, `astronomical dawn`."""
    first, _, second = event.partition("_")
    return " ".join((second, first) if first in ("dawn", "dusk") else (first, second)).strip()


def every_in_words(seconds: float) -> str:
    """`minute`, `36 hours`, `1.5 seconds`; a day is always 24 hours of it, whatever the clocks show."""
    if seconds > DAY and seconds % DAY == 0:
        return f"{int(seconds / DAY):,} days of 24 hours"
    for name, size in SIZES:
        if seconds % size == 0 and (count := int(seconds / size)):
            return name if count == 1 else f"{count:,} {name}s"
    return f"{seconds:g} seconds"


def day_in_words(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


# ---- days


def days_in_words(days: Days) -> str:
    """Such as “every day”, “on the first Monday of each month”."""
    month = "each month" if days.months >= EVERY_MONTH else _months(days.months)
    weekdays, nth = _weekdays(days.weekdays), _nth(days.nth)
    if days.days_of_month or days.is_last:
        also = [f"the {place}" for place in nth] + weekdays
        return f"on the {listed(_dates(days))} of {month}{_only(also)}"
    if nth:
        return f"on the {listed(nth)} of {month}{_only(weekdays)}"
    narrow = "" if days.months >= EVERY_MONTH else f" in {month}"
    return f"{listed(weekdays) if weekdays else 'every day'}{narrow}"


def _is_short(days: Days) -> bool:
    """Whether a time may follow without a comma."""
    return not (days.months < EVERY_MONTH or ((days.days_of_month or days.is_last or days.nth) and days.weekdays))


def _only(words: list[str]) -> str:
    return f", if that is {listed(words, 'or')}" if words else ""


def _months(months: Iterable[int]) -> str:
    return listed(runs([MONTHS[month - 1] for month in sorted(months)], MONTHS))


def _weekdays(weekdays: Iterable[int]) -> list[str]:
    return runs([WEEKDAYS[day - 1] for day in sorted(weekdays)], WEEKDAYS)


def _dates(days: Days) -> list[str]:
    month = [ordinal(day) for day in range(1, 32)]
    found = runs([ordinal(day) for day in sorted(days.days_of_month)], month)
    return [*found, *(["last day"] if days.is_last else [])]


def _nth(nth: Iterable[tuple[int, int]]) -> list[str]:
    in_order = sorted(nth, key=lambda pair: (pair[0] < 0, pair))
    return [f"{PLACES[which]} {WEEKDAYS[weekday - 1]}" for which, weekday in in_order]


def ordinal(number: int) -> str:
    """`1st`, `12th`, `23rd`."""
    end = "th" if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"


def runs(words: Sequence[str], order: Sequence[str]) -> list[str]:
    """Three and more that follow each other in that order as `Monday to Friday`."""
    groups: list[list[str]] = []
    for word in words:
        if groups and order.index(word) == order.index(groups[-1][-1]) + 1:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [text for group in groups for text in ([f"{group[0]} to {group[-1]}"] if len(group) >= TOGETHER else group)]


def _left_out(ranges: Sequence[tuple[date, date]]) -> str:
    words = [
        day_in_words(first) if first == last else f"{day_in_words(first)} to {day_in_words(last)}"
        for first, last in sorted(ranges)
    ]
    return f", but not on {listed(words)}" if words else ""


# ---- times


def times_in_words(times: Sequence[time]) -> str:
    """Such as “at 06:00 and 18:00”, “every 15 minutes from 08:00 to 18:45”; all, where nothing shorter is true."""
    if any(each.second for each in times):
        return f"at {listed([_clock(each) for each in sorted(times)])}"
    minutes = sorted({each.hour * 60 + each.minute for each in times})
    if step := _step(minutes):
        first, last = minutes[0], minutes[-1]
        every = f"every {_span(step)}"
        if (last + step) % DAY_MINUTES == first:
            return every if first == 0 else _offset(every, minutes, step)
        return f"{every} from {_wall(first)} to {_wall(last)}"
    return _by_hours(minutes) or _spelt(minutes)


def _offset(every: str, minutes: Sequence[int], step: int) -> str:
    """A distance that goes on over midnight, and does not begin there."""
    if step == HOUR:
        return f"{every} at {minutes[0]} minutes past"
    return (
        f"{every}, at {_past(minutes)}" if step < HOUR else f"{every} from {_wall(minutes[0])} to {_wall(minutes[-1])}"
    )


def _step(minutes: Sequence[int]) -> int:
    """What is between each two of them, where that is the same and they are more than a few."""
    gaps = {later - earlier for earlier, later in pairwise(minutes)}
    return gaps.pop() if len(minutes) > FEW and len(gaps) == 1 else 0


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if rest == 0:
        return "hour" if hours == 1 else f"{hours} hours"
    return "minute" if minutes == 1 else f"{minutes} minutes"


def _by_hours(minutes: Sequence[int]) -> str:
    """The same minutes of several hours; "" where that is not so, or not shorter."""
    hours, past = sorted({each // 60 for each in minutes}), sorted({each % 60 for each in minutes})
    if len(minutes) != len(hours) * len(past) or len(minutes) <= 2 * FEW:
        return ""
    if len(hours) == 24:
        return f"at {_past(minutes)}"
    names = [f"{hour:02}" for hour in range(24)]
    told = listed(runs([names[hour] for hour in hours], names))
    return f"at {listed([str(each) for each in past])} minutes past each of the hours {told}"


def _past(minutes: Iterable[int]) -> str:
    return f"{listed([str(each) for each in sorted({each % 60 for each in minutes})])} minutes past each hour"


def _spelt(minutes: Iterable[int]) -> str:
    return f"at {listed([_wall(each) for each in minutes])}"


def _wall(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _clock(at: time) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
