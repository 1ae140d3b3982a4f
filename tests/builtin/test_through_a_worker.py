"""The built-in jobs as a worker runs them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from random import Random

import pytest

from jobs.builtin import demo
from jobs.builtin.import_csv import ImportCsv
from jobs.builtin.truncate_table import TruncateTable
from jobs.lifecycle import control
from jobs.models import JobAttempt
from tests import wait
from tests.builtin.conftest import rows, run

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def worker_may(folder, server, monkeypatch):
    """Open to worker processes what the tests' own settings open."""
    monkeypatch.setenv("IMPORT_TABLES", "public.items,public.airports")
    monkeypatch.setenv("TRUNCATABLE_TABLES", "public.daily_stats")
    monkeypatch.setenv("IMPORT_FOLDERS", str(folder))
    monkeypatch.setenv("IMPORT_HOSTS", f"127.0.0.1:{server.port}")


@pytest.fixture
def table():
    """Make a table that is dropped again: these tests commit."""
    run("CREATE TABLE public.items (code text PRIMARY KEY, amount integer)")
    yield "public.items"
    run("DROP TABLE public.items")


@pytest.fixture
def made_demo(folder):
    demo.prepare()
    yield
    run("DROP TABLE public.airports, public.daily_stats")


@pytest.mark.usefixtures("worker_may", "made_demo")
def test_the_demo_runs_to_its_end(workers):
    load = ImportCsv.dispatch(source="airports.csv", table="public.airports", mode="upsert")
    clear = TruncateTable.dispatch(schema="public", table_name="daily_stats")
    refused = TruncateTable.dispatch(schema="public", table_name="airports")

    workers.run("default", "--burst")

    for job in (load, clear, refused):
        job.refresh_from_db()
    assert load.status == "completed"
    assert load.result["rows_out"] == rows("SELECT count(*) FROM public.airports")[0][0] > 28_000
    assert load.progress["done"] == load.result["rows_in"]
    assert clear.result == "Table public.daily_stats truncated successfully"
    assert rows("SELECT count(*) FROM public.daily_stats") == [(0,)]
    assert (refused.status, refused.attempt) == ("failed", 1)
    assert "TRUNCATABLE_TABLES" in refused.error


@pytest.mark.usefixtures("worker_may")
def test_an_import_is_cancelled_in_the_middle_of_its_stream(workers, server, table):
    def send(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(ConnectionError):
            handler.wfile.write(b"code,amount\n")
            for n in range(3_000_000):
                handler.wfile.write(b"%d,%d\n" % (n, n))

    server.answers["/endless.csv"] = send
    workers.start("default")
    job = ImportCsv.dispatch(source=f"http://127.0.0.1:{server.port}/endless.csv", table=table)
    wait.until("progress", lambda: job.refresh_from_db() or job.progress)

    control.cancel([job.id], by="alice", reason="enough")

    wait.until_status(job, "cancelled")
    assert rows("SELECT count(*) FROM public.items") == [(0,)]
    wait.until(
        "the end of the staging table",
        lambda: rows("SELECT count(*) FROM pg_class WHERE relname = 'import_staging'") == [(0,)],
    )


@pytest.mark.usefixtures("worker_may")
def test_a_source_that_is_down_is_tried_again(workers, server, table):
    server.answer("/items.csv", status=503)
    job = ImportCsv.dispatch(source=f"http://127.0.0.1:{server.port}/items.csv", table=table)

    workers.run("default", "--burst", "--max-jobs", "1")

    job.refresh_from_db()
    # Queued where the wait, drawn at random, was over at once.
    assert job.status in {"retrying", "queued"}
    assert JobAttempt.objects.get(job=job).error_class == "SourceUnavailable"


@pytest.mark.usefixtures("worker_may")
def test_an_append_that_is_killed_again_and_again_is_loaded_once(workers, folder, table):
    run("ALTER TABLE public.items DROP CONSTRAINT items_pkey")
    (folder / "items.csv").write_text(
        "code,amount\n" + "".join(f"{n},{n}\n" for n in range(60_000))
    )
    jobs = ImportCsv.dispatch_many([{"source": "items.csv", "table": table}] * 8)
    worker = workers.start("default", heartbeat=0.5, max_losses=100)
    rand = Random(3)

    for _ in range(6):
        [runner] = wait.until("its runner", worker.runners)
        time.sleep(rand.uniform(0.1, 0.9))  # the moment of the kill, not a wait
        with suppress(ProcessLookupError):
            os.kill(runner, signal.SIGKILL)

    for job in jobs:
        wait.until_status(job, "completed", limit_seconds=2 * wait.LIMIT_SECONDS)
    assert rows("SELECT count(*), count(DISTINCT code) FROM public.items") == [(480_000, 60_000)]
    assert JobAttempt.objects.filter(error_class="WorkerLost").count() >= 2
