"""A node's side of batch queues: questions under the console, a file of the project without it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from kedro_console import batches, here, wire

SOURCE = Path(batches.__file__).parent.parent


class Alone:
    """A project folder, and processes that work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pyproject.toml").write_text("[tool.kedro]\n")
        (folder / "deep").mkdir()

    def start(self, code: str) -> subprocess.Popen[str]:
        lines = f"import sys\nsys.path.insert(0, {str(SOURCE)!r})\nfrom kedro_console import batches\n"
        return subprocess.Popen(
            [sys.executable, "-c", lines + textwrap.dedent(code)], cwd=self.folder / "deep", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE,
        )  # fmt: skip

    def run(self, code: str) -> tuple[str, str]:
        out, err = self.start(code).communicate(timeout=60)
        return out.strip(), err

    def counts(self) -> list[int]:
        out, err = self.run("c = batches.describe('q'); print([c.waiting, c.taken, c.done, c.parked])")
        assert out, err
        return list(json.loads(out))


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    made = Alone(tmp_path)
    out, err = made.run("print(batches.put('q', range(10)), batches.put('q', range(5, 12)))")
    assert out == "Put(added=10, known=0) Put(added=2, known=5)", err
    return made


def test_alone_the_queue_is_a_file_of_the_project(alone: Alone) -> None:
    assert (alone.folder / ".kedro_console" / "batches.db").is_file()
    assert alone.counts() == [12, 0, 0, 0]


def test_alone_a_block_that_ends_well_finishes_its_batch(alone: Alone) -> None:
    out, _ = alone.run(
        """
        with batches.taking('q', 3) as items:
            print([(item.key, item.body, item.attempt) for item in items])
            items[1].fail(ValueError('odd'))
        """
    )
    assert out == "[('0', 0, 1), ('1', 1, 1), ('2', 2, 1)]"
    assert alone.counts() == [10, 0, 2, 0]


def test_alone_a_block_that_raises_gives_its_batch_back_until_it_is_parked(alone: Alone) -> None:
    for waiting in (12, 12, 9):
        _, err = alone.run("with batches.taking('q', 3): raise RuntimeError('away')")
        assert "RuntimeError: away" in err
        assert alone.counts() == [waiting, 0, 0, 12 - waiting]


def test_alone_a_drain_finishes_each_batch(alone: Alone) -> None:
    out, _ = alone.run("print([len(batch) for batch in batches.drain('q', 5)])")
    assert out == "[5, 5, 2]"
    assert alone.counts() == [0, 0, 12, 0]


def test_alone_what_a_killed_process_held_goes_back_and_what_a_living_one_holds_does_not(alone: Alone) -> None:
    working = [alone.start("print(len(batches.take('q', 4)), flush=True); input()") for _ in range(2)]
    assert [process.stdout.readline() for process in working if process.stdout] == ["4\n", "4\n"]
    assert alone.counts() == [4, 8, 0, 0]
    working[0].send_signal(signal.SIGKILL)
    working[0].communicate()
    assert alone.counts() == [8, 4, 0, 0]
    _, err = working[1].communicate("\n")
    assert "4 items of batch queues went back: nobody said that the run succeeded." in err
    assert alone.counts() == [12, 0, 0, 0]


@pytest.mark.parametrize(("ending", "found"), [("pass", [8, 0, 4, 0]), ("1 / 0", [12, 0, 0, 0])])
def test_alone_a_kedro_run_with_the_hook_finishes_what_it_took(alone: Alone, ending: str, found: list[int]) -> None:
    _, err = alone.run(
        f"""
        from kedro.framework.hooks.manager import _create_hook_manager
        from kedro_console.batches_hooks import hooks
        manager = _create_hook_manager()
        manager.register(hooks)
        batches.take('q', 4)
        try:
            {ending}
            manager.hook.after_pipeline_run(run_params={{}}, run_result=None, pipeline=None, catalog=None)
        except ZeroDivisionError as error:
            manager.hook.on_pipeline_error(error=error, run_params={{}}, pipeline=None, catalog=None)
        """
    )
    assert err == ""
    assert alone.counts() == found


def test_alone_a_queue_that_is_none_is_refused_with_what_to_do(alone: Alone) -> None:
    _, err = alone.run("batches.take('other')")
    assert "it is made by the first batches.put" in err


# ---- rows as items


def items(rows: object, key: batches.Key = None) -> list[dict[str, wire.Json]]:
    return [vars(item) for item in batches._items(rows, key)]  # type: ignore[arg-type]


def test_a_table_is_put_row_by_row_with_plain_values() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"word": ["a", "b"], "n": [1, 2], "day": pandas.to_datetime(["2026-01-02", None])})
    table["share"] = [0.5, float("nan")]
    assert items(table, "word") == [
        {"key": "a", "body": {"word": "a", "n": 1, "day": "2026-01-02T00:00:00", "share": 0.5}},
        {"key": "b", "body": {"word": "b", "n": 2, "day": None, "share": None}},
    ]


