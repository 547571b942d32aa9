"""A value as YAML writes it, read as Kedro's `--params` reads it: dates stay text, 1e5 is a number."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from jobs.structure.yaml_text import load

FLOAT: Final = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
DATE: Final = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Safe, and without dates."""


_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != DATE]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))


def read(text: str) -> Any:
    """The value; ValueError with what is wrong."""
    try:
        return load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", "") or error).strip().splitlines()[0]
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}{problem}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except TypeError as error:  # a key that can be none
        raise ValueError(str(error)) from error


def write(value: Any) -> str | None:
    """The text itself, when it reads as itself; None: it has to be written in another way."""
    try:
        return value if isinstance(value, str) and read(value) == value else None
    except ValueError:
        return None
