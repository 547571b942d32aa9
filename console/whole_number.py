"""Numbers from outside: an address, a form, a search."""

from typing import Final

MOST: Final = 10**18 - 1
"""Fits into every column of a database."""


def whole_number(text: str, *, most: int = MOST) -> int | None:
    """The number that somebody wrote as 12 or #12; None for anything else, and for more than `most`."""
    digits = text.strip().removeprefix("#")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(most)):
        return None
    return number if (number := int(digits)) <= most else None
