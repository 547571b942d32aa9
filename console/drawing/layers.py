"""Order one level of a graph in layers, give its cards their places, and lead its lines around them.

The method is Sugiyama's: cards in layers by their longest way, places for lines where they pass a layer, an order with
few crossings, then coordinates near what each is joined with. What leaves one end shares one line that branches.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Point = tuple[float, float]
Pair = tuple[str, str]

SWEEPS: Final = 12
SETTLING: Final = 8
STRAIGHTENED: Final = 3
LITTLE: Final = 60.0
"""A card moves so far to spare a line two turns."""
MOST_TRANSPOSED: Final = 1_500
"""More places than this are not tried pair by pair: it would take seconds."""
LANE: Final = 14.0
"""The width that a line takes where it passes a layer."""
TRACK: Final = 9.0
"""How far lines that run side by side between two layers are apart, where there is room."""
MOST_BETWEEN: Final = 220.0
"""How high the space between two layers may become."""
STUB: Final = 14.0
"""How far a line goes straight down before it turns, and after."""
PORT_GAP: Final = 26.0


@dataclass
class Item:
    """A card, a frame that was laid out, or a place at the edge where a line comes in or goes out."""

    id: str
    width: float
    height: float
    entries: Mapping[str, float] = field(default_factory=dict)
    """Of a frame: how far from its left side the line from such an end comes in."""
    exits: Mapping[str, float] = field(default_factory=dict)
    layer: int = 0
    x: float = 0.0
    """Its middle."""
    y: float = 0.0
    """Its upper side."""


@dataclass(frozen=True)
class Wire:
    """From an item to one below it; `end` names what it comes from in the end, whose lines are drawn as one."""

    source: str
    target: str
    end: str


@dataclass(frozen=True)
class Level:
    """Corners of items by id, the ways of wires, and the size of it all, from 0, 0."""

    items: Mapping[str, Item]
    ways: Mapping[Wire, tuple[Point, ...]]
    width: float
    height: float


def placed(
    items: Sequence[Item], wires: Sequence[Wire], *, top: Sequence[str], bottom: Sequence[str], gap: Point
) -> Level:
    """Give these their places; `top` and `bottom` are those at the edges, `gap` is kept between cards and layers."""
    if not items:
        return Level({}, {}, 0.0, 0.0)
    places = Places(items, wires, top=top, bottom=bottom, gap=gap)
    known = {item.id: places.items[item.id] for item in items}
    right = max(item.x + item.width / 2 for item in places.items.values())
    return Level(known, {wire: places.way(wire) for wire in places.wires}, right, places.height)


class Places:
    """One level on its way to its coordinates: layers of ids, those of lanes among them."""

    def __init__(
        self, items: Sequence[Item], wires: Sequence[Wire], *, top: Sequence[str], bottom: Sequence[str], gap: Point
    ) -> None:
        self.items = {item.id: item for item in items}
        self.wires = list(dict.fromkeys(wires))
        self.gap = gap
        self.rows: list[list[str]] = []
        self.below: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        """Id → end → what its line leads to in the next layer."""
        self.above: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """Id → what leads to it from the layer above, each with its end."""
        self.chains: dict[Wire, list[str]] = {}
        self.entry: dict[tuple[str, str, str], float] = {}
        """Where a line comes in: target, source, end → how far from the target's middle."""
        self._stack(top, bottom)
        self._lay_lanes()
        self._order()
        self._enter()
        self._settle()
        self.tracks = [self._tracks(number) for number in range(len(self.rows) - 1)]
        self._lower()

    # ---- layers

    def _stack(self, top: Sequence[str], bottom: Sequence[str]) -> None:
        edges = [(wire.source, wire.target) for wire in self.wires]
        depth = depths(list(self.items), edges)
        _pull_down(depth, edges, fixed={*top})
        lowest = max(depth.values(), default=0)
        first = min((depth[name] for name in depth if name not in top), default=0)
        for name, item in self.items.items():
            item.layer = first - 1 if name in top else depth[name]
        if bottom:
            last = max((item.layer for name, item in self.items.items() if name not in bottom), default=lowest)
            for name in bottom:
                self.items[name].layer = last + 1
        start = min(item.layer for item in self.items.values())
        for item in self.items.values():
            item.layer -= start
        self.rows = [[] for _ in range(max(item.layer for item in self.items.values()) + 1)]
        for name, item in self.items.items():
            self.rows[item.layer].append(name)

    def _lay_lanes(self) -> None:
        """A place in each layer that a line passes; lines from the same end to several targets share them."""
        lanes: dict[tuple[str, str, int], str] = {}
        for wire in self.wires:
            upper, lower = self.items[wire.source].layer, self.items[wire.target].layer
            chain = [wire.source]
            for layer in range(upper + 1, lower):
                key = (wire.source, wire.end, layer)
                if key not in lanes:
                    lanes[key] = name = f"{wire.source}|{wire.end}|{layer}"
                    self.items[name] = Item(name, LANE, 0.0, layer=layer)
                    self.rows[layer].append(name)
                chain.append(lanes[key])
            chain.append(wire.target)
            self.chains[wire] = chain
            for one, other in itertools.pairwise(chain):
                if other not in self.below[one][wire.end]:
                    self.below[one][wire.end].append(other)
                    self.above[other].append((one, wire.end))

    # ---- order

    def _order(self) -> None:
        down = {name: [one for one, _ in self.above[name]] for name in self.items}
        up = {name: [each for some in self.below[name].values() for each in some] for name in self.items}
        self._order_as_found(up)
        best, least = [list(row) for row in self.rows], self._crossings(up)
        for sweep in range(SWEEPS):
            if not least:
                break
            is_down = sweep % 2 == 0
            rows = self.rows[1:] if is_down else self.rows[-2::-1]
            for row in rows:
                _by_median(row, down if is_down else up, self._ranks(row, is_down))
            if len(self.items) <= MOST_TRANSPOSED:
                self._transpose(up, down)
            if (count := self._crossings(up)) < least:
                best, least = [list(row) for row in self.rows], count
        self.rows = best

    def _order_as_found(self, up: Mapping[str, list[str]]) -> None:
        """As one meets them from the first on, depth first: what belongs together is together."""
        rank: dict[str, int] = {}
        for start in [name for row in self.rows for name in row]:
            stack = [start]
            while stack:
                here = stack.pop()
                if here not in rank:
                    rank[here] = len(rank)
                    stack += reversed(up[here])
        for row in self.rows:
            row.sort(key=rank.__getitem__)

    def _ranks(self, row: list[str], is_down: bool) -> dict[str, float]:
        """Places in the row beside it, in the direction that one comes from."""
        layer = self.items[row[0]].layer
        other = self.rows[layer - 1 if is_down else layer + 1]
        return {name: float(place) for place, name in enumerate(other)}

    def _crossings(self, up: Mapping[str, list[str]]) -> int:
        count = 0
        for row, lower in zip(self.rows, self.rows[1:], strict=False):
            rank = {name: place for place, name in enumerate(lower)}
            seen: list[int] = []
            for name in row:
                ends = sorted(rank[each] for each in up[name])
                for end in ends:
                    count += len(seen) - bisect_left(seen, end + 1)
                for end in ends:
                    insort(seen, end)
        return count

    def _transpose(self, up: Mapping[str, list[str]], down: Mapping[str, list[str]]) -> None:
        """Let neighbours change places where that saves crossings."""
        for number, row in enumerate(self.rows):
            ranks = {}
            for other in (number - 1, number + 1):
                if 0 <= other < len(self.rows):
                    ranks.update({name: place for place, name in enumerate(self.rows[other])})
            sides = {
                name: (sorted(ranks[each] for each in down[name]), sorted(ranks[each] for each in up[name]))
                for name in row
            }
            for place in range(len(row) - 1):
                one, other_one = row[place], row[place + 1]
                now = sum(_inversions(a, b) for a, b in zip(sides[one], sides[other_one], strict=True))
                then = sum(_inversions(b, a) for a, b in zip(sides[one], sides[other_one], strict=True))
                if then < now:
                    row[place], row[place + 1] = other_one, one

    # ---- from left to right

    def _enter(self) -> None:
        """Lines that come in at one card do so side by side, in the order of what they come from."""
        rank = {name: place for row in self.rows for place, name in enumerate(row)}
        for name, comers in self.above.items():
            item = self.items[name]
            ordered = sorted(comers, key=lambda comer: rank[comer[0]])
            step = min(PORT_GAP, (item.width - 24) / max(len(ordered), 1)) if item.width > LANE else 0.0
            for place, (source, end) in enumerate(ordered):
                shift = item.entries[end] - item.width / 2 if item.entries else (place - (len(ordered) - 1) / 2) * step
                self.entry[name, source, end] = shift

    def leave(self, name: str, end: str) -> float:
        """How far from the middle of an item the line of this end leaves it."""
        item = self.items[name]
        return item.exits[end] - item.width / 2 if item.exits else 0.0

    def _settle(self) -> None:
        """Near what they are joined with, in their order, none over another."""
        for row in self.rows:
            x = 0.0
            for name in row:
                item = self.items[name]
                item.x = x + item.width / 2
                x += item.width + self.gap[0]
        for turn in range(SETTLING):
            is_last = turn >= SETTLING - 2
            for row in self.rows[1:]:
                self._draw_near(row, look_up=True, look_down=is_last)
            for row in self.rows[-2::-1]:
                self._draw_near(row, look_up=is_last, look_down=True)
        for _ in range(STRAIGHTENED):
            for row in self.rows[1:]:
                self._straighten(row, look_up=True)
            for row in self.rows[-2::-1]:
                self._straighten(row, look_up=False)
        left = min(item.x - item.width / 2 for item in self.items.values())
        for item in self.items.values():
            item.x -= left

    def _draw_near(self, row: list[str], *, look_up: bool, look_down: bool) -> None:
        wanted, weights = [], []
        for name in row:
            pulls = self._pulls(name, look_up=look_up, look_down=look_down)
            item = self.items[name]
            wanted.append(_weighted_median(pulls) if pulls else item.x)
            is_lane = item.width <= LANE
            weights.append((sum(weight for _, weight in pulls) if pulls else 0.05) * (3.0 if is_lane else 1.0))
        halves = [self.items[name].width / 2 for name in row]
        apart = [one + other + self._apart(a, b) for one, other, a, b in zip(halves, halves[1:], row, row[1:])]  # noqa: B905
        for name, x in zip(row, spread(wanted, weights, apart), strict=True):
            self.items[name].x = x

    def _straighten(self, row: list[str], *, look_up: bool) -> None:
        """Where a line would turn for a little only, the item moves instead, if its neighbours leave it the room."""
        for place, name in enumerate(row):
            item = self.items[name]
            pulls = self._pulls(name, look_up=look_up, look_down=not look_up)
            others = self._pulls(name, look_up=not look_up, look_down=look_up)
            if not pulls or any(abs(x - item.x) < 0.5 for x, _ in (pulls if look_up else others)):
                continue
            wanted = min(pulls, key=lambda pull: abs(pull[0] - item.x))[0]
            low, high = wanted - 1, wanted + 1
            if place:
                other = self.items[row[place - 1]]
                low = other.x + (other.width + item.width) / 2 + self._apart(other.id, name)
            if place + 1 < len(row):
                other = self.items[row[place + 1]]
                high = other.x - (other.width + item.width) / 2 - self._apart(name, other.id)
            if low <= wanted <= high and abs(wanted - item.x) <= LITTLE:
                item.x = wanted

    def _apart(self, one: str, other: str) -> float:
        lanes = sum(self.items[name].width <= LANE for name in (one, other))
        return self.gap[0] if lanes == 0 else self.gap[0] / 2 if lanes == 1 else 2.0

    def _pulls(self, name: str, *, look_up: bool, look_down: bool) -> list[tuple[float, float]]:
        """Where it would be straight below or above each of its neighbours, and how much that matters."""
        found = []
        is_lane = self.items[name].width <= LANE
        for source, end in self.above[name] if look_up else ():
            other = self.items[source]
            weight = 4.0 if is_lane and other.width <= LANE else 1.0
            found.append((other.x + self.leave(source, end) - self.entry[name, source, end], weight))
        for end, targets in self.below[name].items() if look_down else ():
            for target in targets:
                other = self.items[target]
                weight = 4.0 if is_lane and other.width <= LANE else 1.0
                found.append((other.x + self.entry[target, name, end] - self.leave(name, end), weight / len(targets)))
        return found

    # ---- between layers

    def _tracks(self, number: int) -> dict[Pair, float]:
        """Of each line between this layer and the next that has to turn, on which of so many tracks (0 … 1) it does."""
        nets: list[Net] = []
        for name in self.rows[number]:
            for end, targets in self.below[name].items():
                start = self.items[name].x + self.leave(name, end)
                ends = [self.items[target].x + self.entry[target, name, end] for target in targets]
                if any(abs(each - start) > 0.5 for each in ends):
                    nets.append(Net((name, end), start, sorted(ends)))
        return in_tracks(nets)

    def _lower(self) -> None:
        y = 0.0
        self.turns: list[tuple[float, float]] = []
        for number, row in enumerate(self.rows):
            height = max((self.items[name].height for name in row), default=0.0)
            for name in row:
                self.items[name].y = y
            y += height
            if number < len(self.tracks):
                count = max((round(track) for track in self.tracks[number].values()), default=0) + 1
                room = min((count - 1) * TRACK, MOST_BETWEEN)
                self.turns.append((y + STUB, room / max(count - 1, 1)))
                y += max(self.gap[1], room + 2 * STUB + 6)
        self.height = y

    def way(self, wire: Wire) -> tuple[Point, ...]:
        """From the lower side of its source to the upper side of its target."""
        chain = self.chains[wire]
        first = self.items[chain[0]]
        x, y = first.x + self.leave(first.id, wire.end), first.y + first.height
        points: list[Point] = [(x, y)]
        for one, other in itertools.pairwise(chain):
            item = self.items[other]
            to = item.x + self.entry[other, one, wire.end]
            if abs(to - x) > 0.5:
                begin, step = self.turns[self.items[one].layer]
                turn = begin + step * self.tracks[self.items[one].layer].get((one, wire.end), 0.0)
                points += [(x, turn), (to, turn)]
                x = to
        last = self.items[chain[-1]]
        return (*points, (x, last.y))


