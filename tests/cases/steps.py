"""Cases that no `kedro run` answers: what doors, previews and schedules say; each gives its problems in sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cases.console import Console

Step = Callable[[Console, Path], list[str]]
STEPS: dict[str, Step] = {}
