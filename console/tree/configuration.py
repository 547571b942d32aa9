"""The supervisor's configuration file, written anew by each `up`."""

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
pidfile=%(here)s/supervisord.pid
logfile=%(here)s/log/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
loglevel=info
silent=true
"""
PROGRAM = """
[program:{name}]
command={command}
directory={folder}
priority={priority}
autorestart=true
startsecs=1
startretries=1000
stopwaitsecs={stop_seconds}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=%(here)s/log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def configuration(programs: Iterable[Program]) -> str:
    """The text of supervisord.conf; paths in it are relative to the folder where it lies."""
    head = HEAD + ("user=root\n" if os.geteuid() == 0 else "")  # said aloud, root is no longer warned of
    return head + "".join(section(program) for program in programs)


def section(program: Program) -> str:
    return PROGRAM.format(
        name=program.name,
        command=" ".join(word(part) for part in program.command),
        folder=value(str(program.folder)),
        priority=program.priority,
        stop_seconds=program.stop_seconds,
    )


def word(text: str) -> str:
    """One word of a command; a # or ; after a blank would else begin a comment in the file."""
    return re.sub(r"(\s)(?=[#;])", r"\1''", shlex.quote(text)).replace("%", "%%")


def value(text: str) -> str:
    """A whole value; the supervisor expands % itself."""
    return text.replace("%", "%%")


def write(folder: Path, programs: Iterable[Program]) -> Path:
    """The written file in this folder, beside the folders that the programs expect."""
    for name in ("log", "redis", "static"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    file = folder / "supervisord.conf"
    file.write_text(configuration(programs))
    return file
