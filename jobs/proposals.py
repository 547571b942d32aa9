"""What a project proposes in conf/base/console.yml: quotas, batch queues, settings and rules, each applied once.

What people made of it afterwards is theirs: an entry that was applied is never applied again, deleted or not, and what
exists under its name is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction

from jobs.errors import BadParameters, ConsoleError, ProjectError
from jobs.models import BatchQueue, Pipeline, Project, Quota, Rule
from jobs.quotas.windows import parse_line
from jobs.rules.edit import save_rule
from jobs.structure.yaml_text import load
from kedro_console.wire import Value

Facts = dict[str, Value]
"""What the file says of one thing."""
FILE: Final = Path("conf/base/console.yml")
LARGEST_BYTES: Final = 200_000
PIPELINE_OPTIONS: Final = frozenset({
    "runner", "grouping", "hooks_are_safe", "max_workers", "priority", "overlap", "takes",
    "crash_retries", "retries", "retry_wait_seconds", "retry_exceptions", "retry_nodes",
    "is_resumable", "copies_mb", "reuses_content", "time_limit_seconds", "node_time_limit_seconds",
})  # fmt: skip
RULE_OPTIONS: Final = frozenset({
    "wants", "outcome", "node", "correlate", "condition", "mapping", "selection", "handler", "is_side_job",
    "is_enabled", "max_iterations", "max_per_hour",
})  # fmt: skip


class BadProposal(ProjectError):
    """An entry of the file that cannot be applied."""


@dataclass(frozen=True)
class Kind:
    """One section of the file: what its entries may say, and what they bring about."""

    word: str
    options: frozenset[str]
    apply: Callable[[Project, str, Facts, datetime], bool]


def propose(project: Project, *, at: datetime) -> list[str]:
    """Apply what the project proposes and nobody has applied before: a sentence about that, and for each mistake."""
    try:
        entries = list(_entries(project.folder / FILE))
    except BadProposal as error:
        return [str(error)]
    applied, sentences = 0, []
    for kind, name, facts in entries:
        try:
            applied += _apply_once(project, kind, name, facts, at)
        except (ConsoleError, ValidationError) as error:
            sentences.append(f"{FILE}: the {kind.word} “{name}” is not applied: {_said(error)}")
    if applied:
        sentences.insert(0, f"{project.name} proposed {applied} quotas, queues, settings and rules: now applied.")
    return sentences


def _said(error: ConsoleError | ValidationError) -> str:
    if isinstance(error, BadParameters):
        return " ".join(error.fields.values())
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


# ---- the file


def _entries(file: Path) -> Iterator[tuple[Kind, str, Facts]]:
    content = _read(file)
    if unknown := sorted(set(map(str, content)) - set(KINDS)):
        raise BadProposal(f"{FILE}: {', '.join(unknown)} is not known; there are {', '.join(KINDS)}.")
    for section, kind in KINDS.items():
        named = content.get(section) or {}
        if not isinstance(named, dict):
            raise BadProposal(f"{FILE}: {section} is a mapping of names to what they are.")
        for name, facts in named.items():
            yield kind, str(name), _checked(kind, str(name), facts)


def _read(file: Path) -> Facts:
    if not file.is_file():
        return {}
    if file.stat().st_size > LARGEST_BYTES:
        raise BadProposal(f"{FILE} has more than {LARGEST_BYTES:,} bytes.")
    try:
        content = load(file.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise BadProposal(f"{FILE} cannot be read: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(content, dict | None):
        raise BadProposal(f"{FILE} is a mapping of {', '.join(KINDS)}.")
    return content or {}


def _checked(kind: Kind, name: str, facts: object) -> Facts:
    facts = {} if facts is None else facts
    if not isinstance(facts, dict):
        raise BadProposal(f"{FILE}: the {kind.word} “{name}” is a mapping of {', '.join(sorted(kind.options))}.")
    if unknown := sorted(set(map(str, facts)) - kind.options):
        known = ", ".join(sorted(kind.options))
        raise BadProposal(f"{FILE}: the {kind.word} “{name}” has {', '.join(unknown)}, which is none of {known}.")
    return facts


# ---- what is applied


def _apply_once(project: Project, kind: Kind, name: str, facts: Facts, at: datetime) -> bool:
    """Whether it was applied now; it is noted in the same transaction, also when something of that name was there."""
    key = f"{kind.word} {name}"
    with transaction.atomic():
        held = Project.objects.select_for_update().only("pk", "proposed").get(pk=project.pk)
        if key in held.proposed:
            return False
        is_new = kind.apply(project, name, facts, at)
        Project.objects.filter(pk=project.pk).update(proposed=[*held.proposed, key])
    return is_new


def _add_quota(project: Project, name: str, facts: Facts, at: datetime) -> bool:
    if Quota.objects.filter(name=name).exists():
        return False
    quota = Quota(name=name, description=str(facts.get("description", "")))
    quota.full_clean()
    lines = facts.get("windows")
    windows = [parse_line(str(line)) for line in lines] if isinstance(lines, list) else []
    if not windows:
        raise BadProposal("name at least one window, such as “1 request per 2 seconds”.")
    quota.save()
    for window in windows:
        window.quota = quota
        window.save()
    return True


def _add_queue(project: Project, name: str, facts: Facts, at: datetime) -> bool:
    if BatchQueue.objects.filter(name=name).exists():
        return False
    queue = BatchQueue(name=name, **facts)
    queue.full_clean()
    queue.save()
    return True


def _set_pipeline(project: Project, name: str, facts: Facts, at: datetime) -> bool:
    """Settings that nobody has changed yet."""
    pipeline = _pipeline(project, name)
    fields = {field.name: field for field in Pipeline._meta.fields}
    free = {
        option: value for option, value in facts.items() if getattr(pipeline, option) == fields[option].get_default()
    }
    for option, value in free.items():
        setattr(pipeline, option, value)
    pipeline.clean_fields(exclude=fields.keys() - free.keys())
    pipeline.save(update_fields=list(free))
    return bool(free)


def _add_rule(project: Project, name: str, facts: Facts, at: datetime) -> bool:
    if Rule.objects.filter(name=name).exists():
        return False
    when, start = facts.get("when"), facts.get("start")
    if not isinstance(when, list) or not when or not isinstance(start, str):
        raise BadProposal("say when: [pipelines] and start: pipeline.")
    sources = [_pipeline(project, str(source)) for source in when]
    options = {option: value for option, value in facts.items() if option in RULE_OPTIONS}
    rule = Rule(name=name, target=_pipeline(project, start), **options)
    rule.clean_fields(exclude=["created_at", "edited_at", "created_by", "edited_by"])
    save_rule(rule, sources, at=at)
    return True


def _pipeline(project: Project, name: str) -> Pipeline:
    found = project.pipelines.filter(name=name.removeprefix(f"{project.name}/")).first()
    if found is None and project.trouble:
        raise BadProposal(f"no pipeline {name} could be read: {project.errors[0]}")
    if found is None:
        raise BadProposal(f"the project has no pipeline {name}.")
    return found


KINDS: Final = {
    "quotas": Kind("quota", frozenset({"description", "windows"}), _add_quota),
    "batch_queues": Kind("batch queue", frozenset({"description", "max_attempts"}), _add_queue),
    "pipelines": Kind("pipeline", PIPELINE_OPTIONS, _set_pipeline),
    "rules": Kind("rule", RULE_OPTIONS | {"when", "start"}, _add_rule),
}
"""In the order in which they need each other, whatever the order of the file."""
