"""The project's own log handlers work as under `kedro run`; what they show on the console is one line a record."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from host_client import Conversation
from kedro_projects import make_project

from kedro_console import wire

NODES = """
import logging
import warnings

logger = logging.getLogger(__name__)
logging.getLogger("from.import").warning("while the pipelines are imported")
print("printed at import")

def first():
    logger.info("first %s", 1)
    logger.debug("debug of the node")
    logging.getLogger("some.library").info("info of a library")
    logging.getLogger("silent").error("nobody sees this")
    logging.getLogger("apart").warning("in its own file alone")
    return 1

def second(a):
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("it broke")
    warnings.warn("take care")
    return a

def third(b):
    logger.info("third, trailing blank \\t")
    return b
"""
SETTINGS = """
import logging
logging.getLogger("demo.settings").info("settings are read")
"""
LOGGING = """
version: 1
disable_existing_loggers: {disable}
formatters:
  lined: {{format: "%(name)s|%(levelname)s|%(message)s"}}
handlers:
  {console}
  all: {{class: logging.FileHandler, filename: logs/all.log, mode: {mode}, formatter: lined}}
  small: {{class: logging.handlers.RotatingFileHandler, filename: logs/small.log, maxBytes: 200, backupCount: 3,
           formatter: lined}}
  errors: {{class: logging.FileHandler, filename: logs/errors.log, level: ERROR, delay: true, formatter: lined}}
  apart: {{class: logging.handlers.WatchedFileHandler, filename: logs/apart.log, formatter: lined}}
  daily: {{class: logging.handlers.TimedRotatingFileHandler, filename: logs/daily.log, formatter: lined}}
  kept: {{class: logging.handlers.MemoryHandler, capacity: 1000, target: errors}}
loggers:
  kedro: {{level: INFO}}
  demo: {{level: {level}}}
  silent: {{level: CRITICAL}}
  apart: {{handlers: [apart], propagate: false}}
root: {{level: INFO, handlers: [console, all, small, errors, daily, kept]}}
"""
SECONDS = re.compile(r" in [\d.]+ sec")
RICH = "console: {class: kedro.logging.RichHandler}"
STDOUT = "console: {class: logging.StreamHandler, stream: ext://sys.stdout, formatter: lined}"


def project_at(folder: Path, logging: str) -> Path:
    project = make_project(folder / "project", nodes=NODES, settings=SETTINGS)
    (project / "conf/logging.yml").write_text(logging)
    (project / "logs").mkdir()
    return project


def files_of(project: Path) -> dict[str, str]:
    """The log files, without where the project lies."""
    texts = {path.name: path.read_text("utf-8") for path in sorted((project / "logs").iterdir())}
    return {name: SECONDS.sub("", text.replace(str(project), "PROJECT")) for name, text in texts.items()}


def run_plainly(project: Path) -> None:
    command, env = [sys.executable, "-m", "kedro", "run"], {**os.environ, "DO_NOT_TRACK": "1"}
    subprocess.run(command, cwd=project, env=env, check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    ("console", "mode", "disable", "level"),
    [(RICH, "a", "false", "INFO"), (STDOUT, "w", "true", "DEBUG")],
    ids=["rich", "stdout"],
)
def test_log_files_are_those_of_kedro_run(tmp_path, start_host, console, mode, disable, level):
    config = LOGGING.format(console=console, mode=mode, disable=disable, level=level)
    plain, ours = project_at(tmp_path / "plain", config), project_at(tmp_path / "ours", config)
    host = start_host(ours)
    for number in range(2):
        run_plainly(plain)
        host.run(run_id=f"run-{number}", folder=str(tmp_path / f"run-{number}" / "0-1"))
        assert files_of(ours) == files_of(plain)


def of(said: Conversation, *texts: str) -> list[tuple[str, str, str]]:
    """Level, logger and text of these lines; a line that is there twice is there twice."""
    return [(line.level, line.logger, line.text) for line in said.lines() if line.text in texts]


def test_the_console_shows_level_logger_and_text_as_logged(tmp_path, start_host):
    config = LOGGING.format(console=RICH, mode="a", disable="false", level="INFO")
    said = start_host(project_at(tmp_path, config)).run()
    lines = {line.text: (line.level, line.logger, line.stream, line.node) for line in said.lines()}
    assert lines["first 1"] == ("INFO", "demo.nodes", "logging", "first")
    assert lines["info of a library"] == ("INFO", "some.library", "logging", "first")
    assert lines["third, trailing blank \t"] == ("INFO", "demo.nodes", "logging", "third")
    assert lines["ZeroDivisionError: division by zero"] == ("ERROR", "demo.nodes", "logging", "second")
    assert lines["while the pipelines are imported"] == ("WARNING", "from.import", "logging", "")
    assert lines["settings are read"][:2] == ("INFO", "demo.settings")
    assert lines["printed at import"] == ("INFO", "", "stdout", "")
    assert not {"nobody sees this", "debug of the node", "in its own file alone"} & set(lines)
    assert of(said, "Loading data from a (MemoryDataset)...") == [
        ("INFO", "kedro.io.data_catalog", "Loading data from a (MemoryDataset)...")
    ]


IMPORTS = "import logging, logging.config, logging.handlers, queue, sys"
CONFIGURED = {
    "force": """
