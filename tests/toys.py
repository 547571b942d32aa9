"""A small Kedro project whose pipelines behave well or badly, each in its own way."""

from __future__ import annotations

from pathlib import Path

NODES = """
import atexit, ctypes, os, subprocess, sys, time
from pathlib import Path


def first(word):
    print("first says", word)
    return {"word": word}


def second(a):
    return {**a, "second": True}


def third(b):
    return {**b, "third": True}


def says(a, word):
    return {**a, "says": word}


def both(stored, versioned):
    return {"says": stored["says"], "from": stored["from"], "second": versioned["second"]}


def raises(word):
    raise ValueError("the shelf is empty")


def exits(word):
    print("about to leave")
    os._exit(3)


def kills(word):
    os.kill(os.getpid(), 9)


def kills_once(mark):
    if not Path(mark).exists():
        Path(mark).write_text("x")
        os.kill(os.getpid(), 9)
    return {"mark": mark}


def eats(megabytes):
    kept = []
    for _ in range(megabytes // 10):
        kept.append(bytearray(os.urandom(1024) * 10240))
        time.sleep(0.01)
    return {"eaten": len(kept)}


def prints(megabytes):
    line = "x" * 99
    for _ in range(megabytes * 10_000):
        print(line)
    print("the very last line")
    return {"printed": megabytes}


def prints_bytes(word):
    os.write(1, b"\\xff\\xfe\\x00 not text \\x1b[31m\\n")
    return {"done": True}


def naps(seconds, diary):
    with open(diary, "a") as handle:
        handle.write(f"start {os.getpid()}\\n")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.05)
    with open(diary, "a") as handle:
        handle.write(f"end {os.getpid()}\\n")
    return {"napped": seconds}


def spins(seconds):
    ctypes.CDLL(None).sleep(int(seconds))
    return {}


def grinds(diary):
    helper = subprocess.Popen(["sleep", "600"])
    Path(diary).write_text(f"{os.getpid()} {helper.pid}\\n")
    return {"sum": sum(range(10**14))}


def writes(folder, word):
    path = Path(folder) / "report.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("word\\n" + word + "\\n")
    return str(path)


def leaves(count):
    from kedro_console import artifacts
    for number in range(count):
        artifacts.keep(b"%d" % number, f"left-{number:07}.csv")
    return {"left": count}


def environment(word):
    return dict(os.environ)


def split(word):
    return [word] * 4


def part(words):
    return {"pid": os.getpid(), "word": words[0]}


def part_that_fails_without(words, mark):
    if not Path(mark).exists():
        raise ValueError("the mark is missing")
    return {"pid": os.getpid(), "word": words[0]}


def diary_part(number, diary, seconds):
    found = os.environ.get("LEFT_BY", "")
    os.environ["LEFT_BY"] = str(number)
    if Path(f"{diary}.kill-{number}").exists():
        Path(f"{diary}.kill-{number}").unlink()
        os.kill(os.getpid(), 9)
    print(f"part {number} of {diary}")
    while Path(f"{diary}.gated").exists() and not Path(f"{diary}.gate-{number}").exists():
        time.sleep(0.02)
    if Path(f"{diary}.lingers-{number}").exists():
        atexit.register(lambda: (print("leaves slowly", flush=True), time.sleep(60)))
    time.sleep(seconds)
    with open(diary, "a") as handle:
        handle.write(f"{number} {os.getpid()} {found}\\n")
    return {"pid": os.getpid(), "word": number}


def join(*parts):
    return {"pids": len({p["pid"] for p in parts}), "words": [p["word"] for p in parts]}


def divides(b, divisor):
    return {**b, "quotient": 12 / divisor}


def answers_late(b, failures, diary):
    with open(diary, "a") as handle:
        handle.write(f"{time.time()}\\n")
    if len(Path(diary).read_text().splitlines()) <= failures:
        raise ConnectionResetError("nobody answered")
    return {**b, "answered": True}


def naps_after(b, seconds, diary):
    return {**b, **naps(seconds, diary)}


def asks(word):
    from kedro_console import here

    return here.ask("run_described")


def locks(words):
    return (lambda word: {"pid": os.getpid(), "word": word}), words


def uses(lock, word):
    return lock(word)


def streams(word):
    for letter in word:
        yield letter


def writes_down(word, diary):
    with open(diary, "a") as handle:
        handle.write(f"{word}\\n")
    return {"word": word}


def decides(state):
    done = state["results"]["out"]["value"]["n"]
    return {"start": done < 3, "parameters": {"n": done + state["computed"]["n"]}, "reason": f"{done} of 3 done."}


def decides_nothing(state):
    return "maybe"


def decides_late(state):
    time.sleep(60)


def decides_after_a_death(state):
    mark = Path(state["parameters"]["mark"])
    if not mark.exists():
        mark.write_text("x")
        time.sleep(60)
    return {"start": True}


def progress(n):
    for i in range(n):
        print(f"\\rcounting:  {100 * (i + 1) // n}%|###| {i + 1}/{n} [00:00<00:00, 9.00it/s]", end="", file=sys.stderr)
        time.sleep(0.02)
    print(file=sys.stderr)
    return {"n": n}
"""

