"""Defers Procrastinate's jobs; many at once by batch_defer."""

from __future__ import annotations

from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks import driver  # noqa: E402
from benchmarks.peers.procrastinate import tasks  # noqa: E402


class Procrastinate:
    """`defer` and `batch_defer`."""

    def prepare(self) -> None:
        """Make the tables."""
        call_command("migrate", verbosity=0)

    def one(self, job: str, queue: str, value: Any) -> None:
        """Defer one job."""
        getattr(tasks, job.lower()).configure(queue=queue).defer(value=value)

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Defer one for each value."""
        task = getattr(tasks, job.lower()).configure(queue=queue)
        task.batch_defer(*({"value": value} for value in values))

    def close(self) -> None:
        """Close the database connection."""
        connection.close()


if __name__ == "__main__":
    driver.serve(Procrastinate())
