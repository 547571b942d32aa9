from jobs.models.act import Act
from jobs.models.artifact import Artifact
from jobs.models.backfill import Backfill, BackfillDate
from jobs.models.batch_queue import BatchQueue
from jobs.models.beat import Beat
from jobs.models.channel import Channel
from jobs.models.delivery import Delivery
from jobs.models.event import Event
from jobs.models.firing import Firing
from jobs.models.ignored_host import IgnoredHost
from jobs.models.item import Item
from jobs.models.lead import Lead
from jobs.models.loan import Loan
from jobs.models.log_chunk import LogChunk
from jobs.models.news import News, Notice
from jobs.models.node_run import NodeRun
from jobs.models.pipeline import Pipeline
from jobs.models.project import Project
from jobs.models.quota import Grant, Quota, Window
from jobs.models.replay import Replay, Resend
from jobs.models.request_record import RequestCount, RequestRecord
from jobs.models.rule import Arrival, Rule
from jobs.models.run import Run
from jobs.models.schedule import Schedule
from jobs.models.share import Share
from jobs.models.shelf import Pin, Shelf
from jobs.models.snapshot import Snapshot
from jobs.models.step import Step
from jobs.models.store_check import StoreCheck
from jobs.models.subscription import Subscription
from jobs.models.taking import Taking
from jobs.models.tick import Tick
from jobs.models.transition import Transition
from jobs.models.unkept_file import UnkeptFile
from jobs.models.upload import Upload
from jobs.models.worker import Worker

__all__ = [
    "Act",
    "Arrival",
    "Artifact",
    "Backfill",
    "BackfillDate",
    "BatchQueue",
    "Beat",
    "Channel",
    "Delivery",
    "Event",
    "Firing",
    "Grant",
    "IgnoredHost",
    "Item",
    "Lead",
    "Loan",
    "LogChunk",
    "News",
    "NodeRun",
    "Notice",
    "Pin",
    "Pipeline",
    "Project",
    "Quota",
    "Replay",
    "RequestCount",
    "RequestRecord",
    "Resend",
    "Rule",
    "Run",
    "Schedule",
    "Share",
    "Shelf",
    "Snapshot",
    "Step",
    "StoreCheck",
    "Subscription",
    "Taking",
    "Tick",
    "Transition",
    "UnkeptFile",
    "Upload",
    "Window",
    "Worker",
]
