"""Random generators that a project makes while it is imported: those without a seed draw new numbers in each process.

A copy of a warm process would draw what every other copy draws. So it is written down, while the project is imported,
for which generators chance was asked; a copy makes those again, and no other: a seed stays a seed.
"""

from __future__ import annotations

import contextlib
import gc
import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

NUMPY = "numpy.random.bit_generator"


class Watch:
    """Watches from the import of numpy until the project is imported; then it knows what is unseeded."""

    def __init__(self) -> None:
        self._by_chance: set[int] = set()  # entropies that numpy has drawn
        self._plain: dict[int, Any] = {}  # generators of Python that are seeded by chance: their number → how to get it
        self._put_back: list[Callable[[], None]] = []
        self._watch_python()
        self._watch_numpy()

    def _watch_python(self) -> None:
        seed, setstate = random.Random.seed, random.Random.setstate
        note, forget = self._note, self._forget

        def seed_noted(self: random.Random, a: Any = None, *more: Any, **named: Any) -> None:
            seed(self, a, *more, **named)
            (note if a is None else forget)(self)

        def setstate_noted(self: random.Random, state: Any) -> None:
            setstate(self, state)
            forget(self)

        random.Random.seed, random.Random.setstate = seed_noted, setstate_noted  # type: ignore[method-assign]

        def put_back() -> None:
            random.Random.seed, random.Random.setstate = seed, setstate  # type: ignore[method-assign]

        self._put_back.append(put_back)

    def _note(self, generator: random.Random) -> None:
        with contextlib.suppress(TypeError):  # a class without weak references
            self._plain[id(generator)] = weakref.ref(generator)

    def _forget(self, generator: random.Random) -> None:
        self._plain.pop(id(generator), None)

    def _watch_numpy(self) -> None:
        module: Any = sys.modules.get(NUMPY)
        draw = getattr(module, "randbits", None)
        if draw is None:
            return

        def draw_noted(bits: int) -> int:
            drawn: int = draw(bits)
            self._by_chance.add(drawn)
            return drawn

        module.randbits = draw_noted
        self._put_back.append(lambda: setattr(module, "randbits", draw))

    def end(self) -> Generators:
        """Watches no longer; what it found that is still there."""
        for put_back in self._put_back:
            put_back()
        known = gc.get_objects()
        plain = [each for each in known if issubclass(type(each), random.Random) and each is not _shared()]
        plain = [each for each in plain if not isinstance(each, random.SystemRandom)]
        by_chance = [each for each in plain if id(each) in self._plain and self._plain[id(each)]() is each]
        of_numpy = _of_numpy(known)
        drawn = [each for each in of_numpy if self._is_by_chance(each)]
        unseeded = {id(each) for each in (*by_chance, *drawn)}
        return Generators([*by_chance, *drawn], [each for each in (*plain, *of_numpy) if id(each) not in unseeded])

    def _is_by_chance(self, each: Any) -> bool:
        """Its seed was drawn, and its state is what that seed gives or has led to: nobody has set another one."""
        sequence = getattr(each, "seed_seq", None) or getattr(each, "_seed_seq", None) or each
        entropy = getattr(sequence, "entropy", None)
        if not isinstance(entropy, int) or entropy not in self._by_chance:
            return False
        return sequence is each or not _is_set_since(each, sequence)


def _is_set_since(generator: Any, sequence: Any) -> bool:
    """Of a generator whose increment never changes (PCG64): whether it is another than its seed gives."""
    with contextlib.suppress(Exception):
        known = type(sequence)(sequence.entropy, spawn_key=sequence.spawn_key, pool_size=sequence.pool_size)
        fresh = type(generator)(known).state["state"]
        if "inc" in fresh:
            return bool(fresh["inc"] != generator.state["state"]["inc"])
    return False


def _shared() -> Any:
    """Python's own generator, which a fork and the warm-up look after."""
    return getattr(random, "_inst", None)


def _of_numpy(known: list[Any]) -> list[Any]:
    """All but numpy's own, which the warm-up looks after."""
    module: Any = sys.modules.get(NUMPY)
    if module is None:
        return []
    classes = (module.BitGenerator, module.SeedSequence)
    shared = getattr(getattr(sys.modules["numpy"].random.mtrand, "_rand", None), "_bit_generator", None)
    return [each for each in known if issubclass(type(each), classes) and each is not shared]


class Generators:
    """Those of the project: without a seed, and with one."""

    def __init__(self, unseeded: list[Any], seeded: list[Any]) -> None:
        self._unseeded = unseeded
        self._seeded = [(each, state) for each, state in ((each, _state(each)) for each in seeded) if state is not None]

    def renew(self) -> None:
        """In a copy, and before each next step of one: those without a seed begin again, as in a new process."""
        for each in self._unseeded:
            with contextlib.suppress(Exception):  # a class of the project's own
                if isinstance(each, random.Random):
                    each.seed()
                else:
                    each.__init__()

    def restart(self) -> None:
        """Before each next step of a process: those with a seed draw what they draw first in a new process."""
        for each, state in self._seeded:
            with contextlib.suppress(Exception):
                if isinstance(each, random.Random):
                    each.setstate(state)
                else:
                    each.state = state


def _state(each: Any) -> Any:
    with contextlib.suppress(Exception):
        return each.getstate() if isinstance(each, random.Random) else getattr(each, "state", None)
    return None