def test_a_key_is_a_column_a_function_or_the_row_itself() -> None:
    rows = [{"a": 1, "b": "x"}]
    assert items(rows, "a")[0]["key"] == "1"
    assert items(rows, lambda row: f"{row['b']}-{row['a']}")[0]["key"] == "x-1"
    assert items(["word", 5]) == [{"key": "word", "body": "word"}, {"key": "5", "body": 5}]


def test_dates_decimals_and_arrays_become_what_json_has() -> None:
    numpy = pytest.importorskip("numpy")
    row = {
        "d": date(2026, 1, 2),
        "c": Decimal("1.50"),
        "n": numpy.int64(3),
        "a": numpy.array([1.0, numpy.nan]),
        "t": (1,),
    }
    assert items([row], lambda row: "k")[0]["body"] == {
        "d": "2026-01-02",
        "c": "1.50",
        "n": 3,
        "a": [1.0, None],
        "t": [1],
    }


@pytest.mark.parametrize(
    ("rows", "key", "said"),
    [
        ([{"a": 1}, {"b": 2}], "a", "Row 2 has no key in “a”"),
        ([{"a": ""}], "a", "Row 1 has no key"),
        ([{"a": float("nan")}], "a", "Row 1 has no key"),
        ([{"a": 1}], None, "Say which column is the key"),
        ([{"a": 1, "f": print}], "a", "Row 1 holds a builtin_function_or_method"),
    ],
)
def test_a_row_that_cannot_be_an_item_is_named(rows: list[wire.Json], key: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        items(rows, key)


def test_messages_carry_as_much_as_they_may_and_an_item_that_fits_into_none_is_named() -> None:
    many = (wire.NewItem(str(n), "x" * (n % 3_000)) for n in range(5_000))
    chunks = list(batches._chunks(many))
    assert sum(len(chunk) for chunk in chunks) == 5_000
    asked = [wire.Asked(0.0, 1, "items_put", "n" * 200, wire.PutItems("q", chunk).to_data()) for chunk in chunks]
    assert max(len(question.to_json()) for question in asked) < wire.MAX_EVENT_BYTES
    assert max(len(chunk) for chunk in chunks) <= batches.CHUNK
    with pytest.raises(ValueError, match="The item “large” has"):
        list(batches._chunks(iter([wire.NewItem("large", "x" * 100_000)])))


# ---- under the console


def test_under_the_console_a_batch_that_was_cut_is_asked_for_until_it_is_whole(playground) -> None:
    code = (
        "from kedro_console import batches\n"
        "items = batches.take('q', 3)\nitems[0].done()\nitems[1].fail(ValueError('odd'))\n"
        "return [[item.key, item.attempt] for item in items]"
    )
    said = playground.begin(parameters={"code": code}, free_outputs=["result"])
    asked = []

    def reply(data: wire.Json) -> None:
        question = said.wait_for(wire.Asked) if not asked else next_question()
        asked.append(question)
        wire.send(said.connection, wire.Answered(question.number, data))

    def next_question() -> wire.Asked:
        while len(said.all(wire.Asked)) <= len(asked):
            assert said.read()
        return said.all(wire.Asked)[len(asked)]

    one = {"id": 1, "key": "a", "body": None, "attempt": 2}
    reply({"items": [one], "left": 9, "more": True})
    reply({"items": [{**one, "id": 2, "key": "b"}, {**one, "id": 3, "key": "c"}], "left": 7, "more": False})
    reply(1)
    reply(None)
    assert said.finish().one(wire.DatasetSaved).value == [["a", 2], ["b", 2], ["c", 2]]
    assert [question.what for question in asked] == ["items_taken", "items_taken", "items_done", "item_failed"]
    assert [question.data["count"] for question in asked[:2]] == [3, 2]
    assert asked[0].data["node"] == "work"
    assert asked[3].data == {"id": 2, "error": "odd"}


def test_a_put_shows_its_progress(playground) -> None:
    code = "from kedro_console import batches\nreturn batches.put('q', ['a', 'b']).added"
    said = playground.begin(parameters={"code": code}, free_outputs=["result"])
    question = said.wait_for(wire.Asked)
    assert question.data["items"] == [{"key": "a", "body": "a"}, {"key": "b", "body": "b"}]
    wire.send(said.connection, wire.Answered(question.number, {"added": 2, "known": 0}))
    heard = said.finish()
    assert heard.one(wire.DatasetSaved).value == 2
    bar = heard.all(wire.ProgressMade)[-1]
    assert (bar.label, bar.done, bar.total, bar.unit, bar.node) == ("put q", 2, 2, "items", "work")


def test_this_process_is_not_supervised() -> None:
    assert not here.is_supervised()
