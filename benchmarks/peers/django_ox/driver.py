"""Enqueues django-ox's tasks; many at once by its enqueue_many."""

from __future__ import annotations

from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django_ox.bulk import enqueue_many  # noqa: E402

from benchmarks import driver  # noqa: E402
from benchmarks.peers.django_ox import tasks  # noqa: E402


class DjangoOx:
    """`enqueue` and `enqueue_many`."""

    def prepare(self) -> None:
        """Make the tables."""
        call_command("migrate", verbosity=0)

    def one(self, job: str, queue: str, value: Any) -> None:
        """Enqueue one task."""
        getattr(tasks, job.lower()).using(queue_name=queue).enqueue(value)

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Enqueue one for each value."""
        task = getattr(tasks, job.lower()).using(queue_name=queue)
        enqueue_many(task, [((value,), {}) for value in values])

    def close(self) -> None:
        """Close the database connection."""
        connection.close()


if __name__ == "__main__":
    driver.serve(DjangoOx())
