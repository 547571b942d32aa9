"""YAML that may have been made to hurt: read as a safe loader reads it, unless its aliases make it burst."""

from __future__ import annotations

from typing import Final

import yaml

LARGEST: Final = 200_000
"""Values, each alias counted as what it stands for."""


class Bursts(yaml.YAMLError):
    """A few lines that stand for more values than memory has, or for themselves."""


def load(text: str, loader_class: type[yaml.SafeLoader] = yaml.SafeLoader) -> object:
    """The value; yaml.YAMLError, RecursionError or TypeError when there is none."""
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _weigh(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values this node stands for; what was weighed once costs nothing."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    weight = known.get(id(node))
    if weight == 0:
        raise Bursts("a part of it contains itself")
    if weight is None:
        known[id(node)] = 0
        inner = [each for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
        weight = known[id(node)] = 1 + sum(_weigh(each, known) for each in inner)
    if weight > LARGEST:
        raise Bursts(f"with its aliases it has more than {LARGEST:,} values")
    return weight
