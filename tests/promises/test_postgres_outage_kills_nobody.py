from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection

from jobs.models import JobAttempt, JobWorker
from tests import wait
from tests.jobs import Echo, Sleep
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 2.0, "heartbeat": 0.5}
OUTAGE_SECONDS = 5  # two leases and more


@contextmanager
def outage() -> Iterator[None]:
    """Throw everybody out of this test's database and let nobody in."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [connection.settings_dict["NAME"]],
            )
            yield
            cursor.execute("SELECT pg_sleep(%s)", [OUTAGE_SECONDS])
        finally:
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_workers_outlive_it_and_their_jobs_end_as_they_would_have(workers: Workers):
    both = [workers.start("default", **QUICK), workers.start("default", **QUICK)]
    running = Sleep.dispatch(seconds=2)  # ends while PostgreSQL is away
    wait.until_status(running, "started")

    with outage():
        pass

    later = Echo.dispatch(value="after it")
    wait.until_status(later, "completed")
    wait.until_status(running, "completed")
    assert (running.attempt, running.losses) == (1, 0)
    assert JobAttempt.objects.count() == 2
    assert not JobWorker.objects.exclude(dead_at=None).exists()
    assert all(worker.process.poll() is None for worker in both)


def test_a_job_that_came_due_meanwhile_starts_afterwards(workers: Workers):
    workers.start("default", **QUICK)
    due = Echo.dispatch(value="due", run_at=timedelta(seconds=2))

    with outage():
        pass

    wait.until_status(due, "completed")