PIPELINES = """
from functools import partial

from kedro.pipeline import node, pipeline
from . import nodes as f
from .opening import opens


def one(function, inputs, output="out"):
    return pipeline([node(function, inputs, output, name=function.__name__)])


def register_pipelines():
    chain = pipeline([
        node(f.first, "params:word", "a", name="first"),
        node(f.second, "a", "b", name="second"),
        node(f.third, "b", "c", name="third"),
    ])
    fan = pipeline(
        [node(f.split, "params:word", "words", name="split")]
        + [node(f.part, "words", f"part_{i}", name=f"part_{i}") for i in range(4)]
        + [node(f.join, [f"part_{i}" for i in range(4)], "joined", name="join")]
    )
    width = 12
    wide = pipeline(
        [node(partial(f.diary_part, i), ["params:diary", "params:seconds"], f"wide_{i:02}", name=f"wide_{i:02}")
         for i in range(width)]
        + [node(f.join, [f"wide_{i:02}" for i in range(width)], "joined", name="join")]
    )
    broken_fan = pipeline(
        [node(f.split, "params:word", "words", name="split")]
        + [node(f.part, "words", f"part_{i}", name=f"part_{i}") for i in range(3)]
        + [node(f.part_that_fails_without, ["words", "params:mark"], "part_3", name="part_3")]
        + [node(f.join, [f"part_{i}" for i in range(4)], "joined", name="join")]
    )
    def after_two(function, parameters, between="b", **facts):
        return pipeline([
            node(f.first, "params:word", "a", name="first"),
            node(f.second, "a", between, name="second"),
            node(function, [between, *parameters], "out", name=function.__name__, **facts),
        ])

    locked = pipeline([
        node(f.split, "params:word", "words", name="split"),
        node(f.locks, "words", ["lock", "told"], name="locks"),
        node(f.uses, ["lock", "params:word"], "left", name="left"),
        node(f.part, "told", "right", name="right"),
        node(f.join, ["left", "right"], "joined", name="join"),
    ])
    streamed = pipeline([
        node(f.streams, "params:word", "letters", name="streams"),
        node(f.first, "letters", "x", name="one"),
        node(f.first, "letters", "y", name="two"),
    ])
    late = ["params:failures", "params:diary"]
    return {
        "divides": after_two(f.divides, ["params:divisor"]),
        "divides_stored": after_two(f.divides, ["params:divisor"], "stored"),
        "divides_versioned": after_two(f.divides, ["params:divisor"], "versioned"),
        "answers_late": after_two(f.answers_late, late),
        "answers_late_tagged": after_two(f.answers_late, late, tags=["retry-3"]),
        "naps_after": after_two(f.naps_after, ["params:seconds", "params:diary"]),
        "changing": pipeline([
            node(opens, "source", "a", name="opens"),
            node(f.says, ["a", "params:word"], "b", name="says"),
            node(f.third, "b", "stored", name="third"),
            node(f.second, "a", "versioned", name="second"),
            node(f.both, ["stored", "versioned"], "out", name="both"),
        ]),
        "locked": locked,
        "streamed": streamed,
        "fan": fan,
        "wide": wide,
        "broken_fan": broken_fan,
        "__default__": chain,
        "chain": chain,
        "raises": one(f.raises, "params:word"),
        "exits": one(f.exits, "params:word"),
        "kills": one(f.kills, "params:word"),
        "kills_once": one(f.kills_once, "params:mark"),
        "eats": one(f.eats, "params:megabytes"),
        "prints": one(f.prints, "params:megabytes"),
        "prints_bytes": one(f.prints_bytes, "params:word"),
        "naps_tagged": pipeline([
            node(f.first, "params:word", "a", name="first"),
            node(f.naps, ["params:seconds", "params:diary"], "out", name="naps", tags=["timeout-1"]),
        ]),
        "naps": one(f.naps, ["params:seconds", "params:diary"]),
        "spins": one(f.spins, "params:seconds"),
        "grinds": one(f.grinds, "params:diary"),
        "writes": one(f.writes, ["params:folder", "params:word"]),
        "leaves": one(f.leaves, "params:count"),
        "environment": one(f.environment, "params:word"),
        "asks": one(f.asks, "params:word"),
        "writes_down": one(f.writes_down, ["params:word", "params:diary"]),
        "progress": one(f.progress, "params:n"),
    }
"""

PARAMETERS = """
word: hello
megabytes: 1
count: 1
seconds: 1.0
diary: diary.txt
folder: data/out
mark: data/mark
divisor: 4
failures: 1
n: 20
"""


OPENING = """
def opens(source):
    return {"from": source["from"]}
"""

CATALOG = """
source:
  type: json.JSONDataset
  filepath: data/source.json
stored:
  type: json.JSONDataset
  filepath: data/stored.json
versioned:
  type: json.JSONDataset
  filepath: data/versioned.json
  versioned: true
"""


def write_toy(folder: Path, package: str = "toy", word: str = "hello") -> Path:
    """The project below this folder; its path."""
    source = folder / "src" / package
    source.mkdir(parents=True)
    (folder / "conf" / "base").mkdir(parents=True)
    (folder / "conf" / "local").mkdir()
    (folder / "data").mkdir()
    (folder / "pyproject.toml").write_text(
        f'[tool.kedro]\npackage_name = "{package}"\nproject_name = "{package}"\nkedro_init_version = "1.7.0"\n'
    )
    (source / "__init__.py").write_text("")
    (source / "settings.py").write_text("")
    (source / "nodes.py").write_text(NODES)
    (source / "opening.py").write_text(OPENING)
    (folder / "data" / "source.json").write_text('{"from": "here"}')
    (source / "pipeline_registry.py").write_text(PIPELINES)
    (folder / "conf" / "base" / "parameters.yml").write_text(PARAMETERS.replace("hello", word))
    (folder / "conf" / "base" / "catalog.yml").write_text(CATALOG)
    return folder
