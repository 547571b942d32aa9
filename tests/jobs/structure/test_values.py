"""Values as doors show them, with the kind that the project gives them."""

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from jobs.errors import BadParameters, ProjectError
from jobs.models import Run, Snapshot
from jobs.runs.retry import retry
from jobs.states import Status
from jobs.steps.request_for_child import request_for
from jobs.structure.parameters import check
from jobs.structure.values import fitted, plain, restored, same, shown
from kedro_console.wire import Other, parse_snapshot, unpacked
from tests.factories import AT, content, make_pipeline, make_run

DAY = date(2026, 1, 2)


@pytest.mark.parametrize(
    ("given", "default", "value"),
    [
        (5, math.inf, 5),
        (".inf", 5, math.inf),
        ("-.INF", 1.5, -math.inf),
        ("inf", math.inf, math.inf),
        ("2026-03-01", DAY, date(2026, 3, 1)),
        ("2026-03-01T06:30:00", datetime(2026, 1, 2), datetime(2026, 3, 1, 6, 30)),
        ("06:30", time(1), time(6, 30)),
        ("2 days, 1:00:00", timedelta(1), timedelta(days=2, hours=1)),
        ("1.10", Decimal(1), Decimal("1.10")),
        (3, Decimal(1), Decimal(3)),
        ("aGVsbG8=", b"x", b"hello"),
        ([1, 2], (0,), (1, 2)),
        (["a", "b"], {"x"}, {"a", "b"}),
        (["2026-03-01"], [DAY], [date(2026, 3, 1)]),
        ({"day": "2026-03-01", "new": "x"}, {"day": DAY}, {"day": date(2026, 3, 1), "new": "x"}),
        ("anything", Other("Tensor", "…"), "anything"),
        ("2026-03-01", "2026-01-02", "2026-03-01"),
        (None, DAY, None),
    ],
)
def test_what_is_given_has_the_kind_of_the_projects_value(given: Any, default: Any, value: Any) -> None:
    found = fitted(given, default)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "default", "words"),
    [
        ("2026-02-30", DAY, "Has to be a date such as"),
        ("soon", datetime(2026, 1, 2), "a date and time such as"),
        ("long", timedelta(1), "a duration such as"),
        ("x", Decimal(1), "a number"),
        (True, Decimal(1), "a number"),
        ("x", b"y", "base64"),
        ("x", (1, 2), "a list"),
        ([[1]], {1}, "a list of texts or numbers"),
    ],
)
def test_what_has_no_such_kind_is_refused_in_words(given: Any, default: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fitted(given, default)


def test_numbers_and_their_ends_are_taken_for_a_number_without_end() -> None:
    pipeline = {"name": "report", "nodes": [], "inputs": [], "outputs": [], "parameters": ["limit", "floor"]}
    raw = content(
        parameters={"limit": {"$kind": "number", "text": ".inf"}, "floor": 1.5}, schemas={}, pipelines=[pipeline]
    )
    picture = parse_snapshot(raw)
    assert picture.parameters["limit"] == math.inf
    for given in ({"limit": 5}, {"limit": 5.5}, {"limit": -math.inf}, {"floor": math.inf}):
        assert check(given, picture=picture, pipeline=picture.pipelines[0]) == given
    assert math.isnan(check({"limit": ".nan"}, picture=picture, pipeline=picture.pipelines[0])["limit"])
    with pytest.raises(BadParameters, match=r"Has to be a number.*there: \".inf\""):
        check({"limit": "many"}, picture=picture, pipeline=picture.pipelines[0])


def test_doors_show_plain_json_without_secrets() -> None:
    values = {
        1: math.nan,
        "day": DAY,
        "set": {2, 1},
        "password": "hunter2",
        "nul": "a\x00\ud800",
        "x": Other("T", "t(5)"),
    }
    assert shown(values) == {
        "1": ".nan", "day": "2026-01-02", "set": [1, 2], "password": "***", "nul": "a\\x00\\ud800", "x": "t(5)",
    }  # fmt: skip
    assert plain(values)["password"] == "hunter2"
    assert same(math.nan, math.nan) and not same(1, True) and not same("2026-01-02", DAY)


def test_what_came_back_unchanged_is_what_it_was() -> None:
    old = {"password": "hunter2", "days": [DAY, DAY], 1: {"limit": math.inf}, "url": "http://u:p@h"}
    given = {**shown(old), "days": ["2026-01-02", "2026-01-03"], "new": "***"}
    assert restored(given, old) == {**old, "days": [DAY, "2026-01-03"], "new": "***"}


@pytest.mark.django_db
class TestRows:
    def secret_run(self) -> Run:
        raw = content(
            parameters={"db": {"password": "conf-secret"}, "limit": {"$kind": "number", "text": ".inf"}}, schemas={}
        )
        raw["pipelines"][0]["parameters"] = ["*"]
        pipeline = make_pipeline()
        Snapshot.objects.create(project=pipeline.project, revision="2", content=raw, taken_at=AT)
        return make_run(pipeline, parameters={"db": {"password": "hunter2"}, "limit": -math.inf, "day": DAY})

    def test_rows_keep_kinds_and_nobody_reads_secrets_in_them(self) -> None:
        run = self.secret_run()
        again = Run.objects.get(pk=run.pk)
        assert again.parameters == {"db": {"password": "hunter2"}, "limit": -math.inf, "day": DAY}
        assert again.snapshot is not None
        assert again.snapshot.picture.parameters == {"db": {"password": "conf-secret"}, "limit": math.inf}
        with connection.cursor() as cursor:
            cursor.execute("SELECT parameters FROM jobs_run UNION ALL SELECT content FROM jobs_snapshot")
            stored = str(cursor.fetchall())
        assert "hunter2" not in stored and "conf-secret" not in stored and "sealed" in stored

    def test_a_run_again_has_the_same_secret(self) -> None:
        run = self.secret_run()
        Run.objects.filter(pk=run.pk).update(status=Status.SUCCEEDED, finished_at=AT)
        again = Run.objects.get(pk=retry(Run.objects.get(pk=run.pk), at=AT).pk)
        assert again.parameters == run.parameters
        assert unpacked(request_for(again.steps.get(), 0).parameters) == run.parameters

    def test_a_mask_is_not_taken_for_the_secret(self) -> None:
        self.secret_run()
        with pytest.raises(BadParameters, match="only stands for the secret"):
            make_run(parameters={"db.password": "***"})
        with pytest.raises(BadParameters, match="only stands for the secret"):
            make_run(parameters={"url": "https://joe:***@example.org/x?token=***"})

    def test_without_the_key_a_secret_stays_closed_and_is_not_guessed(self, settings: Any) -> None:
        run = self.secret_run()
        settings.CONSOLE_ENCRYPTION_KEYS = [Fernet.generate_key()]
        again = Run.objects.get(pk=run.pk)
        assert shown(again.parameters)["db"] == {"password": "***"}
        with pytest.raises(ProjectError, match="CONSOLE_ENCRYPTION_KEYS"):
            request_for(again.steps.get(), 0)

    def test_a_refusal_does_not_tell_the_secret(self) -> None:
        self.secret_run()
        with pytest.raises(BadParameters) as caught:
            make_run(parameters={"db.password": 5})
        assert "conf-secret" not in str(caught.value)
