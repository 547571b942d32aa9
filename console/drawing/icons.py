"""Which sign stands for which status: text, never colour alone."""

from __future__ import annotations

ICONS = {
    "queued": "schedule",
    "waiting": "schedule",
    "running": "progress_activity",
    "succeeded": "check_circle",
    "failed": "cancel",
    "cancelled": "block",
    "crashed": "bolt",
    "blocked": "do_not_disturb_on",
    "reused": "recycling",
    "done": "check_circle",
    "finished": "check_circle",
    "parked": "local_parking",
    "sending": "progress_activity",
    "taken": "pan_tool",
    "unknown": "help",
}
