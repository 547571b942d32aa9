"""Put the nodes of a pipeline into boxes, by namespace, else by tag, else by layer, and say which boxes are open."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from kedro_console.wire import SnapshotNode, SnapshotPipeline, bare

MOST: Final = 25
"""More nodes than this are not shown side by side unless somebody asks for it."""
BOXES: Final = 20
EVERYTHING: Final = "*"
Nodes = tuple[SnapshotNode, ...]
Layers = Mapping[str, int]


@dataclass(frozen=True)
class Box:
    """Nodes that one card can stand for; the whole pipeline is the box without a key."""

    key: str
    title: str
    nodes: Nodes
    boxes: tuple[Box, ...] = ()
    namespace: str = ""
    about: str = ""
    """Its first and its last node, where the title does not say what is in it."""

    def walk(self) -> Iterator[Box]:
        """The boxes in it at any depth, outer ones first."""
        for box in self.boxes:
            yield box
            yield from box.walk()


# ---- dividing


def divide(structure: SnapshotPipeline) -> Box:
    """The whole pipeline with its boxes; the same ones every time for the same nodes."""
    nodes = tuple(structure.nodes)
    return _filled(Box("", "", nodes, namespace=_common(nodes)), layers(nodes))


def layers(nodes: Iterable[SnapshotNode]) -> dict[str, int]:
    """The layer of each node by its name, from 1: one below the lowest that it reads from."""
    made: dict[str, int] = {}
    found = {}
    for node in nodes:  # in topological order
        found[node.name] = 1 + max((made.get(bare(name), 0) for name in node.inputs), default=0)
        made.update(dict.fromkeys(map(bare, node.outputs), found[node.name]))
    return found


def _filled(box: Box, layer_of: Layers) -> Box:
    """The box with boxes of its own; what is left of its nodes is divided further while it is too much."""
    found = _by_namespace(box, box.nodes)
    rest = _left(box.nodes, found)
    if len(rest) > MOST:
        found += _by_tag(box, rest)
        rest = _left(rest, found)
    if len(rest) > MOST:
        found += _by_layer(box, rest, layer_of) or _in_portions(box, rest)
    return replace(box, boxes=tuple(_filled(each, layer_of) for each in found))


def _left(nodes: Nodes, boxes: list[Box]) -> Nodes:
    gone = {node.name for box in boxes for node in box.nodes}
    return tuple(node for node in nodes if node.name not in gone)


def _by_namespace(box: Box, nodes: Nodes) -> list[Box]:
    """A box for each namespace below the box's own that has two nodes or more."""
    depth = len(_parts(box.namespace))
    groups: dict[str, list[SnapshotNode]] = defaultdict(list)
    for node in nodes:
        parts = _parts(node.namespace)
        if len(parts) > depth:
            groups[parts[depth]].append(node)
    found = []
    for group in groups.values():
        namespace = _common(group)
        if len(group) > 1:
            found.append(Box(namespace, namespace, tuple(group), namespace=namespace))
    return found


def _parts(namespace: str) -> list[str]:
    return namespace.split(".") if namespace else []


def _common(nodes: Iterable[SnapshotNode]) -> str:
    """The namespace that all of them are in."""
    paths = [_parts(node.namespace) for node in nodes]
    if not paths:
        return ""
    first, last = min(paths), max(paths)
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return ".".join(first[:length])


def _by_tag(box: Box, nodes: Nodes) -> list[Box]:
    """A box for each tag that tells some nodes from others; a node with several goes with the commonest."""
    counts = Counter(tag for node in nodes for tag in set(node.tags))
    telling = {tag: count for tag, count in counts.items() if 1 < count < len(nodes)}
    groups: dict[str, list[SnapshotNode]] = defaultdict(list)
    for node in nodes:
        if tags := telling.keys() & set(node.tags):
            groups[min(tags, key=lambda tag: (-telling[tag], tag))].append(node)
    found = [
        Box(_key(box, f"tag:{tag}"), f"Tag {tag}", tuple(group), namespace=box.namespace)
        for tag, group in groups.items()
        if len(group) > 1
    ]
    return found if len(found) <= MOST else []


def _by_layer(box: Box, nodes: Nodes, layer_of: Layers) -> list[Box]:
    """A box for each layer, for several small ones together; none where all is one layer."""
    rows: dict[int, list[SnapshotNode]] = defaultdict(list)
    for node in nodes:
        rows[layer_of[node.name]].append(node)
    if len(rows) < 2:
        return []
    bands: list[list[int]] = []
    size, most = 0, _portion(len(nodes))
    for layer in sorted(rows):
        if not bands or size + len(rows[layer]) > most:
            bands.append([])
            size = 0
        bands[-1].append(layer)
        size += len(rows[layer])
    found = [_band(box, band, [node for layer in band for node in sorted(rows[layer], key=_order)]) for band in bands]
    return [band for band in found if len(band.nodes) > 1]


