"""One of many processes that use a quota: python -m tests.jobs.quota_racer STEP TOKEN FOLDER REQUESTS."""

from __future__ import annotations

import os
import random
import sys
import time
import uuid
from pathlib import Path


def main(step_id: str, token: str, folder: str, requests: str) -> None:
    import django

    django.setup()
    from jobs import clock
    from jobs.child.answer import answer
    from jobs.models import Step
    from kedro_console import wire

    step = Step.objects.select_related("run").get(pk=step_id)
    arrivals = os.open(Path(folder) / "arrivals", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    Path(folder, f"ready-{step_id}").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.01)
    place, number, left = None, 0, int(requests)
    while left:
        number += 1
        asked = wire.Asked(time.time(), number, "grant_taken", "ask", {"quota": "chat", "place": place})
        told = answer(step, uuid.UUID(token), asked, clock.now())
        assert not told.error, told.error
        if not told.data["granted"]:
            place = told.data["place"]
            time.sleep(max(0.001, min(told.data["seconds"], 1.0)))
            continue
        place, left = None, left - 1
        time.sleep(random.random() * 0.05)  # on its way to the API
        os.write(arrivals, f"{time.time()}\n".encode())
        time.sleep(random.random() * 0.05)  # and the answer back
        asked = wire.Asked(time.time(), number, "grant_settled", "ask", {"grant": told.data["grant"], "status": 200})
        assert not answer(step, uuid.UUID(token), asked, clock.now()).error


if __name__ == "__main__":
    main(*sys.argv[1:])
