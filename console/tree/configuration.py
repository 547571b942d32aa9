"""The supervisor's configuration file, rewritten by each `up`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from console.tree.programs import Program

HEAD = """\
; Written by `manage.py up`: a change made here is lost at the next start.
[supervisord]
nodaemon=true
pidfile=%(ENV_CONSOLE_TREE)s/supervisord.pid
logfile=%(ENV_CONSOLE_TREE)s/log/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
loglevel=info
silent=true
"""
PROGRAM = """
[program:{name}]
command={command}
directory={folder}
environment=CELERY_SKIP_CHECKS="1"
priority={priority}
autorestart=true
startsecs=1
startretries=1000
stopwaitsecs={stop_seconds}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=%%(ENV_CONSOLE_TREE)s/log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def configuration(programs: Iterable[Program]) -> str:
    """The text of supervisord.conf, for a supervisor that works in our home folder and has CONSOLE_TREE as a variable.

    Only commands hold paths of this machine, quoted: elsewhere in the file a blank and a # would begin a comment.
    A log's name is expanded twice by the supervisor. Celery would check all pages at each start of worker and beat.
    """
    head = HEAD + ("user=root\n" if os.geteuid() == 0 else "")  # said aloud, root is no longer warned of
    return head + "".join(section(program) for program in programs)


def section(program: Program) -> str:
    return PROGRAM.format(
        name=program.name,
        command=" ".join(word(part) for part in program.command),
        folder=program.folder,
        priority=program.priority,
        stop_seconds=program.stop_seconds,
    )


def word(text: str) -> str:
    """One word of a command; a # or ; after a blank would else begin a comment in the file."""
    return re.sub(r"(\s)(?=[#;])", r"\1''", shlex.quote(text)).replace("%", "%%")


def write(folder: Path, programs: Iterable[Program]) -> Path:
    """The written file in this folder, beside the folders that the programs expect."""
    for name in ("log", "redis", "static"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    file = folder / "supervisord.conf"
    file.write_text(configuration(programs))
    return file