def _band(box: Box, band: list[int], nodes: list[SnapshotNode]) -> Box:
    one, name = len(band) == 1, f"{band[0]}–{band[-1]}"
    title = f"Layer {band[0]}" if one else f"Layers {name}"
    key = _key(box, f"layer:{band[0]}" if one else f"layer:{band[0]}-{band[-1]}")
    return Box(key, title, tuple(nodes), namespace=box.namespace, about=_ends(nodes))


def _in_portions(box: Box, nodes: Nodes) -> list[Box]:
    """Boxes of equal size, in the order of names: the nodes stand side by side, nothing else divides them."""
    ordered = sorted(nodes, key=_order)
    size = ceil(len(ordered) / ceil(len(ordered) / _portion(len(ordered))))
    portions = [tuple(ordered[at : at + size]) for at in range(0, len(ordered), size)]
    return [
        Box(_key(box, f"part:{number}"), _ends(portion), portion, namespace=box.namespace)
        for number, portion in enumerate(portions, 1)
    ]


def _portion(count: int) -> int:
    return max(MOST, ceil(count / BOXES))


def _key(box: Box, name: str) -> str:
    return f"{box.key}/{name}" if box.key else name


def _order(node: SnapshotNode) -> list[tuple[int, str]]:
    """Names as people sort them: node_9 before node_10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", node.name)]


def _ends(nodes: Iterable[SnapshotNode]) -> str:
    names = [node.name for node in nodes]
    return f"{names[0]} … {names[-1]}"


# ---- open and folded


@dataclass(frozen=True)
class Folds:
    """What an address asks for: keys of boxes, `*` among the open ones for all but those that are folded."""

    opened: frozenset[str] = frozenset()
    folded: frozenset[str] = frozenset()

    @classmethod
    def asked(cls, query: QueryDict) -> Folds | None:
        """None where the address leaves it to us."""
        if "unfold" not in query and "fold" not in query:
            return None
        return cls(frozenset(query.getlist("unfold")), frozenset(query.getlist("fold")))


@dataclass(frozen=True)
class State:
    """The boxes of a pipeline and the keys of those that are open once the boxes around them are."""

    whole: Box
    is_everything: bool
    open: frozenset[str]

    @property
    def asked(self) -> list[tuple[str, str]]:
        """What to put into an address to come back to this."""
        if self.is_everything:
            folded = [("fold", key) for key in self._folded(self.whole)]
            return [("unfold", EVERYTHING), *folded]
        return [("unfold", key) for key in self._innermost(self.whole)] or [("unfold", "")]

    def showing(self, node: str) -> State:
        """The same with the boxes around this node opened."""
        around = [box.key for box in self.whole.walk() if any(each.name == node for each in box.nodes)]
        return replace(self, open=self.open | set(around))

    def toggled(self, box: Box) -> State:
        """The same with this box opened, or folded together with what is in it."""
        if box.key in self.open:
            inner = {each.key for each in box.walk()} if not self.is_everything else set()
            return replace(self, open=self.open - {box.key} - inner)
        return replace(self, open=self.open | {box.key})

    def _folded(self, box: Box) -> Iterator[str]:
        for each in box.boxes:
            if each.key not in self.open:
                yield each.key
            else:
                yield from self._folded(each)

    def _innermost(self, box: Box) -> Iterator[str]:
        for each in box.boxes:
            if each.key in self.open:
                yield from list(self._innermost(each)) or [each.key]


def settle(whole: Box, folds: Folds | None, urgent: str = "") -> State:
    """What is open: as asked for; else all of a small pipeline, of a large one what shows the node `urgent`."""
    if folds is None and len(whole.nodes) <= MOST:
        folds = Folds(frozenset({EVERYTHING}))
    if folds is None:
        around = [box.key for box in whole.walk() if any(node.name == urgent for node in box.nodes)]
        folds = Folds(frozenset(around[-1:]))
    is_everything = EVERYTHING in folds.opened
    found: set[str] = set()

    def look(box: Box) -> bool:
        is_asked = [look(each) for each in box.boxes]  # all of them: no short cut
        is_open = any(is_asked) or box.key in folds.opened
        if is_open or (is_everything and box.key not in folds.folded):
            found.add(box.key)
        return is_open

    for box in whole.boxes:
        look(box)
    return State(whole, is_everything, frozenset(found))


def address(*parts: Iterable[tuple[str, str]]) -> str:
    """A query string of these names and values."""
    return f"?{urlencode([pair for part in parts for pair in part])}"
