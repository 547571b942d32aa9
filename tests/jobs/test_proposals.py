"""What a project proposes is applied once, and what people made of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.models import BatchQueue, Pipeline, Project, Quota, Rule
from jobs.proposals import propose
from tests.factories import AT, make_pipeline, make_project

pytestmark = pytest.mark.django_db

ALL = """
rules:
  Again:
    when: [report]
    start: report
    condition: batches.words.waiting > `0`
    max_iterations: 7
pipelines:
  report: {takes: {chat: 1}, runner: distributed, retries: 2}
quotas:
  chat: {description: One a minute., windows: [1 request per minute, "1,000 rows per day in UTC"]}
batch_queues:
  words: {max_attempts: 5}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(folder=tmp_path)
    make_pipeline(project=made)
    return made


def proposed(project: Project, text: str) -> list[str]:
    file = project.folder / "conf/base/console.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return propose(project, at=AT)


def test_all_that_is_proposed_is_there_after_the_first_time(project: Project) -> None:
    assert proposed(project, ALL) == ["shop proposed 4 quotas, queues, settings and rules: now applied."]
    quota = Quota.objects.get(name="chat")
    assert [str(window) for window in quota.windows.all()] == ["1 request per minute", "1,000 rows per day in UTC"]
    assert BatchQueue.objects.get(name="words").max_attempts == 5
    pipeline = Pipeline.objects.get(name="report")
    assert (pipeline.takes, pipeline.runner, pipeline.retries) == ({"chat": 1}, "distributed", 2)
    rule = Rule.objects.get(name="Again")
    assert (rule.target.name, rule.max_iterations, [each.name for each in rule.sources.all()]) == (
        "report", 7, ["report"],
    )  # fmt: skip


def test_a_second_time_changes_nothing_and_brings_back_nothing(project: Project) -> None:
    proposed(project, ALL)
    Rule.objects.all().delete()
    Quota.objects.filter(name="chat").update(description="Ours.")
    Pipeline.objects.update(takes={})
    assert propose(Project.objects.get(), at=AT) == []
    assert not Rule.objects.exists()
    assert Quota.objects.get().description == "Ours."
    assert Pipeline.objects.get().takes == {}


def test_what_people_made_before_is_left_as_it_is(project: Project) -> None:
    BatchQueue.objects.create(name="words", max_attempts=9)
    Pipeline.objects.update(takes={"mine": 2}, retries=5)
    proposed(project, ALL)
    assert BatchQueue.objects.get().max_attempts == 9
    pipeline = Pipeline.objects.get()
    assert (pipeline.takes, pipeline.retries, pipeline.runner) == ({"mine": 2}, 5, "distributed")


def test_what_is_proposed_later_is_added(project: Project) -> None:
    proposed(project, ALL)
    proposed(project, ALL + "  more: {}\n")
    assert BatchQueue.objects.count() == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1", "is a mapping of quotas"),
        ("a: [", "cannot be read"),
        ("a: !!python/object/apply:os.system [ls]", "cannot be read"),
        ("sensors: {}", "sensors is not known"),
        ("quotas: {x: {window: 1}}", "has window, which is none of description, windows"),
        ("quotas: {x: {windows: [often]}}", "the quota “x” is not applied: “often” is not understood"),
        ("quotas: {x: {}}", "name at least one window"),
        ("batch_queues: {'a b': {}}", "A batch queue's name has letters"),
        ("batch_queues: {x: {max_attempts: 0}}", "greater than or equal to 1"),
        ("pipelines: {nothing: {takes: {x: 1}}}", "the project has no pipeline nothing."),
        ("pipelines: {report: {takes: {x: 1}}}", "There is no quota “x”"),
        ("pipelines: {report: {runner: fast}}", "'fast' is not a valid choice"),
        ("pipelines: {report: {queue: far}}", "has queue, which is none of"),
        ("rules: {x: {when: report, start: report}}", "say when: [pipelines]"),
        ("rules: {x: {when: [report], start: report, outcome: often}}", "not a valid choice"),
        ("rules: {x: {when: [report], start: report, condition: 'a ='}}", "Unknown token '='"),
        ("rules: {x: {when: [report], start: report}}", "forever"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_changes_nothing(project: Project, text: str, sentence: str) -> None:
    (said,) = proposed(project, text)
    assert sentence in said
    assert not Quota.objects.exists() and not Rule.objects.exists() and not BatchQueue.objects.exists()
    assert Project.objects.get().proposed == []


def test_a_mistake_keeps_nothing_else_from_being_applied_and_is_tried_again(project: Project) -> None:
    first = proposed(project, "quotas: {x: {windows: [often]}, y: {windows: [1 request per second]}}")
    assert len(first) == 2 and Quota.objects.get().name == "y"
    assert proposed(project, "quotas: {x: {windows: [2 requests per second]}}")
    assert Quota.objects.count() == 2


def test_a_project_without_the_file_proposes_nothing(project: Project) -> None:
    assert propose(project, at=AT) == []