logging.basicConfig(level="DEBUG", force=True)
""",
    "stdout": """
logging.basicConfig(level="DEBUG", stream=sys.stdout, format="%(asctime)s %(message)s", force=True)
""",
    "twice": """
logging.basicConfig(level="DEBUG", force=True)
logging.root.addHandler(logging.StreamHandler(sys.__stdout__))
""",
    "dict": """
handlers = {"c": {"class": "logging.StreamHandler"}}
root = {"level": "DEBUG", "handlers": ["c"]}
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "handlers": handlers, "root": root})
""",
    "queue": """
words = queue.SimpleQueue()
logging.basicConfig(level="DEBUG", handlers=[logging.handlers.QueueHandler(words)], force=True)
listener = logging.handlers.QueueListener(words, logging.StreamHandler())
listener.start()
""",
    "memory": """
kept = logging.handlers.MemoryHandler(1000, target=logging.StreamHandler())
logging.basicConfig(level="DEBUG", handlers=[kept], force=True)
""",
    "printing": """
class Printing(logging.Handler):
    def emit(self, record):
        print(self.format(record))
logging.basicConfig(level="DEBUG", handlers=[Printing()], force=True)
""",
    "tqdm": """
import tqdm.contrib.logging
logging.basicConfig(level="DEBUG", handlers=[tqdm.contrib.logging._TqdmLoggingHandler()], force=True)
""",
    "last resort": """
logging.root.handlers[:] = []
""",
}
SPEAKS = """
logging.getLogger("a.logger").error("an error")
logging.getLogger("a.logger").warning("a warning")
logging.getLogger("off").disabled = True
logging.getLogger("off").error("never")
if "listener" in dir():
    listener.stop()
"""


@pytest.mark.parametrize("way", CONFIGURED)
def test_whoever_configures_logging_in_a_node_the_level_stays(way, run_body):
    said = run_body(IMPORTS + CONFIGURED[way] + SPEAKS)
    found = [line for line in said.lines() if line.text.endswith(("an error", "a warning", "never"))]
    assert [(line.level, line.logger) for line in found] == [("ERROR", "a.logger"), ("WARNING", "a.logger")]


CONFIGURE = """
import logging
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s", force=True)
"""
SPEAKING = """
import logging

def first():
    logging.getLogger("x").debug("a word")
    return 1

def second(a):
    return a

def third(b):
    return b
"""
CONFIGURING_HOOK = """
import logging
from kedro.framework.hooks import hook_impl

class Configuring:
    @hook_impl
    def after_context_created(self, context):
        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s", force=True)

