"""Whether a run left nothing, or far less than the last ones did, of what it usually leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Final

from jobs.models import Run
from jobs.states import Status
from kedro_console.wire import Json

LOOKED_AT: Final = 20
"""Newest successes that show what is usual."""
FEWEST: Final = 3
SHARE: Final = 0.5
"""Less than this share of the usual is far less."""
MEASURES: Final = (("rows", "row"), ("size_bytes", "byte"))


def far_less(run: Run) -> list[str]:
    """A clause for each dataset with far less in it than usual; [] for a part of a pipeline, which tells nothing."""
    if run.selection or run.nodes:
        return []
    now = _measured(Run.objects.values_list("results", flat=True).get(pk=run.pk))  # later than what was read of it
    return [clause for name, known in sorted(_usual(run).items()) if (clause := _clause(name, known, now.get(name)))]


def _usual(run: Run) -> dict[str, dict[str, float]]:
    """Rows and bytes of each dataset that most of the last successes left: their medians."""
    rows = Run.objects.filter(pipeline=run.pipeline_id, status=Status.SUCCEEDED, nodes=[], selection={}).before(run.pk)
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    results = list(rows.order_by("-id").values_list("results", flat=True)[:LOOKED_AT])
    for result in results:
        for name, measures in _measured(result).items():
            for measure, number in measures.items():
                found[name][measure].append(number)
    enough = max(FEWEST, len(results) / 2)
    medians = {
        name: {measure: median(numbers) for measure, numbers in measures.items() if len(numbers) >= enough}
        for name, measures in found.items()
    }
    return {name: known for name, known in medians.items() if known}


def _measured(results: Mapping[str, Json] | None) -> dict[str, dict[str, int]]:
    """Rows and bytes of each dataset that has a number of them."""
    measured = {
        name: {measure: fact[measure] for measure, _ in MEASURES if isinstance(fact.get(measure), int)}
        for name, fact in (results or {}).items()
        if isinstance(fact, dict)
    }
    return {name: measures for name, measures in measured.items() if measures}


def _clause(name: str, known: Mapping[str, float], now: Mapping[str, int] | None) -> str:
    """Rows say more than bytes: these are looked at where no rows are known."""
    measure, word = next((each for each in MEASURES if each[0] in known), MEASURES[0])
    before = known.get(measure, 0)
    if before <= 0:
        return ""
    if now is None:
        return f"no {name} (usually {before:,.0f} {word}s)"
    number = now.get(measure)
    if number is None or number >= SHARE * before:
        return ""
    return f"{name} with {number:,} {word}{'' if number == 1 else 's'} instead of about {before:,.0f}"