@dataclass(frozen=True)
class Net:
    """All that one end leads to in the next layer: where it starts, and where it goes down."""

    key: Pair
    start: float
    ends: list[float]

    @property
    def left(self) -> float:
        return min(self.start, self.ends[0])

    @property
    def right(self) -> float:
        return max(self.start, self.ends[-1])


def in_tracks(nets: Sequence[Net]) -> dict[Pair, float]:
    """Tracks from above, so that no two nets cover each other and few cross."""
    after: dict[int, list[int]] = defaultdict(list)
    ordered = sorted(range(len(nets)), key=lambda at: (nets[at].left, nets[at].right))
    live: list[int] = []
    for here in ordered:
        live = [other for other in live if nets[other].right > nets[here].left - 4]
        for other in live:
            above, below = (here, other) if _is_better_above(nets[here], nets[other]) else (other, here)
            after[above].append(below)
        live.append(here)
    names = [str(at) for at in range(len(nets))]
    depth = depths(names, [(str(one), str(other)) for one, others in after.items() for other in others])
    return {net.key: float(depth[str(at)]) for at, net in enumerate(nets)}


def _is_better_above(one: Net, other: Net) -> bool:
    return _cost(one, other) < _cost(other, one)


def _cost(upper: Net, lower: Net) -> int:
    """How often they cross when one turns above the other."""
    downs = sum(lower.left < x < lower.right for x in upper.ends)
    return downs + (upper.left < lower.start < upper.right)


