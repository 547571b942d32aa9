# ruff: noqa: E501  (lines of the projects)
"""Projects whose nodes leave something open: a file is whole only after the end of the interpreter that wrote it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from kedro_projects import make_project

PIPELINE = """
from kedro.pipeline import Pipeline, node
from . import nodes

def register_pipelines():
    chain = Pipeline([
        node(nodes.one, None, "first", name="one"), node(nodes.two, "first", "second", name="two"),
    ])
    return {"__default__": chain}
"""
NODES = """
{setup}

def keep(word):
{body}

def one():
    keep("one")
    return 1

def two(first):
    keep("two")
    return 2
"""
DATASETS = """
from kedro.io import AbstractDataset

class Lines(AbstractDataset):
    files = {}

    def __init__(self, filepath):
        self._filepath = filepath

    def _load(self):
        return open(self._filepath).read()

    def _save(self, data):
        file = self.files.get(self._filepath)
        if file is None:
            file = self.files[self._filepath] = open(self._filepath, "a")
        file.write(f"{data}\\n")

    load, save = _load, _save

    def _describe(self):
        return {"filepath": self._filepath}
"""
HOOKS = """
from kedro.framework.hooks import hook_impl

class Diary:
    file = None

    @hook_impl
    def after_context_created(self, context):
        object.__setattr__(context, "diary", open("data/context.txt", "a"))
        context.diary.write("context\\n")

    @hook_impl
    def after_catalog_created(self, catalog):
        catalog.__dict__["diary"] = open("data/catalog.txt", "a")
        catalog.__dict__["diary"].write("catalog\\n")

    @hook_impl
    def after_node_run(self, node):
        self.file = self.file or open("data/hook.txt", "a")
        self.file.write(f"{node.name}\\n")
