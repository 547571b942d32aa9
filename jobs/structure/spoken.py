"""Lengths of time and lists, as sentences and pages say them."""

from __future__ import annotations

from collections.abc import Sequence


def brief(seconds: float) -> str:
    """`3m 10s`, `0.4s`, `2h 05m`: where many stand below each other."""
    if seconds <= 0:
        return "0s"
    if seconds < 0.995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def lasting(seconds: float) -> str:
    """`25 minutes`, `1 h 20 min`: in a sentence."""
    if seconds < 90:
        return f"{seconds:.0f} seconds" if round(seconds) != 1 else "1 second"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} minutes"
    hours, rest = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    return f"{hours} h {rest:02} min" if rest else f"{hours} {'hour' if hours == 1 else 'hours'}"


def listed(words: Sequence[str], link: str = "and") -> str:
    """`a, b and c`; "" for none."""
    return f"{', '.join(words[:-1])} {link} {words[-1]}" if len(words) > 1 else "".join(words)
