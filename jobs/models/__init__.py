from jobs.models.artifact import Artifact
from jobs.models.beat import Beat
from jobs.models.event import Event
from jobs.models.log_chunk import LogChunk
from jobs.models.node_run import NodeRun
from jobs.models.pipeline import Pipeline
from jobs.models.project import Project
from jobs.models.replay import Replay, Resend
from jobs.models.request_record import RequestCount, RequestRecord
from jobs.models.run import Run
from jobs.models.snapshot import Snapshot
from jobs.models.step import Step
from jobs.models.transition import Transition
from jobs.models.worker import Worker

__all__ = [
    "Artifact",
    "Beat",
    "Event",
    "LogChunk",
    "NodeRun",
    "Pipeline",
    "Project",
    "Replay",
    "RequestCount",
    "RequestRecord",
    "Resend",
    "Run",
    "Snapshot",
    "Step",
    "Transition",
    "Worker",
]