# ---- parts


def depths(names: Sequence[str], edges: Iterable[Pair]) -> dict[str, int]:
    """The longest way to each; edges that would close a circle do not count."""
    after: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    order: list[str] = []
    state: dict[str, int] = {}
    back: set[Pair] = set()
    for start in names:
        stack = [] if start in state else [(start, iter(after[start]))]
        state.setdefault(start, 1)
        while stack:
            here, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                state[here] = 2
                order.append(here)
                stack.pop()
            elif state.get(step) == 1:
                back.add((here, step))
            elif step not in state:
                state[step] = 1
                stack.append((step, iter(after[step])))
    depth = dict.fromkeys(names, 0)
    for here in reversed(order):
        for target in after[here]:
            if (here, target) not in back:
                depth[target] = max(depth[target], depth[here] + 1)
    return depth


def _pull_down(depth: dict[str, int], edges: Iterable[Pair], fixed: set[str]) -> None:
    """What leads to more than leads to it stands right above the first that it leads to."""
    after: dict[str, list[str]] = defaultdict(list)
    before: dict[str, int] = defaultdict(int)
    for source, target in edges:
        after[source].append(target)
        before[target] += 1
    for name in sorted(after, key=lambda each: -depth[each]):
        if name not in fixed and len(after[name]) > before[name]:
            depth[name] = max(depth[name], min(depth[target] for target in after[name]) - 1)


