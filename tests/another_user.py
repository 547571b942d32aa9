"""A project that another user of this machine can work on, and a Python that they can run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from django.conf import settings

from jobs.models import Project


def another_user(project: Project, tmp_path: Path) -> pwd.struct_passwd:
    """Make the project theirs; skips where only root could do that."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    subprocess.run(["chown", "-R", "daemon:daemon", project.path], check=True)
    everybodys_python(tmp_path / "python", project)
    return pwd.getpwnam("daemon")


def everybodys_python(place: Path, project: Project) -> None:
    """A copy of ours, which may lie in somebody's home, that any user can run."""
    real, home = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    shutil.copytree(home, place / "lib" / home.name, ignore=shutil.ignore_patterns("test", "site-packages", "idlelib"))
    for library in real.parent.parent.glob("lib/libpython*.so*"):
        shutil.copy(library, place / "lib")
    (place / "bin").mkdir()
    shutil.copy(real, place / "bin" / "python3")
    project.interpreter = str(place / "bin" / "python3")
    paths = [str(settings.BASE_DIR / "pipelines"), sysconfig.get_path("purelib")]
    project.environment = {"PYTHONPATH": os.pathsep.join(paths), "LD_LIBRARY_PATH": str(place / "lib")}
    project.save()