HOOKS = (Configuring(),)
"""


@pytest.mark.parametrize("place", ["nodes", "hooks"])
def test_whoever_configures_logging_elsewhere_the_level_stays(place, host_of):
    nodes = (CONFIGURE if place == "nodes" else "") + SPEAKING
    hooks = CONFIGURING_HOOK if place == "hooks" else ""
    said = host_of(nodes=nodes, settings=hooks).run()
    assert of(said, "a word") == [("DEBUG", "x", "a word")]


ONE_FILE = """
version: 1
handlers: {{f: {{class: logging.FileHandler, {options}}}}}
loggers: {{}}
root: {{handlers: [f]}}
"""


def test_a_file_that_a_run_begins_anew_is_begun_once_a_run(tmp_path, start_host):
    project = project_at(tmp_path / "it", ONE_FILE.format(options="filename: run.log, mode: w"))
    host, log = start_host(project), project / "run.log"
    assert not log.exists()
    for run in ("one", "two"):
        for number, node in enumerate(("first", "second", "third")):
            store, folder = str(tmp_path / run / "store"), str(tmp_path / run / f"{number}-1")
            host.run(run_id=run, nodes=[node], store_folder=store, folder=folder)
        written = log.read_text("utf-8").splitlines()
        assert written[0] == "while the pipelines are imported" and written.count("it broke") == 1


def test_a_setting_of_the_environment_names_the_configuration(tmp_path, start_host):
    project = project_at(tmp_path, "version: 1\nhandlers: {}\nloggers: {}\n")
    (tmp_path / "elsewhere.yml").write_text(ONE_FILE.format(options="filename: other.log"))
    start_host(project, environment={"KEDRO_LOGGING_CONFIG": str(tmp_path / "elsewhere.yml")}).run()
    assert "it broke" in (project / "other.log").read_text("utf-8")


def test_a_log_file_that_cannot_be_opened_fails_the_run_as_it_would_fail_kedro_run(tmp_path, start_host):
    project = project_at(tmp_path, ONE_FILE.format(options="filename: nowhere/run.log"))
    failed = start_host(project).run().one(wire.RunFailed)
    assert failed.failure.message == "Unable to configure handler 'f'"


def test_colours_arrive_and_no_other_sequence(run_body):
    said = run_body(r"print('\x1b[31mred\x1b[0m \x1b[2K\x1b[1Aplain')")
    assert "\x1b[31mred\x1b[0m plain" in [line.text for line in said.lines()]


@pytest.mark.parametrize("mode", ["fork", "standby", "cold"])
def test_what_is_said_at_import_is_said_once_in_every_mode(tmp_path, start_host, mode):
    config = LOGGING.format(console=RICH, mode="a", disable="false", level="INFO")
    project = project_at(tmp_path, config)
    said = start_host(project, "--mode", mode).run()
    once = ["settings are read", "while the pipelines are imported", "printed at import"]
    assert [line.text for line in said.lines() if line.text in once] == once
    assert not [line.text for line in said.lines() if line.stream == "raw"]
    assert (project / "logs/all.log").read_text("utf-8").count("while the pipelines are imported") == 1


REDACTING = """
import json, logging

class Formatter(logging.Formatter):
    def format(self, record):
        return json.dumps({"said": record.getMessage().replace("Smith", "S."), "at": record.levelname})

logging.basicConfig(level="INFO", force=True)
logging.root.handlers[0].setFormatter(Formatter())
logging.getLogger("x").warning("of Mrs Smith")
"""


def test_a_formatter_of_the_project_has_the_last_word(run_body):
    lines = [(line.level, line.logger, line.text) for line in run_body(REDACTING).lines() if "of Mrs" in line.text]
    assert lines == [("WARNING", "x", '{"said": "of Mrs S.", "at": "WARNING"}')]


WITH_FIELDS = """
import logging

logging.basicConfig(level="INFO", force=True, format="%(asctime)s {style} %(message)s", datefmt="at noon")
logging.getLogger("x").warning("a job began", extra={{"job": 7}})
"""


@pytest.mark.parametrize(
    ("style", "shown"),
    [("%(levelname)-8s [%(name)s:%(lineno)d]", "a job began"), ("%(job)s", "at noon 7 a job began")],
)
def test_what_a_layout_shows_of_the_projects_own_fields_is_in_the_line(run_body, style, shown):
    lines = [line.text for line in run_body(WITH_FIELDS.format(style=style)).lines() if "a job began" in line.text]
    assert lines == [shown]


@pytest.mark.parametrize(("style", "layout"), [("{", "{job:>3}|{message}"), ("$", "$job|$message")])
def test_a_layout_in_another_style_is_read_as_well(run_body, style, layout):
    body = (
        f"import logging\nlogging.basicConfig(level='INFO', force=True, style={style!r}, format={layout!r})\n"
        "logging.getLogger('x').warning('a job began', extra={'job': 7})"
    )
    lines = [line.text for line in run_body(body).lines() if "a job began" in line.text]
    assert lines == [{"{": "  7|a job began", "$": "7|a job began"}[style]]
