"""Moments at which the reconciler looks."""

from __future__ import annotations

from datetime import timedelta

from tests.factories import AT

LATER = AT + timedelta(minutes=1)
