"""What follows when a step ends."""

from datetime import datetime

from jobs.models import Run


def end_if_done(run: Run, *, at: datetime, by: str) -> None:
    """End the run when none of its steps is left to run."""