def _by_median(row: list[str], joined: Mapping[str, list[str]], ranks: Mapping[str, float]) -> None:
    """Sort by the mean place of what each is joined with; what is joined with nothing stays where it is."""
    keys = {}
    for place, name in enumerate(row):
        known = [ranks[each] for each in joined[name]]
        keys[name] = (sum(known) / len(known)) if known else place * len(ranks) / max(len(row), 1)
    row.sort(key=keys.__getitem__)


def _inversions(one: list[int], other: list[int]) -> int:
    """How many pairs of these cross when the first stands left."""
    return sum(bisect_left(other, place) for place in one)


def _weighted_median(pulls: list[tuple[float, float]]) -> float:
    ordered = sorted(pulls)
    half, sum_so_far = sum(weight for _, weight in ordered) / 2, 0.0
    for at, (place, weight) in enumerate(ordered):
        sum_so_far += weight
        if sum_so_far > half:
            return place
        if sum_so_far == half and at + 1 < len(ordered):
            return (place + ordered[at + 1][0]) / 2
    return ordered[-1][0]


def spread(wanted: Sequence[float], weights: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Places as near as can be to those wanted, in this order, at least so far apart: neighbours that push each other
    come to rest at their common mean."""
    shifts, total = [0.0], 0.0
    for distance in apart:
        total += distance
        shifts.append(total)
    blocks: list[list[float]] = []  # mean, weight, count
    for want, weight, shift in zip(wanted, weights, shifts, strict=True):
        blocks.append([want - shift, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, more, count = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * more) / (before[1] + more)
            before[1] += more
            before[2] += count
    means = [mean for mean, _, count in blocks for _ in range(int(count))]
    return [mean + shift for mean, shift in zip(means, shifts, strict=True)]
