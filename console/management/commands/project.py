"""Add, check, list and remove Kedro projects."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from console.acting import ActingCommand
from console.env import COMMAND
from console.management.sentences import FAILED, WRONG_USE, end, printable, refuse
from jobs import clock
from jobs.errors import ProjectError, did_you_mean, nearest_of
from jobs.interpreters.snapshots import add_project, take
from jobs.models import Project, Run
from jobs.models.act import record
from jobs.proposals import propose


class Command(ActingCommand):
    help = "The Kedro projects that the console knows. Ends with 1 when a project has errors, with 2 on wrong use."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="Register a project and read it.")
        add.add_argument("path", help="The folder that holds its pyproject.toml.")
        add.add_argument("--name", default="", help="Default: the folder's name. A known name is that project.")
        add.add_argument("--python", metavar="INTERPRETER", help="Default: its own .venv, else the console's Python.")
        add.add_argument("--env", metavar="KEDRO_ENV", help="Default: the project's own.")
        add.add_argument("--move", action="store_true", help="The project of this name is here now.")
        check = verbs.add_parser("check", help="Read projects again and report their problems.")
        check.add_argument("name", nargs="?", default="", help="Default: all projects.")
        verbs.add_parser("list", help="Show all projects and their pipelines.")
        remove = verbs.add_parser("remove", help="Remove a project; its files are not touched.")
        remove.add_argument("name")
        remove.add_argument("--with-history", action="store_true", help="Also its runs, their logs and artifacts.")

    def handle(self, *args: Any, **options: Any) -> None:
        {"add": self._add, "check": self._check, "list": self._list, "remove": self._remove}[options["verb"]](options)

    def _add(self, options: dict[str, Any]) -> None:
        before = {project.pk: _given(project) for project in Project.objects.all()}
        try:
            project = add_project(
                options["path"],
                at=clock.now(),
                name=options["name"],
                interpreter=options["python"],
                kedro_env=options["env"],
                may_move=options["move"],
            )
        except ProjectError as error:
            refuse(self, error)
        if project.pk in before:
            self.stdout.write(printable(_changes(project, before[project.pk])))
        is_fine = self._describe(project)
        for sentence in propose(project, at=clock.now()):
            self.stdout.write(printable(sentence))
        if not is_fine:
            raise SystemExit(FAILED)

    def _check(self, options: dict[str, Any]) -> None:
        projects = [self._find(options["name"])] if options["name"] else list(Project.objects.all())
        if not projects:
            end(self, WRONG_USE, [f"There is no project yet: `{COMMAND} project add PATH` adds one."])
        is_fine = [self._read(project) for project in projects]  # every one is read, whatever the first says
        if not all(is_fine):
            raise SystemExit(FAILED)

    def _read(self, project: Project) -> bool:
        try:
            take(project, at=clock.now())
        except ProjectError as error:
            self.stderr.write(printable(f"{project.name}: {error}"))
            return False
        return self._describe(project)

    def _describe(self, project: Project) -> bool:
        """Say what the newest snapshot holds; whether it is without errors."""
        snapshot = project.snapshot
        picture = snapshot.picture if snapshot else None
        problems = project.problems
        for problem in problems:
            self.stderr.write(printable(f"{project.name}: {problem.severity}: {problem.sentence}"))
        if picture:
            self.stdout.write(
                f"{project.name}: {len(picture.pipelines)} pipelines, Kedro {picture.kedro_version}, "
                f"Python {picture.python_version}, revision {picture.revision}"
                f"{' (its last good picture, which stays)' if project.unread and picture.pipelines else ''}"
            )
        return not any(problem.severity == "error" for problem in problems)

    def _list(self, options: dict[str, Any]) -> None:
        for project in Project.objects.all():
            names = ", ".join(project.pipelines.filter(is_registered=True).values_list("name", flat=True))
            self.stdout.write(f"{project.name}  {project.path}  {project.interpreter}\n  {names or 'no pipelines'}")

    def _remove(self, options: dict[str, Any]) -> None:
        project = self._find(options["name"])
        runs = Run.objects.filter(pipeline__project=project)
        if live := runs.live().count():
            end(self, WRONG_USE, [f"{project.name} has {live} runs under way: cancel them or wait for their end."])
        if (count := runs.count()) and not options["with_history"]:
            end(self, WRONG_USE, [f"{project.name} has {count} runs: --with-history removes them too."])
        with transaction.atomic():
            record("deleted", project, before={"path": project.path, "runs": count})
            runs.delete()
            project.delete()
        self.stdout.write(f"{project.name} and {count} runs are removed; its files are untouched.")

    def _find(self, name: str) -> Project:
        found = Project.objects.filter(name=name).first()
        if found is None:
            nearest = nearest_of(name, Project.objects.values_list("name", flat=True), 2)
            hint = did_you_mean(nearest, " `project list` shows all.")
            end(self, WRONG_USE, [f"There is no project “{name}”.{hint}"])
        return found


def _given(project: Project) -> dict[str, str]:
    return {"path": project.path, "Python": project.interpreter, "Kedro environment": project.kedro_env or "its own"}


def _changes(project: Project, before: dict[str, str]) -> str:
    """What adding a project that was known has changed."""
    now = _given(project)
    changed = [f"{name}: {before[name]} → {now[name]}" for name in now if now[name] != before[name]]
    return f"{project.name} is already known; {', '.join(changed) or 'nothing of it was changed'}."
