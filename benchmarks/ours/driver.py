"""Dispatches our jobs."""

from __future__ import annotations

from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks import driver  # noqa: E402
from benchmarks.ours import backlog, jobs  # noqa: E402


class Ours:
    """`dispatch` and `dispatch_many`."""

    more = {"fill": backlog.fill}

    def prepare(self) -> None:
        """Make the tables."""
        call_command("migrate", verbosity=0)

    def one(self, job: str, queue: str, value: Any) -> None:
        """Dispatch one job."""
        getattr(jobs, job).dispatch(queue=queue, value=value)

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Dispatch one for each value."""
        getattr(jobs, job).dispatch_many([{"value": value} for value in values], queue=queue)

    def close(self) -> None:
        """Close the database connection."""
        connection.close()


if __name__ == "__main__":
    driver.serve(Ours())
