"""What is decided after a run in Python, where an expression would not be read any more."""

from __future__ import annotations

from typing import Any

QUOTA = "internal"
MOST_RUNS = 500

Answer = dict[str, Any]


def next_allowance(state: dict[str, Any]) -> Answer:
    """How many rows the next run of `daily_rows` takes: the rows left today, shared among the requests left today.

    `state` is what rules see. When the day is used up the next run gets `allowance.share` and waits for the quota.
    """
    run, quota = state["run"], state.get("quotas", {}).get(QUOTA, {})
    fetched = (state["results"].get("fetched") or {}).get("value") or {}
    if run["status"] != "succeeded":
        return no(f"Run {run['number']} ended {run['status']}.")
    if run["iteration"] >= MOST_RUNS:
        return no(f"{MOST_RUNS} runs are enough for one chain.")
    if not fetched.get("left"):
        return no("No rows are left.")
    rows = min(share(quota, state["parameters"]["allowance"]["share"]), fetched["left"])
    return {"start": True, "parameters": {"allowance": {"rows": rows}}, "reason": f"{rows} rows for the next request."}


def share(quota: dict[str, Any], of_a_new_day: int) -> int:
    """Rows of one request, at least one."""
    requests, rows = quota.get("left_requests"), quota.get("left_rows")
    return max(rows // requests, 1) if requests and rows else of_a_new_day


def no(reason: str) -> Answer:
    return {"start": False, "reason": reason}
