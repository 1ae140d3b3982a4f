"""What the page about imports shows is true."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.db import connection, transaction

from jobs import etl, registry
from jobs.base import RESERVED
from jobs.models import JobRejectedRow, JobStatus, ScheduleRun
from jobs.schedules import control, making
from jobs.statuses import Status
from tests import contexts, pages
from tests.flights import jobs as flights_jobs
from tests.make import make_job

PAGE = pages.text("docs/etl.md")
RATES, CALL, ORDERS, PIPELINE, SCHEDULE, TEST = pages.blocks("docs/etl.md")

pytestmark = pytest.mark.django_db


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return what imports a block of the page; its job class is forgotten afterwards."""
    before = set(registry._spec_by_name)

    def of(block: str) -> ModuleType:
        file = tmp_path / "etl_page.py"
        file.write_text(block)
        spec = importlib.util.spec_from_file_location("etl_page", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "etl_page", module)
        spec.loader.exec_module(module)
        return module

    yield of
    for name in set(registry._spec_by_name) - before:
        del registry._spec_by_name[name]


@pytest.fixture
def rates() -> None:
    run("CREATE TABLE rates (day date, currency text, rate numeric, PRIMARY KEY (day, currency))")


def run(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def started(job_class: str, **params: Any) -> JobStatus:
    return make_job(status=Status.STARTED, job_class=job_class, params=params)


@pytest.mark.usefixtures("rates")
def test_the_first_job_of_the_page_runs(imported: Any, tmp_path: Path) -> None:
    imported(RATES)
    file = tmp_path / "rates.jsonl"
    file.write_text('{"currency": "CHF", "rate": "0.93"}\nnonsense\n\n{"currency": "SEK"}\n')
    job = started("LoadRates", path=str(file), day="2026-11-24")

    result = contexts.run(job)

    assert result == {"rows_in": 4, "rows_out": 1, "rows_rejected": 2, "day": "2026-11-24"}
    assert run("SELECT * FROM rates") == [(date(2026, 11, 24), "CHF", Decimal("0.93"))]
    kept = JobRejectedRow.objects.filter(job=job).order_by("number")
    assert [(row.position, row.reason.split(":")[0]) for row in kept] == [
        (2, "JSONDecodeError"),
        (4, "KeyError"),
    ]


@pytest.mark.usefixtures("rates")
def test_a_file_without_a_rate_is_refused_as_the_page_says(imported: Any, tmp_path: Path) -> None:
    page = imported(RATES)
    (tmp_path / "empty.jsonl").write_text("")

    with pytest.raises(page.RatesRefused):
        contexts.run(started("LoadRates", path=str(tmp_path / "empty.jsonl"), day="2026-11-24"))


def test_the_call_of_the_page_makes_a_job(imported: Any) -> None:
    exec(CALL, {"LoadRates": imported(RATES).LoadRates})  # noqa: S102 - our own page

    job = JobStatus.objects.get()
    assert (job.job_class, job.queue, job.params["day"]) == ("LoadRates", "etl", "2026-11-24")


@pytest.mark.usefixtures("rates")
def test_the_test_of_the_page_passes(imported: Any, tmp_path: Path) -> None:
    names = {"LoadRates": imported(RATES).LoadRates, "date": date}
    exec(TEST, names)  # noqa: S102 - our own page

    names["test_rates_are_loaded"](None, tmp_path)


def test_the_job_that_goes_by_a_key_goes_on_behind_it(imported: Any) -> None:
    imported(ORDERS)
    run("CREATE TABLE shop_orders (id int PRIMARY KEY, total int)")
    run("CREATE TABLE orders (id int, total int)")
    run("INSERT INTO shop_orders SELECT n, n FROM generate_series(1, 2500) AS n")
    job = started("CopyOrders")
    contexts.Listening(job).checkpoint(300)

    result = contexts.run(job)

    assert result["rows_in"] == 2_200
    assert run("SELECT count(*), count(DISTINCT id), min(id) FROM orders") == [(2_200, 2_200, 301)]


def test_the_pipeline_of_the_page_is_one() -> None:
    exec(PIPELINE, dict(vars(flights_jobs)))  # noqa: S102 - our own page

    jobs = JobStatus.objects.order_by("id").values_list("job_class", "status")
    assert list(jobs) == [
        ("LoadFlights", "queued"),
        ("LoadAirports", "queued"),
        ("SummariseDepartures", "waiting"),
    ]


def test_the_schedule_of_the_page_makes_the_pipeline() -> None:
    names: dict[str, Any] = {}
    exec(SCHEDULE, names)  # noqa: S102 - our own page
    [(name, entry)] = names["JOB_SCHEDULES"].items()
    schedule = control.create(name, entry, by="alice")

    with transaction.atomic():
        making.make(schedule, datetime(2013, 1, 2, 7, tzinfo=UTC), kind=ScheduleRun.Kind.MANUAL)

    jobs = JobStatus.objects.order_by("job_class")
    assert [(job.job_class, job.status, job.params.get("day")) for job in jobs] == [
        ("LoadAirports", "queued", None),
        ("LoadFlights", "queued", "2013-01-02"),
        ("SummariseDepartures", "waiting", "2013-01-02"),
    ]


def test_the_page_names_every_hook_and_every_option() -> None:
    own = {name for name in vars(etl.EtlJob) if not name.startswith("_")} - RESERVED - {"reject"}

    for name in own:
        assert re.search(rf"^\| `{name}[`(]", PAGE, re.MULTILINE), name
