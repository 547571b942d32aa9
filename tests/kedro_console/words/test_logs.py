"""What a run writes arrives whole, in lines, each with the node that wrote it."""

from __future__ import annotations

import time

from kedro_projects import make_project, one_node

from kedro_console import wire


def written(said, stream: str) -> list[tuple[str, str]]:
    return [(line.node, line.text) for line in said.lines() if line.stream == stream]


def test_print_stderr_and_logging_are_told_apart_and_belong_to_the_node(run_body):
    body = """
import logging, sys, warnings
print("to stdout")
print("to stderr", file=sys.stderr)
print("no newline", end="")
logging.getLogger("demo.nodes").info("from us")
logging.getLogger("library").error("from a library")
warnings.warn("take care")
"""
    said = run_body(body)
    assert written(said, "stdout") == [("work", "to stdout"), ("work", "no newline")]
    assert written(said, "stderr") == [("work", "to stderr")]
    logged = [line for line in said.lines() if line.stream == "logging" and line.node == "work"]
    texts = {line.text: line.level for line in logged}
    loggers = {line.text: line.logger for line in logged}
    assert texts["from us"] == "INFO" and texts["from a library"] == "ERROR"
    assert loggers["from us"] == "demo.nodes" and loggers["from a library"] == "library"
    assert any("take care" in text and level == "WARNING" for text, level in texts.items())


PROGRAM = """
import subprocess
print("before")
subprocess.run("echo from a program; echo and its stderr >&2; printf 'no end'", shell=True)
print("after")
"""


def test_lines_of_a_program_belong_to_the_node_that_started_it(run_body):
    said = run_body(PROGRAM)
    assert written(said, "raw") == [("work", "from a program"), ("work", "and its stderr"), ("work", "no end")]
    texts = [line.text for line in said.lines() if line.node == "work" and line.stream != "logging"]
    assert texts == ["before", "from a program", "and its stderr", "no end", "after"]


LEFT_OPEN = """
import os, sys, threading

def first():
    print("no newline", end="")
    thread = threading.Thread(target=lambda: sys.stderr.write("of a thread"))
    thread.start()
    thread.join()
    os.write(2, b"raw and open")
    return 1

def second(a):
    print("first words")
    return a

def third(b):
    return b
"""


def test_what_a_node_leaves_without_a_newline_is_its_own(host_of):
    said = host_of(nodes=LEFT_OPEN).run(pipeline="chain")
    lines = [(line.node, line.stream, line.text) for line in said.lines() if line.stream != "logging"]
    assert sorted(lines[:3]) == [
        ("first", "raw", "raw and open"), ("first", "stderr", "of a thread"), ("first", "stdout", "no newline"),
    ]  # fmt: skip
    assert lines[3:] == [("second", "stdout", "first words")]


BYTES = r"""
import os, sys
os.write(1, b"\xff\xfe\x00 raw\n")
print("\udcff lone")
sys.stdout.buffer.write(b"\x80\n")
"""


def test_bytes_that_are_not_text_arrive_as_text(run_body):
    said = run_body(BYTES)
    assert said.one(wire.RunFinished)
    texts = [line.text for line in said.lines()]
    assert {r"\xff\xfe\x00 raw", r"\udcff lone", r"\x80"} <= set(texts)


def test_a_hundred_megabytes_arrive_in_bounded_time_with_the_right_end(run_body):
    started = time.monotonic()
    said = run_body("for number in range(100_000):\n    print('x' * 1000, number)")
    assert time.monotonic() - started < 60
    lines = written(said, "stdout")
    assert len(lines) == 100_000 and lines[-1][1].endswith(" 99999")
    assert said.one(wire.RunFinished) and said.one(wire.ChildExited).peak_memory_bytes < 1024**3


def test_an_endless_line_is_written_as_several(run_body):
    body = "import os\nprint('y' * 5_000_000)\nprint('next')\nos.write(1, 'é'.encode() * 400_000)"
    said = run_body(body)
    *long, (_, following) = written(said, "stdout")
    assert "".join(text for _, text in long) == "y" * 5_000_000 and following == "next"
    raw = written(said, "raw")
    assert "".join(text for _, text in raw) == "é" * 400_000
    assert max(len(text) for _, text in [*long, *raw]) <= wire.MAX_LINE_BYTES


def test_lines_of_threads_belong_to_their_nodes(host_of):
    nodes = """
import logging, threading, time

BARRIER = threading.Barrier(3)

def speak(name):
    BARRIER.wait(30)
    for number in range(200):
        print(f"{name} prints {number}")
        logging.getLogger("demo").info("%s logs %s", name, number)

def a(): return speak("a") or 1
def b(): return speak("b") or 1
def c(): return speak("c") or 1
"""
    pipelines = """
from kedro.pipeline import Pipeline, node
from . import nodes

def register_pipelines():
    return {"__default__": Pipeline([node(getattr(nodes, n), None, n + '_done', name=n) for n in "abc"])}
"""
    said = host_of(nodes=nodes, pipelines=pipelines).run(runner="threads", max_workers=3)
    lines = [line for line in said.lines() if " prints " in line.text or " logs " in line.text]
    assert len(lines) == 1200
    assert all(line.node == line.text[0] for line in lines)


def test_a_thread_that_a_node_starts_speaks_for_the_node(run_body):
    body = """
import threading
thread = threading.Thread(target=print, args=("from a thread",))
thread.start()
thread.join()
"""
    assert ("work", "from a thread") in written(run_body(body), "stdout")


LEVELS = """
version: 1
handlers: {rich: {class: kedro.logging.RichHandler}}
loggers:
  demo.quiet: {level: ERROR}
  kedro: {level: WARNING, handlers: [rich]}
root: {level: INFO, handlers: [rich]}
"""


def test_the_projects_logging_file_gives_levels_but_not_handlers(tmp_path, start_host):
    nodes = """
import logging
def work():
    logging.getLogger("demo.quiet").info("not this")
    logging.info("but this")
    return 1
"""
    project = make_project(tmp_path / "project", **one_node(nodes))
    (project / "conf/logging.yml").write_text(LEVELS)
    texts = [line.text for line in start_host(project).run().lines()]
    assert "but this" in texts and "not this" not in texts and not any("Loading data" in text for text in texts)


BAR = """
import time, tqdm
for _ in tqdm.tqdm(range(40), desc="rows", unit="row", mininterval=0):
    time.sleep(0.02)
"""


def test_tqdm_is_progress_and_only_its_last_line_is_log(run_body):
    said = run_body(BAR)
    made = said.all(wire.ProgressMade)
    assert made[-1].node == "work" and made[-1].label == "rows" and made[-1].unit == "row"
    assert (made[-1].done, made[-1].total) == (40, 40)
    assert len(made) >= 2 and made[1].at - made[0].at >= 0.2
    (line,) = written(said, "stderr")
    assert "40/40" in line[1]


def test_nested_bars_do_not_flood_the_log(run_body):
    body = """
import tqdm
for _ in tqdm.tqdm(range(3), desc="outer", mininterval=0):
    for _ in tqdm.tqdm(range(20), desc="inner", mininterval=0, leave=False):
        pass
"""
    said = run_body(body)
    bars = {message.label: message for message in said.all(wire.ProgressMade)}
    assert (bars["outer"].done, bars["outer"].total) == (3, 3) and "inner" in bars
    assert len(written(said, "stderr")) <= 2
