"""The pipeline's own form for the parameters of a run that is resumed: what is changed of them counts, nothing else."""

from __future__ import annotations

from typing import Any

from console.forms.forms import PREFIX, RunForm
from console.forms.schema_fields import NOT_GIVEN
from console.forms.schema_forms import initial
from jobs.models import Run, Snapshot
from jobs.structure.values import same
from kedro_console.wire import SnapshotPipeline


class ResumeForm(RunForm):
    """It begins with what the run had; when it is valid, `changes` has what differs from that, by name."""

    def __init__(self, run: Run, snapshot: Snapshot, structure: SnapshotPipeline, *, data: Any = None) -> None:
        super().__init__(run.pipeline, structure, snapshot.picture, data=data, parameters=run.parameters)
        self.had = initial(self.tree, run.parameters)
        for name in [name for name in self.fields if not name.startswith(PREFIX)]:
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        given = {name.removeprefix(PREFIX): value for name, value in self.cleaned_data.items()
                 if value is not NOT_GIVEN}  # fmt: skip
        self.changes = {name: value for name, value in given.items() if not same(value, self.had.get(name))}
        return self.cleaned_data
