"""What resuming a run would come to, told in a terminal as its page and the API tell it."""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import BaseCommand

from console.api.resume_shapes import told_of
from console.management import given
from console.management.sentences import printable, refuse
from console.templatetags.console import duration, plural
from jobs.errors import ConsoleError, RequestError
from jobs.models import Run
from jobs.runs.resume import preview

OUTSIDE: Final = "outside of any namespace"


def to_resume(options: dict[str, Any]) -> tuple[Run, dict[Any, Any]]:
    """The run that is to be resumed, and the parameters that are to be others."""
    run = Run.objects.select_related("pipeline__project").filter(pk=options["resume"]).first()
    if run is None:
        raise RequestError(f"There is no run #{options['resume']}.")
    return run, given.parameters(options["param"], options["params_file"], run.pipeline.known_parameters)


def preview_resume(command: BaseCommand, options: dict[str, Any]) -> None:
    """Print it; nothing is started."""
    try:
        if options["resume"] is None or options["pipeline"]:
            raise RequestError("--dry-run tells what --resume NUMBER would do: name a run that ended.")
        run, changes = to_resume(options)
        told = told_of(run, preview(run, changes or None))
    except ConsoleError as error:
        refuse(command, error)
    if options["json"]:
        command.stdout.write(json.dumps(told, indent=2))
        return
    command.stdout.write(f"Resuming run #{run.pk} of {run.pipeline}: {_sum(told)}")
    for space in told["namespaces"]:
        command.stdout.write(f"  {printable(space['name'] or OUTSIDE)}: {_sum(space)}")
    for what, name in (("runs", "rerun_nodes"), ("is written again", "again")):
        for part in told[name]:
            command.stdout.write(f"  {printable(part['node'])} {what}: {printable(part['reason'])}")
    command.stdout.write(f"Copies between nodes: {told['copies']} (`copies` changes it). Nothing was started.")


def _sum(told: dict[str, Any]) -> str:
    about = f", about {duration(told['seconds'])}" if told["seconds"] is not None else ""
    return f"{told['reused']:,} reused, {plural(told['rerun'], 'node runs,nodes run')}{about}."
