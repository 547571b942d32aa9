"""What a run writes arrives whole, in lines, each with the node that wrote it."""

from __future__ import annotations

import time

from kedro_projects import one_node

from kedro_console import wire


def work(body: str, **more: object) -> dict[str, object]:
    return one_node("def work():\n    " + body.replace("\n", "\n    "), **more)


def written(said, stream: str) -> list[tuple[str, str]]:
    return [(line.node, line.text) for line in said.lines() if line.stream == stream]


def test_print_stderr_and_logging_are_told_apart_and_belong_to_the_node(host_of):
    body = """
import logging, sys, warnings
print("to stdout")
print("to stderr", file=sys.stderr)
print("no newline", end="")
logging.getLogger("demo.nodes").info("from us")
logging.getLogger("library").error("from a library")
warnings.warn("take care")
"""
    said = host_of(**work(body.strip())).run()
    assert written(said, "stdout") == [("work", "to stdout"), ("", "no newline")]
    assert written(said, "stderr") == [("work", "to stderr")]
    logged = [line for line in said.lines() if line.stream == "logging" and line.node == "work"]
    texts = {line.text: line.level for line in logged}
    assert texts["from us"] == "INFO" and texts["library: from a library"] == "ERROR"
    assert any("take care" in text and level == "WARNING" for text, level in texts.items())


def test_a_program_that_a_node_starts_writes_raw_lines(host_of):
    body = "import subprocess\nsubprocess.run('echo from a program; echo and its stderr >&2', shell=True)"
    said = host_of(**work(body)).run()
    assert written(said, "raw") == [("", "from a program"), ("", "and its stderr")]


def test_bytes_that_are_not_text_arrive_as_text(host_of):
    body = "import os, sys\nos.write(1, b'\\xff\\xfe\\x00 raw\\n')\nprint('\\udcff lone')\nsys.stdout.buffer.write(b'\\x80\\n')"
    said = host_of(**work(body)).run()
    assert said.one(wire.RunFinished)
    assert any("raw" in line.text and "\x00" not in line.text for line in said.lines())
    assert any("lone" in line.text for line in said.lines())


def test_a_hundred_megabytes_arrive_in_bounded_time_with_the_right_end(host_of):
    body = "for number in range(100_000):\n    print('x' * 1000, number)"
    host = host_of(**work(body))
    started = time.monotonic()
    said = host.run()
    assert time.monotonic() - started < 60
    lines = written(said, "stdout")
    assert len(lines) == 100_000 and lines[-1][1].endswith(" 99999")
    assert said.one(wire.RunFinished) and said.one(wire.ChildExited).peak_memory_bytes < 1024**3


def test_one_endless_line_is_cut_and_says_how_much_is_missing(host_of):
    said = host_of(**work("print('y' * 5_000_000)\nprint('next')")).run()
    (_, long), (_, following) = written(said, "stdout")
    assert len(long) < 70_000 and "further bytes" in long and following == "next"


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


def test_a_thread_that_a_node_starts_speaks_for_the_node(host_of):
    body = "import threading\nthread = threading.Thread(target=print, args=('from a thread',))\nthread.start()\nthread.join()"
    assert ("work", "from a thread") in written(host_of(**work(body)).run(), "stdout")


def test_the_projects_logging_file_gives_levels_but_not_handlers(host_of):
    host = host_of(**work("import logging\nlogging.getLogger('demo.quiet').info('not this')\nlogging.info('but this')"))
    (host.project / "conf/logging.yml").write_text(
        "version: 1\nhandlers: {rich: {class: kedro.logging.RichHandler}}\n"
        "loggers: {demo.quiet: {level: ERROR}, kedro: {level: WARNING, handlers: [rich]}}\nroot: {handlers: [rich]}\n"
    )
    host.stop()
    host.start()
    texts = [line.text for line in host.run().lines()]
    assert "but this" in texts and "not this" not in texts and not any("Loading data" in text for text in texts)


def test_tqdm_is_progress_and_only_its_last_line_is_log(host_of):
    body = "import time, tqdm\nfor _ in tqdm.tqdm(range(40), desc='rows', unit='row', mininterval=0):\n    time.sleep(0.02)"
    said = host_of(**work(body)).run()
    made = said.all(wire.ProgressMade)
    assert (made[-1].node, made[-1].label, made[-1].done, made[-1].total, made[-1].unit) == (
        "work",
        "rows",
        40,
        40,
        "row",
    )
    assert 2 <= len(made) <= 8
    assert [text for _, text in written(said, "stderr") if "rows" in text] == [
        text for _, text in written(said, "stderr") if "40/40" in text
    ]
    assert len(written(said, "stderr")) == 1


def test_nested_bars_do_not_flood_the_log(host_of):
    body = """
import tqdm
for _ in tqdm.tqdm(range(3), desc="outer", mininterval=0):
    for _ in tqdm.tqdm(range(20), desc="inner", mininterval=0, leave=False):
        pass
"""
    said = host_of(**work(body.strip())).run()
    bars = {message.label: message for message in said.all(wire.ProgressMade)}
    assert (bars["outer"].done, bars["outer"].total) == (3, 3) and "inner" in bars
    assert len(written(said, "stderr")) <= 2
