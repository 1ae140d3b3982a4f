"""A real pipeline: fetched, loaded side by side, summarised; killed twice, and complete."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from jobs.models import Backfill, JobAttempt, JobCheckpoint, JobStatus, ScheduleRun
from jobs.schedules import control
from tests import wait
from tests.flights import data
from tests.flights.jobs import (
    NO_TABLES,
    TABLES,
    LoadAirports,
    LoadFlights,
    SummariseDepartures,
)
from tests.schedulers import Schedulers
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

FLIGHTS = 336_776
A_WEEK = (842, 943, 914, 915, 720, 832, 933)  # from the first of January on
MIB = 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    """Sends the package's files, gzipped."""

    def do_GET(self) -> None:
        content = data.packed(self.path.strip("/").removesuffix(".gz"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:
            return  # whoever asked was killed

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a web server that has both files."""
    for name in ("flights.csv", "airports.csv"):
        data.packed(name)  # fetched by now: no job waits for that
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    """Tables that are dropped again: these tests commit."""
    rows(TABLES)
    yield
    rows(NO_TABLES)


def rows(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def kill_runner_of(job: JobStatus, worker: Worker, *, behind: int) -> None:
    """Kill the runner once the job has loaded so many rows."""
    wait.until(
        f"{behind} rows",
        lambda: JobCheckpoint.objects.filter(job=job, rows_in__gt=behind).exists(),
        limit_seconds=120,
    )
    runners = wait.until(
        "its runner",
        lambda: [one["pid"] for one in worker.row.runners if one.get("job_id") == str(job.id)],
    )
    os.kill(runners[0], signal.SIGKILL)


def test_a_pipeline_killed_twice_is_complete_and_loads_nothing_twice(
    workers: Workers, server: str
) -> None:
    flights = LoadFlights.dispatch(source=f"{server}/flights.csv.gz")
    airports = LoadAirports.dispatch(source=f"{server}/airports.csv.gz")
    summary = SummariseDepartures.dispatch(depends_on=[flights, airports])
    worker = workers.start("default", "--concurrency", "2", heartbeat=0.5)

    for behind in (50_000, 150_000):
        kill_runner_of(flights, worker, behind=behind)
        lost = 1 if behind == 50_000 else 2
        wait.until(
            "the loss",
            lambda lost=lost: (
                JobAttempt.objects.filter(job=flights, error_class="WorkerLost").count() == lost
            ),
        )

    wait.until_status(summary, "completed", limit_seconds=120)
    for job in (flights, airports):
        job.refresh_from_db()
    assert flights.result == {"rows_in": FLIGHTS, "rows_out": FLIGHTS, "rows_rejected": 0}
    assert airports.result == {"rows_in": 1_458, "rows_out": 1_458, "rows_rejected": 0}
    assert rows("SELECT count(*), count(DISTINCT (time_hour, carrier, flight)) FROM flights") == [
        (FLIGHTS, FLIGHTS)
    ]
    assert rows("SELECT count(*) FROM airports") == [(1_458,)]
    assert rows("SELECT faa, sum(flights) FROM departures GROUP BY 1 ORDER BY 1") == [
        ("EWR", 120_835),
        ("JFK", 111_279),
        ("LGA", 104_662),
    ]
    assert summary.result == {"lines": 3 * 365}
    assert summary.started_at >= max(flights.finished_at, airports.finished_at)
    peaks = list(JobAttempt.objects.values_list("peak_memory", flat=True))
    assert max(filter(None, peaks)) < 150 * MIB


@pytest.mark.redis
def test_a_week_of_nights_is_backfilled_in_the_admin_and_complete_after_two_kills(
    admin_client: Client, workers: Workers, schedulers: Schedulers, server: str
) -> None:
    control.create(
        "flights",
        {
            "cron": "0 2 * * *",
            "timezone": "America/New_York",
            "start_at": "2013-01-01T00:00:00-05:00",
            "catch_up": "none",
            "steps": {
                "flights": {
                    "job": "LoadFlights",
                    "params": {"source": f"{server}/flights.csv.gz", "day": "{logical_date}"},
                },
                "airports": {
                    "job": "LoadAirports",
                    "params": {"source": f"{server}/airports.csv.gz"},
                },
                "summary": {
                    "job": "SummariseDepartures",
                    "params": {"day": "{logical_date}"},
                    "after": ["flights", "airports"],
                },
            },
        },
        by="alice",
    )
    worker = workers.start("default", "--concurrency", "2", heartbeat=0.5)
    schedulers.start(DJANGO_SETTINGS_MODULE="tests.settings")
    admin_client.post(
        "/admin/jobs/schedule/flights/backfill/",
        {
            "first": "2013-01-01", "last": "2013-01-07", "only": "missing", "max_active": "2",
            "start": "Start",
        },
    )  # fmt: skip

    struck: list[JobStatus] = []
    for _ in range(2):
        struck.append(a_load_in_the_middle(struck))
        kill_runner_of(struck[-1], worker, behind=0)

    backfill = Backfill.objects.get()
    wait.until(
        "all seven nights",
        lambda: backfill.refresh_from_db() or backfill.status == "completed",
        limit_seconds=180,
    )
    by_night = "SELECT day, count(*) FROM flights WHERE month = 1 GROUP BY 1 ORDER BY 1"
    assert rows(by_night) == list(enumerate(A_WEEK, start=1))
    assert rows("SELECT count(*), count(DISTINCT (time_hour, carrier, flight)) FROM flights") == [
        (sum(A_WEEK), sum(A_WEEK))
    ]
    by_day = "SELECT extract(day FROM day)::int, sum(flights) FROM departures GROUP BY 1 ORDER BY 1"
    assert rows(by_day) == list(enumerate(A_WEEK, start=1))
    assert rows("SELECT count(*) FROM airports") == [(1_458,)]
    nights = ScheduleRun.objects.order_by("logical_time").values_list("logical_time", flat=True)
    assert [night.astimezone(UTC).isoformat() for night in nights] == [
        f"2013-01-0{day}T07:00:00+00:00" for day in range(1, 8)
    ]
    for job in struck:
        assert JobAttempt.objects.filter(job=job, error_class="WorkerLost").count() == 1
    peaks = JobAttempt.objects.exclude(peak_memory=None).values_list("peak_memory", flat=True)
    assert max(peaks) < 150 * MIB


def a_load_in_the_middle(struck: list[JobStatus]) -> JobStatus:
    def look() -> JobStatus | None:
        unstruck = JobStatus.objects.exclude(id__in=[job.id for job in struck])
        return unstruck.filter(
            job_class="LoadFlights", status="started", attempt=1, checkpoint__rows_in__gt=20_000,
            checkpoint__rows_in__lt=200_000,
        ).first()  # fmt: skip

    found = wait.until("a load in the middle", look, limit_seconds=60)
    assert found is not None
    return found