"""

KEPT: dict[str, tuple[str, str]] = {
    "a module": ("FILES = []", 'FILES.append(open(f"data/{word}.txt", "a"))\nFILES[-1].write(word)'),
    "a class of the project": (
        "class Cache:\n    files = {}",
        'Cache.files[word] = open(f"data/{word}.txt", "a")\nCache.files[word].write(word)',
    ),
    "a class of a library": (
        "import json",
        'file = json.JSONEncoder.__dict__.get("file") or open("data/out.txt", "a")\n'
        "json.JSONEncoder.file = file\nfile.write(word)",
    ),
    "a closure": (
        "def writer(word):\n    file = open(f'data/{word}.txt', 'a')\n    return lambda word: file.write(word)\nWRITERS = []",
        "WRITERS.append(writer(word))\nWRITERS[-1](word)",
    ),
    "a cycle that nobody reaches": (
        "class Ring:\n    pass",
        'ring = Ring()\nring.ring, ring.file = ring, open(f"data/{word}.txt", "a")\nring.file.write(word)',
    ),
    "a generator that waits": (
        "import posix, os\nPENS = []\n"
        "def pen(word, open=posix.open, write=posix.write, flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND):\n"
        "    try:\n        yield\n    finally:\n        write(open(f'data/{word}.txt', flags), word.encode())",
        "PENS.append(pen(word))\nnext(PENS[-1])",
    ),
    "a writer without a file": (
        "import io, posix, os\nclass Remote(io.RawIOBase):\n    text = b''\n    def writable(self):\n        return True\n"
        "    def write(self, data):\n        self.text += bytes(data)\n        return len(data)\n"
        "    def close(self, open=posix.open, write=posix.write, flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND):\n"
        "        if not self.closed:\n            write(open(f'data/{self.text.decode()}.txt', flags), self.text)\n"
        "        super().close()\nKEPT = []",
        "KEPT.append(Remote())\nKEPT[-1].write(word.encode())",
    ),
    "an object with a last will": (
        "import posix, os\nclass Will:\n    def __init__(self, word):\n        self.word = word\n"
        "    def __del__(self, open=posix.open, write=posix.write, flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND):\n"
        "        write(open(f'data/{self.word}.txt', flags), self.word.encode())\nKEPT = []",
        "KEPT.append(Will(word))",
    ),
    "an object of the import with a last will": (
        "import posix, os\nclass Will:\n    words = ''\n"
        "    def __del__(self, open=posix.open, write=posix.write, flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND):\n"
        "        write(open('data/out.txt', flags), self.words.encode())\nWILL = Will()",
        "WILL.words += word",
    ),
    "gzip": (
        "import gzip\nFILES = {}",
        'FILES[word] = gzip.GzipFile(f"data/{word}.gz", "wb", mtime=0)\nFILES[word].write(word.encode())',
    ),
    "zip": (
        "import zipfile\nFILES = {}",
        'FILES[word] = zipfile.ZipFile(f"data/{word}.zip", "w")\n'
        "FILES[word].writestr(zipfile.ZipInfo(word), word * 100)",
    ),
    "shelve": (
        "import shelve\nKEPT = {}",
        'KEPT[word] = shelve.open(f"data/{word}", writeback=True)\nKEPT[word]["a"] = word',
    ),
    "dbm": (
        "import dbm.dumb\nKEPT = {}",
        'KEPT[word] = dbm.dumb.open(f"data/{word}")\nKEPT[word]["a"] = word',
    ),
    "sqlite": (
        "import sqlite3\nKEPT = {}",
        'KEPT[word] = base = sqlite3.connect(f"data/{word}.db")\nbase.execute("PRAGMA journal_mode=WAL")\n'
        'base.execute("CREATE TABLE IF NOT EXISTS words (word)")\nbase.execute("INSERT INTO words VALUES (?)", (word,))\n'
        "base.commit()",
    ),
    "a file of C": (
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.fopen.restype = ctypes.c_void_p",
        'file = libc.fopen(f"data/{word}.txt".encode(), b"a")\nlibc.fputs(word.encode(), ctypes.c_void_p(file))',
    ),
    "an exit handler": (
        "import atexit",
        'file = open(f"data/{word}.txt", "a")\natexit.register(lambda: file.write(word) and file.close())',
    ),
    "a thread": (
        "import threading, time",
        "def late():\n    time.sleep(0.2)\n    with open(f'data/{word}.txt', 'a') as file:\n        file.write(word)\n"
        "threading.Thread(target=late).start()",
    ),
    "log handlers": (
        "import logging, logging.handlers\nlog = logging.getLogger('kept')\nlog.setLevel('INFO')",
        "if not log.handlers:\n"
        "    log.addHandler(logging.handlers.MemoryHandler(99, target=logging.FileHandler('data/out.txt')))\n"
        "log.info(word)",
    ),
    "a temporary file": (
        "import tempfile\nKEPT = []",
        "KEPT.append(tempfile.NamedTemporaryFile('w', dir='data', prefix='t'))\nKEPT[-1].write(word)\n"
        "KEPT.append(tempfile.TemporaryDirectory(dir='data'))",
    ),
    "a file of the import": ("FILE = open('data/out.txt', 'a')", "FILE.write(word)"),
    "a file that the import makes anew": ("FILE = open('data/out.txt', 'w')", "FILE.write(word)"),
    "a temporary folder of the import": (
        "import tempfile, os\nFOLDER = tempfile.TemporaryDirectory()",
        "open(os.path.join(FOLDER.name, word), 'w').close()\n"
        "open('data/out.txt', 'a').write(','.join(sorted(os.listdir(FOLDER.name))))",
    ),
}
"""By what keeps it open: what the module of the nodes begins with, and what each of its two nodes does."""

LIBRARIES: dict[str, tuple[str, str]] = {
    "pyarrow": (
        "import pyarrow, pyarrow.parquet\nKEPT = {}",
        'table = pyarrow.table({"a": [word] * 1000})\n'
        'KEPT[word] = pyarrow.parquet.ParquetWriter(f"data/{word}.parquet", table.schema)\n'
        "KEPT[word].write_table(table)",
    ),
    "duckdb": (
        "import duckdb\nKEPT = {}",
        'KEPT[word] = base = duckdb.connect(f"data/{word}.duckdb")\n'
        'base.execute("CREATE OR REPLACE TABLE t AS SELECT 1 a")',
    ),
    "duckdb ": (
        "import duckdb\nKEPT = duckdb.connect()\nduckdb.sql('SELECT 1').fetchall()",
        "path = f'data/{word}.parquet'\nKEPT.execute(f\"COPY (SELECT 1 a) TO '{path}'\")",
    ),
}
"""The same with what not every interpreter has."""


def make_open(folder: Path, setup: str, body: str) -> Path:
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return make_project(folder, nodes=NODES.format(setup=setup, body=indented), pipelines=PIPELINE)


def make_open_everywhere(folder: Path) -> Path:
    """A dataset, a hook, the context and the catalog each keep a file open."""
    catalog = {name: {"type": "demo.datasets.Lines", "filepath": f"data/{name}.txt"} for name in ("first", "second")}
    nodes = "def one():\n    return 'one'\n\ndef two(first):\n    return 'two'\n"
    pipelines = PIPELINE.replace('"first", "second"', 'None, "second"')
    settings = "from demo.hooks import Diary\nHOOKS = (Diary(),)\n"
    made = make_project(folder, nodes=nodes, pipelines=pipelines.replace("nodes.two", "lambda: nodes.two(1)"),
                        catalog=catalog, settings=settings)  # fmt: skip
    (made / "src/demo/datasets.py").write_text(dedent(DATASETS))
    (made / "src/demo/hooks.py").write_text(dedent(HOOKS))
    return made
