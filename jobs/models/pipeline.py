from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from jobs.models.project import Project
from jobs.models.quota import check_takes
from jobs.states import Grouping, Overlap, Runner
from jobs.stored import ParametersField
from kedro_console.wire import Group, Key, SnapshotPipeline, Value, marked, secret_places

DEFAULT_QUEUE = "default"


class Pipeline(models.Model):
    """A name registered in a project, with our settings for it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="pipelines")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    is_registered = models.BooleanField(default=True, help_text="Still there in the project's newest snapshot.")
    default_parameters = ParametersField(
        default=dict, blank=True, help_text="Runtime parameters that every run of this pipeline starts from."
    )
    runner = models.CharField(max_length=20, choices=Runner, default=Runner.SEQUENTIAL)
    grouping = models.CharField(
        max_length=20,
        choices=Grouping,
        default=Grouping.NODE,
        help_text="Which nodes of a distributed run share a step. A node that no group names is as with “node”.",
    )
    unshareable = models.JSONField(
        "datasets that cannot be handed over",
        default=list,
        blank=True,
        help_text="Learned from runs: what makes one of these and what reads it share a process. [] forgets them.",
    )
    hooks_are_safe = models.BooleanField(
        "its hooks may run in many processes",
        default=False,
        help_text="A distributed run has one step while hooks of the project or its plugins seem to count on one "
        "process for a whole run; with this it is divided all the same.",
    )
    max_workers = models.PositiveSmallIntegerField(default=4, validators=[MinValueValidator(1)])
    queue = models.CharField(max_length=80, default=DEFAULT_QUEUE, help_text="The Celery queue that its steps go to.")
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 goes first, 9 last.")
    crash_retries = models.PositiveSmallIntegerField(
        default=1, help_text="How often a step is started again when its process or worker is lost."
    )
    retries = models.PositiveSmallIntegerField(
        default=0, help_text="How often a step is started again after an exception; a node's tag retry-N overrides it."
    )
    retry_wait_seconds = models.PositiveIntegerField(default=10, help_text="Before the first retry.")
    retry_factor = models.FloatField(
        default=2.0, validators=[MinValueValidator(1.0)], help_text="Each further wait is so many times the one before."
    )
    retry_jitter = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="The share by which a wait is lengthened at random, so that many do not come back at once: 0 to 1.",
    )
    retry_exceptions = models.JSONField(
        default=list, blank=True, help_text='Class names, such as ["ConnectionError"]; [] means all.'
    )
    retry_nodes = models.JSONField(default=list, blank=True, help_text="Node names and tags; [] means all.")
    is_resumable = models.BooleanField(
        default=False,
        help_text="Keep all datasets between nodes on disk, whatever that costs, so that a resumed run goes on exactly "
        "where it ended. Distributed runs always do.",
    )
    copies_mb = models.PositiveIntegerField(
        "copies between nodes (MB)",
        default=200,
        db_default=200,
        help_text="A run in one process copies its datasets between nodes to disk up to so much, and for a twentieth "
        "of its time at most, so that it can be resumed when it fails. 0: it copies nothing.",
    )
    reuses_content = models.BooleanField(
        "re-runs only what changed",
        default=False,
        help_text="A node does not run while its code, parameters and input data are those of an earlier successful "
        "run whose outputs are still there. It keeps the datasets between nodes on disk.",
    )
    time_limit_seconds = models.PositiveIntegerField(default=0, help_text="0: no limit.")
    node_time_limit_seconds = models.PositiveIntegerField(
        "time limit of a node (seconds)",
        default=0,
        help_text="0: no limit; a node's tag timeout-N overrides it.",
    )
    memory_limit_mb = models.PositiveIntegerField("memory limit (MB)", default=0, help_text="0: no limit.")
    grace_seconds = models.PositiveSmallIntegerField(
        default=10, help_text="Between the interrupt of a cancelled run and its kill."
    )
    overlap = models.CharField(
        "if another run is still going",
        max_length=20,
        choices=Overlap,
        default=Overlap.BOTH,
        help_text="What a new run does while an older one of this pipeline has not ended.",
    )
    locks_outputs = models.BooleanField(
        "locks its outputs",
        default=True,
        help_text="A run waits while another of the project writes the same file that is not versioned.",
    )
    poison_after = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1)],
        help_text="A step is given up when so many workers were lost while it ran, whatever its retries allow.",
    )
    takes = models.JSONField(
        "takes of quotas",
        default=dict,
        blank=True,
        validators=[check_takes],
        help_text='Requests that a run is granted before it starts, such as {"chat": 1}; it waits for them as queued.',
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="pipeline_once_in_project")]
        permissions = [("start_pipeline", "Can start runs of pipelines")]

    def __str__(self) -> str:
        return f"{self.project.name} / {self.name}"

    def marked(self, parameters: Group) -> dict[Key, Value]:
        """These parameters, those among them that the project's types call secrets as such."""
        return marked(parameters, self.secret_parameters) if parameters else {}

    @property
    def secret_parameters(self) -> dict[str, list[list[str]]]:
        """What the types of its project mark, as `wire.secret_places` tells it."""
        snapshot = self.project.snapshot
        return secret_places(snapshot.picture.schemas) if snapshot else {}

    @property
    def known_parameters(self) -> dict[Key, Value]:
        """Those of its project as it was last read; none when it never was."""
        snapshot = self.project.snapshot
        return snapshot.picture.parameters if snapshot else {}

    @property
    def structure(self) -> SnapshotPipeline | None:
        """Its nodes and datasets in the newest snapshot, None when the project has none of that name."""
        snapshot = self.project.snapshot
        return snapshot.pipeline(self.name) if snapshot else None
