"""Dispatches the naive way: a row by the ORM, then django-rq's enqueue."""

from __future__ import annotations

import time
from typing import Any

import django

django.setup()

import django_rq  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks import driver  # noqa: E402
from benchmarks.naive import tasks  # noqa: E402
from benchmarks.naive.models import Row  # noqa: E402


class Naive:
    """One statement and one enqueue a job; many: bulk_create and enqueue_many."""

    def __init__(self) -> None:
        # Kept: django-rq's get_queue() makes a new connection each time, four times slower.
        self.queues = {name: django_rq.get_queue(name) for name in ("high", "default", "low")}
        self.more = {"orm": self.orm}

    def prepare(self) -> None:
        """Make the tables."""
        call_command("migrate", run_syncdb=True, verbosity=0)

    def one(self, job: str, queue: str, value: Any) -> None:
        """Dispatch one job."""
        row = Row.objects.create(job=job, params={"value": value})
        self.queues[queue].enqueue(getattr(tasks, job.lower()), row.pk, value)

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Dispatch one for each value."""
        rows = Row.objects.bulk_create([Row(job=job, params={"value": each}) for each in values])
        to = self.queues[queue]
        func = getattr(tasks, job.lower())
        to.enqueue_many(
            to.prepare_data(func, (row.pk, value)) for row, value in zip(rows, values, strict=True)
        )

    def close(self) -> None:
        """Close the database connection."""
        connection.close()

    def orm(self, *, count: int) -> float:
        """Return how many seconds so many INSERTs by the ORM alone take."""
        begun = time.perf_counter()
        for _ in range(count):
            Row.objects.create(job="Echo", params={"value": "x"})
        return time.perf_counter() - begun


if __name__ == "__main__":
    driver.serve(Naive())
