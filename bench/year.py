"""A year of fifty schedules in six zones, with two hundred kills of the beat that leads, in two minutes of one core.

Usage: python -m bench.year [DAYS] [KILLS] [SEED]
On the database that DATABASE_URL names, which should be empty, else on one of its own. The clock is driven: people
edit, pause and resume, beats are killed within what they write, stopped and gone for days, workers are away, and the
clock is set back. Then every row is compared with what was asked for.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta

from bench.stage import conditions, table

DEFAULTS = ("365", "200", "7")
BUSY = 0.1
"""Of the schedules, due once a day and more often; the others now and then."""
LATE = ("made_up", "missed")
PART_DAYS = 20
"""After so many days it says how far it is."""


def main() -> None:
    given = sys.argv[1:4]
    days, kills, seed = map(int, [*given, *DEFAULTS[len(given) :]])
    with tempfile.TemporaryDirectory(prefix="kc-bench-") as folder:
        os.environ |= {"CONSOLE_VAR": folder, "DJANGO_SETTINGS_MODULE": "console.settings"}
        import django
        from django.core.management import call_command

        django.setup()
        from console.celery import app

        app.conf.update(broker_url="memory://", broker_transport_options={})  # nobody listens: the clock is not real
        call_command("migrate", verbosity=0)
        simulate(days, kills, seed)


def simulate(days: int, kills: int, seed: int) -> None:
    from jobs.models import Pipeline, Run, Tick
    from jobs.states import Missed
    from tests.factories import make_pipeline
    from tests.jobs.schedules.simulation import BEGIN, Simulation

    pipeline = make_pipeline()
    Pipeline.objects.update(locks_outputs=False)
    pipeline.refresh_from_db()
    began, spent = time.monotonic(), time.process_time()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    year = Simulation(pipeline, BEGIN, seed=seed, schedules=50, busy=BUSY)
    parts = max(1, days // PART_DAYS)
    for part in range(1, parts + 1):
        until = BEGIN + timedelta(days=days) * part / parts
        share = [number * part // parts - number * (part - 1) // parts for number in (days, kills)]
        year.run(until, events=share[0], kills=share[1])
        print(f"  until {until:%Y-%m-%d}: {Tick.objects.count()} due times, {year.kills} kills, "
              f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    faults = [*year.faults(), *year.policies_broken()]
    decisions = Counter(Tick.objects.values_list("decision", flat=True))
    print(f"{days} days, 50 schedules, {year.kills} kills, {year.fenced} times a stopped beat was refused, "
          f"{len(year.outages)} outages, in {time.monotonic() - began:.0f} s, "
          f"{time.process_time() - spent:.0f} s of one core; {conditions()}\n")  # fmt: skip
    print(table(["decision", "due times"], [[name, str(count)] for name, count in sorted(decisions.items())]))
    missed = Counter(Tick.objects.filter(decision__in=LATE).values_list("schedule__missed", "decision"))
    rows = [[policy, *(str(missed[policy, each]) for each in LATE)] for policy in Missed.values]
    print("\n" + table(["policy", *LATE], rows))
    print(f"\n{Tick.objects.count()} due times, {Run.objects.count()} runs, {len(faults)} faults")
    for fault in faults[:20]:
        print(f"  {fault}")
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
