"""The report of a chaos test, for people."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import astuple

from tests.chaos.storm import Report

SHOWN = 40


def percentile(times: list[float], share: float) -> float:
    """The smallest of these sorted times that this share of them does not exceed; 0 without any."""
    return times[max(0, math.ceil(share * len(times)) - 1)] if times else 0.0


def text(report: Report) -> str:
    verdict, times = report.verdict, sorted(one.seconds for one in report.recoveries)
    noticed, waited = [sorted(part) for part in zip(*map(astuple, report.recoveries), strict=True)] or ([], [])
    ends = ", ".join(f"{count} {status}" for status, count in verdict.by_status.items())
    lines = [
        f"Chaos on {report.database}, seed {report.plan.seed}, {report.plan.seconds:g} s, "
        f"{report.plan.workers} workers of {report.plan.slots} slots, lease {report.plan.lease_seconds} s",
        *_faults(report),
        f"runs accepted      {verdict.accepted}  ({ends}; {verdict.attempts} attempts of steps)",
        f"lost               {verdict.count('lost')}",
        f"doubled            {verdict.count('doubled')}",
        f"overlapped         {verdict.count('overlapped')}",
        f"fenced             {verdict.fenced}  (nodes that a process did to the end without effect)",
        f"recovered          {verdict.recovered}  (runs that succeeded after an attempt was lost)",
        f"recovery seconds   median {percentile(times, 0.5):.1f}, 95 % {percentile(times, 0.95):.1f}, "
        f"longest {percentile(times, 1):.1f}  (fault to the next attempt's start, {len(times)} attempts; "
        f"{report.unexplained} without a fault of their own)",
        f"                   median {percentile(noticed, 0.5):.1f} until it was noticed, {percentile(waited, 0.5):.1f} "
        "from then to the next start",
        f"drained            {report.drained_seconds:.1f} s after the last fault",
        f"runs by the clock  {report.ticks}  (one for each minute)",
        f"pages away         {_away(report.pages_away)}",
        f"beat away          {_away(report.beat_away)}",
        f"violations         {len(verdict.violations)}",
        *[f"  {violation}" for violation in verdict.violations[:SHOWN]],
    ]
    if len(verdict.violations) > SHOWN:
        lines.append(f"  and {len(verdict.violations) - SHOWN} more")
    return "\n".join(lines)


def _away(times: list[float]) -> str:
    median, longest = percentile(times, 0.5), percentile(times, 1)
    return f"median {median:.1f} s, longest {longest:.1f} s  (from the kill to the next sign, {len(times)} kills)"


def _faults(report: Report) -> list[str]:
    kinds = Counter(fault.kind for fault in report.faults)
    each = [f"  {count:4d} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1])]
    return [f"faults             {len(report.faults)}  ({report.restarts} processes started again)", *each]
